"""What a visit opened and selected in the Network view's graph, and how that changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app.components.graph import Focus
from app.figures.layer_tree import GroupKind, around, groups, layer_id, opening, shown_as
from app.shell import cached
from app.shell.address import LAYER
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
    _tell(graph)


def take_asked(graph: LayerGraph, model: str) -> None:
    """Select what the address asks for; of another network it may have been, and of that only is told."""
    asked_of, asked = st.session_state.get(LAYER) or (None, "")
    if asked_of == model and asked != _called(graph, state_of(graph)["selected"]):
        if (name := _part(graph, asked)) is not None:
            go_to(graph, name)
        else:
            pick(graph, None)
    st.session_state[LAYER] = (model, _called(graph, state_of(graph)["selected"]))


def _tell(graph: LayerGraph) -> None:
    """What is selected, for the address."""
    model, _ = st.session_state.get(LAYER) or (None, "")
    st.session_state[LAYER] = (model, _called(graph, state_of(graph)["selected"]))


def _called(graph: LayerGraph, name: str | None) -> str:
    """A part as an address names it: a layer by its title, which says more than its number; a group by its place."""
    part = cached.tree(graph).by_id.get(name or "")
    if part is None:
        return ""
    return graph.titles[part.layers[0]] if part.kind is GroupKind.LAYER else part.id


def _part(graph: LayerGraph, called: str) -> str | None:
    """The part of that name; layers are found by the names that files give them, too."""
    if (layer := graph.layer_called(called)) is not None:
        return layer_id(layer)
    return called if called in cached.tree(graph).by_id else None


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
    _tell(graph)


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
