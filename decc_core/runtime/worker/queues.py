"""The work of a stream that waits: on a worker itself, and, as far as the edge can tell, in the cloud."""

from __future__ import annotations

import heapq
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any, NamedTuple

from decc_core.problem.link import NS_PER_S
from decc_core.runtime.worker.tensors import WAIT_S, TensorStore


class Taken(NamedTuple):
    """A piece of work whose turn it is, and since when it was ready."""

    ready_ns: int
    what: Any


class ReadyQueue:
    """Work that is taken in the order in which it becomes ready; what is ready at once, in the order of its keys."""

    def __init__(self, tensors: TensorStore) -> None:
        """A failure of the run, which `tensors` know of, ends all waiting."""
        self._tensors = tensors
        self._heap: list[tuple[int, tuple[int, int], Any]] = []
        self._changed = threading.Condition()
        self._closed = False

    def put(self, ready_ns: int, key: tuple[int, int], what: Any) -> None:
        with self._changed:
            heapq.heappush(self._heap, (ready_ns, key, what))
            self._changed.notify()

    def close(self) -> None:
        """Nothing is put any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self) -> Taken | None:
        """Wait for what is ready first, and None once there is nothing left; raises what the run failed with."""
        with self._changed:
            while True:
                self._tensors.check()
                now = time.perf_counter_ns()
                if self._heap and self._heap[0][0] <= now:
                    ready_ns, _, what = heapq.heappop(self._heap)
                    return Taken(ready_ns, what)
                if not self._heap and self._closed:
                    return None
                wait_s = (self._heap[0][0] - now) / NS_PER_S if self._heap else WAIT_S
                self._changed.wait(min(WAIT_S, wait_s))


class CloudPiece(NamedTuple):
    """Work that was sent to the cloud: which request's, when it is there, and how long it and its result take."""

    request: int
    ready_ns: int
    work_ns: int
    back_ns: int


class CloudView:
    """What the edge knows of the cloud, in the plan's time: what it has sent there, and what came back.

    The cloud serves what became ready first, so that with a result all that was ready before it is done. Of the rest
    the times of the plan tell how far it is.
    """

    def __init__(self) -> None:
        self._pieces: deque[CloudPiece] = deque()
        self._known_ns = 0

    def sent(self, piece: CloudPiece) -> None:
        self._pieces.append(piece)

    def finished(self, request: int, back_at_ns: int) -> None:
        """A request's result is back since a time."""
        mine = [piece for piece in self._pieces if piece.request == request]
        if mine:
            self._known_ns = max(self._known_ns, back_at_ns - mine[-1].back_ns)
            while self._pieces and self._pieces[0].ready_ns <= mine[-1].ready_ns:
                self._pieces.popleft()

    def seen(self, now_ns: int) -> tuple[Mapping[int, int], int]:
        """How many pieces of each request are done, and since when the cloud works on its present one."""
        done: Counter[int] = Counter()
        free_ns = self._known_ns
        for piece in self._pieces:
            start_ns = max(free_ns, piece.ready_ns)
            free_ns = start_ns + piece.work_ns
            if free_ns > now_ns:
                return done, min(start_ns, now_ns)
            done[piece.request] += 1
        return done, now_ns
