"""Two plans side by side with their differences, and what mixing cuts and overlapping branches contribute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from app.components.gantt import SMALL, gantt_chart
from app.components.graph import graph
from app.figures import printed
from app.figures.bars import TITLES
from app.figures.branch_scene import branch_scene, holding
from app.figures.gantt import gantt
from app.shell import cached, exports, widgets
from app.shell.page import theme
from app.text import plain
from app.views import plan_what_if
from app.views.plan_table import DEFAULT_PINNED, PINNED
from app.views.plan_what_if import HAND_MADE
from decc_core.errors import LeftOut
from decc_core.printed.names import stem
from decc_core.problem.instance import RESOURCES
from decc_core.study.ablation import Ablation
from decc_core.study.compare import Comparison, Outcome, ratio
from decc_core.study.differences import Difference, PlanDiff, plan_diff
from decc_core.study.explain import NOTICEABLE
from decc_core.text import duration, gain_text, rounded

# Tables are styled cell by cell, for which pandas' usual texts, in Arrow's memory, take twice as long.
pd.set_option("mode.string_storage", "python")
NAMED = 8
CHOSEN = "pairs_chosen"
"""Which of the two plans the visitor has chosen; the other follows what is shown above."""


def two_plans(comparison: Comparison, outcome: Outcome) -> None:
    """Two schedules on one time axis, and what stands elsewhere in the other."""
    choices = {choice.strategy: choice for choice in comparison.outcomes}
    cuts = plan_what_if.hand_made(comparison)
    made = plan_what_if.replanned(comparison, outcome, cuts) if cuts is not None else None
    if isinstance(made, Outcome):
        choices[HAND_MADE] = made
    first, second = (choices[name] for name in _choose(list(choices), outcome))
    if first.plan == second.plan:
        st.info("This is the same plan twice; choose another one.")
        return
    diff = plan_diff(comparison.instance, first.plan, second.plan)
    st.markdown(_in_words(comparison, first, second, diff))
    until = max(first.schedule.makespan_ns, second.schedule.makespan_ns)
    for place, (choice, work) in enumerate(((first, diff.first_work), (second, diff.second_work))):
        st.markdown(f"**{choice.strategy}** ({choice.execution.value}): {duration(choice.objective_ns)}")
        different = None if diff.same_cuts else work
        chart = gantt(comparison.instance, choice.schedule, different=different, until_ns=until)
        network = comparison.instance.graph
        gantt_chart(
            chart,
            f"pair-{network.fingerprint[:12]}",
            f"pair_{place}",
            theme(),
            file=stem(network.name, choice.strategy, "schedule"),
            height=SMALL,
        )
    exports.save_figures(
        widgets.scenario(), comparison.instance.graph, [printed.of_two_plans(comparison, first, second)]
    )
    st.dataframe(_loads(first, second, diff), hide_index=True, height="content", key="pair_loads")
    if not diff.same_cuts:
        _differences(comparison, first, second, diff)


def _choose(names: list[str], outcome: Outcome) -> tuple[str, str]:
    """The plan shown, and beside it the hand-made or the pinned one, unless the visitor chooses others."""
    beside = [HAND_MADE, st.session_state.get(PINNED, DEFAULT_PINNED), "decc", *names]
    other = next(name for name in beside if name in names and name != outcome.strategy)
    wanted = {"pair_first": ("First plan", outcome.strategy), "pair_second": ("Second plan", other)}
    by_hand: set[str] = st.session_state.setdefault(CHOSEN, set())
    chosen = []
    for place, (key, (label, default)) in zip(st.columns(2), wanted.items(), strict=True):
        if key not in by_hand or st.session_state.get(key) not in names:
            st.session_state[key] = default
        chosen.append(
            place.selectbox(label, names, key=key, persist_state="session", on_change=by_hand.add, args=(key,))
        )
    return chosen[0], chosen[1]


def _in_words(comparison: Comparison, first: Outcome, second: Outcome, diff: PlanDiff) -> str:
    measure = TITLES[comparison.instance.objective]
    slow, fast = (first, second) if first.objective_ns > second.objective_ns else (second, first)
    if slow.objective_ns == fast.objective_ns:
        better = f"Both have the same {measure}."
    else:
        gain = gain_text(ratio(slow.objective_ns, fast.objective_ns))
        better = f"The {measure} of {slow.strategy} is {gain} that of {fast.strategy}."
    if diff.same_cuts:
        return f"{better} Both cut all requests at the same points; only the order of work differs."
    differing = sum(len(difference.pairs) for difference in diff.differences)
    many = comparison.instance.requests
    where = "" if many == 1 else f" {differing} of {many} requests are cut elsewhere."
    return f"{better}{where} In full colour and outlined: what only this plan does, or does on this side."


def _loads(first: Outcome, second: Outcome, diff: PlanDiff) -> pd.io.formats.style.Styler:
    rows = [
        {
            "time busy": resource.value,
            f"{first.strategy} (ms)": a / 1e6,
            f"{second.strategy} (ms)": b / 1e6,
            "difference (ms)": (b - a) / 1e6,
        }
        for resource, a, b in zip(RESOURCES, diff.first_loads, diff.second_loads, strict=True)
    ]
    return _as_read(rows)


def _as_read(rows: Sequence[Mapping[str, object]]) -> pd.io.formats.style.Styler:
    """A table whose numbers are rounded as a person would, and sorted by what they are."""
    read = pd.DataFrame(rows)
    return read.style.format(rounded, subset=list(read.select_dtypes("number").columns))


def _differences(comparison: Comparison, first: Outcome, second: Outcome, diff: PlanDiff) -> None:
    network = comparison.instance.graph
    st.markdown(f"**What differs**, from {first.strategy} to {second.strategy}")
    rows = [
        {
            "requests": _pairs(difference),
            "go to the edge": _listed([network.titles[layer] for layer in difference.to_edge]),
            "go to the cloud": _listed([network.titles[layer] for layer in difference.to_cloud]),
            "sent no longer": _listed([network.tensor_title(tensor) for tensor in difference.no_longer_sent]),
            "sent instead": _listed([network.tensor_title(tensor) for tensor in difference.newly_sent]),
        }
        for difference in diff.differences
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, height="content", key="pair_differences")
    st.caption("Requests are equal, so each is compared with one of the other plan that is cut the same way, if any.")
    difference = diff.differences[0]
    if len(diff.differences) > 1:
        place = st.selectbox(
            "Draw the cuts of",
            range(len(diff.differences)),
            format_func=lambda i: f"requests {_pairs(diff.differences[i])}",
            key="pair_drawn",
        )
        difference = diff.differences[(place or 0) % len(diff.differences)]
    moved = {*difference.to_edge, *difference.to_cloud}
    for column, place, shown, request in zip(
        st.columns(2), ("first", "second"), (first, second), difference.pairs[0], strict=True
    ):
        picture = cached.picture(comparison.instance, shown.plan.cuts[request])
        with column:
            st.markdown(f"**{shown.strategy}**, request {request + 1}")
            graph(
                branch_scene(picture),
                f"pair-{place}-{network.fingerprint[:12]}",
                f"pair_graph_{place}",
                theme(),
                matches=holding(picture, moved),
                file=stem(network.name, shown.strategy, "cut"),
                height=240,
                embedded=True,
            )


def _pairs(difference: Difference) -> str:
    return ", ".join(str(a + 1) if a == b else f"{a + 1} (there {b + 1})" for a, b in difference.pairs)


def _listed(names: list[str]) -> str:
    count = f"{len(names)}: " if len(names) > 1 else ""
    return count + ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "") if names else "none"


def ablation(comparison: Comparison, outcome: Outcome) -> None:
    """The two ideas of decc, each alone and both together."""
    measure = TITLES[comparison.instance.objective]
    st.markdown("**Where the gain comes from**: two ideas, each alone and both together")
    try:
        parts = cached.ablated(comparison)
    except LeftOut as note:
        st.info(plain(str(note)))
        return
    rows = [
        ("neither", "one cut for all requests; nothing of a request overlaps", parts.neither_ns),
        ("mix of cuts alone", "requests may be cut at different points; their stages stay whole", parts.mix_ns),
        ("overlap alone", "all requests are cut alike; their branches overlap", parts.overlap_ns),
        ("both: decc", "different cuts and overlapping branches", parts.both_ns),
    ]
    table = [
        {
            "what is allowed": name,
            "in words": words,
            f"{measure} (ms)": time_ns / 1e6,
            "gain over neither": gain_text(parts.gain(time_ns)),
        }
        for name, words, time_ns in rows
    ]
    st.dataframe(_as_read(table), hide_index=True, height="content", key="ablation")
    st.markdown(_contributions(parts))
    st.caption(
        "'Neither' is the best baseline that cuts all requests alike. With one request there is nothing to mix; with "
        "several, mixing often gives nearly all of the gain, and overlap matters where a network has branches."
    )


def _contributions(parts: Ablation) -> str:
    mix, overlap, both = (parts.gain(part) for part in (parts.mix_ns, parts.overlap_ns, parts.both_ns))
    if both < NOTICEABLE:
        first = "Neither idea gains anything here."
    elif mix >= NOTICEABLE > overlap:
        first = "Here the gain comes from mixing cuts; overlapping branches alone adds nothing."
    elif overlap >= NOTICEABLE > mix:
        first = "Here the gain comes from overlapping branches; mixing cuts alone adds nothing."
    else:
        first = f"Mixing cuts alone gives {gain_text(mix)}, overlap alone {gain_text(overlap)}, both {gain_text(both)}."
    rival = duration(parts.best_baseline_ns)
    return (
        f"{first} Beside the best of all baselines ({parts.best_baseline}, {rival}) decc gains "
        f"{gain_text(parts.over_best_baseline)}."
    )
