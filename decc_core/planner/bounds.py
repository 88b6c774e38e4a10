"""Proven lower bounds on the objective of an instance, whatever the cuts and sequences."""

from __future__ import annotations

import numpy as np

from decc_core.planner.cuts import Cuts
from decc_core.planner.delays import Delays
from decc_core.planner.mixes import Mixes
from decc_core.planner.one_request import OneRequest
from decc_core.problem.instance import CostInstance, Objective

MAX_CASES = 16
"""With up to this many requests, every number of offloaded requests is a case of its own."""


def lower_bound_ns(
    instance: CostInstance, candidates: Cuts, delays: Delays, mixes: Mixes, alone: OneRequest | None
) -> int:
    """A lower bound on the instance's objective that holds for every plan; `alone` is needed for one request only.

    Throughput: the LP over mixes. One request: the search between waists. More requests: if m of them use the cloud,
    the others' edge work is certain, the links and the cloud idle while the first tensor is made and sent (head) and
    after the last one has come (tail), and if all use it, then the edge idles at the end, too. Heads, tails and certain
    work are added to the loads before the LP weighs them, for every m; the least of these bounds holds.
    """
    if instance.objective is Objective.THROUGHPUT:
        return mixes.best(instance.requests, candidates).bound_ns
    if alone is not None:
        return alone.bound_ns
    tensors = np.array(
        [i for i, tensor in enumerate(instance.graph.tensors) if tensor.consumers and instance.sendable[i]], np.int64
    )
    all_edge = sum(instance.edge_ns)
    n = instance.requests
    bounds = [n * all_edge] if instance.allows(instance.all_edge) else []
    if len(tensors):
        way = delays.shortest_way_ns(tensors)
        for local, offloaded in _cases(n) if bounds else [(0, n)]:
            idle = delays.idle(tensors, all_offloaded=not local)
            idle = idle._replace(edge_ns=idle.edge_ns + local * all_edge)
            bounds.append(max(way, mixes.best(offloaded, candidates, idle).bound_ns))
    return min(bounds)


def _cases(requests: int) -> list[tuple[int, int]]:
    """How many requests stay on the edge for certain, and how many others there are; every plan fits one case."""
    if requests <= MAX_CASES:
        return [(requests - offloaded, offloaded) for offloaded in range(1, requests + 1)]
    return [(0, requests), (1, requests - 1)]
