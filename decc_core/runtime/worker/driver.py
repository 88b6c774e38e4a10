"""Drives one side through one run, from its preparation to its last event: inputs, threads, deadlines, the link."""

from __future__ import annotations

import gc
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import torch

from decc_core import store
from decc_core.errors import DeccError, WireError, WorkerFailed
from decc_core.formats import Format, find
from decc_core.models.model import Model
from decc_core.models.runtimes import runtime_of
from decc_core.models.tensors import dtype_name
from decc_core.network.graph import TensorSpec
from decc_core.network.work import Resource, Work
from decc_core.problem.link import NS_PER_S
from decc_core.profiling.machine import torch_settings
from decc_core.runtime.wire import messages as m
from decc_core.runtime.wire.assembly import Assembler, TensorChunk, chunks_of
from decc_core.runtime.wire.handshake import as_failure, why_unreachable
from decc_core.runtime.wire.methods import LINK, SHORT_S
from decc_core.runtime.wire.torch_tensors import from_bytes, to_bytes
from decc_core.runtime.wire.transport import Address, Security, open_channel, start_call
from decc_core.runtime.worker.side import Side, wait_until
from decc_core.runtime.worker.ticking import pin
from decc_core.text import first_line

HEAD_START_NS = 30_000_000
"""The clock starts a little after everybody is ready, so that nobody is late for the first piece of work."""
BEAT_S = 0.5
MAX_INPUT_BYTES = 4 << 30


