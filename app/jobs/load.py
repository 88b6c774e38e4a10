"""A load curve in the background of a visit: rate by rate, and then what each policy sustains."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from app.jobs.job import Job
from app.jobs.planners import PLANNERS, PROCESSES
from app.memory import MEMORY, Memory
from decc_core.errors import NotPossible
from decc_core.problem.instance import CostInstance
from decc_core.streams.load import Asked, Closely, Limits, Row, closely, limits_of, rows_at, sustained_of

RATES = 12
AT_ONCE = max(2, PROCESSES - 1)
"""So many questions of one curve are with the planners. All but what decc sustains are answered within a second, so
that a slider of somebody else waits no longer than that even where there are but two."""
UNSEEN_S = 60.0
"""A curve that no page has looked at for so long is not gone on with; what is known of it is kept."""


@dataclass(frozen=True)
class LoadTask:
    """What is simulated. `key` stands for instance and demand; what belongs to an owner is forgotten with it."""

    instance: CostInstance
    asked: Asked
    key: str
    owner: str | None = None


@dataclass
class LoadJob(Job):
    """The curve of one task: rows by rate, sustained rates by policy, and what was looked at closely."""

    what = "The simulation"
    task: LoadTask
    memory: Memory = field(default_factory=lambda: MEMORY)
    limits: Limits | None = None
    rows: list[Row] = field(default_factory=list)
    sustained_hz: dict[str, float] = field(default_factory=dict)
    doing: str = "looking for the capacity"
    seen_s: float = field(default_factory=time.monotonic)

    def look(self) -> None:
        """Say that somebody still looks."""
        self.seen_s = time.monotonic()

    @property
    def rates_hz(self) -> tuple[float, ...]:
        """The rates of the curve; none where there is no capacity to go up to."""
        if self.limits is None or self.limits.capacity_hz == float("inf"):
            return ()
        return tuple(self.limits.capacity_hz * (0.05 + 0.95 * k / (RATES - 1)) for k in range(RATES))

    @property
    def done(self) -> float:
        """How much is done, from 0 to 1."""
        if self.limits is None:
            return 0.0
        many = len(self.limits.policies)
        return (len(self.rows) + len(self.sustained_hz)) / max(1, many * (RATES + 1))

    def _work(self) -> None:
        self.limits = self._known("limits", limits_of)
        names = self.limits.policies
        with ThreadPoolExecutor(AT_ONCE, "load") as pool:
            for rows in pool.map(lambda rate_hz: self._rows_at(names, rate_hz), self.rates_hz):
                self.rows += rows
            # The policy that takes by far the longest, the last, is begun first.
            for _ in pool.map(self._look_for_sustained, reversed(names)):
                pass

    def _rows_at(self, names: tuple[str, ...], rate_hz: float) -> list[Row]:
        self.doing = f"simulating {rate_hz:.3g} requests/s"
        rows: list[Row] = self._known(("rows", rate_hz), rows_at, names, rate_hz)
        return rows

    def _look_for_sustained(self, name: str) -> None:
        self.doing = f"looking for the rate that {name} sustains"
        self.sustained_hz[name] = self._known(("sustained", name), sustained_of, name)

    def _known(self, what: object, make: Any, *args: Any) -> Any:
        if time.monotonic() - self.seen_s > UNSEEN_S:
            self.stop()
        if self.stopped.is_set():
            raise NotPossible("The simulation was stopped.")
        return known(self.task, what, make, *args, memory=self.memory)


def known(task: LoadTask, what: object, make: Any, *args: Any, memory: Memory = MEMORY) -> Any:
    """An answer about a task, made once by a process that plans for the page."""
    return memory.keep(
        ("load", task.key, what),
        lambda: PLANNERS.ask(task.instance, make, task.instance, task.asked, *args),
        task.owner,
    )


def looked_at_closely(task: LoadTask, name: str, rate_hz: float) -> Closely:
    """One policy at one rate."""
    found: Closely = known(task, ("closely", name, rate_hz), closely, name, rate_hz)
    return found
