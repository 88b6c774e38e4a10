"""One side of one run: its layers computed in the plan's sequence, its tensors sent at the link's pace."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate

import torch

from decc_core.models.model import Model
from decc_core.models.runtimes import runtime_of
from decc_core.network.work import Resource, Work
from decc_core.plans.plan import Execution, Plan
from decc_core.plans.runs import Run, check_names, runs_of
from decc_core.problem.instance import Cut, crossing_tensors
from decc_core.problem.link import NS_PER_S, WireDtype
from decc_core.runtime.wire.assembly import Assembler, TensorChunk, wire_spec
from decc_core.runtime.wire.pacing import UNSHAPED, LinkShape, Pacer, Rate, sleep_until
from decc_core.runtime.wire.torch_tensors import from_bytes, to_bytes
from decc_core.runtime.worker.tensors import TensorStore

MAX_CATCH_UP_NS = 500_000
"""Emulated work that ends late by less than this counts as on time: what follows keeps its absolute deadline."""
SPIN_NS = 60_000
"""How much too long a sleep may last; the end of an emulated run of layers is awaited without sleeping."""
NOT_WORTH_SLEEPING_NS = 150_000
COLD_RUNS, WARM_RUNS = 2, 5

Row = tuple[int, int, int, int]
"""Request, item, start and end in nanoseconds of this worker's clock."""


class NativeTicker:
    """Notes when each layer of a run is done."""

    def __init__(self) -> None:
        self.stamps: list[int] = []

    def tick(self, position: int) -> None:
        self.stamps.append(time.perf_counter_ns())

    def tick_all(self) -> None:
        self.stamps.append(time.perf_counter_ns())

    def end_ns(self) -> int:
        return self.stamps[-1]


class EmulatedTicker:
    """Holds each layer back until its emulated end, counted from the run's start: deadlines do not drift."""

    def __init__(self, base_ns: int, durations_ns: Sequence[int]) -> None:
        self.stamps: list[int] = []
        self.deadline_ns = base_ns
        self.durations_ns = durations_ns

    def tick(self, position: int) -> None:
        self.deadline_ns += self.durations_ns[position]
        last = position + 1 == len(self.durations_ns)
        now = time.perf_counter_ns()
        if last or self.deadline_ns - now > NOT_WORTH_SLEEPING_NS:
            while self.deadline_ns - now > SPIN_NS:
                sleep_until(self.deadline_ns - SPIN_NS)
                now = time.perf_counter_ns()
            while now < self.deadline_ns:
                now = time.perf_counter_ns()
        self.stamps.append(now)

    def tick_all(self) -> None:
        """Hold the whole run back until its last layer's end."""
        self.deadline_ns += sum(self.durations_ns[:-1])
        self.tick(len(self.durations_ns) - 1)

    def end_ns(self) -> int:
        return max(self.deadline_ns, self.stamps[-1] - MAX_CATCH_UP_NS)