class Driver:
    """One prepared run; `events` drives it on the edge, `serve_link` in the cloud."""

    def __init__(self, role: Resource, order: m.PrepareRun, model: Model) -> None:
        self.name, self.role, self.order = order.run, role, order
        self.settings = order.device
        self.settings.require_device()
        self.model = runtime_of(model).place(model, self.settings)
        saved = store.from_json(order.plan, store.SavedPlan, "the plan")
        if saved.graph_fingerprint != model.graph.fingerprint:
            raise WireError(f"The plan is for another graph than '{model.graph.name}'.")
        self.plan = saved.plan
        self._require_room()
        self.inputs: dict[int, tuple[torch.Tensor, ...]] = {}
        if order.seed is not None:
            for request in range(len(self.plan.cuts)):
                self.inputs[request] = self.model.random_inputs(order.seed + request)
        self.side = self._made_side()
        self.deadline_s = 0.0
        self.queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.touched = time.monotonic()
        self.running = False
        self.over = False
        self.linked = False
        """Whether the other worker has answered over the link of this run."""
        self.left = threading.Event()
        self.lock = threading.Lock()
        self.computer = ThreadPoolExecutor(1, thread_name_prefix="compute")

    def _made_side(self) -> Side:
        return Side(self.role, self.model, self.plan, *self._formats(), self.order.beside)

    def _require_room(self) -> None:
        """Refuse a plan for more requests than a worker holds at once."""
        requests, example = len(self.plan.cuts), self.model.example_inputs
        size_bytes = requests * sum(tensor.numel() * tensor.element_size() for tensor in example)
        if requests > m.MAX_REQUESTS or size_bytes > MAX_INPUT_BYTES:
            raise WireError(
                f"{requests} requests with {size_bytes} bytes of inputs are more than a worker takes at once; the "
                f"limits are {m.MAX_REQUESTS} and {MAX_INPUT_BYTES} bytes."
            )

    def _formats(self) -> tuple[dict[int, Format], dict[int, Format]]:
        """How tensors are coded on the way up and down, of those that their format takes; the others travel raw."""
        graph = self.model.graph
        unknown = next((tensor for tensor in self.order.formats if tensor >= len(graph.tensors)), None)
        if unknown is not None:
            raise WireError(f"A format came for tensor {unknown}; '{graph.name}' has {len(graph.tensors)}.")
        down = dict.fromkeys(graph.returned, self.order.result_format)
        up, results = (
            {tensor: find(name) for tensor, name in names.items() if find(name).takes(graph.tensors[tensor].spec)}
            for names in (self.order.formats, down)
        )
        return up, results

    def is_over(self, unused_s: float) -> bool:
        """Whether another run may take the worker."""
        return self.over or (not self.running and time.monotonic() - self.touched > unused_s)

    def give_up(self, reason: str, lost_link: bool = False) -> None:
        """End this run, wherever it is; a run that is over stays as it is."""
        self.computer.shutdown(wait=False)
        if not self.over:
            self.side.tensors.fail(WorkerFailed(reason))
            self.queue.put(m.Failed(reason, lost_link))

    def leave(self, reason: str) -> None:
        """End this run, and what was prepared for it: nobody holds on to it any more."""
        self.give_up(reason)
        with self.lock:
            self.over = self.over or not self.running
        self.left.set()

    def take_inputs(self, chunks: Iterable[TensorChunk]) -> None:
        """The inputs of all requests, where they are not random; the item of a chunk is the input's position."""
        names = self.model.input_names
        specs = {
            (request, i): _spec(self.model, name, example)
            for request in range(len(self.plan.cuts))
            for i, (name, example) in enumerate(zip(names, self.model.example_inputs, strict=True))
        }
        assembler = Assembler("inputs", specs, len(self.plan.cuts))
        inputs: dict[tuple[int, int], torch.Tensor] = {}
        for chunk in chunks:
            complete = assembler.add(chunk)
            if complete is not None:
                inputs[chunk.request, chunk.tensor] = from_bytes(*complete)
        missing = specs.keys() - inputs.keys()
        if missing:
            request, position = min(missing)
            raise WireError(f"Input {position} of request {request} did not come.")
        for request in range(len(self.plan.cuts)):
            self.inputs[request] = tuple(inputs[request, i] for i in range(len(names)))

    def warm_up(self) -> tuple[float, ...]:
        """Warm all runs of layers; native seconds of each, in order of work."""
        self.touched = time.monotonic()
        inputs = self.inputs.get(0) or self.model.random_inputs(0)
        runs_s: tuple[float, ...] = self.computer.submit(self._computing, self.side.warm_up, inputs).result()
        self.touched = time.monotonic()
        return runs_s

    def _computing(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Do some work on the thread that computes.

        One thread warms up and runs: kernels and memory are kept for each thread. PyTorch's settings are the process's,
        so that only this thread touches them while a run goes on.
        """
        pin(self.order.cores)
        with torch_settings(self.settings):
            return work(*arguments)

    def set_pace(self, pace: m.Pace) -> None:
        """Link, speed and deadline; must come before the run starts."""
        if pace.layers_ns is not None and len(pace.layers_ns) != len(self.model.graph.layers):
            raise WireError(f"{len(pace.layers_ns)} layer times came for {len(self.model.graph.layers)} layers.")
        if pace.crossing_ns and len(pace.crossing_ns) != len(self.model.graph.tensors):
            raise WireError(f"{len(pace.crossing_ns)} times came for {len(self.model.graph.tensors)} tensors.")
        self.side.link, self.side.layers_ns, self.deadline_s = pace.link, pace.layers_ns, pace.deadline_s
        self.side.crossing_ns = pace.crossing_ns

    def whole(self, requests: Sequence[int]) -> Iterator[Any]:
        """The unsplit model's outputs for some requests: the reference, and what falls back to the edge."""
        for request in dict.fromkeys(requests):
            self._require_inputs(request)
            self.touched = time.monotonic()
            with torch_settings(self.settings):
                outputs = self.model.run(self.inputs[request])
            # A tensor that the network gives twice is sent once.
            for ref, output in dict(zip(self.model.graph.outputs, outputs, strict=True)).items():
                yield from chunks_of(request, self.model.graph.tensor_index[ref], *to_bytes(output))
            yield m.Done(request, time.perf_counter_ns())

    def through_formats(self, requests: Sequence[int]) -> Iterator[Any]:
        """The outputs of some requests when their crossing tensors are coded, all of it computed here."""
        for number in dict.fromkeys(requests):
            which, request = self._asked(number)
            self._require_inputs(which)
            self.touched = time.monotonic()
            with torch_settings(self.settings):
                outputs = self.side.through_formats(request, self.inputs[which])
            for tensor, output in outputs.items():
                yield from chunks_of(number, tensor, *to_bytes(output))
            yield m.Done(number, time.perf_counter_ns())

    def _asked(self, number: int) -> tuple[int, int]:
        """Which input and which request's cut somebody asks for by a number."""
        return number, number

    def _require_inputs(self, request: int) -> None:
        if request not in self.inputs:
            raise WireError(f"The {self.role.value} worker has no inputs for request {request}.")

    def events(self) -> Iterator[Any]:
        """Run this side and report; ends with `Finished` or `Failed`."""
        with self.lock:
            if self.running or self.over:
                raise WireError(f"Run '{self.name}' was started twice.")
            if not self.deadline_s > 0:
                raise WireError(f"Run '{self.name}' was started before its pace was set.")
            self.running = True
        try:
            if self.role is Resource.EDGE:
                threading.Thread(target=self._guarded, args=(self._edge,), name="edge", daemon=True).start()
            # Work arrives in the cloud through `serve_link`; the events of both sides are told here.
            yield from self._told()
        finally:
            gc.enable()
            self.give_up("The run was left.")
            self.over = True
            self.running = False

    def _told(self) -> Iterator[Any]:
        limit = time.monotonic() + self.deadline_s
        while True:
            try:
                event = self.queue.get(timeout=BEAT_S)
            except queue.Empty:
                event = m.Beat(self.side.runs_done)
            if time.monotonic() > limit and not isinstance(event, m.Finished):
                event = m.Failed(f"The run did not end within {self.deadline_s:.0f} s.")
            if isinstance(event, m.Done):
                yield from self._result(event)
            yield event
            if isinstance(event, (m.Finished, m.Failed)):
                if isinstance(event, m.Failed):
                    self.side.tensors.fail(WorkerFailed(event.reason))
                return

    def _result(self, event: m.Done) -> Iterator[TensorChunk]:
        """The tensors of a result, which leave the worker with it."""
        for tensor in self.model.graph.returned:
            key = Work(event.request, tensor)
            yield from chunks_of(*key, *to_bytes(self.side.tensors.get(key).tensor))
            self.side.tensors.release(key)

    def _guarded(self, work: Any) -> None:
        """Run one thread's part; what goes wrong ends the whole run with one sentence."""
        try:
            work()
        except DeccError as error:
            self.give_up(str(error))
        except grpc.RpcError as error:
            self.give_up(self._link_trouble(error), lost_link=True)
        except Exception as error:
            self.give_up(f"{type(error).__name__}: {first_line(error)}")

    def _link_trouble(self, error: grpc.RpcError) -> str:
        # Where a call is answered, gRPC says no more than that it is over.
        if not isinstance(error, grpc.Call):
            return "The link to the edge worker was cut."
        peer = self.order.peer
        assert peer is not None
        address, security = Address.parse(peer.address), _security(peer)
        if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
            never = error.code() is grpc.StatusCode.UNAVAILABLE and not self.linked
            cause = why_unreachable("cloud", address, security) if never else None
            return f"From the edge worker: {cause}" if cause else f"The link to the cloud worker at {address} was cut."
        return str(as_failure(error, "cloud", address, security))

    def settle(self) -> None:
        """Collect garbage now, and not while the clock runs."""
        gc.collect()
        gc.disable()

    def _begin(self, zero_ns: int) -> None:
        self.side.zero_ns = zero_ns
        self.side.tensors.set_deadline(zero_ns + round(self.deadline_s * NS_PER_S))

    def _finish(self) -> None:
        gc.enable()
        self._tell_spans()
        self.queue.put(m.Finished(self.side.dispatch_s, self.side.busy_ns))

    def _tell_spans(self) -> None:
        side = self.side
        sent = Resource.UPLINK if self.role is Resource.EDGE else Resource.DOWNLINK
        for resource, rows in ((self.role, side.spans), (sent, side.sent)):
            for first in range(0, len(rows), m.SPANS_A_MESSAGE):
                self.queue.put(m.Spans(resource, rows[first : first + m.SPANS_A_MESSAGE]))
        for first in range(0, len(side.coding), m.SPANS_A_MESSAGE):
            self.queue.put(m.Spans(self.role, side.coding[first : first + m.SPANS_A_MESSAGE], coding=True))
        for first in range(0, len(side.sizes), m.SPANS_A_MESSAGE):
            self.queue.put(m.Sizes(sent, side.sizes[first : first + m.SPANS_A_MESSAGE]))
        for first in range(0, len(side.arrived), m.SPANS_A_MESSAGE):
            self.queue.put(m.Arrivals(side.receives, side.arrived[first : first + m.SPANS_A_MESSAGE]))

    def _edge(self) -> None:
        """The edge's run: link up, clock started, layers computed, results collected."""
        side, peer = self.side, self.order.peer
        for request, tensors in self.inputs.items():
            for name, tensor in zip(self.model.input_names, tensors, strict=True):
                if name is not None:
                    layer = self.model.graph.index[name]
                    side.inputs[Work(request, self.model.graph.tensors_of[layer][0])] = tensor
        needs_cloud = bool(side.outgoing or side.incoming)
        if needs_cloud and peer is None:
            raise WireError("The plan uses the cloud, but the edge worker was given no address of a cloud worker.")
        opened, zero = threading.Event(), threading.Event()
        if needs_cloud:
            assert peer is not None
            threading.Thread(
                target=self._guarded, args=(lambda: self._edge_link(peer, opened, zero),), name="link", daemon=True
            ).start()
            while not opened.wait(0.05):
                side.tensors.check()
        self.settle()
        self._begin(time.perf_counter_ns() + HEAD_START_NS)
        zero.set()
        self.queue.put(m.Started(side.zero_ns))
        threading.Thread(target=self._guarded, args=(self._collect,), name="results", daemon=True).start()
        self._compute()

    def _compute(self) -> None:
        self.computer.submit(self._computing, self.side.compute).result()

    def _collect(self) -> None:
        """Tell of every result when it is there; then of everything that was measured."""
        side, told = self.side, set[int]()
        while len(told) < len(self.plan.cuts):
            request, at_ns = side.tensors.next_result(told)
            wait_until(at_ns, side.tensors)
            told.add(request)
            self.queue.put(m.Done(request, time.perf_counter_ns()))
        while side.runs_done < len(side.runs) or len(side.sent) < len(side.outgoing):
            side.tensors.check()
            time.sleep(0.001)
        self._finish()

    def _edge_link(self, peer: m.Peer, opened: threading.Event, zero: threading.Event) -> None:
        address = Address.parse(peer.address)
        security = _security(peer)
        channel = open_channel(address, security)
        call = None

        def outgoing() -> Iterator[bytes]:
            yield m.encode(m.Hello(self.name))
            while not zero.wait(0.2):
                if self.over or self.side.tensors.failure:
                    return
            try:
                yield from map(m.encode, self.side.send())
            except DeccError as error:
                self.give_up(str(error))

        try:
            call = start_call(channel, LINK, outgoing(), security, self.deadline_s + SHORT_S)
            answers = iter(call)
            m.decode(next(answers), LINK.asks, "cloud worker")
            self.linked = True
            opened.set()
            take = self.side.receive(peer.ahead_ns, "cloud worker")
            for data in answers:
                take(m.decode(data, LINK.more, "cloud worker"))
            if self.side.lacks_results:
                raise WireError("The cloud worker closed the link before it had sent all results.")
        finally:
            if call is not None:
                call.cancel()
            channel.close()

    def serve_link(self, chunks: Iterator[TensorChunk]) -> Iterator[TensorChunk]:
        """The cloud's run: tensors taken, layers computed, results sent back."""
        ahead_ns = self.order.peer.ahead_ns if self.order.peer is not None else 0
        self._begin(time.perf_counter_ns())

        def receive() -> None:
            take = self.side.receive(ahead_ns, "edge worker")
            for chunk in chunks:
                take(chunk)
            self.side.heard_all()

        threading.Thread(target=self._guarded, args=(receive,), name="receive", daemon=True).start()
        cloud = threading.Thread(target=self._guarded, args=(self._compute,), name="cloud", daemon=True)
        cloud.start()
        yield from self.side.send()
        cloud.join()
        self.side.tensors.check()
        self._finish()


def _security(peer: m.Peer) -> Security:
    return Security(peer.token, None, peer.certificate, "the certificate that the controller trusts")


def _spec(model: Model, name: str | None, example: torch.Tensor) -> TensorSpec:
    if name is not None:
        return model.graph.layers[model.graph.index[name]].outputs[0]
    return TensorSpec(tuple(example.shape), dtype_name(example))
