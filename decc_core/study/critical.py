"""What decides how long a schedule takes: the critical path, and where the resources stand idle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from decc_core.network.work import Resource, Span, Work
from decc_core.plans.plan import Execution, Plan
from decc_core.plans.schedule import Schedule
from decc_core.problem.instance import RESOURCES, CostInstance, Loads


class Cause(str, Enum):
    """Why work started when it did, and not earlier."""

    START = "it is there at time 0"
    BUSY = "the resource was busy until then"
    DATA = "what it reads was not there earlier"
    STAGE = "an earlier stage of the request, or the request before, was not over"


@dataclass(frozen=True)
class Step:
    """Work on the critical path; it starts `delay_ns` of propagation after the step before it ends."""

    span: Span
    cause: Cause
    delay_ns: int


@dataclass(frozen=True)
class CriticalPath:
    """Work that follows without a pause from time 0 to the last result; making any of it longer delays the result.

    `back_ns` is the propagation from the last step to the result.
    """

    steps: tuple[Step, ...]
    back_ns: int
    makespan_ns: int

    @property
    def load_ns(self) -> Loads:
        """How much of the makespan the path spends on each resource."""
        return Loads(
            *(
                sum(step.span.duration_ns for step in self.steps if step.span.resource is resource)
                for resource in RESOURCES
            )
        )

    @property
    def propagation_ns(self) -> int:
        """How much of the makespan the path waits for messages under way."""
        return self.back_ns + sum(step.delay_ns for step in self.steps)

    @property
    def work(self) -> frozenset[tuple[Resource, Work]]:
        return frozenset((step.span.resource, step.span.work) for step in self.steps)


def critical_path(instance: CostInstance, plan: Plan, timing: Schedule) -> CriticalPath:
    """The path that ends with the last result: walked back from it to what determined each start.

    Where a start had several causes at once, the resource's own work before is preferred, so that the path stays on one
    resource as long as it can. Linear in the work.
    """
    walk = _Walk(instance, plan, timing)
    last = max(range(len(timing.result_ns)), key=lambda request: timing.result_ns[request])
    end, back_ns = walk.last_of(last, timing.makespan_ns)
    place: Place | None = end
    steps: list[Step] = []
    while place is not None:
        cause, before, delay_ns = walk.cause(*place)
        steps.append(Step(walk.span(*place), cause, delay_ns))
        place = before
    return CriticalPath(tuple(reversed(steps)), back_ns, timing.makespan_ns)


Place = tuple[Resource, int]
"""A resource and a position in its sequence."""


class _Walk:
    """Finds the cause of a start among what the plan makes it wait for."""

    def __init__(self, instance: CostInstance, plan: Plan, timing: Schedule) -> None:
        self.graph, self.half_rtt_ns, self.plan, self.timing = instance.graph, instance.half_rtt_ns, plan, timing
        self.sequences, self.start_ns, self.end_ns = dict(plan.sequences), timing.start_ns, timing.end_ns
        self.place = {(r, work): i for r in RESOURCES for i, work in enumerate(self.sequences[r])}
        self.last: dict[tuple[int, Resource], int] = {}
        for resource in RESOURCES:
            self.last.update({(work.request, resource): i for i, work in enumerate(self.sequences[resource])})
        order = plan.request_order()
        consecutive = plan.execution is Execution.CONSECUTIVE
        self.request_before = dict(zip(order[1:], order, strict=False)) if consecutive else {}

    def span(self, resource: Resource, i: int) -> Span:
        work = self.sequences[resource][i]
        return Span(resource, work, self.start_ns[resource][i], self.end_ns[resource][i])

    def cause(self, resource: Resource, i: int) -> tuple[Cause, Place | None, int]:
        """Why the work at this place started when it did, the place of what it waited for, and the delay between."""
        start = self.start_ns[resource][i]
        if start == 0:
            return Cause.START, None, 0
        if i and self.end_ns[resource][i - 1] == start:
            return Cause.BUSY, (resource, i - 1), 0
        work = self.sequences[resource][i]
        for cause, (other, j), delay_ns in self._waits(resource, work):
            if self.end_ns[other][j] + delay_ns == start:
                return cause, (other, j), delay_ns
        raise ValueError(f"Nothing makes the {resource.value} start a piece at {start} ns; the schedule is not tight.")

    def last_of(self, request: int, at_ns: int) -> tuple[Place, int]:
        """The work of a request whose end, and the way back to the edge, gave its result at this time."""
        for resource in (Resource.DOWNLINK, Resource.EDGE, Resource.CLOUD, Resource.UPLINK):
            if (request, resource) in self.last:
                place, delay_ns = (resource, self.last[request, resource]), self._delay(resource)
                if self.end_ns[resource][place[1]] + delay_ns == at_ns:
                    return place, delay_ns
        raise ValueError(f"No work of request {request} gives a result at {at_ns} ns; the schedule is not tight.")

    def _delay(self, resource: Resource) -> int:
        return 0 if resource.computes else self.half_rtt_ns

    def _waits(self, resource: Resource, work: Work) -> Iterator[tuple[Cause, Place, int]]:
        for other, item in self._inputs(resource, work):
            yield Cause.DATA, (other, self.place[other, Work(work.request, item)]), self._delay(other)
        if self.plan.execution is Execution.BRANCH_PIPELINED:
            return
        for other in RESOURCES[: RESOURCES.index(resource)]:
            if (work.request, other) in self.last:
                yield Cause.STAGE, (other, self.last[work.request, other]), self._delay(other)
        before = self.request_before.get(work.request)
        if before is not None:
            place, delay_ns = self.last_of(before, self.timing.result_ns[before])
            yield Cause.STAGE, place, delay_ns

    def _inputs(self, resource: Resource, work: Work) -> Iterator[tuple[Resource, int]]:
        """What work reads, and which resource brings it."""
        if not resource.computes:
            side = Resource.EDGE if resource is Resource.UPLINK else Resource.CLOUD
            yield side, self.graph.tensors[work.item].producer
            return
        cut = self.plan.cuts[work.request]
        for ref in dict.fromkeys(self.graph.layers[work.item].inputs):
            producer = self.graph.index[ref.layer]
            if resource is Resource.CLOUD and producer in cut:
                yield Resource.UPLINK, self.graph.tensor_index[ref]
            else:
                yield resource, producer


@dataclass(frozen=True)
class Idle:
    """The times at which a resource does nothing, from time 0 to the makespan, as (start, end)."""

    gaps_ns: tuple[tuple[int, int], ...]
    makespan_ns: int

    @property
    def before_ns(self) -> int:
        """Until its first work; all the time where it has none."""
        return sum(end - start for start, end in self.gaps_ns if start == 0)

    @property
    def after_ns(self) -> int:
        """From its last work to the makespan."""
        return sum(end - start for start, end in self.gaps_ns if start > 0 and end == self.makespan_ns)

    @property
    def between_ns(self) -> int:
        return self.total_ns - self.before_ns - self.after_ns

    @property
    def total_ns(self) -> int:
        return sum(end - start for start, end in self.gaps_ns)


def idle_times(timing: Schedule) -> dict[Resource, Idle]:
    """When each resource stands idle; work that takes no time does not count as work."""
    starts, ends = timing.start_ns, timing.end_ns
    found = {}
    for resource in RESOURCES:
        gaps, free = [], 0
        for start, end in zip(starts[resource], ends[resource], strict=True):
            if end > start:
                if start > free:
                    gaps.append((free, start))
                free = end
        if free < timing.makespan_ns:
            gaps.append((free, timing.makespan_ns))
        found[resource] = Idle(tuple(gaps), timing.makespan_ns)
    return found
