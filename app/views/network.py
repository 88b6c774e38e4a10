"""The Network view: the layers of the network as a graph of runs, segments and branches that open to their layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from app import cached
from app.components.graph import HEIGHT, Focus, graph
from app.figures.branch_graph import run_title
from app.figures.layer_graph import Colouring, draw_layers, facts, operator_name
from app.figures.layer_tree import Kind, Part, around, groups, layer_id, layer_tree, opening, shown, shown_as
from app.figures.style import COLOURS
from app.page import theme
from app.state import Scenario, title_of
from app.text import code, shortened
from app.units import bytes_text, flops_text, gain_text, ns_text
from decc_core import store
from decc_core.branches import Branch, split_branches
from decc_core.cost import CostInstance
from decc_core.graph import LayerGraph, TensorSpec
from decc_core.span import Resource

STATES = "network_states"
"""Where a visit keeps, for every network, what is open and selected."""
NEIGHBOURS = 8
"""Parents or children with a button of their own; more are counted."""
OUTPUTS = 3
VIEWER = "network_graph"


def view(scenario: Scenario, instance: CostInstance) -> None:
    _summary(scenario, instance.graph)
    _explorer(scenario, instance)


# -- the top --


def _summary(scenario: Scenario, graph: LayerGraph) -> None:
    segments, branches = counted(split_branches(graph))
    found = [
        ("layers", str(len(graph))),
        ("segments", str(segments)),
        ("branches", str(branches)),
        ("parameters", bytes_text(sum(graph.parameter_bytes.values()))),
        ("operations", flops_text(sum(layer.flops for layer in graph.layers))),
        ("in", _specs(graph.layers[i].outputs[0] for i in graph.inputs)),
        ("out", _specs(graph.tensors[i].spec for i in graph.returned)),
    ]
    cells = "".join(f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for name, value in found)
    title = f"<h3>{escape(title_of(scenario.model))}</h3>"
    st.html(f"<style>{STYLE}</style><div class='decc-summary'>{title}{cells}</div>")
    st.caption(_about_branches(segments, branches))


def counted(branch: Branch) -> tuple[int, int]:
    """How many segments and branches there are, nested ones included."""
    segments, branches = len(branch.segments), 0
    for segment in branch.segments:
        branches += len(segment.branches)
        for inner in segment.branches:
            more = counted(inner)
            segments, branches = segments + more[0], branches + more[1]
    return segments, branches


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


def _specs(specs: Iterable[TensorSpec]) -> str:
    kinds: dict[str, int] = {}
    for spec in specs:
        kinds[_spec(spec)] = kinds.get(_spec(spec), 0) + 1
    texts = [f"{many} of {text}" if many > 1 else text for text, many in kinds.items()]
    return ", ".join(texts[:2]) + (f" and {len(texts) - 2} more" if len(texts) > 2 else "")


def _spec(spec: TensorSpec) -> str:
    return f"{'×'.join(map(str, spec.shape)) or 'a number'} {spec.dtype}"


# -- state --


def state_of(graph: LayerGraph) -> dict[str, Any]:
    """What this visit opened and selected in a network; it survives reruns and changes of view."""
    states: dict[str, dict[str, Any]] = st.session_state.setdefault(STATES, {})
    return states.setdefault(
        name_of(graph), {"opened": opening(layer_tree(graph)), "selected": None, "focus": None, "anchor": None}
    )


def name_of(graph: LayerGraph) -> str:
    return f"{graph.name}-{graph.fingerprint[:12]}"


def _pick(graph: LayerGraph, name: str | None) -> None:
    state_of(graph)["selected"] = name if name in layer_tree(graph).by_id else None


def _toggle(graph: LayerGraph, name: str) -> None:
    state, tree = state_of(graph), layer_tree(graph)
    if name in tree.by_id and tree.by_id[name].parts:
        state["opened"] = state["opened"] ^ {name}
        state["anchor"] = name


def _go_to(graph: LayerGraph, name: str) -> None:
    """Select a part, open what hides it, and bring it to the middle."""
    state, tree = state_of(graph), layer_tree(graph)
    state["opened"] = state["opened"] | set(around(tree, set(tree.by_id[name].layers)))
    state["selected"] = name
    token = state["focus"].token + 1 if state["focus"] else 1
    state["focus"] = Focus(name, token)


def open_all(graph: LayerGraph) -> None:
    state_of(graph).update(opened=frozenset(group.id for group in groups(layer_tree(graph))), anchor=None)


def _close_all(graph: LayerGraph) -> None:
    state_of(graph).update(opened=frozenset(), anchor=None)


def _reset(graph: LayerGraph) -> None:
    state_of(graph).update(opened=opening(layer_tree(graph)), anchor=None)


# -- the graph and what stands beside it --


@st.fragment
def _explorer(scenario: Scenario, instance: CostInstance) -> None:
    """A click reruns this part alone, not the whole page."""
    picture, beside = st.columns((3, 1), gap="small")
    with picture:
        colouring = _controls(instance.graph)
        _graph(instance, colouring)
        _downloads(scenario, instance)
    with beside:
        _search(instance.graph)
        with st.container(height=HEIGHT - 76, border=True, key="network_details"):
            _details(instance)


def _controls(graph: LayerGraph) -> Colouring:
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="bottom"):
        colouring = st.segmented_control(
            "Colour by",
            [one.value for one in Colouring],
            default=Colouring.BRANCH.value,
            key="network_colouring",
            required=True,
            width="content",
            persist_state="session",
        )
        st.button("Expand all", key="network_open", on_click=open_all, args=(graph,))
        st.button("Collapse all", key="network_close", on_click=_close_all, args=(graph,))
        st.button("Reset", key="network_reset", on_click=_reset, args=(graph,), help="As the view opened.")
    return Colouring(colouring or Colouring.BRANCH.value)


def _search(graph: LayerGraph) -> None:
    asked = st.text_input(
        "Search layers", key="network_search", placeholder="name, module path or operator", persist_state="session"
    )
    found = matches(graph, asked)
    hint = f"{len(found)} found: jump to one" if found else "nothing found" if asked else "or jump to a layer"
    st.selectbox(
        "Jump to a layer",
        found or range(len(graph)),
        index=None,
        format_func=lambda layer: _label(graph, layer),
        key="network_jump",
        placeholder=hint,
        label_visibility="collapsed",
        on_change=_jump,
        args=(graph,),
    )


def matches(graph: LayerGraph, asked: str) -> list[int]:
    """The layers whose name, module path or operator holds what was asked for."""
    wanted = asked.strip().casefold()
    if not wanted:
        return []
    return [
        i
        for i, layer in enumerate(graph.layers)
        if any(wanted in text.casefold() for text in (layer.name, layer.module_path, layer.operator))
    ]


def _label(graph: LayerGraph, layer: int) -> str:
    found = graph.layers[layer]
    return f"{found.name} · {found.module_path}" if found.module_path else found.name


def _jump(graph: LayerGraph) -> None:
    layer = st.session_state.get("network_jump")
    if layer is not None:
        _go_to(graph, layer_id(layer))
        # Empty again: the same layer can be gone back to, and the next network has another layer of this number.
        st.session_state["network_jump"] = None


def _graph(instance: CostInstance, colouring: Colouring) -> None:
    network, state = instance.graph, state_of(instance.graph)
    tree = layer_tree(network)
    rows = cached.layer_rows(instance, state["opened"])
    cuts = cached.compared(instance).of("decc").plan.cuts if colouring is Colouring.PLACEMENT else ()
    found = matches(network, st.session_state.get("network_search", ""))
    graph(
        draw_layers(instance, rows, colouring, theme(), cuts),
        name_of(network),
        VIEWER,
        theme(),
        selected=state["selected"] and shown_as(tree, state["opened"], state["selected"]),
        matches=list(dict.fromkeys(filter(None, (shown_as(tree, state["opened"], layer_id(i)) for i in found)))),
        focus=state["focus"],
        anchor=state["anchor"],
        on_pick=lambda name: _pick(network, name),
        on_toggle=lambda name: _toggle(network, name),
        file=f"{network.name}-{colouring.value.replace(' ', '-')}",
    )
    st.caption(
        "Drag to move, scroll to zoom, click a box for its numbers, + or a double-click to open a group. "
        "Keys: arrows, + and −, 0 for everything; Tab goes to the boxes, Enter selects, Space opens."
    )


# -- details --


def _details(instance: CostInstance) -> None:
    graph = instance.graph
    state, tree = state_of(graph), layer_tree(graph)
    part = tree.by_id.get(state["selected"] or "")
    if part is None:
        st.markdown("**Click a layer**")
        st.caption(
            "or a group, in the graph, to see its shape, bytes, operations, and its times on both devices. "
            "Here are the slowest layers on the edge; choose one to go there."
        )
        slowest = sorted(range(len(graph)), key=lambda layer: -instance.edge_ns[layer])[:6]
        _buttons(graph, [(layer_id(i), ns_text(instance.edge_ns[i])) for i in slowest], "slow")
        return
    _heading(graph, part)
    if part.parts:
        word = "Close" if part.id in state["opened"] else "Open"
        st.button(f"{word} this {part.kind.value}", key="network_toggle", on_click=_toggle, args=(graph, part.id))
    st.html(_table(instance, part))
    for title, found in (("Parents", _feeding(graph, part)), ("Children", _fed(graph, part))):
        st.markdown(f"**{title}** ({len(found)})" if found else f"**{title}**: none")
        _buttons(graph, _neighbours(tree, state["opened"], part, found), title.lower())


def _heading(graph: LayerGraph, part: Part) -> None:
    if part.kind is Kind.LAYER:
        st.caption(f"layer {part.layers[0] + 1} of {len(graph)}")
        st.markdown(f"**{code(graph.layers[part.layers[0]].name)}**")
        return
    where = f", number {part.place[0]} of {part.place[1]}" if part.place and part.place[1] > 1 else ""
    st.caption(f"{part.kind.value}{where}, {len(part.layers)} layers")
    st.markdown(f"**{code(run_title(graph, part.layers))}**")


def _table(instance: CostInstance, part: Part) -> str:
    """Facts as rows of HTML, every text escaped."""
    found = facts(instance, part.layers)
    rows = [*_identity(instance.graph, part), *_outputs(instance, part)]
    rows += [
        ("bytes out", bytes_text(found.out_bytes)),
        ("parameters", bytes_text(found.parameter_bytes)),
        ("operations", flops_text(found.flops)),
        ("edge time", ns_text(found.edge_ns)),
        ("cloud time", ns_text(found.cloud_ns)),
        ("edge / cloud", gain_text(found.edge_ns / found.cloud_ns) if found.cloud_ns else "no time in the cloud"),
    ]
    cells = "".join(f"<span>{escape(name)}</span><b>{escape(value)}</b>" for name, value in rows)
    return f"<div class='decc-facts'>{cells}</div>{_bars(found.edge_ns, found.cloud_ns)}"


def _identity(graph: LayerGraph, part: Part) -> list[tuple[str, str]]:
    first = graph.layers[part.layers[0]]
    if part.kind is not Kind.LAYER:
        return [("first layer", first.name), ("last layer", graph.layers[part.layers[-1]].name)]
    return [
        ("operator", f"{operator_name(first.operator)} ({first.operator})"),
        ("module", first.module_path or "none"),
    ]


def _outputs(instance: CostInstance, part: Part) -> list[tuple[str, str]]:
    """The tensors that leave: for each its shape, dtype and bytes on the wire."""
    graph, inside = instance.graph, set(part.layers)
    leaving = [
        i
        for layer in part.layers
        for i in graph.tensors_of[layer]
        if graph.tensors[i].is_output or not inside.issuperset(graph.tensors[i].consumers)
    ]
    texts = [f"{_spec(graph.tensors[i].spec)}, {bytes_text(instance.wire_bytes[i])}" for i in leaving]
    rows = [("output" if len(texts) == 1 else f"output {n + 1}", text) for n, text in enumerate(texts[:OUTPUTS])]
    return rows + ([("", f"and {len(texts) - OUTPUTS} more outputs")] if len(texts) > OUTPUTS else [])


def _bars(edge_ns: int, cloud_ns: int) -> str:
    """Both times as bars in the colours of the resources."""
    longest = max(edge_ns, cloud_ns)
    if not longest:
        return ""
    bars = "".join(
        f"<span>{resource.value}</span><div><i style='width:{100 * time_ns / longest:.1f}%;"
        f"background:{COLOURS[resource]}'></i></div>"
        for resource, time_ns in ((Resource.EDGE, edge_ns), (Resource.CLOUD, cloud_ns))
    )
    return f"<div class='decc-bars'>{bars}</div>"


def _feeding(graph: LayerGraph, part: Part) -> list[int]:
    inside = set(part.layers)
    return sorted({parent for layer in part.layers for parent in graph.parents[layer]} - inside)


def _fed(graph: LayerGraph, part: Part) -> list[int]:
    inside = set(part.layers)
    return sorted({child for layer in part.layers for child in graph.children[layer]} - inside)


def _neighbours(tree: Part, opened: Set[str], part: Part, layers: Sequence[int]) -> list[tuple[str, str]]:
    """Layers next to a layer; next to a group, what is seen there."""
    if part.kind is Kind.LAYER:
        return [(layer_id(layer), "") for layer in layers]
    seen = (shown_as(tree, opened, layer_id(layer)) for layer in layers)
    return [(name, "") for name in dict.fromkeys(name for name in seen if name)]


def _buttons(graph: LayerGraph, names: Sequence[tuple[str, str]], key: str) -> None:
    tree = layer_tree(graph)
    with st.container(gap="small", key=f"network_{key}"):
        for name, note in names[:NEIGHBOURS]:
            part = tree.by_id[name]
            layer = graph.layers[part.layers[0]]
            title = layer.name if part.kind is Kind.LAYER else run_title(graph, part.layers)
            st.button(
                f"{code(shortened(title, 30))} {note}",
                key=f"network_{key}_{name}",
                on_click=_go_to,
                args=(graph, name),
                width="stretch",
            )
        if len(names) > NEIGHBOURS:
            st.caption(f"and {len(names) - NEIGHBOURS} more")


# -- downloads --


def _downloads(scenario: Scenario, instance: CostInstance) -> None:
    graph = instance.graph
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Graph (JSON)",
            lambda: store.to_json(graph),
            f"{graph.name}-graph.json",
            "application/json",
            key="network_json",
            on_click="ignore",
            help="As `decc extract` writes it; other commands read it.",
        )
        st.download_button(
            "Layer table (CSV)",
            lambda: layer_table(instance).to_csv(index=False).encode(),
            f"{graph.name}-layers.csv",
            "text/csv",
            key="network_csv",
            on_click="ignore",
            help="One row a layer: shapes, bytes, operations, times on both devices, parents.",
        )


def layer_table(instance: CostInstance) -> pd.DataFrame:
    """All layers with their numbers, units in the names of the columns."""
    graph = instance.graph
    home = {
        layer: part
        for part in shown(layer_tree(graph), {one.id for one in groups(layer_tree(graph))})
        for layer in part.layers
    }
    return pd.DataFrame(
        [
            {
                "layer": layer.name,
                "operator": layer.operator,
                "module": layer.module_path,
                "branch": f"{home[i].place[0]} of {home[i].place[1]}" if home[i].place else "",
                "outputs": "; ".join(_spec(graph.tensors[t].spec) for t in graph.tensors_of[i]),
                "bytes on the wire": sum(instance.wire_bytes[t] for t in graph.tensors_of[i]),
                "parameters (bytes)": sum(graph.parameter_bytes[name] for name in layer.parameters),
                "FLOP": layer.flops,
                "edge (ms)": instance.edge_ns[i] / 1e6,
                "cloud (ms)": instance.cloud_ns[i] / 1e6,
                "parents": "; ".join(graph.layers[parent].name for parent in graph.parents[i]),
            }
            for i, layer in enumerate(graph.layers)
        ]
    )


STYLE = """
.decc-summary{display:flex;flex-wrap:wrap;gap:.2rem 1.6rem;align-items:center}
.decc-summary h3{margin:0;padding:0 .6rem 0 0;font-size:1.5rem;overflow-wrap:anywhere}
.decc-summary div{display:flex;flex-direction:column}
.decc-summary b{font-size:1.05rem;font-weight:600}
.decc-summary span{font-size:.8rem;opacity:.7}
.decc-facts{display:grid;grid-template-columns:5.6rem 1fr;gap:.3rem .6rem;font-size:.87rem;line-height:1.35}
.decc-facts span{opacity:.7}
.decc-facts b{overflow-wrap:anywhere;font-weight:500}
.decc-bars{display:grid;grid-template-columns:auto 1fr;gap:.25rem .6rem;align-items:center;margin-top:.6rem;
font-size:.8rem}
.decc-bars i{display:block;height:10px;border-radius:2px;min-width:2px}
"""
