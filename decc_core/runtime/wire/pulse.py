"""Whether a worker still lives: by all that it says, and while it says nothing, by its health."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from decc_core.errors import WorkerFailed
from decc_core.runtime.wire.handshake import as_failure
from decc_core.runtime.wire.transport import Address, Security, metadata, open_channel

SILENCE_S = 7.0
"""A worker that says nothing for so long, and does not answer pings either, is given up."""
HANG_S = 60.0
"""One that answers pings but says nothing may have its hands full: large networks are read in one breath."""
QUIET_S = 1.0
"""Who has just said something is not asked: the two sides of a run tell more often that they are there."""
TICK_S = 0.25
PINGS = (("grpc.keepalive_time_ms", 1_000), ("grpc.http2.ping_timeout_ms", 5_000))
AGAIN = (
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.min_reconnect_backoff_ms", 3_000),
)
"""A connection that broke is made again soon: who comes back in time shall be heard."""
LINKED_S = 100.0
"""For so long after an answer the connection is there still, and pings tell if it breaks."""
LAST_ANSWER_S = 2.0
"""Also whoever was not asked for long has so long to answer."""
HELD_UP_S = 1.0
"""If it takes this much more than it should to find out, it is we who were held up."""


class Pulse:
    """Ends all calls to a worker that does not answer any more, whatever they wait for.

    Health has a connection of its own, so that it does not queue behind what a call sends. Pings on it are answered by
    gRPC's threads, which need no Python: a process that does not answer them is frozen, or out of reach.
    """

    def __init__(self, who: str, address: Address, security: Security) -> None:
        """`who` is the worker's role, for sentences."""
        self.who, self.address, self.security = who, address, security
        self.lost = False
        self._silent_s = SILENCE_S
        self._channel = open_channel(address, security, (("grpc.use_local_subchannel_pool", 1), *PINGS, *AGAIN))
        self._calls: set[Any] = set()
        self._heard, self._linked_until = 0.0, 0.0
        self._answered = False
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._watcher: threading.Thread | None = None

    @contextmanager
    def watching(self, call: Any) -> Iterator[None]:
        """Ends the call, which must be read meanwhile, where silence falls; errors become one sentence."""
        self.lost = False
        self._heard = time.monotonic()
        with self._lock:
            self._calls.add(call)
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name=f"pulse-{self.who}", daemon=True)
                self._watcher.start()
        try:
            yield
        except grpc.RpcError as error:
            if self.lost:
                raise WorkerFailed(self.silence()) from None
            raise as_failure(error, self.who, self.address, self.security, self._answered) from None
        finally:
            self._calls.discard(call)

    def heard(self) -> None:
        """The worker has just said something."""
        self._heard = time.monotonic()
        self._answered = True

    def lose(self, silent_s: float) -> None:
        """The worker is given up: nobody waits for it any more."""
        self.lost, self._silent_s = True, silent_s
        self.cancel()

    def cancel(self) -> None:
        """End all calls."""
        for call in list(self._calls):
            call.cancel()

    def silence(self) -> str:
        """Why it was given up."""
        return f"The {self.who} worker at {self.address} was silent for {self._silent_s:g} s."

    def answers(self, timeout_s: float) -> bool:
        """Whether the worker says within that time that it is well."""
        if self.lost:
            return False
        stub = health_pb2_grpc.HealthStub(self._channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=timeout_s, metadata=metadata(self.security))
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                self._linked_until = 0.0
            return False
        except ValueError:
            # What gRPC says of a channel that was closed meanwhile.
            return False
        self._linked_until = time.monotonic() + LINKED_S
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    @property
    def linked(self) -> bool:
        """Whether the worker has answered on a connection that has not broken since: gRPC's pings would tell."""
        return time.monotonic() < self._linked_until

    def close(self) -> None:
        self._closed.set()
        self._channel.close()

    def _watch(self) -> None:
        while not self._closed.wait(TICK_S):
            began = time.monotonic()
            quiet_s = began - self._heard
            if not self._calls or (quiet_s < QUIET_S and self.linked):
                continue
            patience_s = max(SILENCE_S - quiet_s, TICK_S if quiet_s < SILENCE_S else LAST_ANSWER_S)
            if self.answers(patience_s):
                self.heard()
                continue
            now = time.monotonic()
            allowed_s = HANG_S if self.linked else SILENCE_S
            if now - began < patience_s + HELD_UP_S and now - self._heard >= allowed_s:
                self.lose(allowed_s)
