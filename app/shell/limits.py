"""What a plan must keep: the controls for it at the side, and what holds, told above every view that plans."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.shell import models
from app.shell.choices import choose, folded, follow, forget, late
from app.state import BETWEEN, KEPT, LONGEST_NAMES
from app.text import plain
from decc_core import ranges
from decc_core.network.graph import LayerGraph
from decc_core.problem.scenario import INPUTS, Scenario, layer_names
from decc_core.text import listed

KIND, FIRST, EDGE_NAMES, CLOUD_NAMES = "keep_kind", "keep_first", "keep_edge_names", "keep_cloud_names"
"""Keys of the controls for what stays on the edge, and for the layers that are named on either side."""
KINDS = {
    "none": "nothing in particular",
    "inputs": "raw inputs",
    "first": "the first layers",
    "named": "layers by name",
}
MANY_LAYERS = 500
"""Of a network with more, the first ones are offered, and any can be typed."""
MOST_NAMES = 100
OF, LET_GO = "limits_of", "limits_let_go"
"""Where a visit keeps which network its limits are for, and what was let go when that changed."""


def section(model: str) -> None:
    """The controls; all of them are of the network that is chosen."""
    graph = models.graph_of(model)
    _let_go(model, graph)
    part = folded("Limits on plans", "limits_part", ("edge_memory_mb", "uplink_kb"))
    if part is None:
        # They follow what is kept; folded, they have nothing to follow and nothing that a browser could send.
        forget(KIND, FIRST, EDGE_NAMES, CLOUD_NAMES)
        return
    with part:
        _on_edge(graph)
        _named("Kept in the cloud", "keep_in_cloud", CLOUD_NAMES, graph)
        for label, key, about in (
            (
                "Edge memory (MB)",
                "edge_memory_mb",
                "Weights, each once, and all live tensors of the requests in flight.",
            ),
            ("Up, each request (kB)", "uplink_kb", "What any request may send."),
        ):
            low, high = BETWEEN[key]
            st.number_input(
                label, low, high, None, format="%g", key=key, placeholder="no limit", help=f"{about} Empty: no limit."
            )


def note(scenario: Scenario) -> None:
    """What holds, in the main area, and what no longer does."""
    if gone := st.session_state.get(LET_GO):
        st.warning(plain(str(gone)))
    if scenario.limits:
        st.info(plain(f"Limits: {'; '.join(scenario.limits)}."), icon=":material/lock:")


def _on_edge(graph: LayerGraph) -> None:
    text: str | None = st.session_state["keep_on_edge"]
    kind = _kind(text)
    # Who names layers has named none at first.
    if not (kind == "none" and st.session_state.get(KIND) == "named"):
        follow(KIND, kind)
    st.selectbox(
        "Kept on the edge",
        list(KINDS),
        key=KIND,
        format_func=KINDS.__getitem__,
        on_change=_take_kind,
        help="Raw inputs: every layer that reads one runs on the edge, so that none ever leaves it.",
    )
    shown = st.session_state[KIND]
    if shown == "first" and kind == "first":
        count = int(str(text))
        follow(FIRST, count)
        computing = len(graph.layers) - len(graph.inputs)
        st.number_input(
            f"How many of {computing:,}", 1, max(computing, count), key=FIRST, on_change=_take_first,
            help="Layers in the stored order, inputs not counted; the Network view lists them.",
        )  # fmt: skip
    elif shown == "named":
        _named("These layers, and all that they need", "keep_on_edge", EDGE_NAMES, graph)


def _kind(text: str | None) -> str:
    if text == INPUTS:
        return "inputs"
    if text is not None and ranges.is_count(text):
        return "first" if int(text) else "none"
    return "named" if text else "none"


def _take_kind() -> None:
    if not late(KIND):
        choose({"keep_on_edge": {"inputs": INPUTS, "first": "1"}.get(st.session_state[KIND])})


def _take_first() -> None:
    count = st.session_state[FIRST]
    if count is not None and not late(FIRST):
        choose({"keep_on_edge": str(count)})


def _named(label: str, key: str, box: str, graph: LayerGraph) -> None:
    """Layers by their titles; those that are named otherwise, or that the network lacks, stand as they were named."""
    places = {name: graph.layer_called(name) for name in layer_names(st.session_state[key])}
    chosen = list(dict.fromkeys(name if place is None else graph.titles[place] for name, place in places.items()))
    follow(box, chosen)
    many = len(graph.titles) > MANY_LAYERS
    # A comma parts names from each other where a command or an address says them.
    offered = [title for title in graph.titles[:MANY_LAYERS] if "," not in title and title == title.strip()]
    st.multiselect(
        label,
        list(dict.fromkeys([*chosen, *offered])),
        key=box,
        max_selections=MOST_NAMES,
        accept_new_options=many,
        placeholder="type a layer's name" if many else "choose layers",
        on_change=_take_names,
        args=(key, box),
        help="Names and titles as the Network view shows them."
        + (f" The first {MANY_LAYERS} are offered; any other can be typed." if many else ""),
    )


def _take_names(key: str, box: str) -> None:
    if late(box):
        return
    text = joined(st.session_state[box])
    if len(text or "") <= LONGEST_NAMES:
        choose({key: text})


def joined(kept: Sequence[str]) -> str | None:
    """Names as a scenario has them; a single one that would be taken for something else ends with a comma."""
    text = ",".join(name.strip() for name in kept if name.strip())
    if text == INPUTS or ranges.is_count(text):
        return f"{text},"
    return text or None


def _let_go(model: str, graph: LayerGraph) -> None:
    """Another network has other layers: those that it lacks are kept nowhere any more, and that is said."""
    before = st.session_state.get(OF)
    if before == model:
        return
    st.session_state[OF] = model
    st.session_state.pop(LET_GO, None)
    if before is None:
        return
    gone: list[str] = []
    for key in KEPT:
        text: str | None = st.session_state[key]
        if key == "keep_on_edge" and _kind(text) in ("inputs", "first"):
            if _kind(text) == "first":
                choose({key: str(min(int(str(text)), len(graph.layers) - len(graph.inputs)))})
            continue
        lacking = [name for name in layer_names(text) if graph.layer_called(name) is None]
        if lacking:
            gone += lacking
            choose({key: joined([name for name in layer_names(text) if name not in lacking])})
    if gone:
        st.session_state[LET_GO] = (
            f"'{graph.name}' has no layer called {listed(gone)}: what was to be kept of another network is let go."
        )
