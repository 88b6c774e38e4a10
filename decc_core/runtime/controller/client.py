"""The controller's side of one worker: its calls, with deadlines, and errors that name it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc

from decc_core import store
from decc_core.errors import WorkerFailed
from decc_core.network.work import Resource
from decc_core.problem.profile import DeviceProfile
from decc_core.runtime.wire import messages as m
from decc_core.runtime.wire.assembly import TensorPart
from decc_core.runtime.wire.processes import LocalWorker
from decc_core.runtime.wire.transport import (
    CALL_S,
    Address,
    Security,
    as_failure,
    is_healthy,
    metadata,
    open_channel,
    plain_errors,
)

LOAD_S = 600.0
PROFILE_S = 1800.0
WARM_S = 600.0
CLOSE_S = 3.0
"""To give a run up takes no time; who does not answer has failed already, and whoever waits has been told so."""
PINGS = 16
Progress = Callable[[int, int, str], None]


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

    def connect(self, boot: str) -> None:
        """Say hello; refuses a worker of the other role, and compares clocks unless both are on this machine."""
        self.description = self._unary("Describe", m.Nothing(), m.Description)
        if self.description.role != self.role.value:
            raise WorkerFailed(
                f"The worker at {self.address} serves as {self.description.role}, not as {self.role.value}."
            )
        if not boot or self.description.boot != boot:
            self.ahead_ns = self._clock_offset_ns()

    def _clock_offset_ns(self) -> int:
        """From the fastest of several pings, as in NTP: half its round trip is the largest possible error."""
        found = []
        for _ in range(PINGS):
            began = time.perf_counter_ns()
            there = self._unary("Describe", m.Nothing(), m.Description).clock_ns
            over = time.perf_counter_ns()
            found.append((over - began, there - (began + over) // 2))
        return int(min(found)[1])

    def load(self, source: str | tuple[bytes, bytes]) -> m.Loaded:
        """Give the worker a model: a zoo name, or layers and tensors as `portable` writes them."""
        pieces: tuple[bytes, ...] = () if isinstance(source, str) else source
        order = m.LoadModel(source) if isinstance(source, str) else m.LoadModel(None, *map(len, source))

        def messages() -> Iterator[bytes]:
            yield m.encode(order)
            for data in pieces:
                view = memoryview(data)
                for first in range(0, len(data), m.PIECE_BYTES):
                    yield m.encode(m.Piece(bytes(view[first : first + m.PIECE_BYTES])))

        loaded: m.Loaded = self._streamed("Load", messages(), m.Loaded, LOAD_S)
        return loaded

    def profile(self, order: m.ProfileModel, progress: Progress | None = None) -> DeviceProfile:
        """Profile on the worker's device; progress arrives while it measures."""
        call = self.channel.unary_stream(f"/{m.SERVICE}/Profile")
        with plain_errors(self.role.value, self.address):
            for data in call(m.encode(order), timeout=PROFILE_S, metadata=metadata(self.security)):
                event = m.decode(data, m.ProfileProgress | m.Profiled, self._name)
                if isinstance(event, m.Profiled):
                    return store.from_json(event.content, DeviceProfile, "the worker's profile")
                if progress is not None:
                    progress(event.done, event.total, event.what)
        raise WorkerFailed(f"The {self._name} ended its profile without a result.")

    def prepare(self, order: m.PrepareRun) -> None:
        self._unary("Prepare", order, m.Nothing, WARM_S)

    def send_inputs(self, run: str, parts: Iterable[TensorPart]) -> None:
        def messages() -> Iterator[bytes]:
            yield m.encode(m.RunRef(run))
            yield from map(m.encode, parts)

        self._streamed("Inputs", messages(), m.Nothing, LOAD_S)

    def warm(self, run: str) -> tuple[float, ...]:
        prepared: m.Prepared = self._unary("Warm", m.RunRef(run), m.Prepared, WARM_S)
        return prepared.segments_s

    def pace(self, order: m.Pace) -> None:
        self._unary("Pace", order, m.Nothing)

    def whole(self, run: str, requests: Sequence[int]) -> Iterator[Any]:
        """Parts and ends of the unsplit model's outputs."""
        call = self.channel.unary_stream(f"/{m.SERVICE}/Whole")
        with plain_errors(self.role.value, self.address):
            order = m.encode(m.RunRef(run, tuple(requests)))
            for data in call(order, timeout=WARM_S, metadata=metadata(self.security)):
                yield m.decode(data, m.Event, self._name)

    def close_run(self, run: str) -> None:
        self._unary("Close", m.RunRef(run), m.Nothing, CLOSE_S)

    def watch(self, run: str, deadline_s: float, events: queue.SimpleQueue[tuple[Resource, Any]]) -> Any:
        """Start the worker's part of a run; its events, and last an exception or None, go into the queue."""
        call = self.channel.unary_stream(f"/{m.SERVICE}/Run")
        stream = call(m.encode(m.RunRef(run)), timeout=deadline_s, metadata=metadata(self.security))

        def read() -> None:
            try:
                for data in stream:
                    events.put((self.role, m.decode(data, m.Event, self._name)))
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

    def _unary(self, method: str, message: Any, kind: Any, timeout_s: float = CALL_S) -> Any:
        call = self.channel.unary_unary(f"/{m.SERVICE}/{method}")
        with plain_errors(self.role.value, self.address):
            data = call(m.encode(message), timeout=timeout_s, metadata=metadata(self.security))
        return m.decode(data, kind, self._name)

    def _streamed(self, method: str, messages: Iterator[bytes], kind: Any, timeout_s: float) -> Any:
        call = self.channel.stream_unary(f"/{m.SERVICE}/{method}")
        with plain_errors(self.role.value, self.address):
            data = call(messages, timeout=timeout_s, metadata=metadata(self.security))
        return m.decode(data, kind, self._name)
