"""Timing of a plan: every piece of work starts as soon as its inputs and its predecessor in the sequence are done."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from decc_core import kernels
from decc_core.errors import InfeasiblePlan
from decc_core.network.arrays import Ints, topology
from decc_core.network.work import Resource, Span, Work
from decc_core.plans.plan import Execution, Plan, item_name
from decc_core.problem.instance import NS_PER_S, RESOURCES, CostInstance, Loads, Objective, loads, sequential_ns


@dataclass(frozen=True)
class Schedule:
    """When every piece of work starts and ends, and when each request's result is back on the edge.

    `start_ns` and `end_ns` have one entry for each piece of work of a resource, in the order of `sequences`.
    """

    sequences: dict[Resource, tuple[Work, ...]]
    start_ns: dict[Resource, tuple[int, ...]]
    end_ns: dict[Resource, tuple[int, ...]]
    result_ns: tuple[int, ...]

    @cached_property
    def spans(self) -> dict[Resource, tuple[Span, ...]]:
        """All work as spans, in sequence order."""
        return {
            resource: tuple(
                Span(resource, *one) for one in zip(works, self.start_ns[resource], self.end_ns[resource], strict=True)
            )
            for resource, works in self.sequences.items()
        }

    @cached_property
    def makespan_ns(self) -> int:
        """End of the last span, results back on the edge included."""
        return max(self.result_ns)

    @cached_property
    def busy_ns(self) -> Loads:
        return Loads(*(sum(self.end_ns[resource]) - sum(self.start_ns[resource]) for resource in RESOURCES))


def schedule(instance: CostInstance, plan: Plan) -> Schedule:
    """Earliest start of every piece of work under the plan's sequences (a longest path); linear in the work."""
    pieces, found = plan.pieces, topology(instance.graph)
    parts = [slice(*bounds) for bounds in pairwise(pieces.first.tolist())]
    duration = np.concatenate([times[pieces.item[part]] for times, part in zip(instance.arrays, parts, strict=True)])
    start, end, result, reached = kernels.earliest_starts(
        pieces.request,
        pieces.item,
        pieces.first,
        duration,
        plan.masks(found.n_layers),
        instance.half_rtt_ns,
        plan.execution is not Execution.BRANCH_PIPELINED,
        _previous(plan),
        found.producer,
        found.read_first,
        found.reads,
    )
    for resource, part, stopped in zip(RESOURCES, parts, reached.tolist(), strict=True):
        if stopped < part.stop:
            stuck = plan.sequences[resource][stopped - part.start]
            raise InfeasiblePlan(
                f"The {resource.value} waits for ever for '{item_name(instance.graph, resource, stuck.item)}' "
                f"of request {stuck.request}: the sequences contradict each other."
            )
    return Schedule(
        sequences=plan.sequences,
        start_ns={resource: tuple(start[part].tolist()) for resource, part in zip(RESOURCES, parts, strict=True)},
        end_ns={resource: tuple(end[part].tolist()) for resource, part in zip(RESOURCES, parts, strict=True)},
        result_ns=tuple(result.tolist()),
    )


def _previous(plan: Plan) -> Ints:
    """The request whose result each request waits for under consecutive execution, or UNKNOWN."""
    previous = np.full(len(plan.cuts), kernels.UNKNOWN, np.int64)
    if plan.execution is Execution.CONSECUTIVE:
        order = list(dict.fromkeys(plan.pieces.request[: plan.pieces.first[1]].tolist()))
        previous[order[1:]] = order[:-1]
    return previous


def period_ns(instance: CostInstance, plan: Plan) -> int:
    """Time between two batches when the plan repeats for ever: pipelined the largest load, else the sequential sum."""
    if plan.execution is Execution.CONSECUTIVE:
        return sum(sequential_ns(instance, cut) for cut in plan.cuts)
    return total_loads(instance, plan).bottleneck_ns


def total_loads(instance: CostInstance, plan: Plan) -> Loads:
    """Work on each resource, summed over the requests."""
    per_cut = {cut: loads(instance, cut) for cut in set(plan.cuts)}
    return Loads(*(sum(column) for column in zip(*(per_cut[cut] for cut in plan.cuts), strict=True)))


def throughput_rps(instance: CostInstance, plan: Plan) -> float:
    """Requests per second when the plan repeats for ever; infinite where nothing takes time."""
    period = period_ns(instance, plan)
    return instance.requests * NS_PER_S / period if period else float("inf")


def objective_ns(instance: CostInstance, plan: Plan, timing: Schedule) -> int:
    """What the instance's objective minimises: the makespan, or the period of the repeated plan."""
    return timing.makespan_ns if instance.objective is Objective.MAKESPAN else period_ns(instance, plan)
