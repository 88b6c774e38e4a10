"""The tensors of the requests in flight on one worker, shared by the threads that make, send and receive them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch

from decc_core.errors import DeccError, WorkerFailed
from decc_core.network.work import Work
from decc_core.runtime.wire.torch_tensors import Coded

WAIT_S = 0.25
"""Waiting threads look up at least so often."""
FIRST_DEADLINE_NS = 3_600_000_000_000
"""Until a run starts and has its own deadline."""


class Ready(NamedTuple):
    """A tensor and when it became usable, on this worker's clock; that may lie ahead, while it is on its way.

    It is still coded until somebody needs it.
    """

    value: torch.Tensor | Coded
    at_ns: int

    @property
    def tensor(self) -> torch.Tensor:
        """Of what is not coded, or decoded by now."""
        assert not isinstance(self.value, Coded)
        return self.value


class TensorStore:
    """Holds each tensor until its last user has released it; whoever needs one that is not there waits."""

    def __init__(self, users: Iterable[Work]) -> None:
        self._users = Counter(users)
        self._tensors: dict[Work, Ready] = {}
        self._results: dict[int, int] = {}
        self._changed = threading.Condition()
        self._deadline_ns = time.perf_counter_ns() + FIRST_DEADLINE_NS
        self._failure: DeccError | None = None

    def __len__(self) -> int:
        return len(self._tensors)

    @property
    def failure(self) -> DeccError | None:
        return self._failure

    def put(self, key: Work, tensor: torch.Tensor | Coded, at_ns: int) -> None:
        with self._changed:
            if self._users[key] > 0:
                self._tensors[key] = Ready(tensor, at_ns)
                self._changed.notify_all()

    def get(self, key: Work) -> Ready:
        """Wait for a tensor; raises what the run failed with, or `WorkerFailed` at the deadline."""
        ready = self._tensors.get(key)
        if ready is None:
            self._wait(lambda: key in self._tensors, f"tensor {key.item} of request {key.request}")
            ready = self._tensors[key]
        return ready

    def release(self, key: Work) -> None:
        """One user needs the tensor no more."""
        with self._changed:
            self._users[key] -= 1
            if self._users[key] <= 0:
                self._tensors.pop(key, None)

    def put_result(self, request: int, at_ns: int) -> None:
        with self._changed:
            self._results[request] = at_ns
            self._changed.notify_all()

    def result_ns(self, request: int) -> int:
        """Wait until a request's result is on the edge."""
        if request not in self._results:
            self._wait(lambda: request in self._results, f"the result of request {request}")
        return self._results[request]

    def next_result(self, told: set[int]) -> tuple[int, int]:
        """Wait for a result that was not told yet: its request and its time; the earliest of those that are there."""
        with self._changed:
            self._wait_here(lambda: len(self._results) > len(told), "the next result")
            at_ns, request = min((at, request) for request, at in self._results.items() if request not in told)
            return request, at_ns

    def set_deadline(self, deadline_ns: int) -> None:
        self._deadline_ns = deadline_ns

    def fail(self, error: DeccError) -> None:
        """Give up: everybody who waits, or will wait, gets the first failure; tensors are dropped."""
        with self._changed:
            self._failure = self._failure or error
            self._tensors.clear()
            self._changed.notify_all()

    def check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _wait(self, there: Callable[[], bool], what: str) -> None:
        with self._changed:
            self._wait_here(there, what)

    def _wait_here(self, there: Callable[[], bool], what: str) -> None:
        """Wait, holding the lock."""
        while not there():
            self.check()
            if time.perf_counter_ns() > self._deadline_ns:
                raise WorkerFailed(f"{what[0].upper()}{what[1:]} did not come before the run's deadline.")
            self._changed.wait(WAIT_S)
        self.check()
