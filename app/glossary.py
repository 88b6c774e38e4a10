"""The words of the page, each with what it means: one list for tooltips, for help and for Learn."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape

WORDS = {
    "layer": "one step of the network's computation: one operator, or a fused run of them",
    "tensor": "the numbers that one layer hands to the next",
    "edge": "the weak device next to the camera or sensor; one of four resources, each serving one thing at a time",
    "uplink": "the way from the edge to the cloud; one of four resources",
    "cloud": "the strong machine behind the network; one of four resources",
    "downlink": "the way on which results come back; one of four resources",
    "branch": "layers that never wait for another branch beside them",
    "cut": "which layers run on the edge; on a single branch it is one point, the partition point",
    "crossing tensor": "a tensor made on the edge and needed in the cloud; sent once, however many layers read it",
    "wire format": "how a tensor is coded for the link: fewer bytes, for time to encode and decode, and mostly for a "
    "little accuracy",
    "agreement": "the share of images whose best class stays the same when a tensor is coded",
    "request": "one inference of one sample; several may be in flight",
    "plan": "the cut of every request, and the complete order of work on every resource",
    "consecutive": "edge, uplink, cloud, downlink of one request, then the next request",
    "frame-pipelined": "each request is four whole stages; stages of different requests overlap",
    "branch-pipelined": "layers and tensors overlap, within one request, too",
    "makespan": "when the last result is back on the edge; all requests are there at time 0",
    "latency": "the same for one request",
    "throughput": "requests per second when the plan repeats for ever",
    "critical path": "work that follows without a pause from time 0 to the last result; only by its getting "
    "shorter the plan gets quicker",
    "lower bound": "a proven time that no plan can beat",
    "gap": "how far a plan is above the bound; 0 % proves it optimal",
    "study": "many networks under many conditions, planned by many strategies, in one table",
    "point": "one network under one set of conditions of a study; all strategies are compared there",
    "contested": "a point at which edge alone and cloud alone are within a factor of two, so that a plan can matter",
    "baseline": "a published or obvious way to plan, to compare with",
}
STRATEGIES = {
    "edge-only": "everything on the edge",
    "cloud-only": "everything in the cloud",
    "neurosurgeon": "one cut along the stored order of layers (ASPLOS 2017)",
    "dads-dsl": "DADS for light load: the cheapest cut of one request, one request after the other (INFOCOM 2019)",
    "qdmp": "the same cut, found faster (IMWUT 2020)",
    "dads-dsh": "DADS for heavy load: the cut with the smallest bottleneck, in whole stages",
    "single-cut": "the best single cut for all requests, in whole stages that overlap",
    "jps": "two cuts, and how many requests take each, in whole stages (ICPP 2021)",
    "decc": "a cut for every branch of every request, and the order of all work, overlapping",
    "exact": "the same problem, solved to the end by a general solver",
}
MARKED = {
    **{word: WORDS[word] for word in ("uplink", "makespan", "critical path", "gap", "baseline", "crossing tensor")},
    "DADS": STRATEGIES["dads-dsl"],
    "proven bound": WORDS["lower bound"],
    "proven optimal": "no plan can beat it, which the lower bound shows",
    "requests per second": WORDS["throughput"],
    "travels as": WORDS["wire format"],
    **{name: what for name, what in STRATEGIES.items() if name not in ("decc", "exact")},
}
"""What is explained where it is met in a sentence: words that are none of everyday's."""
_QUOTED_OR_MARKED = re.compile(
    r"(?<!\w)'[^']*'|(?<![\w.-])(?:"
    + "|".join(re.escape(word) for word in sorted(MARKED, key=len, reverse=True))
    + r")(?![\w-])"
)


def explained(sentence: str) -> str:
    """A sentence as HTML that says under the pointer what a word means, where the word stands first."""
    said: set[str] = set()
    parts, at = [], 0
    for match in _QUOTED_OR_MARKED.finditer(sentence):
        word = match[0]
        parts.append(escape(sentence[at : match.start()]))
        # What stands in quotes is a name out of somebody's network.
        new = word in MARKED and word not in said
        parts.append(
            f'<abbr title="{escape(word)}: {escape(MARKED[word])}">{escape(word)}</abbr>' if new else escape(word)
        )
        said.add(word)
        at = match.end()
    return "".join([*parts, escape(sentence[at:])])


def as_list(words: Mapping[str, str]) -> str:
    """Words and their meanings as a list, for the help of a control."""
    return "\n".join(f"- **{word}**: {meaning}" for word, meaning in words.items())
