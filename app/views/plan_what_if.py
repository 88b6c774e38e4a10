"""What if: layers and branches moved by hand, with cost and legality at once."""

from __future__ import annotations

import streamlit as st

from app.components.gantt import SMALL, gantt_chart
from app.figures.gantt import gantt
from app.shell import cached
from app.shell.page import theme
from app.text import code, plain
from decc_core.network.branches import chains, split_branches
from decc_core.network.graph import LayerGraph
from decc_core.network.work import Resource
from decc_core.problem.instance import CostInstance, Cut
from decc_core.study.compare import Comparison, Outcome
from decc_core.study.differences import plan_diff
from decc_core.study.moves import Edits, edited_requests
from decc_core.text import duration, gap_text

STEPS = "what_if"
"""Where a visit keeps the cuts after each move by hand, with the network and number of requests they belong to."""
HAND_MADE = "hand-made"
NAMED = 6
"""So many layers are named; of more, the others are counted."""

Cuts = tuple[Cut, ...]


def what_if(comparison: Comparison, outcome: Outcome) -> None:
    """Choose something, see what moving it to either side would do, and do it."""
    st.markdown(
        "**What if?** Move a layer or a whole branch to the other side. What must go with it goes along, and "
        "everything is put in the best order that DECC finds for the new cuts."
    )
    instance = comparison.instance
    now = hand_made(comparison) or outcome.plan.cuts
    current = replanned(comparison, outcome, now)
    requests = _requests(instance)
    layers = _layers(instance.graph)
    left, right = st.columns(2)
    for place, to in ((left, Resource.EDGE), (right, Resource.CLOUD)):
        with place.container(border=True):
            _preview(comparison, outcome, current, edited_requests(instance, now, requests, layers, to), to)
    untouched = hand_made(comparison) is None
    with st.container(horizontal=True):
        st.button("Undo", key="what_if_undo", on_click=_undo, disabled=untouched, icon=":material/undo:")
        st.button(
            f"Reset to {outcome.strategy}", key="what_if_reset", on_click=st.session_state.pop, args=(STEPS, None),
            disabled=untouched, icon=":material/restart_alt:",
        )  # fmt: skip
    _standing(comparison, outcome, current)


def hand_made(comparison: Comparison) -> Cuts | None:
    """The visitor's cuts for this network and number of requests, if any were moved by hand."""
    kept = st.session_state.get(STEPS)
    return kept["cuts"][-1] if kept is not None and kept["of"] == _belongs_to(comparison.instance) else None


def _belongs_to(instance: CostInstance) -> tuple[str, int]:
    return instance.graph.fingerprint, instance.requests


def replanned(comparison: Comparison, outcome: Outcome, cuts: Cuts) -> Outcome | str:
    """The best plan for these cuts, or why they are refused; the plan shown is its model for the order of work."""
    return cached.replanned(comparison.instance, cuts, outcome.plan, comparison.lower_bound_ns)


def _requests(instance: CostInstance) -> list[int]:
    if instance.requests == 1:
        return [0]
    every = list(range(instance.requests))
    chosen = st.multiselect(
        "Of these requests",
        every,
        placeholder="all requests",
        format_func=lambda request: f"request {request + 1}",
        key=f"what_if_requests_{instance.requests}",
        persist_state="session",
        help="Nothing chosen means all of them.",
    )
    return chosen or every


def _layers(graph: LayerGraph) -> tuple[int, ...]:
    """The layer, or the layers of the branch, that the visitor names."""
    kind, name = st.columns((1, 3), vertical_alignment="bottom")
    whole = kind.segmented_control(
        "Move",
        (False, True),
        default=False,
        format_func=lambda branch: "a branch" if branch else "a layer",
        key="what_if_kind",
        required=True,
        persist_state="session",
    )
    inputs = set(graph.inputs)
    if whole:
        branches = [tuple(layer for layer in chain if layer not in inputs) for chain in chains(split_branches(graph))]
        branches = [branch for branch in branches if branch]

        def text(branch: tuple[int, ...]) -> str:
            count = f"{len(branch)} layers" if len(branch) > 1 else "1 layer"
            ends = dict.fromkeys((graph.titles[branch[0]], graph.titles[branch[-1]]))
            return f"{graph.run_title(branch)}: {count}, {' to '.join(ends)}"

        place = name.selectbox(
            "Branch",
            range(len(branches)),
            format_func=lambda i: text(branches[i]),
            key=f"what_if_branch_{graph.fingerprint}",
            persist_state="session",
        )
        return branches[place or 0]
    layers = [layer for layer in range(len(graph.layers)) if layer not in inputs]
    if not layers:
        return ()
    layer = name.selectbox(
        "Layer",
        layers,
        format_func=lambda i: graph.titles[i],
        key=f"what_if_layer_{graph.fingerprint}",
        persist_state="session",
    )
    return (layer,)


