"""One request: choose the partition point of every branch, segment by segment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from decc_core.branches import Branch, split_branches
from decc_core.candidates import candidates
from decc_core.cost import CostInstance, Cut
from decc_core.mincut import Weights, cut_network
from decc_core.strategies.shapes import Shape, best_shape

WEIGHTS: tuple[Weights, ...] = (
    (1, 1, 1, 1),
    (1, 4, 4, 4),
    (4, 1, 4, 1),
    (4, 4, 1, 4),
    (1, 4, 1, 4),
    (4, 4, 16, 4),
    (16, 4, 4, 4),
)
MAX_SHAPES = 400
MAX_SWEEPS = 4
SHORTLIST = 4


def best_single_shapes(instance: CostInstance) -> tuple[Shape, ...]:
    """The best cuts found for one request alone, best first.

    Cuts inside a segment are improved branch by branch: every branch tries the points that weighted min cuts or a
    record low of the tensor size suggest, the other branches held fixed (coordinate descent). Deterministic; at most
    MAX_SHAPES cuts are timed.
    """
    search = _Search(instance)
    for one in candidates(instance):
        search.shape(one.cut)
    for branches, starts in _segments(instance):
        for start in starts:
            search.shape(start)
        inside = {layer for branch in branches for layer in branch.layers}
        best = sorted(starts, key=lambda cut: search.shape(cut).makespan_ns)[:SHORTLIST]
        options = [_options(instance, branch, starts) for branch in branches]
        for start in best:
            search.descend(start, branches, options, inside)
    return tuple(sorted(search.known.values(), key=lambda shape: shape.makespan_ns))


class _Search:
    """The shapes timed so far."""

    def __init__(self, instance: CostInstance) -> None:
        self.instance = instance
        self.known: dict[Cut, Shape] = {}

    def shape(self, cut: Cut) -> Shape:
        if cut not in self.known:
            self.known[cut] = best_shape(self.instance, cut)
        return self.known[cut]

    def descend(
        self, cut: Cut, branches: Sequence[Branch], options: Sequence[tuple[Cut, ...]], inside: set[int]
    ) -> None:
        """Move one branch's point at a time to its best option, until nothing improves or the budget is spent."""
        best = self.shape(cut)
        for _ in range(MAX_SWEEPS):
            before = best
            for branch, choices in zip(branches, options, strict=True):
                layers = frozenset(branch.layers)
                for choice in choices:
                    if len(self.known) >= MAX_SHAPES:
                        return
                    moved = (best.cut - layers) | choice
                    if moved != best.cut:
                        best = min(best, self.shape(moved), key=lambda shape: shape.makespan_ns)
            if best is before:
                return


def _segments(instance: CostInstance) -> Iterator[tuple[tuple[Branch, ...], list[Cut]]]:
    """Segments of the graph that have something to choose, with starting cuts inside them."""
    top = split_branches(instance.graph)
    network, n = cut_network(instance), len(instance.graph.layers)
    by_start = {segment.start: segment for segment in top.segments}
    for start, end in pairwise((None, *top.waists, None)):
        segment = by_start.get(start)
        if segment is None:
            continue
        on_edge = frozenset(range(0 if start is None else start + 1))
        in_cloud = frozenset(range(n if end is None else end, n))
        yield segment.branches, list(dict.fromkeys(network.cheapest(w, on_edge, in_cloud) for w in WEIGHTS))


def _options(instance: CostInstance, branch: Branch, starts: Sequence[Cut]) -> tuple[Cut, ...]:
    """Legal edge parts of one branch: what the starting cuts take of it, all, none, and record lows of a chain."""
    layers = frozenset(branch.layers)
    inputs = layers & instance.all_cloud
    found = dict.fromkeys([*(start & layers for start in starts), inputs, layers])
    if branch.is_chain:
        found.update(dict.fromkeys(_record_lows(instance, branch, inputs)))
    return tuple(found)


def _record_lows(instance: CostInstance, branch: Branch, inputs: Cut) -> Iterator[Cut]:
    """Points of a chain at which less has to be sent than at any earlier point."""
    lowest: int | None = None
    for i, layer in enumerate(branch.layers):
        size = sum(instance.uplink_ns[tensor] for tensor in instance.graph.tensors_of[layer])
        if lowest is None or size < lowest:
            lowest = size
            yield frozenset(branch.layers[: i + 1]) | inputs
