"""DECC: the partition point of every branch of every request, and the order on every resource."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from decc_core.cost import CostInstance, Cut, Objective
from decc_core.plan import Execution, Plan
from decc_core.schedule import period_ns, schedule
from decc_core.span import Resource
from decc_core.strategies.branch_search import best_single_shapes
from decc_core.strategies.shapes import Shape, best_shape, chain_makespan, shapes_to_plan

MAX_POOL = 24
MAX_STEPS = 200_000
"""Jobs timed in the search over mixes; the search stops after these, never after a time."""


def decc(instance: CostInstance, starts: Sequence[Plan]) -> Plan:
    """Search cuts per branch and per request, then orders; never worse than any of `starts`, the baselines' plans.

    Idea: Zhuang et al., "DECC: Delay-Aware Edge-Cloud Collaboration for Accelerating DNN Inference", IEEE TETC 2024, of
    which only the abstract is public: independent branches, a partition point for each, pipelined. The rest is our own
    reconstruction: coordinate descent over branches for one request, then local search over the mix of cuts and
    the order of requests. A start's sequences, timed branch by branch, are never slower than as its author runs them.
    """
    relaxed = [replace(plan, strategy="decc", execution=Execution.BRANCH_PIPELINED) for plan in starts]
    singles = best_single_shapes(instance)
    if instance.requests == 1 and instance.objective is Objective.MAKESPAN:
        own = [shapes_to_plan(instance, "decc", singles[:1])]
    else:
        own = [shapes_to_plan(instance, "decc", _search_mixes(instance, singles, starts))]
    return min((*_distinct(relaxed), *own), key=lambda plan: _rank(instance, plan))


def _distinct(plans: Sequence[Plan]) -> list[Plan]:
    """Plans with different cuts or sequences; the first of each."""
    seen: dict[tuple[object, ...], Plan] = {}
    for plan in plans:
        seen.setdefault((plan.cuts, *(plan.sequences[resource] for resource in Resource)), plan)
    return list(seen.values())


def _rank(instance: CostInstance, plan: Plan) -> tuple[int, int]:
    """The objective first, the other measure to break ties."""
    makespan, period = schedule(instance, plan).makespan_ns, period_ns(instance, plan)
    return (makespan, period) if instance.objective is Objective.MAKESPAN else (period, makespan)


def _search_mixes(instance: CostInstance, singles: Sequence[Shape], starts: Sequence[Plan]) -> list[Shape]:
    """Local search over which request takes which shape, and in which order."""
    strings = [_as_shapes(instance, plan) for plan in _distinct(starts)]
    pool = list(dict.fromkeys([shape for string in strings for shape in string] + _shortlist(singles)))
    cost = _Cost(instance)
    best = min(strings, key=cost)
    while True:
        improved = _improve(best, pool, cost)
        if improved is None:
            return best
        best = improved


def _as_shapes(instance: CostInstance, plan: Plan) -> list[Shape]:
    """The requests of a plan in its own order on the edge, each with the best order of its crossing tensors."""
    order = dict.fromkeys(work.request for work in plan.sequences[Resource.EDGE])
    known: dict[Cut, Shape] = {cut: best_shape(instance, cut) for cut in dict.fromkeys(plan.cuts)}
    return [known[plan.cuts[request]] for request in order]


def _shortlist(singles: Sequence[Shape]) -> list[Shape]:
    """Shapes that differ in purpose: the fastest alone, the smallest bottlenecks, the least of each resource."""
    orders: list[Callable[[Shape], tuple[int, int]]] = [
        lambda shape: (shape.makespan_ns, 0),
        lambda shape: (shape.loads.bottleneck_ns, shape.makespan_ns),
        lambda shape: (shape.loads.edge_ns + shape.loads.uplink_ns, shape.makespan_ns),
        lambda shape: (shape.loads.uplink_ns + shape.loads.cloud_ns, shape.makespan_ns),
        lambda shape: (shape.loads.edge_ns + shape.loads.cloud_ns, shape.makespan_ns),
    ]
    ranked = [sorted(singles, key=order) for order in orders]
    merged = dict.fromkeys(shape for row in zip(*ranked, strict=True) for shape in row)
    return list(merged)[:MAX_POOL]


class _Cost:
    """The objective of a string of shapes, with the number of jobs timed so far."""

    def __init__(self, instance: CostInstance) -> None:
        self.instance = instance
        self.steps = 0

    def __call__(self, string: Sequence[Shape]) -> tuple[int, int]:
        self.steps += sum(len(shape.jobs) for shape in string)
        makespan = chain_makespan((job for shape in string for job in shape.jobs), self.instance.half_rtt_ns)
        period = max(sum(part) for part in zip(*(shape.loads for shape in string), strict=True))
        return (makespan, period) if self.instance.objective is Objective.MAKESPAN else (period, makespan)

    @property
    def spent(self) -> bool:
        return self.steps >= MAX_STEPS


def _improve(string: list[Shape], pool: Sequence[Shape], cost: _Cost) -> list[Shape] | None:
    """The best string one change away (another shape for one request, or two requests exchanged), if it is better."""
    best, found = cost(string), None
    for i, current in enumerate(string):
        neighbours = [[*string[:i], shape, *string[i + 1 :]] for shape in pool if shape is not current]
        for j in range(i + 1, len(string)):
            if string[j] is not current:
                neighbours.append([*string[:i], string[j], *string[i + 1 : j], current, *string[j + 1 :]])
        for neighbour in neighbours:
            if cost.spent:
                return found
            value = cost(neighbour)
            if value < best:
                best, found = value, neighbour
    return found
