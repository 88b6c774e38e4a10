"""Proven lower bounds on the objective of an instance, whatever the cuts and sequences."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from decc_core.planner.candidates import candidates, cuts_of
from decc_core.planner.delays import delays
from decc_core.planner.mixes import best_mix
from decc_core.planner.one_request import plan_one_request
from decc_core.problem.instance import CostInstance, Objective

MAX_CASES = 16
"""With up to this many requests, every number of offloaded requests is a case of its own."""


@lru_cache(maxsize=32)
def lower_bound_ns(instance: CostInstance) -> int:
    """A lower bound on the instance's objective that holds for every plan.

    Throughput: the LP over mixes. One request: the search between waists. More requests: if m of them use the cloud,
    the others' edge work is certain, the links and the cloud idle while the first tensor is made and sent (head) and
    after the last one has come (tail), and if all use it, then the edge idles at the end, too. Heads, tails and certain
    work are added to the loads before the LP weighs them, for every m; the least of these bounds holds.
    """
    known = cuts_of(candidates(instance))
    if instance.objective is Objective.THROUGHPUT:
        return best_mix(instance, instance.requests, known=known).bound_ns
    if instance.requests == 1:
        return plan_one_request(instance).bound_ns
    found = delays(instance)
    tensors = np.array(
        [i for i, tensor in enumerate(instance.graph.tensors) if tensor.consumers and instance.sendable[i]], np.int64
    )
    all_edge = sum(instance.edge_ns)
    n = instance.requests
    bounds = [n * all_edge] if instance.allows(instance.all_edge) else []
    if len(tensors):
        way = found.shortest_way_ns(tensors)
        for local, offloaded in _cases(n) if bounds else [(0, n)]:
            idle = found.idle(tensors, all_offloaded=not local)
            idle = idle._replace(edge_ns=idle.edge_ns + local * all_edge)
            bounds.append(max(way, best_mix(instance, offloaded, idle, known=known).bound_ns))
    return min(bounds)


def _cases(requests: int) -> list[tuple[int, int]]:
    """How many requests stay on the edge for certain, and how many others there are; every plan fits one case."""
    if requests <= MAX_CASES:
        return [(requests - offloaded, offloaded) for offloaded in range(1, requests + 1)]
    return [(0, requests), (1, requests - 1)]
