"""A live run in the background: the page looks at it, and may stop it; nothing here knows Streamlit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.jobs.job import Job, one_at_a_time
from app.state import title_of
from decc_core.errors import NotPossible
from decc_core.models.device import ONE_THREAD
from decc_core.models.ref import NetworkRef
from decc_core.network.work import Resource
from decc_core.planner.analysis import NATIVE_ERROR, Analysis, Simpler
from decc_core.planner.strategies import solve
from decc_core.plans.pieces import SIDES
from decc_core.problem.instance import CostInstance
from decc_core.problem.link import TensorWork
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.scenario import Scenario
from decc_core.profiling.settings import ProfileSettings
from decc_core.progress import Progress
from decc_core.runtime.controller.live import Workers, local_workers
from decc_core.runtime.controller.report import RunReport, RunSettings, Speed
from decc_core.runtime.wire.pacing import LinkShape

NATIVE_REPEATS = 15


@dataclass
class LiveJob(Job):
    """One click on Start: some strategies, run one after the other under the same conditions."""

    what = "The live run"
    scenario: Scenario
    network: NetworkRef
    instance: CostInstance
    strategies: tuple[str, ...]
    speed: Speed
    doing: str = "waiting for another run or measurement on this machine to end"
    running: str | None = None
    finished: int = 0
    simpler: Simpler | None = None
    tensor_work: dict[Resource, TensorWork] = field(default_factory=dict)
    slowed_together: dict[Resource, float] = field(default_factory=dict)
    reports: list[RunReport] = field(default_factory=list)

    def _work(self) -> None:
        with self._turn(one_at_a_time) as mine:
            if mine:
                self.doing = "starting an edge and a cloud worker"
                with local_workers() as workers:
                    for step in (self._load, self._prepare, self._run_plans):
                        if self.stopped.is_set():
                            return
                        step(workers)

    def _load(self, workers: Workers) -> None:
        self.doing = f"loading {title_of(self.scenario.model)} on both workers"
        workers.load(self.network)

    def _prepare(self, workers: Workers) -> None:
        if self.speed is Speed.NATIVE:
            edge, cloud = self._measured(workers)
            self.doing = "measuring what it costs this machine to send and to receive"
            self.tensor_work = workers.tensor_work(dict.fromkeys(SIDES, ONE_THREAD.n_threads))
            if not self.stopped.is_set():
                self.doing = "measuring how the two workers slow each other"
                self.slowed_together = workers.slowed_together(dict.fromkeys(SIDES, ONE_THREAD))
            both = self.tensor_work[Resource.EDGE], self.tensor_work[Resource.CLOUD]
            self.instance = self.scenario.instance(self.instance.graph, edge, cloud, *both)

    def _run_plans(self, workers: Workers) -> None:
        self.doing = "planning"
        analysis = Analysis(self.instance, NATIVE_ERROR if self.speed is Speed.NATIVE else 0.0)
        plans = {strategy: solve(analysis, strategy).plan for strategy in self.strategies}
        self.simpler = analysis.simpler
        # The page tells how many came, and how far off they were; the tensors themselves it does not keep.
        settings = RunSettings(LinkShape.of(self.scenario.link), self.speed, self.scenario.wire, keep_outputs=False)
        for report in workers.run_each(self.instance, plans, settings, self._hearing, self.stopped):
            self.reports.append(report)

    def _measured(self, workers: Workers) -> Sequence[DeviceProfile]:
        def measure(side: Resource) -> DeviceProfile:
            def told(done: int, total: int, what: str) -> None:
                if self.stopped.is_set():
                    raise NotPossible("The measurement was stopped.")
                self.doing = f"measuring this machine's layers as the {side.value}: {done} of {total} passes"

            settings = ProfileSettings(
                f"this machine as {side.value}", ONE_THREAD, NATIVE_REPEATS, requests_in_a_run=self.scenario.requests
            )
            return workers.profile(side, settings, told)

        return [measure(Resource.EDGE), measure(Resource.CLOUD)]

    def _hearing(self, strategy: str) -> Progress:
        def hear(done: int, total: int, what: str) -> None:
            self.running, self.doing, self.finished = strategy, what, done

        return hear
