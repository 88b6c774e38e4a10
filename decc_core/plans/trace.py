"""What was measured while a plan ran, beside what was predicted."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from decc_core.network.graph import LayerGraph
from decc_core.network.work import Resource, Span, Work
from decc_core.plans.plan import Execution, item_name
from decc_core.plans.schedule import Schedule
from decc_core.problem.instance import RESOURCES, Loads
from decc_core.problem.link import NS_PER_S

NS_PER_US = 1000.0


@dataclass(frozen=True)
class Trace:
    """Measured spans of a run on one clock, which starts with it, and when each finished request had its result."""

    spans: Mapping[Resource, tuple[Span, ...]]
    result_ns: dict[int, int]

    @cached_property
    def makespan_ns(self) -> int:
        return max(self.result_ns.values(), default=0)

    @cached_property
    def busy_ns(self) -> Loads:
        return Loads(*(sum(span.duration_ns for span in self.spans.get(r, ())) for r in RESOURCES))

    def throughput_rps(self, execution: Execution) -> float:
        """Requests per second if the run went on like this: by the busiest resource, or one run after the other."""
        period_ns = self.makespan_ns if execution is Execution.CONSECUTIVE else self.busy_ns.bottleneck_ns
        return len(self.result_ns) * NS_PER_S / period_ns if period_ns else float("inf")


@dataclass(frozen=True)
class Deviation:
    """Predicted and measured time of one thing."""

    resource: Resource
    name: str
    predicted_ns: int
    measured_ns: int

    @property
    def ratio(self) -> float:
        """Measured over predicted; 1 where both are 0."""
        if self.predicted_ns == self.measured_ns:
            return 1.0
        return self.measured_ns / self.predicted_ns if self.predicted_ns else float("inf")


def stages(trace: Trace, timing: Schedule) -> tuple[Deviation, ...]:
    """Busy time of every request on every resource that it uses."""
    deviations = []
    for resource in RESOURCES:
        predicted = _by(timing.spans[resource], lambda work: work.request)
        measured = _by(trace.spans.get(resource, ()), lambda work: work.request)
        for request in sorted(predicted):
            if predicted[request] and request in measured:
                times = sum(predicted[request]), sum(measured[request])
                deviations.append(Deviation(resource, f"request {request}", *times))
    return tuple(deviations)


def items(trace: Trace, timing: Schedule, graph: LayerGraph) -> tuple[Deviation, ...]:
    """Median time of every layer and every tensor over the requests, on each resource that worked on it."""
    deviations = []
    for resource in RESOURCES:
        predicted = _by(timing.spans[resource], lambda work: work.item)
        measured = _by(trace.spans.get(resource, ()), lambda work: work.item)
        for item in sorted(predicted.keys() & measured.keys()):
            times = round(statistics.median(predicted[item])), round(statistics.median(measured[item]))
            deviations.append(Deviation(resource, item_name(graph, resource, item), *times))
    return tuple(deviations)


def _by(spans: tuple[Span, ...], key: Callable[[Work], int]) -> dict[int, list[int]]:
    durations: dict[int, list[int]] = {}
    for span in spans:
        durations.setdefault(key(span.work), []).append(span.duration_ns)
    return durations


def totals(trace: Trace, timing: Schedule) -> tuple[Deviation, ...]:
    """Busy time of every resource, over the work that was measured."""
    done = {(resource, span.work) for resource in RESOURCES for span in trace.spans.get(resource, ())}
    return tuple(
        Deviation(
            resource,
            resource.value,
            sum(span.duration_ns for span in timing.spans[resource] if (resource, span.work) in done),
            trace.busy_ns[i],
        )
        for i, resource in enumerate(RESOURCES)
    )


def furthest_off(trace: Trace, timing: Schedule) -> Deviation:
    """The resource whose measured busy time differs most, in nanoseconds, from the predicted one."""
    return max(totals(trace, timing), key=lambda total: abs(total.measured_ns - total.predicted_ns))


def chrome_trace(
    graph: LayerGraph, timing: Schedule | None, trace: Trace | None, about: dict[str, Any]
) -> dict[str, Any]:
    """Plan and measurement, as far as there are any, in the Chrome trace event format, as processes; for Perfetto."""
    events: list[dict[str, Any]] = []
    shown = [("planned", timing.spans)] if timing is not None else []
    shown += [("measured", trace.spans)] if trace is not None else []
    for process, (name, spans) in enumerate(shown, 1):
        events.append({"ph": "M", "name": "process_name", "pid": process, "tid": 0, "args": {"name": name}})
        for thread, resource in enumerate(RESOURCES, 1):
            events.append(
                {"ph": "M", "name": "thread_name", "pid": process, "tid": thread, "args": {"name": resource.value}}
            )
            events += [_event(graph, process, thread, span) for span in spans.get(resource, ())]
    return {"traceEvents": events, "displayTimeUnit": "ms", "otherData": about}


def _event(graph: LayerGraph, process: int, thread: int, span: Span) -> dict[str, Any]:
    name = item_name(graph, span.resource, span.work.item)
    return {
        "ph": "X",
        "name": name,
        "cat": span.resource.value,
        "pid": process,
        "tid": thread,
        "ts": span.start_ns / NS_PER_US,
        "dur": span.duration_ns / NS_PER_US,
        "args": {"request": span.work.request},
    }


def spans_of(resource: Resource, rows: list[tuple[int, int, int, int]], zero_ns: int, per_ns: float) -> list[Span]:
    """Rows of request, item, start and end on some clock as spans; `per_ns` stretches time back to the plan's."""

    def at(time_ns: int) -> int:
        return max(0, round((time_ns - zero_ns) / per_ns))

    return [
        Span(resource, Work(request, item), at(start), max(at(start), at(end))) for request, item, start, end in rows
    ]
