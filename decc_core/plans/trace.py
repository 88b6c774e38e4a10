"""What was measured while a plan ran, beside what was predicted."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from decc_core.network.graph import LayerGraph
from decc_core.network.work import Resource, Span, Work
from decc_core.plans.pieces import SIDES
from decc_core.plans.plan import Execution, item_name
from decc_core.plans.schedule import Schedule, coding_stretches
from decc_core.problem.instance import RESOURCES, CostInstance, Loads
from decc_core.problem.link import NS_PER_S

NS_PER_US = 1000.0
CODES = {Resource.EDGE: "encodes", Resource.CLOUD: "decodes"}
"""What a device does to a tensor that crosses coded."""


@dataclass(frozen=True)
class Trace:
    """Measured spans of a run on one clock, which starts with it, and when each finished request had its result.

    `coding` has the spans in which devices encoded or decoded tensors, which keeps them busy, too, unless another core
    does it: on the sides that code `beside` their layers.
    """

    spans: Mapping[Resource, tuple[Span, ...]]
    result_ns: dict[int, int]
    coding: Mapping[Resource, tuple[Span, ...]] = field(default_factory=dict)
    beside: frozenset[Resource] = frozenset()

    @cached_property
    def makespan_ns(self) -> int:
        return max(self.result_ns.values(), default=0)

    @cached_property
    def busy_ns(self) -> Loads:
        return Loads(*(sum(span.duration_ns for span in self.work_on(r)) for r in RESOURCES))

    def work_on(self, resource: Resource) -> tuple[Span, ...]:
        """All that kept a resource busy: its layers or tensors, and what it coded."""
        coding = () if resource in self.beside else self.coding.get(resource, ())
        return (*self.spans.get(resource, ()), *coding)

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


def coding_totals(instance: CostInstance, trace: Trace, timing: Schedule) -> tuple[Deviation, ...]:
    """What each device spent on coding tensors, over all requests; nothing of those that coded none."""
    planned = coding_stretches(instance, timing)
    return tuple(
        Deviation(
            side,
            f"{side.value} {CODES[side]}",
            sum(end - start for (resource, _), (start, end) in planned.items() if resource is side),
            sum(span.duration_ns for span in trace.coding[side]),
        )
        for side in SIDES
        if trace.coding.get(side)
    )


def stages(trace: Trace, timing: Schedule) -> tuple[Deviation, ...]:
    """Busy time of every request on every resource that it uses."""
    deviations = []
    for resource in RESOURCES:
        predicted = _by(timing.spans[resource], lambda work: work.request)
        measured = _by(trace.work_on(resource), lambda work: work.request)
        for request in sorted(predicted):
            if predicted[request] and request in measured:
                times = sum(predicted[request]), sum(measured[request])
                deviations.append(Deviation(resource, f"request {request}", *times))
    return tuple(deviations)


def items(trace: Trace, timing: Schedule, graph: LayerGraph) -> tuple[Deviation, ...]:
    """Median time of every layer and every tensor over the requests, on each resource that worked on it.

    A layer's time has that of coding the tensors that it makes for the link, or is the first to need.
    """
    deviations = []
    for resource in RESOURCES:
        predicted = _by(timing.spans[resource], lambda work: work.item)
        measured = _by(_with_coding(trace, graph, resource), lambda work: work.item)
        for item in sorted(predicted.keys() & measured.keys()):
            times = round(statistics.median(predicted[item])), round(statistics.median(measured[item]))
            deviations.append(Deviation(resource, item_name(graph, resource, item), *times))
    return tuple(deviations)


def _with_coding(trace: Trace, graph: LayerGraph, resource: Resource) -> tuple[Span, ...]:
    """The spans of a resource, those of layers longer by what these coded."""
    spans = trace.spans.get(resource, ())
    coding = () if resource in trace.beside else trace.coding.get(resource, ())
    if not coding:
        return spans
    place = {span.work: i for i, span in enumerate(spans)}
    more: dict[Work, int] = {}
    for span in coding:
        tensor = graph.tensors[span.work.item]
        layers = (tensor.producer,) if resource is Resource.EDGE else tensor.consumers
        works = [work for layer in layers if (work := Work(span.work.request, layer)) in place]
        if works:
            first = min(works, key=lambda work: place[work])
            more[first] = more.get(first, 0) + span.duration_ns
    return tuple(replace(span, end_ns=span.end_ns + more.get(span.work, 0)) for span in spans)


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
    instance: CostInstance, timing: Schedule, trace: Trace | None, about: dict[str, Any]
) -> dict[str, Any]:
    """Plan and measurement, if there is one, in the Chrome trace event format, as processes; Perfetto opens it."""
    graph = instance.graph
    events: list[dict[str, Any]] = []
    shown: list[tuple[str, Schedule | Trace]] = [("planned", timing), *([("measured", trace)] if trace else [])]
    for process, (name, times) in enumerate(shown, 1):
        events.append({"ph": "M", "name": "process_name", "pid": process, "tid": 0, "args": {"name": name}})
        for thread, resource in enumerate(RESOURCES, 1):
            events.append(
                {"ph": "M", "name": "thread_name", "pid": process, "tid": thread, "args": {"name": resource.value}}
            )
            events += [_event(graph, process, thread, span) for span in times.spans.get(resource, ())]
            events += [
                _event(graph, process, thread, span) | {"name": what, "cat": CODES[resource]}
                for span, what in _coding(instance, times, resource)
            ]
    return {"traceEvents": events, "displayTimeUnit": "ms", "otherData": about}


def _coding(instance: CostInstance, times: Schedule | Trace, resource: Resource) -> Iterator[tuple[Span, str]]:
    """What a device codes for the link, and what that is called.

    It is planned with the layer that makes a tensor, or is the first to need it, and measured for each tensor.
    """
    graph = instance.graph
    if isinstance(times, Trace):
        for span in times.coding.get(resource, ()):
            tensor = span.work.item
            form = f" as {instance.formats[tensor]}" if instance.formats else ""
            yield span, f"{CODES[resource]} {item_name(graph, Resource.UPLINK, tensor)}{form}"
    else:
        for (side, work), stretch in coding_stretches(instance, times).items():
            if side is resource:
                yield Span(side, work, *stretch), f"{CODES[side]} for {item_name(graph, side, work.item)}"


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
