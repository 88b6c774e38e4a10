"""A worker process: takes a model as data, runs its side of plans, and profiles; one run at a time."""

from __future__ import annotations

import gc
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import msgspec
import torch

from decc_core import __version__, store
from decc_core.errors import DeccError, WireError
from decc_core.models.device import DeviceSettings
from decc_core.network.work import Resource
from decc_core.profiling.machine import keep_freed_memory, machine
from decc_core.profiling.profiler import profile
from decc_core.runtime.wire import messages as m
from decc_core.runtime.wire import methods
from decc_core.runtime.wire.assembly import TensorChunk
from decc_core.runtime.wire.door import Answer, start_server
from decc_core.runtime.wire.link_probe import answer_probe
from decc_core.runtime.wire.log import ConnectionLog, to_file
from decc_core.runtime.wire.methods import Method
from decc_core.runtime.wire.processes import cores_apart, machine_id
from decc_core.runtime.wire.transport import Address, Security
from decc_core.runtime.worker.driver import BEAT_S, Driver
from decc_core.runtime.worker.models import ModelShelf
from decc_core.text import first_line

LINGER_S = 15.0
"""After a run's deadline its controller may still be told how it ended."""
UNUSED_RUN_S = 900.0
"""A run that was prepared and then not started for so long makes room for another, though its controller is there."""


def serve(
    role: Resource,
    address: Address,
    security: Security,
    ready: Callable[[int], None],
    stop: threading.Event,
    log: ConnectionLog | None = None,
) -> None:
    """Listen until `stop` is set; `ready` hears the port."""
    keep_freed_memory()
    torch.set_grad_enabled(False)
    sys.setswitchinterval(0.0005)
    service = _Service(role)
    server, port = start_server(address, security, service.methods(), log)
    try:
        ready(port)
        while not stop.wait(0.2):
            pass
    finally:
        service.close()
        server.stop(grace=0.2).wait(2.0)
        # What the shelf had set aside; otherwise libraries complain at the end of what is never collected.
        gc.unfreeze()


class _Service:
    """The worker's calls; each takes gRPC's context, the first message, and those that follow it, if any."""

    def __init__(self, role: Resource) -> None:
        self.role = role
        self.models = ModelShelf()
        self.driver: Driver | None = None
        self.slot = threading.Lock()
        self.measuring = threading.Lock()

    def methods(self) -> dict[Method, Answer]:
        answers: dict[Method, Callable[..., Any]] = {
            methods.DESCRIBE: self.describe,
            methods.LOAD: self.load,
            methods.PROFILE: self.profile,
            methods.PREPARE: self.prepare,
            methods.INPUTS: self.take_inputs,
            methods.WARM: lambda context, order: m.Prepared(self._run(order.run).warm_up()),
            methods.PACE: self.pace,
            methods.WHOLE: lambda context, order: self._run(order.run).whole(order.requests),
            methods.CODED: lambda context, order: self._run(order.run).through_formats(order.requests),
            methods.RUN: self.start,
            methods.LINK: self.link,
            methods.CLOSE: self.close_run,
        }
        return {method: _decoded(method, answer) for method, answer in answers.items()} | {methods.PROBE: _probed}

    def describe(self, context: grpc.ServicerContext, request: m.Nothing) -> m.Description:
        here, cores = machine(DeviceSettings()), len(cores_apart())
        return m.Description(self.role, __version__, here, cores, machine_id(), time.perf_counter_ns(), m.PROTOCOL)

    def load(self, context: grpc.ServicerContext, order: m.LoadModel, chunks: Iterator[m.ModelChunk]) -> m.Loaded:
        return self.models.load(order, chunks)

    def profile(self, context: grpc.ServicerContext, order: m.ProfileModel) -> Iterator[Any]:
        model = self.models.get(order.handle)
        told: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def note(done: int, total: int, what: str) -> None:
            if not context.is_active():
                raise WireError("The controller hung up.")
            told.put(m.ProfileProgress(done, total, what))

        def measure() -> None:
            try:
                with self.measuring:
                    note(0, 1, "measuring")
                    told.put(m.Profiled(store.to_json(profile(model, order.settings, note))))
            except BaseException as error:
                told.put(error)

        # On a thread of its own, so that threads and kernels are set up for the measurement alone.
        threading.Thread(target=measure, name="profile", daemon=True).start()
        event = None
        while not isinstance(event, m.Profiled) and context.is_active():
            try:
                event = told.get(timeout=BEAT_S)
            except queue.Empty:
                continue
            if isinstance(event, BaseException):
                raise event
            yield event

    def prepare(self, context: grpc.ServicerContext, order: m.PrepareRun) -> Iterator[m.Nothing]:
        """Answers when the run is there, and lasts for as long as the controller holds on to it."""
        with self.slot:
            if self.driver is not None and not self.driver.is_over(UNUSED_RUN_S):
                raise WireError(
                    f"The {self.role.value} worker is busy with another run; wait, or start one more worker."
                )
            if self.driver is not None:
                self.driver.leave("Another run took its place.")
            self.driver = driver = Driver(self.role, order, self.models.get(order.handle))
        _when_over(context, lambda: driver.leave("The controller hung up."))
        yield m.Nothing()
        while context.is_active() and not driver.left.wait(BEAT_S):
            pass

    def take_inputs(self, context: grpc.ServicerContext, order: m.RunRef, chunks: Iterator[TensorChunk]) -> m.Nothing:
        self._run(order.run).take_inputs(chunks)
        return m.Nothing()

    def pace(self, context: grpc.ServicerContext, order: m.Pace) -> m.Nothing:
        self._run(order.run).set_pace(order)
        return m.Nothing()

    def start(self, context: grpc.ServicerContext, order: m.RunRef) -> Iterator[Any]:
        driver = self._run(order.run)
        _end_after(context, driver.deadline_s)
        _when_over(context, lambda: driver.give_up("The controller hung up."))
        return driver.events()

    def link(self, context: grpc.ServicerContext, hello: m.Hello, chunks: Iterator[TensorChunk]) -> Iterator[Any]:
        driver = self._run(hello.run)
        _end_after(context, driver.deadline_s)
        _when_over(context, lambda: driver.give_up("The link to the edge worker was cut.", lost_link=True))
        driver.settle()
        yield hello
        yield from driver.serve_link(chunks)

    def close_run(self, context: grpc.ServicerContext, order: m.RunRef) -> m.Nothing:
        with self.slot:
            if self.driver is not None and self.driver.name == order.run:
                self.driver.leave("The run was closed.")
                self.driver = None
        return m.Nothing()

    def close(self) -> None:
        if self.driver is not None:
            self.driver.leave("The worker was stopped.")

    def _run(self, name: str) -> Driver:
        driver = self.driver
        if driver is None or driver.name != name:
            raise WireError(f"The {self.role.value} worker knows no run '{name}'.")
        return driver


