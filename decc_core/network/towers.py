"""Towers: in a network of several inputs, the layers that only one of them reaches."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from decc_core.network.graph import LayerGraph
from decc_core.network.titles import labels, middle_left_out, modules_above

UNNAMED = re.compile(r"(l_)?(self_)?(onnx\W+)?([a-z]|xs|args?|kwargs|inputs?|tensors?|data)[\W\d_]*", re.IGNORECASE)
"""Names of inputs that tools make up where people gave none, as `x`, `args_0`, `input.1` and `arg0_1`."""
VIEW = "view"
"""What towers are called that only their numbers tell apart."""
LETTERS = 24


@dataclass(frozen=True)
class Tower:
    """The layers that only the input `layers[0]` reaches, in stored order."""

    name: str
    layers: tuple[int, ...]


@lru_cache(maxsize=32)
def towers(graph: LayerGraph) -> tuple[Tower, ...]:
    """The towers in the order of their inputs; a network of one input has none."""
    if len(graph.inputs) < 2:
        return ()
    found: dict[int, list[int]] = {i: [] for i in graph.inputs}
    for layer, reached_by in enumerate(only_inputs(graph)):
        if reached_by is not None:
            found[reached_by].append(layer)
    members = [tuple(layers) for layers in found.values()]
    return tuple(Tower(name, layers) for name, layers in zip(_names(graph, members), members, strict=True))


def only_inputs(graph: LayerGraph) -> tuple[int | None, ...]:
    """For each layer the one input that reaches it; None where several do."""
    reached: list[int | None] = []
    for layer, parents in enumerate(graph.parents):
        before = {reached[parent] for parent in parents}
        reached.append(layer if not parents else before.pop() if len(before) == 1 else None)
    return tuple(reached)


@lru_cache(maxsize=32)
def tower_of(graph: LayerGraph) -> tuple[int | None, ...]:
    """For each layer the place of its tower in `towers`; None where it lies in none."""
    places: list[int | None] = [None] * len(graph)
    for place, tower in enumerate(towers(graph)):
        for layer in tower.layers:
            places[layer] = place
    return tuple(places)


def common_tower(graph: LayerGraph, layers: tuple[int, ...]) -> int | None:
    """The place of the tower in which all of these layers lie, if there is one."""
    at = tower_of(graph)
    places = {at[layer] for layer in layers}
    return places.pop() if len(places) == 1 else None


def _names(graph: LayerGraph, members: list[tuple[int, ...]]) -> list[str]:
    """The inputs' own names; where these say nothing, the modules of the towers' layers, or numbers."""
    own = [graph.layers[layers[0]].name for layers in members]
    unnamed = [place for place, name in enumerate(own) if UNNAMED.fullmatch(name)]
    modules = dict(zip(unnamed, _modules(graph, [members[place] for place in unnamed]), strict=True))
    many = Counter(modules.values())
    shared = len(many) == 1 and len(unnamed) > 1
    names, known, counted = list(own), set(own), Counter[str]()
    for place, module in modules.items():
        counted[module] += 1
        word = VIEW if shared else module
        name = f"{word} {counted[module]}" if many[module] > 1 else word
        # A module may be called as another tower's input.
        if module and name not in known:
            names[place] = name
    return [middle_left_out(name, LETTERS) for name in names]


def _modules(graph: LayerGraph, members: list[tuple[int, ...]]) -> list[str]:
    """For each tower the outermost module that holds most of its layers, and most of as few other towers' as can be."""
    paths = [_most(graph, layers) for layers in members]
    counts = Counter(path for own in paths for path in own)
    chosen = [next((path for path in own if counts[path] == counts[own[-1]]), "") for own in paths]
    return list(labels([(path,) for path in chosen], LETTERS))


def _most(graph: LayerGraph, layers: tuple[int, ...]) -> list[str]:
    """The modules that hold more than half of a tower's layers that any module made, outermost first."""
    made = [path for layer in layers if (path := graph.layers[layer].module_path)]
    counts = Counter(path for own in made for path in modules_above(own))
    return sorted((path for path, many in counts.items() if 2 * many > len(made)), key=len)
