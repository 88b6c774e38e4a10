"""The judge of the judge: slow and clear, one request after the other, with sets and dictionaries."""

from __future__ import annotations

from itertools import pairwise

from decc_core.errors import InvalidSchedule
from decc_core.network.graph import TensorRef
from decc_core.network.work import Resource, Span
from decc_core.plans.plan import Execution, Plan, item_name
from decc_core.plans.schedule import Schedule
from decc_core.problem.instance import RESOURCES, CostInstance


def check_schedule(instance: CostInstance, plan: Plan, schedule: Schedule) -> None:
    """Raise `InvalidSchedule` unless serial resources could have run the plan exactly so.

    Checked from the layers' own references: every layer runs once, on its side; resources do one thing at a time, in
    the plan's sequence; every crossing tensor is sent once and arrives half an RTT later, before it is read; every
    output computed in the cloud comes back; stages and requests wait as the plan's execution says.
    """
    for resource in RESOURCES:
        _check_serial(instance, plan, resource, schedule.spans[resource])
    for request in range(instance.requests):
        _RequestCheck(instance, plan, schedule, request).run()
    if plan.execution is Execution.CONSECUTIVE:
        _check_consecutive(plan, schedule)


def _check_serial(instance: CostInstance, plan: Plan, resource: Resource, spans: tuple[Span, ...]) -> None:
    if tuple(span.work for span in spans) != plan.sequences[resource]:
        raise InvalidSchedule(f"The {resource.value} does not follow the plan's sequence.")
    for before, after in pairwise(spans):
        if after.start_ns < before.end_ns:
            name = item_name(instance.graph, resource, after.work.item)
            raise InvalidSchedule(f"The {resource.value} starts '{name}' before its last work is over.")


