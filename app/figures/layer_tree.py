"""A network as a tree of groups that can be opened: runs, segments and branches, down to single layers."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from app.figures.branch_graph import FEW_LAYERS, acyclic
from decc_core.network.branches import Branch, Segment, split_branches
from decc_core.network.graph import LayerGraph

OPENING_MARKS = 76
"""A network opens with as many groups unfolded as this number of marks allows: more are too small to be read."""


MOST_LEVELS = 60
"""Branches within branches are told apart so deep; what lies deeper stands in stored order, as a run does."""


class GroupKind(str, Enum):
    """What a part of the tree is."""

    NETWORK = "network"
    RUN = "run"
    SEGMENT = "segment"
    BRANCH = "branch"
    LAYER = "layer"


class Arrangement(str, Enum):
    """How the parts of a group lie to each other; tangled parts have paths between them in no simple order."""

    SERIES = "series"
    PARALLEL = "parallel"
    TANGLED = "tangled"


@dataclass(frozen=True)
class Group:
    """A layer, or a group of `parts`; `place` is a branch's number and how many branches its segment has."""

    kind: GroupKind
    layers: tuple[int, ...]
    parts: tuple[Group, ...] = ()
    arrangement: Arrangement = Arrangement.SERIES
    place: tuple[int, int] | None = None

    @cached_property
    def id(self) -> str:
        """Depends on the graph alone, so that what was opened stays open when times or links change."""
        if self.kind is GroupKind.LAYER:
            return layer_id(self.layers[0])
        return f"{self.kind.value}-{self.layers[0]}-{self.layers[-1]}"

    @cached_property
    def by_id(self) -> dict[str, Group]:
        """This part and all within it."""
        parts: dict[str, Group] = {}
        waiting = [self]
        while waiting:
            part = waiting.pop()
            parts[part.id] = part
            waiting.extend(part.parts)
        return parts


def layer_id(layer: int) -> str:
    return f"layer-{layer}"


def layer_tree(graph: LayerGraph) -> Group:
    """The whole network; every layer stands in exactly one leaf.

    A group of one part is that part: a branch that is one run holds its layers, a segment of one branch is the branch.
    """
    return _group(graph, split_branches(graph), GroupKind.NETWORK, None)


def _group(graph: LayerGraph, branch: Branch, kind: GroupKind, place: tuple[int, int] | None, level: int = 0) -> Group:
    if len(branch.layers) == 1 and kind is not GroupKind.NETWORK:
        return Group(GroupKind.LAYER, branch.layers, place=place)
    if level == MOST_LEVELS and branch.segments:
        return Group(kind, branch.layers, _leaves(branch.layers), Arrangement.SERIES, place)
    if branch.lanes:
        runs = sorted(acyclic(graph, branch.lanes))
        parts = _leaves(runs[0]) if len(runs) == 1 else tuple(_run(run) for run in runs)
        return Group(kind, branch.layers, parts, Arrangement.TANGLED, place)
    parts = tuple(_series(graph, branch, level))
    if len(parts) == 1 and parts[0].parts:
        return Group(kind, branch.layers, parts[0].parts, parts[0].arrangement, place)
    return Group(kind, branch.layers, parts, Arrangement.SERIES, place)


def _series(graph: LayerGraph, branch: Branch, level: int) -> Iterator[Group]:
    """Runs of waists, and the segments between them, in the order of the data."""
    segments = {segment.start: segment for segment in branch.segments}
    run: list[int] = []
    for waist in (None, *branch.waists):
        if waist is not None:
            run.append(waist)
        if waist in segments:
            if run:
                yield _run(tuple(run))
                run = []
            yield _segment(graph, segments[waist], level + 1)
    if run:
        yield _run(tuple(run))


def _segment(graph: LayerGraph, segment: Segment, level: int) -> Group:
    many = len(segment.branches)
    branches = tuple(
        _group(graph, branch, GroupKind.BRANCH, (i + 1, many), level) for i, branch in enumerate(segment.branches)
    )
    if many == 1:
        return branches[0]
    layers = tuple(sorted(layer for branch in branches for layer in branch.layers))
    return Group(GroupKind.SEGMENT, layers, branches, Arrangement.PARALLEL)


def _run(layers: tuple[int, ...]) -> Group:
    return _leaves(layers)[0] if len(layers) == 1 else Group(GroupKind.RUN, layers, _leaves(layers))


def _leaves(layers: tuple[int, ...]) -> tuple[Group, ...]:
    return tuple(Group(GroupKind.LAYER, (layer,)) for layer in layers)


def groups(tree: Group) -> Iterator[Group]:
    """All groups that can be opened and closed, outermost first; the network itself is always open."""
    for part in tree.parts:
        if part.parts:
            yield part
            yield from groups(part)


def around(tree: Group, layers: Set[int]) -> list[str]:
    """The ids of all groups that hold these layers and more, outermost first."""
    names, part = [], tree
    while True:
        inner = next(
            (child for child in part.parts if len(child.layers) > len(layers) and layers <= set(child.layers)), None
        )
        if inner is None or not inner.parts:
            return names
        names.append(inner.id)
        part = inner


def shown(tree: Group, opened: Set[str]) -> Iterator[Group]:
    """The parts that are drawn: layers and closed groups; together they hold every layer once."""
    for part in tree.parts:
        if part.parts and part.id in opened:
            yield from shown(part, opened)
        else:
            yield part


def shown_as(tree: Group, opened: Set[str], name: str) -> str | None:
    """The id under which a part is seen: its own, or that of the closed group around it; None for an unknown one."""
    part = tree.by_id.get(name)
    if part is None:
        return None
    closed = (group for group in around(tree, set(part.layers)) if group not in opened)
    return next(closed, name)


def opening(tree: Group, budget: int = OPENING_MARKS) -> frozenset[str]:
    """The groups that are open at first: everything in a small network, else the structure as deep as it has room."""
    if len(tree.layers) <= FEW_LAYERS:
        return frozenset(group.id for group in groups(tree))
    opened: list[str] = []
    marks, level = len(tree.parts), list(tree.parts)
    while True:
        structure = [
            part for part in level if part.kind is GroupKind.SEGMENT or any(inner.parts for inner in part.parts)
        ]
        marks += sum(len(part.parts) - 1 for part in structure)
        if not structure or marks > budget:
            return frozenset(opened)
        opened.extend(part.id for part in structure)
        level = [inner for part in structure for inner in part.parts]
