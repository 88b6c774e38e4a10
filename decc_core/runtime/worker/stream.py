"""One side of a stream: requests that take one of the cuts of a plan, each piece served as soon as it is its turn.

On every resource that is what became ready first. On the links a request goes by its ticket, which tells its cut, too:
its number times the number of cuts, plus the place of its cut.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import torch

from decc_core.errors import NotPossible, WireError, WorkerFailed
from decc_core.network.graph import TensorSpec
from decc_core.network.work import Resource, Work
from decc_core.plans.plan import Execution
from decc_core.plans.runs import Run
from decc_core.runtime.wire import messages as m
from decc_core.runtime.wire.assembly import Assembler, TensorChunk, TensorHead, chunks_of
from decc_core.runtime.wire.pacing import Pacer
from decc_core.runtime.wire.torch_tensors import Coded, decoded, encoded, to_bytes
from decc_core.runtime.worker.queues import CloudPiece, CloudView, ReadyQueue
from decc_core.runtime.worker.side import Side, unpaced, wait_until
from decc_core.runtime.worker.tensors import Ready
from decc_core.runtime.worker.ticking import EmulatedTicker, NativeTicker
from decc_core.streams.online import InFlight

MOST_SHOWN = 1_000
"""Requests whose work is told piece by piece."""
MOST_SAMPLES = 256
"""Different outputs that are told in full; where nothing goes wrong there is one for each input and cut at most."""


class Overloaded(WorkerFailed):
    """Requests come faster than they leave."""


@dataclass(eq=False)
class Flight:
    """A request on its way through one side: its tensors that are there, and how far it is.

    On the edge `made` counts the rows of its cut whose work there is done, and `sent` those that have left.
    """

    request: int
    place: int
    arrived_ns: int
    began_ns: int
    uses: Counter[int]
    missing: set[int]
    assembler: Assembler
    decision_ns: int = 0
    tensors: dict[int, Ready] = field(default_factory=dict)
    coded: dict[int, Coded] = field(default_factory=dict)
    """Encoded and not sent yet."""
    next_run: int = 0
    next_out: int = 0
    ready_ns: int = 0
    sent_out: int = 0
    made: int = 0
    sent: int = 0


class StreamSide(Side):
    """What both sides have in common; `plan` has a request for each place of the menu."""

    order: m.Stream

    def __post_init__(self) -> None:
        super().__post_init__()
        places = range(len(self.plan.cuts))
        self.runs_at = [[run for run in self.runs if run.request == place] for place in places]
        self.sends_at = [[key.item for key in self.outgoing if key.request == place] for place in places]
        comes = [{key.item for key in self.incoming if key.request == place} for place in places]
        graph = self.model.graph
        self.specs_at: list[dict[int, TensorSpec]] = [
            {tensor: graph.tensors[tensor].spec for tensor in tensors} for tensors in comes
        ]
        self.uses_at = [self._uses(place) for place in places]
        self.staged = self.plan.execution is not Execution.BRANCH_PIPELINED
        self.open: dict[int, Flight] = {}
        self.lock = threading.Lock()
        self.free_ns = 0
        self.computed_ns = self.sent_ns = 0
        self._size_at: dict[int, int] = {}
        self.work, self.leaving = ReadyQueue(self.tensors), ReadyQueue(self.tensors)

    def _uses(self, place: int) -> Counter[int]:
        """How often each tensor of a request is needed on this side."""
        own = self._own_inputs
        uses = Counter(tensor for run in self.runs_at[place] for tensor in run.reads if tensor not in own(run))
        uses.update(self.sends_at[place])
        if self.resource is Resource.EDGE:
            uses.update(self.model.graph.returned)
        return uses

    def _own_inputs(self, run: Run) -> set[int]:
        """Inputs of the network that a run reads where it gives them, too."""
        layers = self.model.graph.layers
        return {self.model.graph.tensors_of[layer][0] for layer in run.layers if layers[layer].is_input}

    def _flight(self, request: int, place: int, arrived_ns: int) -> Flight:
        ticket = request * len(self.plan.cuts) + place
        specs = {(ticket, tensor): spec for tensor, spec in self.specs_at[place].items()}
        assembler = Assembler(f"{self.receives.value} of a stream", specs, ticket + 1, self.coming_formats)
        returned = self.model.graph.returned if self.resource is Resource.EDGE else ()
        now = time.perf_counter_ns()
        return Flight(request, place, arrived_ns, now, Counter(self.uses_at[place]), set(returned), assembler)

    def take_stream(self, order: m.Stream) -> None:
        """What was not known before the run was warm."""
        first, last = order.window
        if last - first >= MOST_SHOWN:
            raise WireError(f"The work of more than {MOST_SHOWN} requests of a stream is not told piece by piece.")
        self.order = order

    def input_of(self, flight: Flight) -> int:
        """Which of the plan's inputs a request takes."""
        return flight.request % len(self.plan.cuts)

    def work_on(self, flight: Flight, run: Run, ready_ns: int) -> int:
        """Run some layers of a request; returns when that was done."""
        own, which = self._own_inputs(run), self.input_of(flight)
        coming = time.perf_counter_ns()
        free_ns = self._decode_for(flight, run, max(self.free_ns, ready_ns))
        arguments = [
            self.inputs[Work(which, tensor)] if tensor in own else flight.tensors[tensor].tensor for tensor in run.reads
        ]
        ticker: NativeTicker | EmulatedTicker = NativeTicker()
        if self.layers_ns is not None:
            ticker = EmulatedTicker(free_ns, self.emulated_ns(run, self.layers_ns))
        began = time.perf_counter_ns()
        outputs = self.programs[run.work](ticker, *arguments)
        del arguments
        self.free_ns = at_ns = self._encode_of(flight, run, outputs, ticker.end_ns())
        self.computed_ns += time.perf_counter_ns() - coming
        if self._is_shown(flight.request):
            self.note(replace(run, request=flight.request), began, ticker.stamps)
        for tensor, value in zip(run.gives, outputs, strict=True):
            self._keep(flight, tensor, value, at_ns)
        for tensor in run.reads:
            if tensor not in own:
                self._release(flight, tensor)
        return at_ns

    def _decode_for(self, flight: Flight, run: Run, free_ns: int) -> int:
        """Decode what a run is the first of its request to read; returns when that is over."""
        for tensor in run.reads:
            ready = flight.tensors.get(tensor)
            if ready is not None and isinstance(ready.value, Coded):
                began = time.perf_counter_ns()
                flight.tensors[tensor] = Ready(decoded(ready.value, self.formats[tensor]), ready.at_ns)
                free_ns = self._note_coding(Work(flight.request, tensor), began, free_ns)
        return free_ns

    def _encode_of(self, flight: Flight, run: Run, outputs: Sequence[torch.Tensor], free_ns: int) -> int:
        """Encode what a run of a request has made for the link; returns when that is over."""
        made = dict(zip(run.gives, outputs, strict=True))
        for tensor in () if self.beside else self._encoded(run):
            began = time.perf_counter_ns()
            flight.coded[tensor] = encoded(made[tensor], self.formats[tensor])
            free_ns = self._note_coding(Work(flight.request, tensor), began, free_ns)
        return free_ns

    def _tell_coding(self, key: Work, began: int, ended: int) -> None:
        if self._is_shown(key.request):
            super()._tell_coding(key, began, ended)

    def _is_shown(self, request: int) -> bool:
        first, last = self.order.window
        return first <= request <= last

    def _keep(self, flight: Flight, tensor: int, value: torch.Tensor, at_ns: int) -> None:
        if flight.uses[tensor] > 0:
            flight.tensors[tensor] = Ready(value, at_ns)
        if tensor in flight.missing:
            flight.missing.remove(tensor)
            if not flight.missing:
                self._completed(flight)

    def _completed(self, flight: Flight) -> None:
        """All outputs of a request are there."""

    def _release(self, flight: Flight, tensor: int) -> None:
        flight.uses[tensor] -= 1
        if flight.uses[tensor] <= 0:
            flight.tensors.pop(tensor, None)

    def let_leave(self, flight: Flight) -> None:
        """Queue what a request has to send, as far as it is there, in the sequence of its cut."""
        sends = self.sends_at[flight.place]
        while flight.next_out < len(sends) and sends[flight.next_out] in flight.tensors:
            if self.staged and flight.next_run < len(self.runs_at[flight.place]):
                return
            tensor = sends[flight.next_out]
            flight.ready_ns = max(flight.ready_ns, flight.tensors[tensor].at_ns)
            self.leaving.put(flight.ready_ns, (flight.request, flight.next_out), (flight, tensor))
            flight.next_out += 1

    def send(self) -> Iterator[TensorChunk]:
        """The chunks of all tensors that leave this side, each at its time."""
        rate = self.link.uplink if self.resource is Resource.EDGE else self.link.downlink
        pacer, shaped = Pacer(rate, self.link, self.zero_ns), self.link.shaped
        while (taken := self.leaving.take()) is not None:
            flight, tensor = taken.what
            key = Work(flight.request, tensor)
            ready = Ready(flight.tensors[tensor].value, taken.ready_ns)
            head, data, ready_ns = self._leaving_bytes(key, ready, flight.coded.pop(tensor, None))
            self._note_size(tensor, head.raw_bytes, len(data))
            free_ns = max(ready_ns, pacer.free_ns)
            start = max(time.perf_counter_ns(), free_ns if shaped else ready_ns)
            self._sends(flight, start)
            ticket = flight.request * len(self.plan.cuts) + flight.place
            for first, end, deadline_ns in pacer.plan(len(data), ready_ns) if shaped else unpaced(len(data), rate):
                wait_until(deadline_ns, self.tensors)
                due_ns = (pacer.due_ns if shaped else 0) if end == len(data) else None
                yield TensorChunk(ticket, tensor, first, bytes(data[first:end]), head if first == 0 else None, due_ns)
            through = max(time.perf_counter_ns(), pacer.free_ns if shaped else 0)
            # A link that is held to a rate is in use for as long as that takes, however late we wake.
            self.sent_ns += pacer.free_ns - free_ns if shaped else through - start
            if self._is_shown(flight.request):
                self.sent.append((flight.request, tensor, start, through))
            self._has_sent(flight, tensor, pacer.free_ns if shaped else through)

    def _note_size(self, tensor: int, raw_bytes: int, sent_bytes: int) -> None:
        """Bytes of a tensor are summed over the requests, in one row."""
        place = self._size_at.setdefault(tensor, len(self.sizes))
        if place == len(self.sizes):
            self.sizes.append((0, tensor, 0, 0))
        _, _, raw, sent = self.sizes[place]
        self.sizes[place] = (0, tensor, raw + raw_bytes, sent + sent_bytes)

    def _sends(self, flight: Flight, at_ns: int) -> None:
        """A request's tensor is on its way out since a time."""

    def _has_sent(self, flight: Flight, tensor: int, at_ns: int) -> None:
        self._release(flight, tensor)
        flight.sent_out += 1

    def receive(self, sender_ahead_ns: int, sender: str) -> Callable[[TensorChunk], None]:
        """What to do with each chunk that comes in, from a sender whose clock is so far ahead."""

        def add(chunk: TensorChunk) -> None:
            flight = self._flight_of(chunk, sender)
            complete = flight.assembler.add(chunk)
            if complete is None:
                return
            now = time.perf_counter_ns()
            assert chunk.due_ns is not None
            key, there_ns = Work(flight.request, chunk.tensor), max(now, chunk.due_ns - sender_ahead_ns)
            if self._is_shown(flight.request):
                self.arrived.append((*key, there_ns))
            self._came(flight, key.item, self.came_in(key, Coded(*complete), there_ns))

        return add

    def _flight_of(self, chunk: TensorChunk, sender: str) -> Flight:
        raise NotImplementedError

    def _came(self, flight: Flight, tensor: int, ready: Ready) -> None:
        raise NotImplementedError

    @property
    def busy_ns(self) -> tuple[int, int]:
        return self.computed_ns, self.sent_ns

    @property
    def lacks_results(self) -> bool:
        return bool(self.open)


