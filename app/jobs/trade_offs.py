"""The plans that no other beats in latency, throughput and bytes at once, looked for in the background."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from dataclasses import dataclass, field, replace

from app.jobs.job import Job
from app.jobs.planners import PLANNERS
from app.memory import MEMORY, Memory
from decc_core.problem.instance import CostInstance, Objective
from decc_core.study.compare import compare
from decc_core.study.pareto import ParetoPoint, points_of, trade_offs, undominated_points, uplink_limits

_one_at_a_time = threading.Lock()
"""Those of several visitors would only slow each other down."""


def whole(instance: CostInstance) -> CostInstance:
    """The instance whose trade-offs are looked for: what is traded is neither chosen nor limited beforehand."""
    limits = replace(instance.constraints, uplink_bytes=None)
    return replace(instance, objective=Objective.MAKESPAN, constraints=limits)


@dataclass
class TradeOffJob(Job):
    """One search; what it finds is kept for everybody, or for the visit that owns the network."""

    what = "The search for trade-offs"
    instance: CostInstance
    key: Hashable
    owner: str | None = None
    memory: Memory = field(default_factory=lambda: MEMORY)
    points: tuple[ParetoPoint, ...] = ()
    planned: int = 0
    total: int = 1

    def __post_init__(self) -> None:
        known: tuple[ParetoPoint, ...] | None = self.memory.get(self.key)
        if known is not None:
            self.points, self.planned, self.over = known, self.total, True

    @property
    def complete(self) -> bool:
        return self.over and self.planned == self.total

    def _work(self) -> None:
        with self._turn(_one_at_a_time) as mine:
            if not mine:
                return
            asked = trade_offs(self.instance, PLANNERS.ask(self.instance, uplink_limits, self.instance))
            self.total = len(asked)
            for one in asked:
                if self.stopped.is_set():
                    return
                found = points_of(PLANNERS.ask(one, compare, one))
                self.points = undominated_points([*self.points, *found])
                self.planned += 1
        self.memory.put(self.key, self.points, self.owner)