def _preview(comparison: Comparison, outcome: Outcome, current: Outcome | str, edits: Edits, to: Resource) -> None:
    """What moving to one side would take along and cost, and the button that does it."""
    graph, place = comparison.instance.graph, f"To the {to.value}"
    after = replanned(comparison, outcome, edits.cuts) if edits.refused is None else edits.refused
    if edits.nothing_to_do:
        st.markdown(f"**{place}**: {plain(edits.refused)}")
    elif isinstance(after, str):
        st.markdown(f"**{place}**: not possible. {plain(after)}")
    elif isinstance(current, str):
        st.markdown(f"**{place}**: {duration(after.objective_ns)}.")
    else:
        change = after.objective_ns - current.objective_ns
        cost = f"{duration(abs(change))} {'slower' if change > 0 else 'faster'}" if change else "no change"
        st.markdown(f"**{place}**: {duration(after.objective_ns)}, {cost}.")
        if edits.along:
            names = ", ".join(code(graph.titles[layer]) for layer in edits.along[:NAMED])
            more = f" and {len(edits.along) - NAMED} more" if len(edits.along) > NAMED else ""
            st.markdown(f"{plain(edits.reason or '')} So these go with it: {names}{more}.")
        else:
            st.markdown("Nothing else has to move with it.")
    st.button(
        place,
        key=f"what_if_{to.value}",
        on_click=_take,
        args=(comparison, outcome, edits.cuts),
        disabled=isinstance(after, str),
        icon=":material/arrow_back:" if to is Resource.EDGE else ":material/arrow_forward:",
    )


def _take(comparison: Comparison, outcome: Outcome, cuts: Cuts) -> None:
    before = st.session_state[STEPS]["cuts"] if hand_made(comparison) is not None else (outcome.plan.cuts,)
    st.session_state[STEPS] = {"of": _belongs_to(comparison.instance), "cuts": (*before, cuts)}


def _undo() -> None:
    kept = st.session_state.pop(STEPS)
    if len(kept["cuts"]) > 2:
        st.session_state[STEPS] = {**kept, "cuts": kept["cuts"][:-1]}


def _standing(comparison: Comparison, outcome: Outcome, current: Outcome | str) -> None:
    """How the hand-made plan stands beside decc's, on one time axis."""
    if isinstance(current, str):
        st.error(plain(current))
        return
    moved = hand_made(comparison) is not None
    decc = comparison.of("decc")
    if not moved:
        st.caption(f"Nothing was moved yet: these are the cuts of {outcome.strategy}, in DECC's order of work.")
    else:
        own_ns, decc_ns = current.objective_ns, decc.objective_ns
        share = f"{gap_text(abs(own_ns - decc_ns) / max(1, decc_ns))} {'slower' if own_ns > decc_ns else 'faster'}"
        stands = f": {share} than" if own_ns != decc_ns else ", exactly as long as"
        st.markdown(f"Your cuts take {duration(own_ns)}{stands} decc's.")
    diff = plan_diff(comparison.instance, current.plan, decc.plan)
    until = max(current.schedule.makespan_ns, decc.schedule.makespan_ns)
    for name, shown, work in (("your cuts", current, diff.first_work), ("decc", decc, diff.second_work)):
        st.markdown(f"**{name.capitalize() if name != 'decc' else name}**: {duration(shown.objective_ns)}")
        different = None if diff.same_cuts else work
        chart = gantt(comparison.instance, shown.schedule, different=different, until_ns=until)
        network = comparison.instance.graph
        gantt_chart(
            chart,
            f"what-if-{network.fingerprint[:12]}",
            f"what_if_{name}",
            theme(),
            file=f"{network.name}-{name.replace(' ', '-')}-schedule",
            height=SMALL,
        )
    if not diff.same_cuts:
        st.caption("In full colour and outlined: what only this plan does, or does on this side.")
