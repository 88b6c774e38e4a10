"""The controller's side of its workers: one worker's calls, with deadlines and errors that name it, and a pair."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, TypeVar

import grpc

from decc_core import store
from decc_core.errors import WorkerFailed
from decc_core.models.ref import NetworkRef
from decc_core.network.work import Resource
from decc_core.plans.pieces import SIDES
from decc_core.problem.profile import DeviceProfile
from decc_core.profiling.settings import ProfileSettings
from decc_core.progress import Progress, silent
from decc_core.runtime.controller.outputs import Outputs
from decc_core.runtime.wire import messages as m
from decc_core.runtime.wire import methods
from decc_core.runtime.wire.assembly import CHUNK_BYTES, TensorChunk
from decc_core.runtime.wire.methods import Method
from decc_core.runtime.wire.processes import LocalWorker
from decc_core.runtime.wire.transport import (
    CALL_S,
    Address,
    Security,
    as_failure,
    is_healthy,
    open_channel,
    plain_errors,
    start_call,
)

LOAD_S = 600.0
PROFILE_S = 1800.0
WARM_S = 600.0
CLOSE_S = 3.0
"""To give a run up takes no time; who does not answer has failed already, and whoever waits has been told so."""
PINGS = 16
POLL_S = 0.2
Answer = TypeVar("Answer")


@dataclass
class WorkerClient:
    """A worker that is up, here or on another host; `ahead_ns` is how far its clock is ahead of the controller's."""

    role: Resource
    address: Address
    security: Security
    process: LocalWorker | None = None
    channel: grpc.Channel = field(init=False)
    description: m.Description = field(init=False)
    ahead_ns: int = 0

    def __post_init__(self) -> None:
        self.channel = open_channel(self.address, self.security)

    @classmethod
    def of(cls, process: LocalWorker) -> WorkerClient:
        """A worker process of this machine, as soon as it listens."""
        process.wait_ready()
        return cls(process.role, process.address, process.security, process)

    def connect(self, boot: str) -> None:
        """Say hello; refuses a worker of the other role, and compares clocks unless both are on this machine."""
        self.description = self._ask(methods.DESCRIBE, m.Nothing())
        if self.description.role != self.role:
            raise WorkerFailed(
                f"The worker at {self.address} serves as {self.description.role.value}, not as {self.role.value}."
            )
        if not boot or self.description.boot != boot:
            self.ahead_ns = self._clock_offset_ns()

    def _clock_offset_ns(self) -> int:
        """From the fastest of several pings, as in NTP: half its round trip is the largest possible error."""
        pings = []
        for _ in range(PINGS):
            began = time.perf_counter_ns()
            there: int = self._ask(methods.DESCRIBE, m.Nothing()).clock_ns
            over = time.perf_counter_ns()
            pings.append((over - began, there - (began + over) // 2))
        return min(pings)[1]

    def load(self, network: NetworkRef) -> m.Loaded:
        """Give the worker a network."""
        data = network.read()
        chunks = (
            m.ModelChunk(bytes(memoryview(part)[first : first + CHUNK_BYTES]))
            for part in data
            for first in range(0, len(part), CHUNK_BYTES)
        )
        order = m.LoadModel(None, *map(len, data)) if data else m.LoadModel(network.name)
        loaded: m.Loaded = self._ask(methods.LOAD, order, chunks, LOAD_S)
        return loaded

    def profile(self, fingerprint: str, settings: ProfileSettings, progress: Progress | None = None) -> DeviceProfile:
        """Measure a loaded network on the worker's device; progress arrives while it measures."""
        for event in self._listen(methods.PROFILE, m.ProfileModel(fingerprint, settings), PROFILE_S):
            if isinstance(event, m.Profiled):
                return store.from_json(event.content, DeviceProfile, "the worker's profile")
            (progress or silent)(event.done, event.total, event.what)
        raise WorkerFailed(f"The {self._name} ended its profile without a result.")

    def prepare(self, order: m.PrepareRun) -> None:
        self._ask(methods.PREPARE, order, timeout_s=WARM_S)

    def send_inputs(self, run: str, chunks: Iterable[TensorChunk]) -> None:
        self._ask(methods.INPUTS, m.RunRef(run), chunks, LOAD_S)

    def warm(self, run: str) -> tuple[float, ...]:
        """Native seconds of each run of layers, in order of work."""
        prepared: m.Prepared = self._ask(methods.WARM, m.RunRef(run), timeout_s=WARM_S)
        return prepared.runs_s

    def pace(self, order: m.Pace) -> None:
        self._ask(methods.PACE, order)

    def whole(self, run: str, requests: Sequence[int]) -> Iterator[Any]:
        """Chunks and ends of the unsplit model's outputs."""
        return self._listen(methods.WHOLE, m.RunRef(run, tuple(requests)), WARM_S)

    def close_run(self, run: str) -> None:
        self._ask(methods.CLOSE, m.RunRef(run), timeout_s=CLOSE_S)

    def watch(self, run: str, deadline_s: float, events: queue.SimpleQueue[tuple[Resource, Any]]) -> Any:
        """Start the worker's part of a run; its events, and last an exception or None, go into the queue."""
        stream = start_call(self.channel, methods.RUN, m.encode(m.RunRef(run)), self.security, deadline_s)

        def read() -> None:
            try:
                for data in stream:
                    events.put((self.role, m.decode(data, methods.RUN.answers, self._name)))
                events.put((self.role, None))
            except grpc.RpcError as error:
                events.put((self.role, as_failure(error, self.role.value, self.address)))
            except Exception as error:
                events.put((self.role, error))

        threading.Thread(target=read, name=f"watch-{self.role.value}", daemon=True).start()
        return stream

    def why_gone(self) -> str | None:
        """What happened to the worker, or None if it still answers."""
        if is_healthy(self.channel, self.security):
            return None
        death = self.process.death if self.process is not None else None
        return f"The {self._name} {death or 'does not answer any more'}."

    def close(self) -> None:
        self.channel.close()
        if self.process is not None:
            self.process.stop()

    @property
    def _name(self) -> str:
        return f"{self.role.value} worker at {self.address}"

    def _ask(self, method: Method, order: Any, more: Iterable[Any] = (), timeout_s: float = CALL_S) -> Any:
        """One answer; `more` are the messages that follow the first one, where the method takes them."""
        request = map(m.encode, chain([order], more)) if method.more else m.encode(order)
        with plain_errors(self.role.value, self.address):
            data = start_call(self.channel, method, request, self.security, timeout_s)
        return m.decode(data, method.answers, self._name)

    def _listen(self, method: Method, order: Any, timeout_s: float) -> Iterator[Any]:
        with plain_errors(self.role.value, self.address):
            for data in start_call(self.channel, method, m.encode(order), self.security, timeout_s):
                yield m.decode(data, method.answers, self._name)


class WorkerPair:
    """An edge and a cloud worker that are up, and the network that they have loaded."""

    def __init__(self, edge: WorkerClient, cloud: WorkerClient, cloud_from_edge: Address | None = None) -> None:
        """`cloud_from_edge` is where the edge reaches the cloud, if not where we do."""
        self.cloud_from_edge = cloud_from_edge or cloud.address
        self.clients = {Resource.EDGE: edge, Resource.CLOUD: cloud}
        self.fingerprint = ""
        self.references: dict[Any, dict[int, Outputs]] = {}
        """Outputs of the unsplit network by what its inputs depend on, and request."""
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        self.cores = {side: (cores[i],) if len(cores) > 1 else () for i, side in enumerate(SIDES)}
        """A core of its own for each local worker, where there are two."""

    def load(self, network: NetworkRef) -> str:
        """Give both workers a network; returns its graph's fingerprint."""
        loaded = self.both(lambda client: client.load(network))
        edge, cloud = (loaded[side] for side in SIDES)
        if edge != cloud:
            what = "graphs" if edge.fingerprint != cloud.fingerprint else "weights"
            raise WorkerFailed(
                f"The workers made different {what} of {'the network' if network.data else network.name}: "
                "run the same versions of DECC, PyTorch and ONNX Runtime on both hosts."
            )
        self.fingerprint = edge.fingerprint
        self.references.clear()
        return self.fingerprint

    def profile(self, side: Resource, settings: ProfileSettings, progress: Progress | None = None) -> DeviceProfile:
        """Measure the loaded network's layers on one worker; the other one rests meanwhile."""
        return self.clients[side].profile(self.fingerprint, settings, progress)

    def both(self, call: Callable[[WorkerClient], Answer]) -> dict[Resource, Answer]:
        """The same call to both workers at once; the first failure is raised when both are done."""
        answers: dict[Resource, Answer] = {}
        failures: list[Exception] = []

        def ask(side: Resource) -> None:
            try:
                answers[side] = call(self.clients[side])
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=ask, args=(side,), daemon=True) for side in self.clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(POLL_S)
        if failures:
            raise failures[0]
        return answers

    def close(self) -> None:
        for client in self.clients.values():
            with suppress(Exception):
                client.close()