@dataclass
class Side:
    """What one worker does in one run. `layers_ns` of None means native speed, else it has a time for every layer.

    `crossing_ns` has what it then takes to send or receive each tensor that crosses, or is empty where that is nothing.
    `inputs` (edge only) has one tensor for each input layer of each request.
    """

    resource: Resource
    model: Model
    plan: Plan
    wire: WireDtype
    link: LinkShape = UNSHAPED
    layers_ns: Sequence[int] | None = None
    crossing_ns: Sequence[int] = ()
    inputs: dict[Work, torch.Tensor] = field(default_factory=dict)
    zero_ns: int = 0
    runs_done: int = 0
    spans: list[Row] = field(default_factory=list)
    sent: list[Row] = field(default_factory=list)
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
        return tuple(times[run.work] for run in self.runs)

    def compute(self) -> None:
        """Run all runs in sequence; returns when the last is done, raises what the run failed with."""
        free_ns, busy_until = self.zero_ns, 0
        seen: set[int] = set()
        for run in self.runs:
            ready_ns, arguments = self._gather(run, first=run.request not in seen)
            seen.add(run.request)
            wait_until(ready_ns, self.tensors)
            ticker: NativeTicker | EmulatedTicker = NativeTicker()
            if self.layers_ns is not None:
                ticker = EmulatedTicker(max(free_ns, ready_ns), self.emulated_ns(run, self.layers_ns))
            began = time.perf_counter_ns()
            if busy_until and ready_ns <= busy_until:
                self.idle_gaps_ns.append(began - busy_until)
            outputs = self.programs[run.work](ticker, *arguments)
            del arguments
            free_ns = ticker.end_ns()
            self._hand_over(run, outputs, free_ns)
            del outputs
            busy_until = ticker.stamps[-1]
            self.note(run, began, ticker.stamps)

    def emulated_ns(self, run: Run, layers_ns: Sequence[int]) -> list[int]:
        """The times of a run's layers, with what those send or receive that do so for this cut."""
        if not self.crossing_ns:
            return [layers_ns[layer] for layer in run.layers]
        cut = self.plan.cuts[run.request]
        if cut not in self._crossing_work:
            self._crossing_work[cut] = work = dict[int, int]()
            for tensor in crossing_tensors(self.model.graph, cut):
                crossing = self.model.graph.tensors[tensor]
                first = min(reader for reader in crossing.consumers if reader not in cut)
                layer = crossing.producer if self.resource is Resource.EDGE else first
                work[layer] = work.get(layer, 0) + self.crossing_ns[tensor]
        return [layers_ns[layer] + self._crossing_work[cut].get(layer, 0) for layer in run.layers]

    def _gather(self, run: Run, first: bool) -> tuple[int, list[torch.Tensor]]:
        """The run's tensors, and when the last of them is ready."""
        ready_ns, arguments = self.zero_ns, []
        if first and run.request in self.previous:
            ready_ns = self.tensors.result_ns(self.previous[run.request])
        for tensor in run.reads:
            key = Work(run.request, tensor)
            if key in self.inputs and self.model.graph.tensors[tensor].producer in run.layers:
                arguments.append(self.inputs[key])
            else:
                ready = self.tensors.get(key)
                arguments.append(ready.tensor)
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
            head, data = to_bytes(ready.tensor, self.wire)
            free_ns = pacer.free_ns
            start = max(time.perf_counter_ns(), ready.at_ns, free_ns if self.link.shaped else 0)
            stretches = pacer.plan(len(data), ready.at_ns) if self.link.shaped else unpaced(len(data), rate)
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

    def _sent_ns(self, pacer: Pacer) -> int:
        """When a tensor whose last chunk leaves now is through."""
        return max(time.perf_counter_ns(), pacer.free_ns if self.link.shaped else 0)

    def receive(self, sender_ahead_ns: int, sender: str) -> Callable[[TensorChunk], None]:
        """What to do with each chunk that comes in, from a sender whose clock is so far ahead."""
        graph = self.model.graph
        specs = [wire_spec(tensor.spec, self.wire) for tensor in graph.tensors]
        expected = {(key.request, key.item): specs[key.item] for key in self.incoming}
        assembler = Assembler(f"{self.receives.value} from the {sender}", expected, len(self.plan.cuts))

        def add(chunk: TensorChunk) -> None:
            complete = assembler.add(chunk)
            if complete is None:
                return
            now = time.perf_counter_ns()
            assert chunk.due_ns is not None
            at_ns = max(now, chunk.due_ns - sender_ahead_ns)
            key = Work(chunk.request, chunk.tensor)
            self.arrived.append((*key, now))
            tensor = from_bytes(*complete, graph.tensors[key.item].spec.dtype)
            self.tensors.put(key, tensor, at_ns)
            if self.resource is Resource.EDGE:
                self._note_output(key.request, key.item, at_ns)

        return add

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


def pin(cores: Sequence[int]) -> None:
    """Keep the calling thread on some cores, where the system can."""
    if cores and hasattr(os, "sched_setaffinity"):
        with suppress(OSError):
            os.sched_setaffinity(0, cores)
