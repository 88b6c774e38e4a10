"""One request alone: the best cut and order, searched stretch by stretch under proven bounds.

A cut lies either right after a waist or in one stretch between two waists. Stretches are taken in the order of a cheap
bound, and most are dismissed by it. In the others all predecessor-closed cuts whose own bound is low enough are listed
and timed; where there are too many of them, the LP over mixes bounds the stretch, and a local search fills it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from decc_core import kernels
from decc_core.network.arrays import Ints, Mask, topology
from decc_core.network.branches import split_branches
from decc_core.planner.candidates import candidates
from decc_core.planner.chains import Shape, best_shape
from decc_core.planner.delays import delays
from decc_core.planner.mincut import Stretch, Weights, cut_network
from decc_core.planner.mixes import best_mix
from decc_core.planner.segment_search import improve, pins
from decc_core.plans.memory import fits
from decc_core.problem.instance import CostInstance, Cut

MAX_NODES = 200_000
MAX_LISTED = 2_000
MAX_TIMED = 400
WEIGHTS: tuple[Weights, ...] = (
    (1, 1, 1, 1),
    (1, 4, 4, 4),
    (4, 1, 4, 1),
    (4, 4, 1, 4),
    (1, 4, 1, 4),
    (4, 4, 16, 4),
    (16, 4, 4, 4),
)


@dataclass(frozen=True)
class OneRequest:
    """Cuts for one request, best first, and a proven bound on its makespan.

    `open_cuts` have more than one output to bring back and a bound below the best makespan: another sequence of their
    work may be better.
    """

    shapes: tuple[Shape, ...]
    bound_ns: int
    open_cuts: tuple[Cut, ...]


@lru_cache(maxsize=16)
def plan_one_request(instance: CostInstance) -> OneRequest:
    """The best shape found for one request of an instance, whatever its number of requests, and the bound."""
    return _Search(instance).run()


class _Search:
    def __init__(self, instance: CostInstance) -> None:
        self.instance = instance
        self.graph = topology(instance.graph)
        self.network = cut_network(instance)
        self.delays = delays(instance)
        self.shapes: dict[Cut, Shape] = {}
        self.bound: int | None = None
        self.open_cuts: list[Cut] = []

    def run(self) -> OneRequest:
        for one in candidates(self.instance):
            self._time(one.cut)
        for bound, stretch in self._in_order_of_bound():
            if bound >= self.best_ns:
                self._lower(bound)
                break
            self._search(stretch, bound)
        self._bound_waists()
        found = sorted(self.shapes.values(), key=lambda shape: shape.makespan_ns)
        bound = found[0].makespan_ns if self.bound is None else min(self.bound, found[0].makespan_ns)
        return OneRequest(tuple(found), bound, tuple(self.open_cuts))

    @property
    def best_ns(self) -> int:
        return min(shape.makespan_ns for shape in self.shapes.values())

    def _time(self, cut: Cut) -> Shape | None:
        if cut not in self.shapes and fits(self.instance, cut):
            self.shapes[cut] = best_shape(self.instance, cut)
        return self.shapes.get(cut)

    def _lower(self, bound: int) -> None:
        self.bound = bound if self.bound is None else min(self.bound, bound)

    def _in_order_of_bound(self) -> list[tuple[int, Stretch]]:
        """The stretches in which the pins allow a cut, with the time of the quickest way through them."""
        found = []
        for stretch in self.network.stretches:
            tensors = stretch.tensors[self.instance.sendable[stretch.tensors]]
            if self.network.reaches(stretch) and len(tensors):
                way = self.delays.shortest_way_ns(tensors)
                certain = int(self.delays.edge_ns[: stretch.low].sum())
                found.append((max(way, certain), stretch))
        return sorted(found, key=lambda pair: pair[0])

    def _search(self, stretch: Stretch, bound: int) -> None:
        masks, bounds, complete = self._list_cuts(stretch.low, stretch.high, stretch.tensors, stretch.ends)
        if not complete:
            self._lower(max(bound, self._mix_bound(stretch)))
            for cut in improve(self.instance, stretch, self._starts(stretch)):
                self._time(cut)
            return
        for timed, i in enumerate(np.argsort(bounds, kind="stable").tolist()):
            if bounds[i] >= self.best_ns:
                break
            if timed >= MAX_TIMED:
                self._lower(int(bounds[i]))
                break
            self._prove(self._cut(stretch, masks[i]), int(bounds[i]))

    def _prove(self, cut: Cut, bound: int) -> None:
        """Time a cut, and lower the bound where its best order is not known for certain.

        A cut that the edge has no memory for in stored order may have it in another: it is not timed, but bounds.
        """
        if not self.instance.allows(cut):
            return
        shape = self._time(cut)
        if shape is None or not shape.exact:
            self._lower(bound)
        if shape is not None and not shape.exact:
            self.open_cuts.append(cut)

    def _cut(self, stretch: Stretch, mask: Mask) -> Cut:
        return self.instance.all_cloud.union(range(stretch.low), (np.flatnonzero(mask) + stretch.low).tolist())

    def _list_cuts(self, low: int, high: int, tensors: Ints, ends: bool) -> tuple[Mask, Ints, bool]:
        """All cuts between two layers whose bound is below the best makespan, as masks; and whether that is all."""
        prefixes, found = self.network.prefixes, self.delays
        outputs_after = self.graph.is_output & (self.graph.producer >= high)
        masks, bounds, complete = kernels.closed_cuts(
            np.arange(low, high),
            pins(self.instance, low, high),
            tensors,
            np.array([prefixes[low][0], 0, prefixes[high][2], 0]),
            *self.instance.arrays,
            found.head_ns,
            found.tail_ns,
            self.instance.rtt_ns,
            found.least_back_ns,
            int(found.downlink_ns[outputs_after].sum()) if ends else -1,
            self.best_ns,
            self.graph.producer,
            self.graph.is_output,
            self.graph.made_first,
            self.graph.consumer_first,
            self.graph.consumers,
            self.graph.parent_first,
            self.graph.parents,
            MAX_NODES,
            MAX_LISTED,
        )
        return masks, bounds, bool(complete)

    def _mix_bound(self, stretch: Stretch) -> int:
        idle = self.delays.idle(stretch.tensors, all_offloaded=True)
        return best_mix(self.instance, 1, idle, *self._sides(stretch)).bound_ns

    def _starts(self, stretch: Stretch) -> list[Cut]:
        sides = self._sides(stretch)
        return list(dict.fromkeys(self.network.cheapest(weights, *sides) for weights in WEIGHTS))

    def _sides(self, stretch: Stretch) -> tuple[Cut, Cut]:
        return frozenset(range(stretch.low)), frozenset(range(stretch.high, self.graph.n_layers))

    def _bound_waists(self) -> None:
        """Cuts right after a waist that no candidate stands for.

        With one tensor to send and one to bring back the makespan is the sequential time, and a candidate that
        dominates the loads is as good. With several of either, work may overlap; and what does not fit the edge's
        memory in stored order is no candidate.
        """
        several_outputs = int(self.graph.is_output.sum()) > 1
        for waist in split_branches(self.instance.graph).waists[:-1]:
            tensors = np.array(self.instance.graph.tensors_of[waist], np.int64)
            cut = self.instance.all_cloud.union(range(waist + 1))
            if several_outputs or len(tensors) > 1 or not fits(self.instance, cut):
                _, bounds, _ = self._list_cuts(waist + 1, waist + 1, tensors, True)
                if len(bounds):
                    self._prove(cut, int(bounds[0]))