class CloudStream(StreamSide):
    """The cloud's side: layers of any request as soon as what they read has arrived."""

    def _flight_of(self, chunk: TensorChunk, sender: str) -> Flight:
        flight = self.open.get(chunk.request)
        if flight is None:
            request, place = divmod(chunk.request, len(self.plan.cuts))
            if not 0 <= request < len(self.order.arrivals_ns):
                raise WireError(f"The {sender} sent a tensor of request {request}, which the stream does not have.")
            if len(self.open) >= self.order.most_open:
                raise WireError(f"The {sender} sent more than {self.order.most_open} requests that are not finished.")
            flight = self.open[chunk.request] = self._flight(request, place, time.perf_counter_ns())
        return flight

    def _came(self, flight: Flight, tensor: int, ready: Ready) -> None:
        flight.tensors[tensor] = ready
        runs, comes = self.runs_at[flight.place], self.specs_at[flight.place]
        flight.began_ns = max(flight.began_ns, ready.at_ns)
        # `next_run` counts the runs that are queued: each waits for its tensors, and for the runs before it.
        while flight.next_run < len(runs):
            run = runs[flight.next_run]
            if any(awaited in comes and awaited not in flight.tensors for awaited in run.reads):
                return
            self.work.put(flight.began_ns, (flight.request, flight.next_run), (flight, run))
            flight.next_run += 1

    def heard_all(self) -> None:
        self.work.close()

    def compute(self) -> None:
        """Run what becomes ready until the edge has hung up."""
        self.free_ns = self.zero_ns
        while (taken := self.work.take()) is not None:
            flight, run = taken.what
            self.work_on(flight, run, taken.ready_ns)
            flight.made += 1
            self._let_results_leave(flight)
            if flight.made == len(self.runs_at[flight.place]) and not self.sends_at[flight.place]:
                self._forget(flight)
        self.leaving.close()

    def _let_results_leave(self, flight: Flight) -> None:
        if not self.staged or flight.made == len(self.runs_at[flight.place]):
            self.let_leave(flight)

    def _has_sent(self, flight: Flight, tensor: int, at_ns: int) -> None:
        super()._has_sent(flight, tensor, at_ns)
        if flight.sent_out == len(self.sends_at[flight.place]) and flight.made == len(self.runs_at[flight.place]):
            self._forget(flight)

    def _forget(self, flight: Flight) -> None:
        self.open.pop(flight.request * len(self.plan.cuts) + flight.place, None)


