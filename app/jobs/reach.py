"""How far a verdict holds, looked up in the background of a visit; nothing here knows Streamlit."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from app.jobs.job import Job
from app.jobs.planners import PLANNERS
from app.memory import MEMORY, Memory
from decc_core.errors import DeccError, NotPossible
from decc_core.network.graph import LayerGraph
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.scenario import Scenario
from decc_core.study.reach import RATES_MBPS, SPEEDS, advice, reach, reach_in_words

QUIET_S = 0.8
"""A slider that moves asks anew at each step: what is looked up is for where it comes to rest."""
UNSEEN_S = 10.0


@dataclass
class ReachJob(Job):
    """Some twenty-five plans along two lines: other rates of the uplink, and other speeds of the edge."""

    what = "The look around"
    longest_s = 120.0
    scenario: Scenario
    graph: LayerGraph
    edge: DeviceProfile
    cloud: DeviceProfile
    advice: str
    key: str
    owner: str | None = None
    memory: Memory = field(default_factory=lambda: MEMORY)
    ticket: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    """With it a browser asks how far it is."""
    found: str = ""
    seen_s: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.found = self.memory.get(("reach", self.key)) or ""
        self.over = bool(self.found)

    def look(self) -> None:
        """Say that somebody still waits for it."""
        self.seen_s = time.monotonic()

    def _work(self) -> None:
        if self.stopped.wait(QUIET_S):
            return
        here = self.scenario
        rates = reach(here.uplink_mbps, RATES_MBPS, self._holds(lambda rate: replace(here, uplink_mbps=rate)))
        slower = self._holds(lambda speed: replace(here, edge_slowdown=here.edge_slowdown / speed))
        self.found = self.memory.keep(
            ("reach", self.key), lambda: reach_in_words(self.advice, rates, reach(1.0, SPEEDS, slower)), self.owner
        )

    def _holds(self, other: Callable[[float], Scenario]) -> Callable[[float], bool]:
        wanted = "both" if self.advice in ("split", "share") else self.advice

        def holds(condition: float) -> bool:
            if time.monotonic() - self.seen_s > UNSEEN_S:
                self.stop()
            if self.stopped.is_set():
                raise NotPossible("Nobody waits for it.")
            try:
                instance = other(condition).instance(self.graph, self.edge, self.cloud)
                return PLANNERS.ask(instance, advice, instance) == wanted
            except DeccError:
                # Where nothing can be planned, nothing can be advised either.
                return False

        return holds
