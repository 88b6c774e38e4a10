"""Waists, segments, branches and lanes: which layers of a graph never wait for one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from decc_core.network.graph import LayerGraph


@dataclass(frozen=True)
class Segment:
    """What lies between two neighbouring waists of a branch; `start` or `end` is None at the branch's own ends."""

    start: int | None
    end: int | None
    branches: tuple[Branch, ...]


@dataclass(frozen=True)
class Branch:
    """Layers that never wait for another branch of the same segment; the whole graph is the outermost branch.

    `waists` are the layers that every path through the branch passes, `segments` what lies between them. A branch
    without a waist does not decompose further (dense blocks, random wiring): its `lanes` are chains that cover it and
    may have paths between them. Every layer stands in exactly one place: a waist, a lane, or one nested branch.
    """

    layers: tuple[int, ...]
    waists: tuple[int, ...]
    segments: tuple[Segment, ...]
    lanes: tuple[tuple[int, ...], ...]

    @property
    def is_chain(self) -> bool:
        return len(self.waists) == len(self.layers)


@lru_cache(maxsize=32)
def split_branches(graph: LayerGraph) -> Branch:
    """Decompose a graph recursively into waists, segments and independent branches; linear in layers times depth."""
    return _split(graph, tuple(range(len(graph.layers))))


def chains(branch: Branch) -> tuple[tuple[int, ...], ...]:
    """All layers as chains, for drawing and for moving partition points: runs of waists, and lanes, nested included."""
    found: list[tuple[int, ...]] = list(branch.lanes)
    run: list[int] = []
    by_start = {segment.start: segment for segment in branch.segments}
    for waist in (None, *branch.waists):
        if waist is not None:
            run.append(waist)
        segment = by_start.get(waist)
        if segment is None:
            continue
        if run:
            found.append(tuple(run))
            run = []
        for inner in segment.branches:
            found.extend(chains(inner))
    if run:
        found.append(tuple(run))
    return tuple(sorted(found))


def _split(graph: LayerGraph, layers: tuple[int, ...]) -> Branch:
    waists = _waists(graph, layers)
    if not waists:
        inner = _components(graph, layers)
        if len(inner) == 1:
            return Branch(layers, (), (), _lanes(graph, layers))
        segment = Segment(None, None, tuple(_split(graph, component) for component in inner))
        return Branch(layers, (), (segment,), ())
    segments = []
    place = {layer: i for i, layer in enumerate(layers)}
    for start, end in pairwise((None, *waists, None)):
        interior = layers[0 if start is None else place[start] + 1 : len(layers) if end is None else place[end]]
        if interior:
            inner = _components(graph, interior)
            segments.append(Segment(start, end, tuple(_split(graph, component) for component in inner)))
    return Branch(layers, waists, tuple(segments), ())


def _waists(graph: LayerGraph, layers: Sequence[int]) -> tuple[int, ...]:
    """The layers that no path through these layers avoids.

    Every layer lies on a path from an entry to an exit, so a layer is avoidable exactly if some edge, entry or exit
    jumps over its place in the topological order.
    """
    place = {layer: i for i, layer in enumerate(layers)}
    outputs = {graph.index[ref.layer] for ref in graph.outputs}
    first_exit, furthest = len(layers), -1
    last_entry = 0
    reach = [-1] * len(layers)
    for layer, i in place.items():
        parents, children = graph.parents[layer], graph.children[layer]
        if not parents or any(parent not in place for parent in parents):
            last_entry = i
        if layer in outputs or any(child not in place for child in children):
            first_exit = min(first_exit, i)
        reach[i] = max((place[child] for child in children if child in place), default=-1)
    found = []
    for layer, i in place.items():
        if furthest <= i and i >= last_entry and i <= first_exit:
            found.append(layer)
        furthest = max(furthest, reach[i])
    return tuple(found)


def _components(graph: LayerGraph, layers: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Connected components, edges taken as undirected, each in topological order."""
    root = {layer: layer for layer in layers}

    def find(layer: int) -> int:
        while root[layer] != layer:
            root[layer] = root[root[layer]]
            layer = root[layer]
        return layer

    for layer in layers:
        for parent in graph.parents[layer]:
            if parent in root:
                a, b = sorted((find(parent), find(layer)))
                root[b] = a
    members: dict[int, list[int]] = {}
    for layer in layers:
        members.setdefault(find(layer), []).append(layer)
    return tuple(tuple(component) for component in members.values())


def _lanes(graph: LayerGraph, layers: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Chains that cover the layers: each layer continues the lane that ends in its latest parent, if there is one."""
    lanes: list[list[int]] = []
    lane_ending_in: dict[int, list[int]] = {}
    for layer in layers:
        tails = [parent for parent in graph.parents[layer] if parent in lane_ending_in]
        lane = lane_ending_in.pop(max(tails)) if tails else []
        if not lane:
            lanes.append(lane)
        lane.append(layer)
        lane_ending_in[layer] = lane
    return tuple(tuple(lane) for lane in lanes)
