"""The Network view: the layers of the network as a graph of runs, segments and branches that open to their layers."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import streamlit as st

from app.components.graph import HEIGHT, graph
from app.figures.layer_graph import Colouring, draw_layers, spec_text
from app.figures.layer_tree import groups, layer_id, shown, shown_as
from app.figures.printed import of_layers
from app.shell import cached, exports
from app.shell.address import COLOURING, SEARCH, follow
from app.shell.page import theme
from app.state import title_of
from app.text import plain
from app.views.network_details import details
from app.views.network_state import (
    close_all,
    go_to,
    look_at,
    name_of,
    open_all,
    pick,
    reset,
    state_of,
    take_asked,
    toggle,
)
from decc_core import store
from decc_core.network.branches import Branch, nested, split_branches
from decc_core.network.graph import LayerGraph, TensorSpec
from decc_core.network.titles import operator_name
from decc_core.network.towers import tower_of, towers
from decc_core.printed.names import file_name, stem
from decc_core.printed.table import Value, as_csv
from decc_core.problem.instance import CostInstance, Cut
from decc_core.problem.scenario import Scenario
from decc_core.text import bytes_text, flops_text

VIEWER = "network_graph"
NAMED_TOWERS = 8


def view(scenario: Scenario, instance: CostInstance) -> None:
    _summary(scenario, instance.graph)
    _explorer(scenario, instance)


def _summary(scenario: Scenario, graph: LayerGraph) -> None:
    segments, branches = counted(split_branches(graph))
    facts = [
        ("layers", str(len(graph))),
        ("segments", str(segments)),
        ("branches", str(branches)),
        ("parameters", bytes_text(sum(graph.parameter_bytes.values()))),
        ("operations", flops_text(sum(layer.flops for layer in graph.layers))),
        ("in", _specs(graph.layers[i].outputs[0] for i in graph.inputs)),
        ("out", _specs(graph.tensors[i].spec for i in graph.returned)),
    ]
    cells = [f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for name, value in facts]
    # What goes in and what comes out stay together, also where there is room for one of them only.
    ends = f"<section>{cells[-2]}{cells[-1]}</section>"
    title = f"<h3>{escape(title_of(scenario.model))}</h3>"
    st.html(f"<style>{STYLE}</style><div class='decc-summary'>{title}{''.join(cells[:-2])}{ends}</div>")
    st.caption(" ".join(filter(None, (_about_branches(segments, branches), _about_towers(graph)))))


def counted(branch: Branch) -> tuple[int, int]:
    """How many segments and branches there are, nested ones included."""
    inside = list(nested(branch))
    return sum(len(inner.segments) for inner in inside), len(inside) - 1


def _about_branches(segments: int, branches: int) -> str:
    if not segments:
        return (
            "A chain: every layer waits for the one before, so nothing inside one request can overlap. "
            "Several requests in flight still can."
        )
    if branches == segments:
        return (
            "Each segment has one **branch** with a shortcut beside it, so layers of one request hardly overlap; "
            "several requests in flight do. The *trunk* is what every path passes."
        )
    return (
        "**Branches** never wait for one another: while one is computed on the edge, another can be on its way or in "
        "the cloud. The *trunk* is what every path passes."
    )


def _about_towers(graph: LayerGraph) -> str:
    """Which inputs have layers of their own, in a network of several."""
    names = [plain(tower.name) for tower in towers(graph)]
    if not names:
        return ""
    more = f" and {len(names) - NAMED_TOWERS} more" if len(names) > NAMED_TOWERS else ""
    told = ", ".join(names[:NAMED_TOWERS])
    return f"Each input starts a **tower**, the layers that only it reaches, in a colour of its own: {told}{more}."


def _specs(specs: Iterable[TensorSpec]) -> str:
    kinds: dict[str, int] = {}
    for spec in specs:
        kinds[spec_text(spec)] = kinds.get(spec_text(spec), 0) + 1
    texts = [f"{many} of {text}" if many > 1 else text for text, many in kinds.items()]
    return ", ".join(texts[:2]) + (f" and {len(texts) - 2} more" if len(texts) > 2 else "")


@st.fragment
def _explorer(scenario: Scenario, instance: CostInstance) -> None:
    """A click reruns this part alone, not the whole page."""
    take_asked(instance.graph, scenario.model)
    follow(scenario)
    picture, beside = st.columns((3, 1), gap="small")
    with picture:
        colouring = _controls(instance.graph)
        _graph(instance, colouring)
        _downloads(scenario, instance, colouring)
    with beside:
        _search(instance.graph)
        with st.container(height=HEIGHT - 76, border=True, key="network_details"):
            details(instance)


def _controls(graph: LayerGraph) -> Colouring:
    if st.session_state.get(COLOURING) not in [one.value for one in Colouring]:
        # An address may say anything.
        st.session_state[COLOURING] = Colouring.BRANCH.value
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="bottom"):
        colouring = st.segmented_control(
            "Colour by",
            [colouring.value for colouring in Colouring],
            key=COLOURING,
            required=True,
            width="content",
            persist_state="session",
        )
        st.button("Expand all", key="network_open", on_click=open_all, args=(graph,))
        st.button("Collapse all", key="network_close", on_click=close_all, args=(graph,))
        st.button("Reset", key="network_reset", on_click=reset, args=(graph,), help="As the view opened.")
    return Colouring(colouring or Colouring.BRANCH.value)


def _search(graph: LayerGraph) -> None:
    asked = st.text_input(
        "Search layers",
        key=SEARCH,
        placeholder="name, module path or operator",
        persist_state="session",
        on_change=_look_at_found,
        args=(graph,),
    )
    layers = matches(graph, asked)
    hint = f"{len(layers)} found: jump to one" if layers else "nothing found" if asked else "or jump to a layer"
    st.selectbox(
        "Jump to a layer",
        layers or range(len(graph)),
        index=None,
        format_func=lambda layer: _label(graph, layer),
        key="network_jump",
        placeholder=hint,
        label_visibility="collapsed",
        on_change=_jump,
        args=(graph,),
    )


def _look_at_found(graph: LayerGraph) -> None:
    look_at(graph, matches(graph, st.session_state.get("network_search", "")))


def matches(graph: LayerGraph, asked: str) -> list[int]:
    """The layers whose name, module path or operator holds what was asked for."""
    wanted = asked.strip().casefold()
    if not wanted:
        return []
    return [
        i
        for i, layer in enumerate(graph.layers)
        if any(wanted in text.casefold() for text in (graph.titles[i], layer.name, layer.module_path, layer.operator))
    ]


def _label(graph: LayerGraph, layer: int) -> str:
    return f"{graph.titles[layer]} · {operator_name(graph.layers[layer].operator)}"


def _jump(graph: LayerGraph) -> None:
    layer = st.session_state.get("network_jump")
    if layer is not None:
        go_to(graph, layer_id(layer))
        # Empty again: the same layer can be gone back to, and the next network has another layer of this number.
        st.session_state["network_jump"] = None


def _graph(instance: CostInstance, colouring: Colouring) -> None:
    network, state = instance.graph, state_of(instance.graph)
    tree = cached.tree(network)
    rows = cached.layer_rows(instance, state["opened"])
    cuts = _cuts(instance, colouring)
    layers = matches(network, st.session_state.get(SEARCH) or "")
    graph(
        draw_layers(instance, rows, colouring, theme(), cuts),
        name_of(network),
        VIEWER,
        theme(),
        selected=state["selected"] and shown_as(tree, state["opened"], state["selected"]),
        matches=list(dict.fromkeys(filter(None, (shown_as(tree, state["opened"], layer_id(i)) for i in layers)))),
        focus=state["focus"],
        anchor=state["anchor"],
        on_pick=lambda name: pick(network, name),
        on_toggle=lambda name: toggle(network, name),
        file=stem(network.name, colouring.value),
    )
    st.caption(
        "Drag to move, scroll to zoom, click a box for its numbers, + or a double-click to open a group. "
        "Keys: arrows, + and −, 0 for everything; Tab goes to the boxes, Enter selects, Space opens."
    )


def _cuts(instance: CostInstance, colouring: Colouring) -> tuple[Cut, ...]:
    return cached.compared(instance).of("decc").plan.cuts if colouring is Colouring.PLACEMENT else ()


def _downloads(scenario: Scenario, instance: CostInstance, colouring: Colouring) -> None:
    # What is made when it is asked for is made where no visit is known.
    graph, about = instance.graph, exports.about(scenario, instance.graph)
    rows = cached.layer_rows(instance, state_of(graph)["opened"])
    picture = of_layers(instance, rows, colouring, _cuts(instance, colouring))
    with st.container(horizontal=True, gap="small"):
        exports.save_figures(scenario, graph, [picture], in_fragment=True)
        st.download_button(
            "Graph (JSON)",
            lambda: store.to_json(graph),
            file_name(graph.name, "graph", ending="json"),
            "application/json",
            key="network_json",
            on_click="ignore",
            help="As `decc extract` writes it; other commands read it.",
        )
        st.download_button(
            "Layer table (CSV)",
            lambda: as_csv(layer_table(instance), about).encode(),
            exports.file(scenario, graph, "layers", "csv"),
            "text/csv",
            key="network_csv",
            on_click="ignore",
            help="One row a layer: shapes, bytes, operations, times on both devices, parents, and the scenario.",
        )


def layer_table(instance: CostInstance) -> list[dict[str, Value]]:
    """All layers with their numbers, units in the names of the columns; times with the scenario's factors."""
    graph = instance.graph
    at = tower_of(graph)
    home = {
        layer: part
        for part in shown(cached.tree(graph), {group.id for group in groups(cached.tree(graph))})
        for layer in part.layers
    }
    return [
        {
            "layer": graph.titles[i],
            "operator": layer.operator,
            "module": layer.module_path,
            "branch": f"{home[i].place[0]} of {home[i].place[1]}" if home[i].place else "",
            **({"tower": "" if at[i] is None else towers(graph)[at[i]].name} if towers(graph) else {}),
            "outputs": "; ".join(spec_text(graph.tensors[t].spec) for t in graph.tensors_of[i]),
            "wire_bytes": sum(instance.wire_bytes[t] for t in graph.tensors_of[i]),
            "parameter_bytes": sum(graph.parameter_bytes[name] for name in layer.parameters),
            "flop": layer.flops,
            "edge_ms": instance.edge_ns[i] / 1e6,
            "cloud_ms": instance.cloud_ns[i] / 1e6,
            "parents": "; ".join(graph.titles[parent] for parent in graph.parents[i]),
        }
        for i, layer in enumerate(graph.layers)
    ]


STYLE = """
.decc-summary{display:flex;flex-wrap:wrap;gap:.2rem 1.6rem;align-items:center;padding-top:.7rem}
.decc-summary h3{margin:0;padding:0 .6rem 0 0;font-size:1.5rem;overflow-wrap:anywhere}
.decc-summary div{display:flex;flex-direction:column}
.decc-summary section{display:flex;flex-wrap:wrap;gap:.2rem 1.6rem}
.decc-summary b{font-size:1.05rem;font-weight:600}
.decc-summary span{font-size:.8rem;opacity:.7}
"""
