"""What a visit opened and selected in the Network view's graph, and how that changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app.components.graph import Focus
from app.figures.layer_tree import around, groups, layer_id, opening, shown_as
from app.shell import cached
from decc_core.network.graph import LayerGraph

STATES = "network_states"
"""Where a visit keeps, for every network, what is open and selected."""


def state_of(graph: LayerGraph) -> dict[str, Any]:
    """What this visit opened and selected in a network; it survives reruns and changes of view."""
    states: dict[str, dict[str, Any]] = st.session_state.setdefault(STATES, {})
    return states.setdefault(
        name_of(graph), {"opened": opening(cached.tree(graph)), "selected": None, "focus": None, "anchor": None}
    )


def name_of(graph: LayerGraph) -> str:
    return f"{graph.name}-{graph.fingerprint[:12]}"


def pick(graph: LayerGraph, name: str | None) -> None:
    state_of(graph)["selected"] = name if name in cached.tree(graph).by_id else None


def toggle(graph: LayerGraph, name: str) -> None:
    state, tree = state_of(graph), cached.tree(graph)
    if name in tree.by_id and tree.by_id[name].parts:
        state["opened"] = state["opened"] ^ {name}
        state["anchor"] = name


def go_to(graph: LayerGraph, name: str) -> None:
    """Select a part, open what hides it, and bring it to the middle."""
    state, tree = state_of(graph), cached.tree(graph)
    state["opened"] = state["opened"] | set(around(tree, set(tree.by_id[name].layers)))
    state["selected"] = name
    _focus_on(graph, (name,))


def look_at(graph: LayerGraph, layers: Sequence[int]) -> None:
    """Bring all that is seen of some layers into view, without opening or selecting anything; one alone is gone to."""
    if len(layers) == 1:
        go_to(graph, layer_id(layers[0]))
        return
    state, tree = state_of(graph), cached.tree(graph)
    seen = (shown_as(tree, state["opened"], layer_id(layer)) for layer in layers)
    if names := tuple(dict.fromkeys(name for name in seen if name)):
        _focus_on(graph, names)


def _focus_on(graph: LayerGraph, names: tuple[str, ...]) -> None:
    state = state_of(graph)
    state["focus"] = Focus(names, state["focus"].token + 1 if state["focus"] else 1)


def open_all(graph: LayerGraph) -> None:
    state_of(graph).update(opened=frozenset(group.id for group in groups(cached.tree(graph))), anchor=None)


def close_all(graph: LayerGraph) -> None:
    state_of(graph).update(opened=frozenset(), anchor=None)


def reset(graph: LayerGraph) -> None:
    state_of(graph).update(opened=opening(cached.tree(graph)), anchor=None)