class _RequestCheck:
    """The spans of one request against the graph."""

    def __init__(self, instance: CostInstance, plan: Plan, schedule: Schedule, request: int) -> None:
        self.instance, self.graph, self.request = instance, instance.graph, request
        self.cut, self.execution = plan.cuts[request], plan.execution
        self.result_ns = schedule.result_ns[request]
        self.spans = {
            resource: [span for span in schedule.spans[resource] if span.work.request == request]
            for resource in RESOURCES
        }
        self.tensor_index = {
            TensorRef(self.graph.layers[tensor.producer].name, tensor.output): i
            for i, tensor in enumerate(self.graph.tensors)
        }

    def run(self) -> None:
        ran = self._layers()
        sent = self._tensors(Resource.UPLINK)
        back = self._tensors(Resource.DOWNLINK)
        needed: set[int] = set()
        for i, layer in enumerate(self.graph.layers):
            for ref in layer.inputs:
                needed |= self._check_input(ran, sent, i, ref)
        self._require(needed == set(sent), "sends tensors that nobody in the cloud needs, or misses some")
        self._check_results(ran, back)
        if self.execution is not Execution.BRANCH_PIPELINED:
            self._check_stages()

    def _require(self, holds: bool, trouble: str) -> None:
        if not holds:
            raise InvalidSchedule(f"Request {self.request} {trouble}.")

    def _layers(self) -> dict[int, Span]:
        """Every layer runs once, on its side, for its own time."""
        ran: dict[int, Span] = {}
        for resource, times in ((Resource.EDGE, self.instance.edge_ns), (Resource.CLOUD, self.instance.cloud_ns)):
            for span in self.spans[resource]:
                layer = span.work.item
                self._require(layer not in ran, f"runs layer {layer} twice")
                self._require((resource is Resource.EDGE) == (layer in self.cut), f"runs layer {layer} on a wrong side")
                self._require(
                    span.duration_ns == times[layer] + self._crossing(layer), f"gives layer {layer} a wrong time"
                )
                ran[layer] = span
        self._require(len(ran) == len(self.graph.layers), "does not run every layer")
        return ran

    def _crossing(self, layer: int) -> int:
        """What a layer takes longer to send what it makes, and to receive what no layer before it has received."""
        instance, more = self.instance, 0
        for tensor in self.graph.tensors_of[layer] if layer in self.cut else ():
            if not self.cut.issuperset(self.graph.tensors[tensor].consumers):
                more += instance.send_ns[tensor]
        for ref in dict.fromkeys(self.graph.layers[layer].inputs) if layer not in self.cut else ():
            readers = [i for i, other in enumerate(self.graph.layers) if ref in other.inputs and i not in self.cut]
            if self.graph.index[ref.layer] in self.cut and layer == readers[0]:
                more += instance.receive_ns[self.tensor_index[ref]]
        return more

    def _tensors(self, resource: Resource) -> dict[int, Span]:
        """Each tensor at most once over a link, for its own time."""
        instance = self.instance
        times = instance.uplink_ns if resource is Resource.UPLINK else instance.downlink_ns
        sent: dict[int, Span] = {}
        for span in self.spans[resource]:
            tensor = span.work.item
            self._require(tensor not in sent, f"sends tensor {tensor} twice over the {resource.value}")
            self._require(span.duration_ns == times[tensor], f"gives tensor {tensor} a wrong time")
            sent[tensor] = span
        return sent

    def _check_input(self, ran: dict[int, Span], sent: dict[int, Span], layer: int, ref: TensorRef) -> set[int]:
        """One input of one layer is there in time; the tensor that crossed for it, if any."""
        producer = self.graph.index[ref.layer]
        name = self.graph.layers[layer].name
        reads = f"'{ref.layer}' -> '{name}'"
        if (producer in self.cut) == (layer in self.cut):
            self._require(ran[layer].start_ns >= ran[producer].end_ns, f"breaks {reads}")
            return set()
        self._require(producer in self.cut, f"lets the cloud feed the edge: {reads}")
        tensor = self.tensor_index[ref]
        self._require(tensor in sent, f"never sends the tensor of {reads}")
        self._require(sent[tensor].start_ns >= ran[producer].end_ns, f"sends {reads} before it is made")
        arrival = sent[tensor].end_ns + self.instance.half_rtt_ns
        self._require(ran[layer].start_ns >= arrival, f"reads {reads} before it arrives")
        return {tensor}

    def _check_results(self, ran: dict[int, Span], back: dict[int, Span]) -> None:
        expected = set()
        ready = max(span.end_ns for span in self.spans[Resource.EDGE])
        for ref in self.graph.outputs:
            producer, tensor = self.graph.index[ref.layer], self.tensor_index[ref]
            if producer not in self.cut:
                expected.add(tensor)
                self._require(tensor in back, f"never returns output '{ref.layer}'")
                self._require(back[tensor].start_ns >= ran[producer].end_ns, f"returns '{ref.layer}' too early")
                ready = max(ready, back[tensor].end_ns + self.instance.half_rtt_ns)
        self._require(expected == set(back), "returns what is no output of the cloud")
        self._require(self.result_ns == ready, f"claims its result at {self.result_ns} ns, not at {ready} ns")

    def _check_stages(self) -> None:
        """Nothing of a stage starts before all earlier stages are over."""
        over = 0
        for resource in RESOURCES:
            spans = self.spans[resource]
            self._require(all(span.start_ns >= over for span in spans), f"starts its {resource.value} stage too early")
            lag = 0 if resource.computes else self.instance.half_rtt_ns
            over = max([over, *(span.end_ns + lag for span in spans)])


def _check_consecutive(plan: Plan, schedule: Schedule) -> None:
    over = 0
    for request in dict.fromkeys(work.request for work in plan.sequences[Resource.EDGE]):
        starts = [
            span.start_ns for resource in RESOURCES for span in schedule.spans[resource] if span.work.request == request
        ]
        if min(starts) < over:
            raise InvalidSchedule(f"Request {request} starts before the request before it is back.")
        over = schedule.result_ns[request]
