"""A worker process: takes a model as data, runs its side of plans, and profiles; one run at a time."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import msgspec
import torch

from decc_core import __version__, store
from decc_core.errors import DeccError, WireError
from decc_core.network.work import Resource
from decc_core.profiling.device import DeviceSettings, keep_freed_memory, machine
from decc_core.profiling.profiler import ProfileSettings, profile
from decc_core.runtime.wire import messages as m
from decc_core.runtime.wire.assembly import TensorPart
from decc_core.runtime.wire.link_probe import answer_probe
from decc_core.runtime.wire.machine import machine_id
from decc_core.runtime.wire.processes import TOKEN_VARIABLE
from decc_core.runtime.wire.transport import Address, Security, start_server
from decc_core.runtime.worker.models import ModelShelf, read_model
from decc_core.runtime.worker.run import WorkerRun

UNUSED_RUN_S = 60.0
"""A run that was prepared and then not started for so long makes room for another."""


def serve(
    role: Resource, address: Address, security: Security, ready: Callable[[int], None], stop: threading.Event
) -> None:
    """Listen until `stop` is set; `ready` hears the port."""
    keep_freed_memory()
    torch.set_grad_enabled(False)
    sys.setswitchinterval(0.0005)
    service = _Service(role)
    server, port = start_server(address, security, service.methods())
    try:
        ready(port)
        while not stop.wait(0.2):
            pass
    finally:
        service.close()
        server.stop(grace=0.2).wait(2.0)


class _Service:
    """The worker's calls."""

    def __init__(self, role: Resource) -> None:
        self.role = role
        self.models = ModelShelf()
        self.run: WorkerRun | None = None
        self.slot = threading.Lock()
        self.measuring = threading.Lock()

    def methods(self) -> dict[str, grpc.RpcMethodHandler]:
        return {
            "Describe": grpc.unary_unary_rpc_method_handler(self._answering(self.describe, m.Nothing)),
            "Load": grpc.stream_unary_rpc_method_handler(self._load),
            "Profile": grpc.unary_stream_rpc_method_handler(self._streaming(self.profile, m.ProfileModel)),
            "Prepare": grpc.unary_unary_rpc_method_handler(self._answering(self.prepare, m.PrepareRun)),
            "Inputs": grpc.stream_unary_rpc_method_handler(self._inputs),
            "Warm": grpc.unary_unary_rpc_method_handler(self._answering(self.warm, m.RunRef)),
            "Pace": grpc.unary_unary_rpc_method_handler(self._answering(self.pace, m.Pace)),
            "Whole": grpc.unary_stream_rpc_method_handler(self._streaming(self.whole, m.RunRef)),
            "Run": grpc.unary_stream_rpc_method_handler(self._streaming(self.start, m.RunRef)),
            "Link": grpc.stream_stream_rpc_method_handler(self._link),
            "Close": grpc.unary_unary_rpc_method_handler(self._answering(self.close_run, m.RunRef)),
            "Probe": grpc.stream_stream_rpc_method_handler(answer_probe),
        }

    def describe(self, request: m.Nothing, context: grpc.ServicerContext) -> m.Description:
        return m.Description(
            self.role.value,
            __version__,
            machine(DeviceSettings()),
            os.cpu_count() or 1,
            machine_id(),
            time.perf_counter_ns(),
        )

    def _load(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        with _told(context):
            order = m.decode(next(requests), m.LoadModel, "controller")
            pieces = (m.decode(data, m.Piece, "controller").data for data in requests)
            return m.encode(self.models.add(read_model(order, pieces)))
        raise AssertionError

    def profile(self, order: m.ProfileModel, context: grpc.ServicerContext) -> Iterator[Any]:
        model = self.models.get(order.fingerprint)
        settings = ProfileSettings(order.name, device_settings(order.device), order.repeats)
        progress: list[m.ProfileProgress] = []
        found: list[bytes] = []
        failure: list[BaseException] = []

        def note(done: int, total: int, what: str) -> None:
            if not context.is_active():
                raise WireError("The controller hung up.")
            progress.append(m.ProfileProgress(done, total, what))

        def measure() -> None:
            try:
                with self.measuring:
                    found.append(store.to_json(profile(model, settings, note)))
            except BaseException as error:
                failure.append(error)

        # On a thread of its own, so that threads and kernels are set up for the measurement alone.
        thread = threading.Thread(target=measure, name="profile", daemon=True)
        thread.start()
        while thread.is_alive() or progress:
            thread.join(0.1)
            while progress:
                yield progress.pop(0)
        if failure:
            raise failure[0]
        yield m.Profiled(found[0])

    def prepare(self, order: m.PrepareRun, context: grpc.ServicerContext) -> m.Nothing:
        with self.slot:
            if self.run is not None and not self.run.is_over(UNUSED_RUN_S):
                raise WireError(
                    f"The {self.role.value} worker is busy with another run; wait, or start one more worker."
                )
            self.run = WorkerRun(self.role, order, self.models.get(order.fingerprint))
        return m.Nothing()

    def _inputs(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        with _told(context):
            run = self._run(m.decode(next(requests), m.RunRef, "controller").run)
            run.take_inputs(m.decode(data, TensorPart, "controller") for data in requests)
            return m.encode(m.Nothing())
        raise AssertionError

    def warm(self, order: m.RunRef, context: grpc.ServicerContext) -> m.Prepared:
        return m.Prepared(self._run(order.run).warm_up())

    def pace(self, order: m.Pace, context: grpc.ServicerContext) -> m.Nothing:
        self._run(order.run).set_pace(order)
        return m.Nothing()

    def whole(self, order: m.RunRef, context: grpc.ServicerContext) -> Iterator[Any]:
        return self._run(order.run).whole(order.requests)

    def start(self, order: m.RunRef, context: grpc.ServicerContext) -> Iterator[Any]:
        run = self._run(order.run)
        context.add_callback(lambda: run.give_up("The controller hung up."))
        return run.events()

    def _link(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        with _told(context):
            hello = m.decode(next(requests), m.Hello, "edge worker")
            run = self._run(hello.run)
            context.add_callback(lambda: run.give_up("The link to the edge worker was cut.", lost_link=True))
            run.settle()
            yield m.encode(hello)
            yield from run.serve_link(requests)

    def close_run(self, order: m.RunRef, context: grpc.ServicerContext) -> m.Nothing:
        with self.slot:
            if self.run is not None and self.run.name == order.run:
                self.run.give_up("The run was closed.")
                self.run = None
        return m.Nothing()

    def close(self) -> None:
        if self.run is not None:
            self.run.give_up("The worker was stopped.")

    def _run(self, name: str) -> WorkerRun:
        run = self.run
        if run is None or run.name != name:
            raise WireError(f"The {self.role.value} worker knows no run '{name}'.")
        return run

    @staticmethod
    def _answering(method: Callable[..., Any], kind: type) -> Callable[[bytes, grpc.ServicerContext], bytes]:
        def call(data: bytes, context: grpc.ServicerContext) -> bytes:
            with _told(context):
                return m.encode(method(m.decode(data, kind, "controller"), context))
            raise AssertionError

        return call

    @staticmethod
    def _streaming(method: Callable[..., Any], kind: type) -> Callable[[bytes, grpc.ServicerContext], Iterator[bytes]]:
        def call(data: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
            with _told(context):
                yield from map(m.encode, method(m.decode(data, kind, "controller"), context))

        return call


class _told:
    """Ends a call with one sentence for errors that are expected, and a short one for others."""

    def __init__(self, context: grpc.ServicerContext) -> None:
        self.context = context

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, DeccError):
            self.context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        if isinstance(error, StopIteration):
            self.context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The call ended before its first message.")
        if isinstance(error, (RuntimeError, ValueError, TypeError, MemoryError, OSError)):
            reason = str(error).strip().splitlines() or [type(error).__name__]
            self.context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {reason[0][:300]}")


def device_settings(device: m.Device) -> DeviceSettings:
    return DeviceSettings(device.threads, device.memory_format, device.onednn, device.accelerator)


def serve_by_hand(role: Resource, address: Address, security: Security) -> None:
    """Serve until Ctrl-C or a termination signal."""

    def ready(port: int) -> None:
        print(f"DECC {role.value} worker listens on {Address(address.host, port)}; stop it with Ctrl-C.", flush=True)

    serve(role, address, security, ready, _stop_at_signals())


def serve_controller(role: Resource) -> None:
    """Serve the process that started this one, on a free loopback port, for as long as it lives."""
    stop = _stop_at_signals()
    security = Security(token=os.environ.pop(TOKEN_VARIABLE))

    def stop_at_end_of_input() -> None:
        # The controller holds our input open for as long as it lives, however it ends.
        sys.stdin.read()
        stop.set()

    def ready(port: int) -> None:
        print(msgspec.json.encode({"port": port}).decode(), flush=True)
        threading.Thread(target=stop_at_end_of_input, daemon=True).start()

    serve(role, Address("127.0.0.1", 0), security, ready, stop)


def _stop_at_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
