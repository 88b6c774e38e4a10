"""The exact solver in the background: the page looks at it, and may stop it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from app.jobs.job import Job
from decc_core.planner.strategies import solve_exact
from decc_core.planner.strategies.exact_result import ExactResult
from decc_core.plans.plan import Plan
from decc_core.problem.instance import CostInstance

_one_at_a_time = threading.Lock()
"""Proofs of several visitors would only slow each other down."""


@dataclass(frozen=True)
class ProofPoint:
    """The best value and the best bound known at one time of a proof, in seconds."""

    elapsed_s: float
    best_s: float
    bound_s: float


@dataclass
class ProofJob(Job):
    """One click on "Prove it": the exact solver on one instance, warm-started by decc's plan."""

    what = "The proof"
    instance: CostInstance
    warm_start: Plan
    limit_s: float
    points: list[ProofPoint] = field(default_factory=list)
    result: ExactResult | None = None
    took_s: float = 0.0
    began_s: float | None = None
    _end_search: Callable[[], None] | None = None

    def _halt(self) -> None:
        if self._end_search is not None:
            self._end_search()

    @property
    def elapsed_s(self) -> float:
        return 0.0 if self.began_s is None else time.monotonic() - self.began_s

    def _work(self) -> None:
        with self._turn(_one_at_a_time) as mine:
            if mine:
                self.began_s = time.monotonic()
                result = solve_exact(
                    self.instance, self.warm_start, self.limit_s, progress=self._hear, stoppable=self._take_handle
                )
                # The page may look at any time, and takes the result for the sign that the rest is known.
                self.took_s = self.elapsed_s
                self.result = result

    def _take_handle(self, end_search: Callable[[], None]) -> None:
        self._end_search = end_search

    def _hear(self, best_s: float, bound_s: float) -> None:
        self.points.append(ProofPoint(self.elapsed_s, best_s, bound_s))
        if self.stopped.is_set():
            # Stop may have been clicked before there was a search to end.
            self._halt()
