"""A live run in the background: the page looks at it, and may stop it; nothing here knows Streamlit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from app.jobs.inputs import Pictures, Recording
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
from decc_core.problem.link import MS_PER_S, TensorWork
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.scenario import Scenario
from decc_core.profiling.settings import ProfileSettings
from decc_core.progress import Progress
from decc_core.ranges import require
from decc_core.runtime.controller.live import Workers, local_workers
from decc_core.runtime.controller.report import RunReport, RunSettings, Speed
from decc_core.runtime.wire.pacing import LinkShape

NATIVE_REPEATS = 15
MAX_JITTER_MS = 10_000.0
BUSY = 0.75
"""With so many processes for each core that want to run, native times are longer than on a quiet machine."""


class Crowd(NamedTuple):
    """How many processes wanted this machine's cores lately, on average over a minute."""

    wanting: float
    cores: int

    @property
    def busy(self) -> bool:
        return self.wanting > BUSY * self.cores

    def __str__(self) -> str:
        cores = "its only core" if self.cores == 1 else f"its {self.cores} cores"
        return (
            f"This machine is busy: on average {self.wanting:.1f} processes wanted {cores} in the last minute. Native "
            "times are longer then, and say little of a quiet machine."
        )


def crowd() -> Crowd:
    """How crowded this machine is now; not at all where the system does not say."""
    try:
        wanting = os.getloadavg()[0]
    except (OSError, AttributeError):
        wanting = 0.0
    return Crowd(wanting, os.cpu_count() or 1)


@dataclass(frozen=True)
class Conditions:
    """What a run meets beside its plan: other inputs than random ones, jitter, a changing uplink, a lost cloud.

    With `fallback_edge` the edge completes what a lost cloud leaves behind.
    """

    jitter_ms: float = 0.0
    recording: Recording | None = None
    pictures: Pictures | None = None
    fallback_edge: bool = False

    def __post_init__(self) -> None:
        require("jitter", self.jitter_ms, 0, MAX_JITTER_MS, "ms")

    def settings(self, scenario: Scenario, speed: Speed) -> RunSettings:
        """How to run the plans of a scenario under them."""
        uplink = self.recording.rate if self.recording else None
        return RunSettings(
            LinkShape.of(scenario.link, uplink, self.jitter_ms / MS_PER_S),
            speed,
            inputs=self.pictures.inputs(scenario.requests) if self.pictures else None,
            fallback_edge=self.fallback_edge,
            # The page tells how many came, and how far off they were; the tensors themselves it does not keep.
            keep_outputs=False,
        )

    def options(self) -> tuple[str, ...]:
        """The same for `decc run`; files stand by their names."""
        words: tuple[str, ...] = ("--jitter-ms", f"{self.jitter_ms:g}") if self.jitter_ms else ()
        words += ("--bandwidth-trace", self.recording.name) if self.recording else ()
        words += ("--images", "FOLDER-OF-IMAGES") if self.pictures else ()
        return words + (("--fallback", "edge") if self.fallback_edge else ())

    def __str__(self) -> str:
        """In a few words, for a title; nothing for what is usual."""
        parts = [f"up to {self.jitter_ms:g} ms of jitter"] if self.jitter_ms else []
        parts += [f"the uplink of {self.recording.name}, which the plans do not know"] if self.recording else []
        if self.pictures:
            many = len(self.pictures.names)
            parts.append(f"{many} images as inputs" if many > 1 else "one image as input")
        return ", ".join(parts)


@dataclass
class LiveJob(Job):
    """One click on Start: some strategies, run one after the other under the same conditions."""

    what = "The live run"
    scenario: Scenario
    network: NetworkRef
    instance: CostInstance
    strategies: tuple[str, ...]
    speed: Speed
    conditions: Conditions = field(default_factory=Conditions)
    doing: str = "waiting for another run or measurement on this machine to end"
    running: str | None = None
    finished: int = 0
    simpler: Simpler | None = None
    crowd: Crowd | None = None
    """How crowded the machine was before a native run."""
    tensor_work: dict[Resource, TensorWork] = field(default_factory=dict)
    slowed_together: dict[Resource, float] = field(default_factory=dict)
    reports: list[RunReport] = field(default_factory=list)

    def _work(self) -> None:
        with self._turn(one_at_a_time) as mine:
            if mine:
                if self.speed is Speed.NATIVE:
                    self.crowd = crowd()
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
        settings = self.conditions.settings(self.scenario, self.speed)
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
