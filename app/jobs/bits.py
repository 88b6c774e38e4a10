"""The answer over bits per value, looked up in the background of a visit."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from app.jobs.job import Job
from app.jobs.planners import PLANNERS
from app.memory import MEMORY, Memory
from decc_core.errors import DeccError, NotPossible
from decc_core.network.graph import LayerGraph
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.scenario import Scenario
from decc_core.study.bits import BITS, BitsRow, at_bits, with_bits

UNSEEN_S = 60.0


@dataclass
class BitsJob(Job):
    """One plan of all strategies for each number of bits; `key` stands for everything but the wire."""

    what = "The look at other formats"
    scenario: Scenario
    graph: LayerGraph
    edge: DeviceProfile
    cloud: DeviceProfile
    key: str
    owner: str | None = None
    memory: Memory = field(default_factory=lambda: MEMORY)
    rows: list[BitsRow] = field(default_factory=list)
    seen_s: float = field(default_factory=time.monotonic)

    def look(self) -> None:
        """Say that somebody still looks."""
        self.seen_s = time.monotonic()

    def _work(self) -> None:
        for bits in BITS:
            if time.monotonic() - self.seen_s > UNSEEN_S:
                self.stop()
            if self.stopped.is_set():
                raise NotPossible("Nobody looks at it any more.")
            try:
                self.rows.append(self._row(bits))
            except DeccError:
                # Under a limit on bytes there may be no plan with many bits.
                continue
        if not self.rows:
            raise NotPossible("No number of bits has a plan under these limits.")

    def _row(self, bits: float) -> BitsRow:
        def make() -> BitsRow:
            instance = with_bits(self.scenario, bits).instance(self.graph, self.edge, self.cloud)
            return PLANNERS.ask(instance, at_bits, instance, bits)

        return self.memory.keep(("bits", self.key, bits), make, self.owner)
