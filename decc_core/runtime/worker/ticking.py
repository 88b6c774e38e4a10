"""When a worker's layers are done: noted as they are, or held back until the plan's time; and on which cores."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress

from decc_core.runtime.wire.pacing import sleep_until

MAX_CATCH_UP_NS = 500_000
"""Emulated work that ends late by less than this counts as on time: what follows keeps its absolute deadline."""
SPIN_NS = 60_000
"""How much too long a sleep may last; the end of an emulated run of layers is awaited without sleeping."""
NOT_WORTH_SLEEPING_NS = 150_000


class NativeTicker:
    """Notes when each layer of a run is done."""

    def __init__(self) -> None:
        self.stamps: list[int] = []

    def tick(self, position: int) -> None:
        self.stamps.append(time.perf_counter_ns())

    def tick_all(self) -> None:
        self.stamps.append(time.perf_counter_ns())

    def end_ns(self) -> int:
        return self.stamps[-1]


def hold_until(deadline_ns: int) -> int:
    """Wait for a moment to the microsecond; returns the time, which is later where the moment has passed."""
    now = time.perf_counter_ns()
    while deadline_ns - now > SPIN_NS:
        sleep_until(deadline_ns - SPIN_NS)
        now = time.perf_counter_ns()
    while now < deadline_ns:
        now = time.perf_counter_ns()
    return now


class EmulatedTicker:
    """Holds each layer back until its emulated end, counted from the run's start: deadlines do not drift."""

    def __init__(self, base_ns: int, durations_ns: Sequence[int]) -> None:
        self.stamps: list[int] = []
        self.deadline_ns = base_ns
        self.durations_ns = durations_ns

    def tick(self, position: int) -> None:
        self.deadline_ns += self.durations_ns[position]
        last = position + 1 == len(self.durations_ns)
        now = time.perf_counter_ns()
        if last or self.deadline_ns - now > NOT_WORTH_SLEEPING_NS:
            now = hold_until(self.deadline_ns)
        self.stamps.append(now)

    def tick_all(self) -> None:
        """Hold the whole run back until its last layer's end."""
        self.deadline_ns += sum(self.durations_ns[:-1])
        self.tick(len(self.durations_ns) - 1)

    def end_ns(self) -> int:
        return max(self.deadline_ns, self.stamps[-1] - MAX_CATCH_UP_NS)


def pin(cores: Sequence[int]) -> None:
    """Keep the calling thread on some cores, where the system can."""
    if cores and hasattr(os, "sched_setaffinity"):
        with suppress(OSError):
            os.sched_setaffinity(0, cores)