def _end_after(context: grpc.ServicerContext, deadline_s: float) -> None:
    """See to it that a call is over some time after its run must be, also where nobody reads what we say."""
    timer = threading.Timer(deadline_s + LINGER_S, context.cancel)
    timer.daemon = True
    timer.start()
    _when_over(context, timer.cancel)


def _when_over(context: grpc.ServicerContext, act: Callable[[], None]) -> None:
    """Do something at the end of a call, also if that has come already: gRPC does not tell of it then."""
    if not context.add_callback(act):
        act()


def _decoded(method: Method, answer: Callable[..., Any]) -> Answer:
    """Messages decoded and encoded as the method says, errors told in a sentence."""
    sender = "edge worker" if method is methods.LINK else "controller"

    def answered(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        with _told(context):
            first = m.decode(next(requests), method.asks, sender)
            more = ((m.decode(data, method.more, sender) for data in requests),) if method.more else ()
            answers = answer(context, first, *more)
            yield from map(m.encode, answers if method.streams else (answers,))

    return answered


def _probed(data: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
    with _told(context):
        yield from answer_probe(data, context)


@contextmanager
def _told(context: grpc.ServicerContext) -> Iterator[None]:
    """Ends a call with one sentence for errors that are expected, and a short one for others."""
    try:
        yield
    except DeccError as error:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
    except StopIteration:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The call ended before its first message.")
    except Exception as error:
        context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {first_line(error)}")


def serve_by_hand(role: Resource, address: Address, security: Security, log_file: Path | None = None) -> None:
    """Serve until Ctrl-C or a termination signal; who connects is told on standard error, or in a file."""

    def ready(port: int) -> None:
        print(f"DECC {role.value} worker listens on {Address(address.host, port)}; stop it with Ctrl-C.", flush=True)

    stop = threading.Event()
    _stop_at_signals(stop)
    log = ConnectionLog(to_file(log_file) if log_file is not None else _say)
    try:
        serve(role, address, security, ready, stop, log)
    finally:
        log.close()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def serve_controller(role: Resource, token: str, stop: threading.Event) -> None:
    """Serve the process that started this one, on a free loopback port, until `stop` is set."""
    _stop_at_signals(stop)

    def ready(port: int) -> None:
        print(msgspec.json.encode({"port": port}).decode(), flush=True)

    serve(role, Address("127.0.0.1", 0), Security(token=token), ready, stop)


def _stop_at_signals(stop: threading.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
