"""Whether a worker still lives: by all that it says, and while it says nothing, by its health."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from decc_core.errors import WorkerFailed
from decc_core.runtime.wire.transport import Address, Security, as_failure, is_healthy, open_channel

SILENCE_S = 8.0
"""A worker that says nothing for so long, not even that it is well, is given up; a busy one answers sooner."""
QUIET_S = 1.0
"""Who has just said something is not asked: the two sides of a run tell more often that they are there."""
TICK_S = 0.25
LAST_ANSWER_S = 2.0
"""Also whoever was not asked for long has so long to answer."""
HELD_UP_S = 1.0
"""If it takes this much more than it should to find out, it is we who were held up."""


class Pulse:
    """Ends all calls to a worker that does not answer any more, whatever they wait for.

    Health has a connection of its own, so that it does not queue behind what a call sends.
    """

    def __init__(self, who: str, address: Address, security: Security) -> None:
        """`who` is the worker's role, for sentences."""
        self.who, self.address, self.security = who, address, security
        self.lost = False
        self._channel = open_channel(address, security, shared=False)
        self._calls: set[Any] = set()
        self._heard = 0.0
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._watcher: threading.Thread | None = None

    @contextmanager
    def watching(self, call: Any) -> Iterator[None]:
        """Ends the call, which must be read meanwhile, where silence falls; errors become one sentence."""
        self.lost = False
        self.heard()
        with self._lock:
            self._calls.add(call)
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name=f"pulse-{self.who}", daemon=True)
                self._watcher.start()
        try:
            yield
        except grpc.RpcError as error:
            raise WorkerFailed(self.silence()) if self.lost else as_failure(error, self.who, self.address) from None
        finally:
            self._calls.discard(call)

    def heard(self) -> None:
        """The worker has just said something."""
        self._heard = time.monotonic()

    def lose(self) -> None:
        """The worker is given up: nobody waits for it any more."""
        self.lost = True
        self.cancel()

    def cancel(self) -> None:
        """End all calls."""
        for call in list(self._calls):
            call.cancel()

    def silence(self, time_s: float = SILENCE_S) -> str:
        return f"The {self.who} worker at {self.address} was silent for {time_s:g} s."

    def answers(self, timeout_s: float) -> bool:
        """Whether the worker says that it is well."""
        return not self.lost and is_healthy(self._channel, self.security, timeout_s)

    def close(self) -> None:
        self._closed.set()
        self._channel.close()

    def _watch(self) -> None:
        while not self._closed.wait(TICK_S):
            began = time.monotonic()
            quiet_s = began - self._heard
            if not self._calls or quiet_s < QUIET_S:
                continue
            patience_s = max(SILENCE_S - quiet_s, LAST_ANSWER_S)
            if self.answers(patience_s):
                self.heard()
            elif time.monotonic() - began < patience_s + HELD_UP_S and time.monotonic() - self._heard >= SILENCE_S:
                self.lose()
