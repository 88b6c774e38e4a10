"""One side of one run: its layers computed in the plan's sequence, its tensors sent at the link's pace."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Any

import torch

from decc_core.formats import Format
from decc_core.formats.format import Buffer
from decc_core.models.model import Model
from decc_core.models.runtimes import runtime_of
from decc_core.network.work import Resource, Work
from decc_core.plans.pieces import SIDES
from decc_core.plans.plan import Execution, Plan
from decc_core.plans.runs import Run, check_names, runs_of
from decc_core.problem.instance import Cut, crossing_tensors
from decc_core.problem.link import NS_PER_S
from decc_core.runtime.wire.assembly import Assembler, TensorChunk, TensorHead
from decc_core.runtime.wire.pacing import UNSHAPED, LinkShape, Pacer, Rate, sleep_until
from decc_core.runtime.wire.torch_tensors import (
    Coded,
    decoded,
    encoded,
    from_bytes,
    there_and_back,
    to_bytes,
)
from decc_core.runtime.worker.tensors import Ready, TensorStore
from decc_core.runtime.worker.ticking import MAX_CATCH_UP_NS, EmulatedTicker, NativeTicker, hold_until

COLD_RUNS, WARM_RUNS = 2, 5

Row = tuple[int, int, int, int]
"""Request, item, start and end in nanoseconds of this worker's clock."""


