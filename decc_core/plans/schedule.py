"""Timing of a plan: all work starts as soon as its inputs and its predecessor in the sequence are done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from decc_core.errors import InfeasiblePlan
from decc_core.kernels import codes, schedules
from decc_core.network.arrays import Ints, topology
from decc_core.network.work import Resource, Span, Work
from decc_core.plans.plan import Execution, Plan, Sequences, item_name
from decc_core.problem.instance import (
    RESOURCES,
    CostInstance,
    Loads,
    Objective,
    coding_times_ns,
    loads,
    sequential_ns,
    work_times_ns,
)
from decc_core.problem.link import NS_PER_S


@dataclass(frozen=True, eq=False)
class Schedule:
    """When all work of a plan starts and ends, and when each request's result is back on the edge, in nanoseconds.

    `starts` and `ends` stand like the work of `sequences`; `results` has one entry for each request.
    """

    sequences: Sequences
    starts: Ints
    ends: Ints
    results: Ints

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schedule):
            return NotImplemented
        mine, theirs = ((one.starts, one.ends, one.results) for one in (self, other))
        return self.sequences == other.sequences and all(map(np.array_equal, mine, theirs))

    __hash__ = None  # type: ignore[assignment]

    @property
    def spans(self) -> Mapping[Resource, tuple[Span, ...]]:
        """All work as spans, in sequence order; those of a resource are made anew whenever they are asked for."""
        return _Spans(self)

    @property
    def start_ns(self) -> dict[Resource, tuple[int, ...]]:
        """When each resource's work starts, in the order of its sequence; made anew."""
        return self._by_resource(self.starts)

    @property
    def end_ns(self) -> dict[Resource, tuple[int, ...]]:
        """When each resource's work ends, in the order of its sequence; made anew."""
        return self._by_resource(self.ends)

    @property
    def result_ns(self) -> tuple[int, ...]:
        return tuple(self.results.tolist())

    def _by_resource(self, times: Ints) -> dict[Resource, tuple[int, ...]]:
        parts = self.sequences.work.parts
        return {resource: tuple(times[part].tolist()) for resource, part in zip(RESOURCES, parts, strict=True)}

    @cached_property
    def makespan_ns(self) -> int:
        """End of the last span, results back on the edge included."""
        return int(self.results.max())

    @cached_property
    def busy_ns(self) -> Loads:
        return Loads(*(int((self.ends[part] - self.starts[part]).sum()) for part in self.sequences.work.parts))


class _Spans(Mapping[Resource, tuple[Span, ...]]):
    def __init__(self, timing: Schedule) -> None:
        self.timing = timing

    def __getitem__(self, resource: Resource) -> tuple[Span, ...]:
        timing, i = self.timing, RESOURCES.index(resource)
        part = timing.sequences.work.parts[i]
        starts, ends = timing.starts[part].tolist(), timing.ends[part].tolist()
        return tuple(map(Span, [resource] * len(starts), timing.sequences[resource], starts, ends))

    def __iter__(self) -> Iterator[Resource]:
        return iter(RESOURCES)

    def __len__(self) -> int:
        return len(RESOURCES)


def schedule(instance: CostInstance, plan: Plan) -> Schedule:
    """Earliest start of all work under the plan's sequences (a longest path); linear in the work."""
    work, arrays = plan.work, topology(instance.graph)
    starts, ends, results, reached = schedules.earliest_starts(
        work,
        _durations(instance, plan),
        plan.masks(arrays.n_layers),
        instance.half_rtt_ns,
        plan.execution is not Execution.BRANCH_PIPELINED,
        _previous(plan),
        arrays,
    )
    for resource, part, stopped in zip(RESOURCES, work.parts, reached.tolist(), strict=True):
        if stopped < part.stop:
            stuck = item_name(instance.graph, resource, int(work.item[stopped]))
            raise InfeasiblePlan(
                f"The {resource.value} waits for ever for '{stuck}' of request {work.request[stopped]}: "
                "the sequences contradict each other."
            )
    return Schedule(plan.sequences, starts, ends, results)


def _durations(instance: CostInstance, plan: Plan) -> Ints:
    """How long each piece of work takes, in the order of the plan's work."""
    work = plan.work
    if not instance.charges_work:
        times = instance.times.by_resource
        return np.concatenate([times[i][work.item[part]] for i, part in enumerate(work.parts)])
    groups = plan.groups()
    kind = np.zeros(len(plan.cuts), np.int64)
    for row, requests in enumerate(groups.values()):
        kind[list(requests)] = row
    tables = zip(*(work_times_ns(instance, cut) for cut in groups), strict=True)
    return np.concatenate(
        [
            np.stack(table)[kind[work.request[part]], work.item[part]]
            for table, part in zip(tables, work.parts, strict=True)
        ]
    )


def coding_stretches(instance: CostInstance, timing: Schedule) -> dict[tuple[Resource, Work], tuple[int, int]]:
    """When, within its work, a device codes for the link: on the edge at the end of it, in the cloud at the start."""
    if not (any(instance.encode_ns) or any(instance.decode_ns)):
        return {}
    on_edge = [set(instance.graph.inputs) for _ in timing.results]
    for work in timing.sequences[Resource.EDGE]:
        on_edge[work.request].add(work.item)
    cuts = [frozenset(layers) for layers in on_edge]
    known = {cut: coding_times_ns(instance, cut) for cut in set(cuts)}
    stretches = {}
    for side, resource in enumerate((Resource.EDGE, Resource.CLOUD)):
        for span in timing.spans[resource]:
            # Times of a rehearsal may be shorter than those that the instance knows.
            coding_ns = min(int(known[cuts[span.work.request]][side][span.work.item]), span.duration_ns)
            if coding_ns:
                start_ns = span.start_ns if side else span.end_ns - coding_ns
                stretches[resource, span.work] = (start_ns, start_ns + coding_ns)
    return stretches


def _previous(plan: Plan) -> Ints:
    """The request whose result each request waits for under consecutive execution, or UNKNOWN."""
    previous = np.full(len(plan.cuts), codes.UNKNOWN, np.int64)
    if plan.execution is Execution.CONSECUTIVE:
        order = list(plan.request_order())
        previous[order[1:]] = order[:-1]
    return previous


def period_ns(instance: CostInstance, plan: Plan) -> int:
    """Time between two batches when the plan repeats for ever: pipelined the largest load, else the sequential sum."""
    if plan.execution is Execution.CONSECUTIVE:
        return sum(len(requests) * sequential_ns(instance, cut) for cut, requests in plan.groups().items())
    return total_loads(instance, plan).bottleneck_ns


def total_loads(instance: CostInstance, plan: Plan) -> Loads:
    """Work on each resource, summed over the requests."""
    groups = [(loads(instance, cut), len(requests)) for cut, requests in plan.groups().items()]
    return Loads(*(sum(load[i] * requests for load, requests in groups) for i in range(len(RESOURCES))))


def throughput_rps(instance: CostInstance, plan: Plan) -> float:
    """Requests per second when the plan repeats for ever; infinite where nothing takes time."""
    period = period_ns(instance, plan)
    return instance.requests * NS_PER_S / period if period else float("inf")


def objective_ns(instance: CostInstance, plan: Plan, timing: Schedule) -> int:
    """What the instance's objective minimises: the makespan, or the period of the repeated plan."""
    return timing.makespan_ns if instance.objective is Objective.MAKESPAN else period_ns(instance, plan)
