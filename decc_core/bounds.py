"""Proven lower bounds on the objective of an instance, whatever the cuts and sequences."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from decc_core.branches import split_branches
from decc_core.cost import CostInstance, Cut, Loads, Objective
from decc_core.mixes import best_mix
from decc_core.reach import ancestors

MAX_REFINED_RANGES = 64


@lru_cache(maxsize=32)
def lower_bound_ns(instance: CostInstance) -> int:
    """A lower bound on the instance's objective that holds for every plan.

    Throughput: the LP over mixes. Makespan: either no request uses the cloud, or some do, and then the links and the
    cloud idle while the first tensor is made and sent (head) and after the last one has come (tail); or all do, and
    then the edge idles at the end, too. Heads and tails are added to the loads before the LP weighs them.
    """
    if instance.objective is Objective.THROUGHPUT:
        return best_mix(instance, instance.requests).bound_ns
    all_edge = instance.requests * sum(instance.edge_ns)
    if instance.requests == 1:
        return min(all_edge, _one_offloaded_request(instance, all_edge))
    delays = _Delays(instance)
    whole = delays.range_of(None, None)
    if not whole.tensors:
        return all_edge
    every = best_mix(instance, instance.requests, delays.offsets(whole, all_offloaded=True)).bound_ns
    # One request stays on the edge: its load is certain, the others' is not.
    offsets = delays.offsets(whole, all_offloaded=False)
    offsets = offsets._replace(edge_ns=offsets.edge_ns + sum(instance.edge_ns))
    some = best_mix(instance, instance.requests - 1, offsets).bound_ns
    return min(all_edge, max(whole.path_ns, min(every, some)))


def _one_offloaded_request(instance: CostInstance, all_edge: int) -> int:
    """One request that uses the cloud: the smallest bound over the ranges between neighbouring waists.

    Ranges are refined best first, so most are dismissed by their cheap path bound alone; ranges left unrefined keep
    that weaker bound, and the result stays valid.
    """
    delays = _Delays(instance)
    waists = split_branches(instance.graph).waists
    ranges = [delays.range_of(start, end) for start, end in pairwise((None, *waists, None))]
    queue = [(found.path_ns, i, False) for i, found in enumerate(ranges) if found.tensors]
    heapq.heapify(queue)
    refinements = 0
    while queue:
        bound, i, refined = heapq.heappop(queue)
        if refined or bound >= all_edge or refinements >= MAX_REFINED_RANGES:
            return bound
        refinements += 1
        heapq.heappush(queue, (max(bound, delays.refine(ranges[i])), i, True))
    return all_edge


@dataclass(frozen=True)
class _Range:
    """Cuts whose last waist on the edge is `start` and first waist in the cloud is `end`."""

    start: int | None
    end: int | None
    tensors: tuple[int, ...]
    path_ns: int


class _Delays:
    """What must come before and after a crossing tensor, and the bounds that follow.

    h: the edge work of the producer and all its ancestors. q: the cloud work of a consumer and all its descendants; for
    one consumer that itself runs in the cloud all descendants do, so this is valid where "all descendants of the
    tensor" is not.
    """

    def __init__(self, instance: CostInstance) -> None:
        self.instance, self.graph = instance, instance.graph
        above = ancestors(self.graph)
        head = above @ np.array(instance.edge_ns, np.int64)
        tail = above.T @ np.array(instance.cloud_ns, np.int64)
        self.head_ns: list[int] = head.tolist()
        self.tail_ns: list[int] = tail.tolist()
        self.way_back_ns = min(
            (instance.downlink_ns[i] for i, tensor in enumerate(self.graph.tensors) if tensor.is_output), default=0
        )
        last = len(self.graph.layers) - 1
        self.single_exit = all(tensor.producer == last for tensor in self.graph.tensors if tensor.is_output)

    def range_of(self, start: int | None, end: int | None) -> _Range:
        """The tensors that can cross in a range, and the bound from the cheapest way of one tensor through it."""
        low = 0 if start is None else start
        high = len(self.graph.layers) if end is None else end
        tensors = tuple(
            i
            for i, tensor in enumerate(self.graph.tensors)
            if low <= tensor.producer < high and any(consumer <= high for consumer in tensor.consumers)
        )
        path = min((self._path(i, high) for i in tensors), default=0) + self.instance.rtt_ns + self.way_back_ns
        return _Range(start, end, tensors, path)

    def _path(self, tensor: int, high: int) -> int:
        return self._h(tensor) + self.instance.uplink_ns[tensor] + self._q(tensor, high)

    def _h(self, tensor: int) -> int:
        return self.head_ns[self.graph.tensors[tensor].producer]

    def _q(self, tensor: int, high: int) -> int:
        return min(self.tail_ns[consumer] for consumer in self.graph.tensors[tensor].consumers if consumer <= high)

    def offsets(self, found: _Range, all_offloaded: bool) -> Loads:
        """Idle time of each resource before its first and after its last work, if some request is offloaded here."""
        instance, high = self.instance, len(self.graph.layers) if found.end is None else found.end
        h = {i: self._h(i) for i in found.tensors}
        q = {i: self._q(i, high) for i in found.tensors}
        t = instance.uplink_ns
        after_edge = min(t[i] + q[i] for i in found.tensors) + instance.rtt_ns + self.way_back_ns
        return Loads(
            edge_ns=after_edge if all_offloaded and self.single_exit else 0,
            uplink_ns=min(h.values()) + min(q.values()) + instance.rtt_ns + self.way_back_ns,
            cloud_ns=min(h[i] + t[i] for i in found.tensors) + instance.rtt_ns + self.way_back_ns,
            downlink_ns=min(h[i] + t[i] for i in found.tensors) + instance.rtt_ns + self._shortest_cloud_way(),
        )

    def _shortest_cloud_way(self) -> int:
        """Cloud work of an output layer: the least that precedes a downlink transfer."""
        producers = [tensor.producer for tensor in self.graph.tensors if tensor.is_output]
        return min(self.instance.cloud_ns[layer] for layer in producers)

    def refine(self, found: _Range) -> int:
        """The LP bound for one request whose cut lies in this range."""
        on_edge: Cut = frozenset() if found.start is None else frozenset(range(found.start + 1))
        last = len(self.graph.layers)
        in_cloud: Cut = frozenset() if found.end is None else frozenset(range(found.end, last))
        return best_mix(self.instance, 1, self.offsets(found, all_offloaded=True), on_edge, in_cloud).bound_ns