class EdgeStream(StreamSide):
    """The edge's side: requests are dispatched when they arrive, and their results end here."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.results = ReadyQueue(self.tensors)
        self.rows: list[tuple[int, int, int, int, int, int]] = []
        """Of requests that are finished, for the controller, until it is told of them."""
        self.refused: list[int] = []
        """Requests that the edge had no memory for, until the controller is told of them."""
        self._samples: dict[tuple[int, int, bytes], int] = {}
        self._cloud = CloudView()
        self._working_since = self._sending_since = 0

    def take_stream(self, order: m.Stream) -> None:
        super().take_stream(order)
        self.online, self.jobs_at = order.policy.online(), order.policy.jobs_of
        if not all(map(self._fits, range(len(self.jobs_at)))):
            raise WireError("The stream's policy is for other cuts than its plan has.")

    def _fits(self, place: int) -> bool:
        """Whether a cut of the policy sends as many tensors as that of the plan, in rows before all others."""
        if place >= len(self.plan.cuts):
            return False
        sends, rows = self.sends_at[place], [job[1] >= 0 for job in self.jobs_at[place]]
        many = min(1, len(sends)) if self.staged else len(sends)
        return all(rows[:many]) and sum(rows) == many

    def _plan_ns(self, at_ns: int) -> int:
        """A time of this worker's clock in the plan's."""
        return max(0, round((at_ns - self.zero_ns) / self.order.dilation))

    def dispatch(self) -> None:
        """Issue every request at its scheduled time; `Overloaded` where too many are not finished by then."""
        for request, arrived_ns in enumerate(self.order.arrivals_ns):
            wait_until(self.zero_ns + round(arrived_ns * self.order.dilation), self.tensors)
            with self.lock:
                if len(self.open) >= self.order.most_open:
                    raise Overloaded(
                        f"{len(self.open)} requests were in the system when request {request} came, and no more are "
                        "allowed: they come faster than this policy can serve them. Choose a lower rate."
                    )
                began = time.perf_counter_ns()
                try:
                    place = self._decide(arrived_ns)
                except NotPossible:
                    self.refused.append(request)
                    self.results.put(began, (request, 0), None)
                    continue
                flight = self._flight(request, place, arrived_ns)
                flight.decision_ns = flight.began_ns - began
                self.open[request] = flight
            self._launch(flight)

    def _decide(self, arrived_ns: int) -> int:
        """The place of the cut that the next request takes; `NotPossible` where the edge has no memory for it."""
        now_ns = max(arrived_ns, self._plan_ns(time.perf_counter_ns()))
        computed, cloud_since = self._cloud.seen(now_ns)
        flights = [
            InFlight(f.request, 0, f.place, f.arrived_ns, f.made, f.sent, computed.get(f.request, 0), 0)
            for f in self.open.values()
        ]
        edge, uplink = (self._plan_ns(at) if at else now_ns for at in (self._working_since, self._sending_since))
        return int(self.online.decide(now_ns, flights, (edge, uplink, cloud_since, now_ns), 0))

    def _launch(self, flight: Flight) -> None:
        """Let a request begin: an input that is sent as it is does not wait for the edge to compute."""
        runs, jobs = self.runs_at[flight.place], self.jobs_at[flight.place]
        layers = self.model.graph.layers
        while flight.next_run < len(runs) and jobs[min(flight.made, len(jobs) - 1)][0] == 0:
            run = runs[flight.next_run]
            if not all(layers[layer].is_input for layer in run.layers):
                break
            flight.next_run += 1
            which = self.input_of(flight)
            values = [self.inputs[Work(which, tensor)] for tensor in run.gives]
            at_ns = self._encode_of(flight, run, values, flight.began_ns)
            for tensor, value in zip(run.gives, values, strict=True):
                self._keep(flight, tensor, value, at_ns)
            self._progress(flight)
        if flight.next_run < len(runs):
            self.work.put(flight.began_ns, (flight.request, 0), flight)

    def _progress(self, flight: Flight) -> None:
        """Send what is there, and note which rows of the cut are made."""
        self.let_leave(flight)
        over = flight.next_run == len(self.runs_at[flight.place])
        flight.made = len(self.jobs_at[flight.place]) if over else (0 if self.staged else flight.next_out)

    def compute(self) -> None:
        """Serve the requests in the order in which they came, until all have their results."""
        self.free_ns = self.zero_ns
        while (taken := self.work.take()) is not None:
            flight: Flight = taken.what
            runs = self.runs_at[flight.place]
            self._working_since = max(self.free_ns, taken.ready_ns)
            while flight.next_run < len(runs):
                run = runs[flight.next_run]
                flight.next_run += 1
                made, at_ns = flight.made, self.work_on(flight, run, taken.ready_ns)
                self._progress(flight)
                if flight.made != made:
                    self._working_since = at_ns
            self._working_since = 0

    def _sends(self, flight: Flight, at_ns: int) -> None:
        self._sending_since = self._sending_since if self.staged and self._sending_since else at_ns

    def _has_sent(self, flight: Flight, tensor: int, at_ns: int) -> None:
        super()._has_sent(flight, tensor, at_ns)
        sends, jobs = self.sends_at[flight.place], self.jobs_at[flight.place]
        if self.staged and flight.sent_out < len(sends):
            return
        row = 0 if self.staged else flight.sent_out - 1
        half_rtt = self.order.policy.half_rtt_ns
        _, _, work_ns, back_ns = jobs[row]
        with self.lock:
            self._sending_since = 0
            flight.sent += 1
            if flight.request in self.open:
                self._cloud.sent(
                    CloudPiece(
                        flight.request, self._plan_ns(at_ns) + half_rtt, max(0, work_ns), max(0, back_ns) + half_rtt
                    )
                )

    def _flight_of(self, chunk: TensorChunk, sender: str) -> Flight:
        request, place = divmod(chunk.request, len(self.plan.cuts))
        flight = self.open.get(request)
        if flight is None or flight.place != place:
            raise WireError(f"The {sender} sent a result of request {request}, which does not wait for one.")
        return flight

    def _came(self, flight: Flight, tensor: int, ready: Ready) -> None:
        self._keep(flight, tensor, ready.tensor, ready.at_ns)

    def _completed(self, flight: Flight) -> None:
        at_ns = max(flight.tensors[output].at_ns for output in self.model.graph.returned)
        self.results.put(at_ns, (flight.request, 0), flight)

    def collect(self, tell: Callable[[Any], None]) -> None:
        """Note every result when it is there, and tell of outputs that were not seen before, until all are."""
        for _ in range(len(self.order.arrivals_ns)):
            taken = self.results.take()
            assert taken is not None
            flight: Flight | None = taken.what
            if flight is None:
                continue
            at_ns = time.perf_counter_ns()
            sample = self._sample(flight, tell)
            with self.lock:
                del self.open[flight.request]
                self._cloud.finished(flight.request, self._plan_ns(at_ns))
            self.rows.append((flight.request, flight.place, flight.began_ns, at_ns, flight.decision_ns, sample))
        self.work.close()
        self.leaving.close()

    def _sample(self, flight: Flight, tell: Callable[[Any], None]) -> int:
        """The number of a request's outputs among all seen for its input and cut; new ones are told in full."""
        outputs = {tensor: to_bytes(flight.tensors[tensor].tensor) for tensor in self.model.graph.returned}
        which, many = self.input_of(flight), len(self.plan.cuts)
        key = (which, flight.place, _digest(outputs))
        if key not in self._samples:
            if len(self._samples) >= MOST_SAMPLES:
                raise WorkerFailed(
                    f"The outputs for equal inputs were {MOST_SAMPLES} different ones so far: they cannot be compared."
                )
            number = self._samples[key] = len(self._samples)
            ticket = (number * many + which) * many + flight.place
            for tensor, (head, data) in outputs.items():
                for chunk in chunks_of(ticket, tensor, head, data):
                    tell(chunk)
            tell(m.Done(ticket, time.perf_counter_ns()))
        return self._samples[key]


def _digest(outputs: Mapping[int, tuple[TensorHead, memoryview]]) -> bytes:
    found = hashlib.sha256()
    for tensor, (head, data) in outputs.items():
        found.update(msgspec.msgpack.encode((tensor, head)))
        found.update(data)
    return found.digest()
