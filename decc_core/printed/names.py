"""Names of files that say what is in them."""

from __future__ import annotations

from decc_core.problem.scenario import Scenario
from decc_core.text import counted

LONGEST_BYTES = 200
"""Of a name without its ending; file systems take 255."""
LEAST_BYTES = 24
"""So much of a network's name stays, however long the rest is."""


def file_name(*parts: str, ending: str) -> str:
    """The parts in one name that every file system and shell takes as it is.

    Letters of all alphabets and digits stay, with the dots, underscores and hyphens between them. Where the whole is
    too long, the first part is cut: it is the name of a network, and the others are short.
    """
    return f"{stem(*parts)}.{ending}"


def stem(*parts: str) -> str:
    """The same without an ending."""
    first, *others = [*filter(None, map(_cleaned, parts)), ""]
    over = len("-".join((first, *others)).encode()) - LONGEST_BYTES
    if over > 0:
        first = first.encode()[: max(LEAST_BYTES, len(first.encode()) - over)].decode(errors="ignore")
    whole = "-".join(filter(None, (first, *others))).encode()[:LONGEST_BYTES].decode(errors="ignore")
    return whole.rstrip("-._") or "decc"


def _cleaned(part: str) -> str:
    kept = "".join(char if char.isalnum() or char in "._" else "-" for char in part)
    return "-".join(word for word in (word.strip("._") for word in kept.split("-")) if word)


def scenario_parts(network: str, scenario: Scenario) -> tuple[str, str, str]:
    """With what the name of everything begins that was made of a scenario: network, requests and uplink."""
    return network, counted(scenario.requests, "request"), f"{scenario.uplink_mbps:g} mbps"
