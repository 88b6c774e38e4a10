"""What stands beside the Network view's graph: the numbers of the selected layer or group, and its neighbours."""

from __future__ import annotations

from collections.abc import Sequence, Set
from html import escape

import streamlit as st

from app.figures.layer_graph import facts, spec_text
from app.figures.layer_tree import Group, GroupKind, layer_id, shown_as
from app.shell import cached
from app.text import code, plain, shortened
from app.views.network_state import go_to, state_of, toggle
from decc_core.network.graph import LayerGraph
from decc_core.network.titles import operator_name
from decc_core.network.towers import common_tower, towers
from decc_core.network.work import Resource
from decc_core.pictures import COLOURS
from decc_core.problem.instance import CostInstance
from decc_core.text import bytes_text, duration, flops_text, gain_text

NEIGHBOURS = 8
"""Parents or children with a button of their own; more are counted."""
HELD_SPACE = "\N{NO-BREAK SPACE}"
"""A number keeps its unit where the line is broken."""
OUTPUTS = 3
STYLE = """
.decc-facts{display:grid;grid-template-columns:5.6rem 1fr;gap:.3rem .6rem;font-size:.87rem;line-height:1.35}
.decc-facts span{opacity:.7}
.decc-facts b{overflow-wrap:anywhere;font-weight:500}
.decc-bars{display:grid;grid-template-columns:auto 1fr;gap:.25rem .6rem;align-items:center;margin-top:.6rem;
font-size:.8rem}
.decc-bars i{display:block;height:10px;border-radius:2px;min-width:2px}
"""


def details(instance: CostInstance) -> None:
    """All numbers of the selected part; without one, the slowest layers."""
    graph = instance.graph
    state, tree = state_of(graph), cached.tree(graph)
    part = tree.by_id.get(state["selected"] or "")
    if part is None:
        st.markdown("**Click a layer**")
        st.caption(
            "or a group, in the graph, to see its shape, bytes, operations, and its times on both devices. "
            "Here are the slowest layers on the edge; choose one to go there."
        )
        slowest = sorted(range(len(graph)), key=lambda layer: -instance.edge_ns[layer])[:6]
        _buttons(graph, [(layer_id(i), duration(instance.edge_ns[i])) for i in slowest], "slow")
        return
    place = common_tower(graph, part.layers)
    tower = "" if place is None else f", only {plain(towers(graph)[place].name)} reaches it"
    if part.kind is GroupKind.LAYER:
        st.caption(f"layer {part.layers[0] + 1} of {len(graph)}{tower}")
    else:
        where = f", number {part.place[0]} of {part.place[1]}" if part.place and part.place[1] > 1 else ""
        st.caption(f"{part.kind.value}{where}, {len(part.layers)} layers{tower}")
    st.markdown(f"**{code(graph.run_title(part.layers))}**")
    if part.parts:
        word = "Close" if part.id in state["opened"] else "Open"
        st.button(f"{word} this {part.kind.value}", key="network_toggle", on_click=toggle, args=(graph, part.id))
    st.html(_table(instance, part))
    for title, neighbours in (("Parents", graph.parents), ("Children", graph.children)):
        layers = sorted({other for layer in part.layers for other in neighbours[layer]} - set(part.layers))
        st.markdown(f"**{title}** ({len(layers)})" if layers else f"**{title}**: none")
        _buttons(graph, _neighbours(tree, state["opened"], part, layers), title.lower())


def _table(instance: CostInstance, part: Group) -> str:
    """Facts as rows of HTML, every text escaped."""
    numbers = facts(instance, part.layers)
    graph = instance.graph
    first = graph.layers[part.layers[0]]
    if part.kind is GroupKind.LAYER:
        operator = f"{operator_name(first.operator)} ({first.operator})"
        rows = [("operator", operator), ("module", first.module_path or "none")]
    else:
        rows = [("first layer", graph.titles[part.layers[0]]), ("last layer", graph.titles[part.layers[-1]])]
    rows += [
        *_outputs(instance, part),
        ("bytes out", bytes_text(numbers.out_bytes)),
        ("parameters", bytes_text(numbers.parameter_bytes)),
        ("operations", flops_text(numbers.flops)),
        ("edge time", duration(numbers.edge_ns)),
        ("cloud time", duration(numbers.cloud_ns)),
        ("edge / cloud", gain_text(numbers.edge_ns / numbers.cloud_ns) if numbers.cloud_ns else "no time in the cloud"),
    ]
    cells = "".join(f"<span>{escape(name)}</span><b>{escape(value)}</b>" for name, value in rows)
    return f"<style>{STYLE}</style><div class='decc-facts'>{cells}</div>{_bars(numbers.edge_ns, numbers.cloud_ns)}"


def _outputs(instance: CostInstance, part: Group) -> list[tuple[str, str]]:
    """The tensors that leave: for each its shape, dtype and bytes on the wire."""
    graph, inside = instance.graph, set(part.layers)
    leaving = [
        i
        for layer in part.layers
        for i in graph.tensors_of[layer]
        if graph.tensors[i].is_output or not inside.issuperset(graph.tensors[i].consumers)
    ]
    texts = [f"{spec_text(graph.tensors[i].spec)}, {bytes_text(instance.wire_bytes[i])}" for i in leaving]
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


def _neighbours(tree: Group, opened: Set[str], part: Group, layers: Sequence[int]) -> list[tuple[str, str]]:
    """Layers next to a layer; next to a group, what is seen there."""
    if part.kind is GroupKind.LAYER:
        return [(layer_id(layer), "") for layer in layers]
    seen = (shown_as(tree, opened, layer_id(layer)) for layer in layers)
    return [(name, "") for name in dict.fromkeys(name for name in seen if name)]


def _buttons(graph: LayerGraph, names: Sequence[tuple[str, str]], key: str) -> None:
    tree = cached.tree(graph)
    with st.container(gap="small", key=f"network_{key}"):
        for name, note in names[:NEIGHBOURS]:
            part = tree.by_id[name]
            st.button(
                f"{code(shortened(graph.run_title(part.layers), 27))} {note.replace(' ', HELD_SPACE)}",
                key=f"network_{key}_{name}",
                on_click=go_to,
                args=(graph, name),
                width="stretch",
            )
        if len(names) > NEIGHBOURS:
            st.caption(f"and {len(names) - NEIGHBOURS} more")
