"""Timing of a plan: every piece of work starts as soon as its inputs and its predecessor in the sequence are done."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from decc_core.cost import NS_PER_S, RESOURCES, CostInstance, Loads, Objective, loads, sequential_ns, work_times_ns
from decc_core.errors import InfeasiblePlan
from decc_core.plan import Execution, Plan, item_name
from decc_core.span import Resource, Span, Work

UNKNOWN = -1


@dataclass(frozen=True)
class Schedule:
    """The spans of a plan as predicted, in sequence order, and when each request's result is back on the edge."""

    spans: dict[Resource, tuple[Span, ...]]
    result_ns: tuple[int, ...]

    @cached_property
    def makespan_ns(self) -> int:
        """End of the last span, results back on the edge included."""
        return max(self.result_ns)

    @cached_property
    def busy_ns(self) -> Loads:
        return Loads(*(sum(span.end_ns - span.start_ns for span in self.spans[resource]) for resource in RESOURCES))


def schedule(instance: CostInstance, plan: Plan) -> Schedule:
    """Earliest start of every piece of work under the plan's sequences (a longest path); linear in the work."""
    return _Timing(instance, plan).run()


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


class _Timing:
    """One pass over the sequences: each resource's head is timed as soon as all it waits for is timed."""

    def __init__(self, instance: CostInstance, plan: Plan) -> None:
        n_layers, n_tensors = len(instance.graph.layers), len(instance.graph.tensors)
        self.instance, self.plan, self.graph = instance, plan, instance.graph
        self.layer_done = [[UNKNOWN] * n_layers for _ in plan.cuts]
        self.tensor_arrived = [[UNKNOWN] * n_tensors for _ in plan.cuts]
        self.result = [UNKNOWN] * len(plan.cuts)
        self.spans: dict[Resource, list[Span]] = {resource: [] for resource in RESOURCES}
        self.staged = plan.execution is not Execution.BRANCH_PIPELINED
        # Per request and stage: pieces still open, and the end of the stage so far (delays included).
        self.open = [[0] * len(RESOURCES) for _ in plan.cuts]
        self.stage_end = [[0] * len(RESOURCES) for _ in plan.cuts]
        for stage, resource in enumerate(RESOURCES):
            for work in plan.sequences[resource]:
                self.open[work.request][stage] += 1
        order = tuple(dict.fromkeys(work.request for work in plan.sequences[Resource.EDGE]))
        consecutive = plan.execution is Execution.CONSECUTIVE
        self.previous = dict(zip(order[1:], order, strict=False)) if consecutive else {}

    def run(self) -> Schedule:
        progress = True
        while progress:
            progress = False
            for stage, resource in enumerate(RESOURCES):
                progress |= self._advance(stage, resource)
        for resource in RESOURCES:
            stuck = self.plan.sequences[resource][len(self.spans[resource]) :]
            if stuck:
                name = item_name(self.graph, resource, stuck[0].item)
                raise InfeasiblePlan(
                    f"The {resource.value} waits for ever for '{name}' of request {stuck[0].request}: "
                    "the sequences contradict each other."
                )
        return Schedule({resource: tuple(spans) for resource, spans in self.spans.items()}, tuple(self.result))

    def _advance(self, stage: int, resource: Resource) -> bool:
        """Time the resource's sequence as far as it is known; whether anything was timed."""
        done = self.spans[resource]
        free = done[-1].end_ns if done else 0
        duration = work_times_ns(self.instance, resource)
        began = len(done)
        for work in self.plan.sequences[resource][began:]:
            ready = self._ready(resource, work)
            if ready != UNKNOWN and self.staged:
                ready = self._stage_ready(stage, work.request, ready)
            if ready == UNKNOWN:
                break
            start = max(ready, free)
            free = start + duration[work.item]
            done.append(Span(resource, work, start, free))
            self._finish(stage, resource, work, free)
        return len(done) > began

    def _ready(self, resource: Resource, work: Work) -> int:
        """When the inputs of a piece of work are there, or UNKNOWN."""
        layer_done = self.layer_done[work.request]
        if not resource.computes:
            return layer_done[self.graph.tensors[work.item].producer]
        ready = 0
        cut = self.plan.cuts[work.request]
        for tensor, producer in self.inputs_of[work.item]:
            crosses = resource is Resource.CLOUD and producer in cut
            time = self.tensor_arrived[work.request][tensor] if crosses else layer_done[producer]
            if time == UNKNOWN:
                return UNKNOWN
            ready = max(ready, time)
        return ready

    @cached_property
    def inputs_of(self) -> list[list[tuple[int, int]]]:
        """For each layer, the tensors it reads and their producers."""
        found: list[list[tuple[int, int]]] = [[] for _ in self.graph.layers]
        for i, tensor in enumerate(self.graph.tensors):
            for consumer in tensor.consumers:
                found[consumer].append((i, tensor.producer))
        return found

    def _stage_ready(self, stage: int, request: int, ready: int) -> int:
        """Indivisible stages: nothing of a stage starts before all earlier stages of its request are over."""
        if any(self.open[request][:stage]):
            return UNKNOWN
        if request in self.previous:
            before = self.result[self.previous[request]]
            if before == UNKNOWN:
                return UNKNOWN
            ready = max(ready, before)
        return max([ready, *self.stage_end[request][:stage]])

    def _finish(self, stage: int, resource: Resource, work: Work, end: int) -> None:
        request = work.request
        if resource.computes:
            self.layer_done[request][work.item] = end
        else:
            end += self.instance.half_rtt_ns
            self.tensor_arrived[request][work.item] = end
        self.open[request][stage] -= 1
        self.stage_end[request][stage] = max(self.stage_end[request][stage], end)
        if not any(self.open[request]):
            self.result[request] = max(self.stage_end[request])