@dataclass
class Side:
    """What one worker does in one run. `layers_ns` of None means native speed, else it has a time for every layer.

    `crossing_ns` has what it then takes to send or receive each tensor that crosses, or is empty where that is nothing.
    `inputs` (edge only) has one tensor for each input layer of each request.
    """

    resource: Resource
    model: Model
    plan: Plan
    formats: Mapping[int, Format] = field(default_factory=dict)
    """Of the tensors that are coded where they cross; the others travel as they are."""
    result_formats: Mapping[int, Format] = field(default_factory=dict)
    """The same of those that come back; whoever sends and receives codes them."""
    beside: bool = False
    """Whether whoever sends and receives codes, on another core, and not the thread that computes."""
    link: LinkShape = UNSHAPED
    layers_ns: Sequence[int] | None = None
    crossing_ns: Sequence[int] = ()
    inputs: dict[Work, torch.Tensor] = field(default_factory=dict)
    zero_ns: int = 0
    runs_done: int = 0
    spans: list[Row] = field(default_factory=list)
    coding: list[Row] = field(default_factory=list)
    """Tensors that were encoded (edge) or decoded (cloud), and when."""
    sent: list[Row] = field(default_factory=list)
    sizes: list[tuple[int, int, int, int]] = field(default_factory=list)
    """Request, tensor, bytes as it is and bytes that travelled, of each tensor sent."""
    arrived: list[tuple[int, int, int]] = field(default_factory=list)
    idle_gaps_ns: list[int] = field(default_factory=list)
    shares: Mapping[int, float] = field(default_factory=dict)
    """Where only whole runs of layers are timed, native times by which the layers share those."""

    def __post_init__(self) -> None:
        graph = self.model.graph
        check_names(graph, self.plan)
        self.runs = runs_of(graph, self.plan, self.resource)
        runtime, distinct = runtime_of(self.model), {run.work: run for run in self.runs}
        self.programs = {work: runtime.program(self.model, run) for work, run in distinct.items()}
        sends = Resource.UPLINK if self.resource is Resource.EDGE else Resource.DOWNLINK
        self.outgoing = self.plan.sequences[sends]
        receives = Resource.DOWNLINK if self.resource is Resource.EDGE else Resource.UPLINK
        self.incoming = self.plan.sequences[receives]
        self.receives = receives
        self._crossing_work: dict[Cut, dict[int, int]] = {}
        self._leaving = frozenset(self.outgoing)
        self._coded: dict[Work, Coded] = {}
        """Encoded and not sent yet."""
        self.tensors = TensorStore(self._users())
        returned = graph.returned if self.resource is Resource.EDGE else ()
        self.missing = {request: set(returned) for request in range(len(self.plan.cuts))}
        self.previous: dict[int, int] = {}
        """Under consecutive execution, the request whose result each request waits for, on the edge."""
        if self.resource is Resource.EDGE and self.plan.execution is Execution.CONSECUTIVE:
            order = self.plan.request_order()
            self.previous = dict(zip(order[1:], order[:-1], strict=True))

    def _users(self) -> Iterator[Work]:
        """Everybody who needs a tensor on this side, once for each use."""
        inputs = {self.model.graph.tensors_of[layer][0] for layer in self.model.graph.inputs}
        for run in self.runs:
            own = {t for layer in run.layers for t in self.model.graph.tensors_of[layer]} & inputs
            yield from (Work(run.request, tensor) for tensor in run.reads if tensor not in own)
        yield from self.outgoing
        if self.resource is Resource.EDGE:
            for request in range(len(self.plan.cuts)):
                yield from (Work(request, tensor) for tensor in self.model.graph.returned)

    def warm_up(self, inputs: Sequence[torch.Tensor]) -> tuple[float, ...]:
        """Run every program on real tensors until it is warm; native seconds of each run, in order of work."""
        needed = {run.work: run for run in self.runs}
        tensors = self.model.tensors(inputs, {tensor for run in needed.values() for tensor in run.reads})
        self.shares = runtime_of(self.model).shares(self.model, inputs)
        times = {}
        for key, run in needed.items():
            program, arguments = self.programs[key], [tensors[tensor] for tensor in run.reads]
            laps = []
            for _ in range(COLD_RUNS + WARM_RUNS):
                self.tensors.check()
                began = time.perf_counter_ns()
                program(NativeTicker(), *arguments)
                laps.append(time.perf_counter_ns() - began)
            times[key] = statistics.median(laps[COLD_RUNS:]) / NS_PER_S
        coding = {} if self.beside else self._warm_up_formats(inputs)
        waiting = set(self.incoming)
        native = []
        for run in self.runs:
            moved = set(self._encoded(run)) if self.resource is Resource.EDGE else set(run.reads)
            fresh = {Work(run.request, tensor) for tensor in moved & coding.keys()}
            fresh = fresh if self.resource is Resource.EDGE else fresh & waiting
            waiting -= fresh
            native.append(times[run.work] + sum(coding[key.item] for key in fresh))
        return tuple(native)

    def _warm_up_formats(self, inputs: Sequence[torch.Tensor]) -> dict[int, float]:
        """Native seconds in which this side encodes, or decodes, each tensor that is coded."""
        moved = {key.item for key in (self.outgoing if self.resource is Resource.EDGE else self.incoming)}
        tensors = self.model.tensors(inputs, moved & self.formats.keys()) if moved & self.formats.keys() else {}
        times = {}
        for item, tensor in tensors.items():
            form, laps = self.formats[item], []
            for _ in range(COLD_RUNS + WARM_RUNS):
                self.tensors.check()
                began = time.perf_counter_ns()
                coded = encoded(tensor, form)
                if self.resource is Resource.CLOUD:
                    began = time.perf_counter_ns()
                    decoded(coded, form)
                laps.append(time.perf_counter_ns() - began)
            times[item] = statistics.median(laps[COLD_RUNS:]) / NS_PER_S
        return times

    def compute(self) -> None:
        """Run all runs in sequence; returns when the last is done, raises what the run failed with."""
        free_ns, busy_until = self.zero_ns, 0
        seen: set[int] = set()
        for run in self.runs:
            ready_ns, arguments = self._gather(run, first=run.request not in seen)
            seen.add(run.request)
            wait_until(ready_ns, self.tensors)
            if busy_until and ready_ns <= busy_until:
                self.idle_gaps_ns.append(time.perf_counter_ns() - busy_until)
            free_ns = self._decode(run, arguments, max(free_ns, ready_ns))
            ticker: NativeTicker | EmulatedTicker = NativeTicker()
            if self.layers_ns is not None:
                ticker = EmulatedTicker(free_ns, self.emulated_ns(run, self.layers_ns))
            began = time.perf_counter_ns()
            outputs = self.programs[run.work](ticker, *arguments)
            del arguments
            free_ns = self._encode(run, outputs, ticker.end_ns())
            self._hand_over(run, outputs, free_ns)
            del outputs
            self.note(run, began, ticker.stamps)
            busy_until = max(ticker.stamps[-1], self.coding[-1][-1] if self.coding and not self.beside else 0)

    def _decode(self, run: Run, arguments: list[Any], free_ns: int) -> int:
        """Decode what the run is the first to read, for itself and for later ones; returns when that is over."""
        for place, tensor in enumerate(run.reads):
            coded = arguments[place]
            if isinstance(coded, Coded):
                key, began = Work(run.request, tensor), time.perf_counter_ns()
                arguments[place] = decoded(coded, self.formats[tensor])
                self.tensors.put(key, arguments[place], free_ns)
                free_ns = self._note_coding(key, began, free_ns)
        return free_ns

    def _encode(self, run: Run, outputs: Sequence[torch.Tensor], free_ns: int) -> int:
        """Encode what the run has made for the link; returns when that is over."""
        made = dict(zip(run.gives, outputs, strict=True))
        for tensor in () if self.beside else self._encoded(run):
            key, began = Work(run.request, tensor), time.perf_counter_ns()
            self._coded[key] = encoded(made[tensor], self.formats[tensor])
            free_ns = self._note_coding(key, began, free_ns)
        return free_ns

    def _encoded(self, run: Run) -> list[int]:
        """The tensors of a run that leave this side coded."""
        return [tensor for tensor in run.gives if tensor in self.formats and Work(run.request, tensor) in self._leaving]

    def _note_coding(self, key: Work, began: int, free_ns: int) -> int:
        """Note how long a tensor was encoded or decoded, in an emulated run held back until its planned end."""
        ended = time.perf_counter_ns()
        if self.layers_ns is None:
            free_ns = ended
        else:
            free_ns += self.crossing_ns[key.item] if self.crossing_ns else 0
            ended = hold_until(free_ns)
            free_ns = max(free_ns, ended - MAX_CATCH_UP_NS)
        self._tell_coding(key, began, ended)
        return free_ns

    def _tell_coding(self, key: Work, began: int, ended: int) -> None:
        self.coding.append((*key, began, ended))

    def emulated_ns(self, run: Run, layers_ns: Sequence[int]) -> list[int]:
        """The times of a run's layers, with what those send or receive that do so for this cut."""
        if not self.crossing_ns:
            return [layers_ns[layer] for layer in run.layers]
        cut = self.plan.cuts[run.request]
        if cut not in self._crossing_work:
            self._crossing_work[cut] = work = dict[int, int]()
            for tensor in crossing_tensors(self.model.graph, cut):
                if tensor in self.formats and not self.beside:
                    # Waited for when it is encoded or decoded, apart from layers.
                    continue
                crossing = self.model.graph.tensors[tensor]
                first = min(reader for reader in crossing.consumers if reader not in cut)
                layer = crossing.producer if self.resource is Resource.EDGE else first
                work[layer] = work.get(layer, 0) + self.crossing_ns[tensor]
        return [layers_ns[layer] + self._crossing_work[cut].get(layer, 0) for layer in run.layers]

    def _gather(self, run: Run, first: bool) -> tuple[int, list[Any]]:
        """The run's tensors, some of them still coded, and when the last of them is ready."""
        ready_ns, arguments = self.zero_ns, list[Any]()
        if first and run.request in self.previous:
            ready_ns = self.tensors.result_ns(self.previous[run.request])
        for tensor in run.reads:
            key = Work(run.request, tensor)
            if key in self.inputs and self.model.graph.tensors[tensor].producer in run.layers:
                arguments.append(self.inputs[key])
            else:
                ready = self.tensors.get(key)
                arguments.append(ready.value)
                ready_ns = max(ready_ns, ready.at_ns)
        return ready_ns, arguments

    def _hand_over(self, run: Run, outputs: Sequence[torch.Tensor], at_ns: int) -> None:
        for tensor, value in zip(run.gives, outputs, strict=True):
            self.tensors.put(Work(run.request, tensor), value, at_ns)
            self._note_output(run.request, tensor, at_ns)
        for tensor in run.reads:
            key = Work(run.request, tensor)
            if not (key in self.inputs and self.model.graph.tensors[tensor].producer in run.layers):
                self.tensors.release(key)

    def _note_output(self, request: int, tensor: int, at_ns: int) -> None:
        """On the edge: one output is there; with the last one the request has its result."""
        missing = self.missing[request]
        if tensor in missing:
            missing.remove(tensor)
            if not missing:
                at = [self.tensors.get(Work(request, output)).at_ns for output in self.model.graph.returned]
                self.tensors.put_result(request, max(at))

    def _share(self, layer: int) -> float:
        return self.layers_ns[layer] if self.layers_ns is not None else self.shares.get(layer, 0.0)

    def note(self, run: Run, began: int, stamps: Sequence[int]) -> None:
        """Note a span for each layer; where only the run's end is known, they share its time.

        They do so in proportion to the emulated times, or to the native ones that warming up found: the sum and both
        ends are measured, what lies between is not.
        """
        if len(stamps) < len(run.layers):
            stamps = _shared_out(began, stamps[-1], [self._share(layer) for layer in run.layers])
        starts = [began, *stamps[:-1]]
        for layer, start, end in zip(run.layers, starts, stamps, strict=True):
            self.spans.append((run.request, layer, start, end))
        self.runs_done += 1

    def send(self) -> Iterator[TensorChunk]:
        """The chunks of all tensors that leave this side, each at its time."""
        rate = self.link.uplink if self.resource is Resource.EDGE else self.link.downlink
        pacer = Pacer(rate, self.link, self.zero_ns)
        for key in self.outgoing:
            ready = self.tensors.get(key)
            head, data, at_ns = self._leaving_bytes(key, ready, self._coded.pop(key, None))
            self.sizes.append((*key, head.raw_bytes, len(data)))
            free_ns = pacer.free_ns
            start = max(time.perf_counter_ns(), at_ns, free_ns if self.link.shaped else 0)
            stretches = pacer.plan(len(data), at_ns) if self.link.shaped else unpaced(len(data), rate)
            for first, end, deadline_ns in stretches:
                wait_until(deadline_ns, self.tensors)
                last = end == len(data)
                due_ns = (pacer.due_ns if self.link.shaped else 0) if last else None
                if last:
                    # Noted before it leaves: gRPC asks for no more once the other side has answered and hung up.
                    self.sent.append((*key, start, self._sent_ns(pacer)))
                yield TensorChunk(*key, first, bytes(data[first:end]), head if first == 0 else None, due_ns)
            self.tensors.release(key)
            self.sent[-1] = (*key, start, self._sent_ns(pacer))

    def _leaving_bytes(self, key: Work, ready: Ready, coded: Coded | None) -> tuple[TensorHead, Buffer, int]:
        """What travels of a tensor, and from when on; it may have been coded by who computed it."""
        if coded is not None:
            return *coded, ready.at_ns
        formats = self.formats if self.resource is Resource.EDGE else self.result_formats
        if key.item not in formats:
            return *to_bytes(ready.tensor), ready.at_ns
        if self.resource is Resource.CLOUD:
            return *encoded(ready.tensor, formats[key.item]), ready.at_ns
        wait_until(ready.at_ns, self.tensors)
        began = time.perf_counter_ns()
        coded = encoded(ready.tensor, formats[key.item])
        ended = time.perf_counter_ns()
        self._tell_coding(key, began, ended)
        return *coded, ended

    def _sent_ns(self, pacer: Pacer) -> int:
        """When a tensor whose last chunk leaves now is through."""
        return max(time.perf_counter_ns(), pacer.free_ns if self.link.shaped else 0)

    def receive(self, sender_ahead_ns: int, sender: str) -> Callable[[TensorChunk], None]:
        """What to do with each chunk that comes in, from a sender whose clock is so far ahead."""
        graph = self.model.graph
        expected = {(key.request, key.item): graph.tensors[key.item].spec for key in self.incoming}
        link = f"{self.receives.value} from the {sender}"
        assembler = Assembler(link, expected, len(self.plan.cuts), self.coming_formats)

        def add(chunk: TensorChunk) -> None:
            complete = assembler.add(chunk)
            if complete is None:
                return
            now = time.perf_counter_ns()
            assert chunk.due_ns is not None
            key, there_ns = Work(chunk.request, chunk.tensor), max(now, chunk.due_ns - sender_ahead_ns)
            self.arrived.append((*key, there_ns))
            value, at_ns = self.came_in(key, Coded(*complete), there_ns)
            self.tensors.put(key, value, at_ns)
            if self.resource is Resource.EDGE:
                self._note_output(key.request, key.item, at_ns)

        return add

    @property
    def coming_formats(self) -> Mapping[int, Format]:
        """Of the tensors that come in coded."""
        return self.formats if self.resource is Resource.CLOUD else self.result_formats

    def came_in(self, key: Work, message: Coded, at_ns: int) -> Ready:
        """What came in, decoded unless that is for the thread that computes, and from when on it is there."""
        form = self.coming_formats.get(key.item)
        if form is None:
            return Ready(from_bytes(*message), at_ns)
        if self.resource is Resource.EDGE:
            return Ready(decoded(message, form), at_ns)
        if not self.beside:
            return Ready(message, at_ns)
        began = time.perf_counter_ns()
        tensor = decoded(message, form)
        ended = time.perf_counter_ns()
        self._tell_coding(key, began, ended)
        return Ready(tensor, max(at_ns, ended))

    def through_formats(self, request: int, inputs: Sequence[torch.Tensor]) -> dict[int, torch.Tensor]:
        """A request's outputs when its crossing tensors are coded and decoded here, both sides' layers run here, too.

        What really travels must give the same, but for the kernels of another device.
        """
        graph = self.model.graph
        tensors = {graph.tensors_of[graph.index[n]][0]: x for n, x in self.model.named_inputs(inputs).items()}
        returned: dict[int, torch.Tensor] = {}
        runtime = runtime_of(self.model)
        crossing = crossing_tensors(graph, self.plan.cuts[request])
        for side in SIDES:
            for run in self._runs_by_request[side].get(request, ()):
                self.tensors.check()
                if run.work not in self.programs:
                    self.programs[run.work] = runtime.program(self.model, run)
                made = self.programs[run.work](NativeTicker(), *(tensors[tensor] for tensor in run.reads))
                tensors |= zip(run.gives, made, strict=True)
            if side is Resource.EDGE:
                # The edge's own results are not those that the cloud gets.
                returned = {tensor: tensors[tensor] for tensor in graph.returned if tensor in tensors}
                for tensor in self.formats.keys() & crossing:
                    tensors[tensor] = there_and_back(tensors[tensor], self.formats[tensor])
        for tensor in graph.returned:
            if tensor not in returned:
                form = self.result_formats.get(tensor)
                returned[tensor] = there_and_back(tensors[tensor], form) if form else tensors[tensor]
        return returned

    @cached_property
    def _runs_by_request(self) -> dict[Resource, dict[int, list[Run]]]:
        found: dict[Resource, dict[int, list[Run]]] = {side: {} for side in SIDES}
        for side, runs in found.items():
            for run in runs_of(self.model.graph, self.plan, side):
                runs.setdefault(run.request, []).append(run)
        return found

    @property
    def lacks_results(self) -> bool:
        """Whether tensors have still to come in."""
        return len(self.arrived) < len(self.incoming)

    def heard_all(self) -> None:
        """Nothing comes in any more."""

    @property
    def busy_ns(self) -> tuple[int, int]:
        """How long this side computed and sent; a plan's run tells every span instead."""
        return 0, 0

    @property
    def dispatch_s(self) -> float:
        """Mean time from the end of a run of layers to the start of the next, where that waited for nothing."""
        return sum(self.idle_gaps_ns) / len(self.idle_gaps_ns) / NS_PER_S if self.idle_gaps_ns else 0.0


def unpaced(size_bytes: int, rate: Rate) -> Iterator[tuple[int, int, int]]:
    """Chunks without deadlines, for a link that is not shaped."""
    length = 1 << 18
    for first in range(0, max(size_bytes, 1), length):
        yield first, min(first + length, size_bytes), 0


def wait_until(deadline_ns: int, tensors: TensorStore) -> None:
    """Sleep to a deadline, but not beyond the end of the run."""
    while time.perf_counter_ns() < deadline_ns:
        tensors.check()
        sleep_until(deadline_ns)


def _shared_out(began: int, ended: int, shares: Sequence[float]) -> list[int]:
    """The ends of layers that fill a stretch of time in proportion to their shares; equal ones where all are 0."""
    sums = list(accumulate(shares)) if sum(shares) > 0 else list(range(1, len(shares) + 1))
    return [began + round((ended - began) * (so_far / sums[-1])) for so_far in sums]
