"""The controller: starts or finds an edge and a cloud worker, and has them run plans."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager

from decc_core.models.ref import NetworkRef
from decc_core.network.work import Resource
from decc_core.plans.pieces import SIDES
from decc_core.plans.plan import Plan
from decc_core.problem.instance import CostInstance
from decc_core.problem.link import NS_PER_S
from decc_core.problem.profile import DeviceProfile
from decc_core.profiling.settings import ProfileSettings
from decc_core.progress import Progress, silent
from decc_core.runtime.controller.client import WorkerClient, WorkerPair
from decc_core.runtime.controller.plan_run import PlanRun, median_level
from decc_core.runtime.controller.report import RunReport, RunSettings, Speed
from decc_core.runtime.wire.processes import LocalWorker
from decc_core.runtime.wire.transport import Address, Security

REHEARSALS, REHEARSED_S = 3, 1.0
"""A native run is rehearsed so often, or for so long: one short rehearsal may meet a neighbour's burst of work."""


class Workers(WorkerPair):
    """Workers that are up, and run plans of the network that they have loaded."""

    def run(
        self,
        instance: CostInstance,
        plan: Plan,
        settings: RunSettings,
        progress: Progress = silent,
        stop: threading.Event | None = None,
        strategy: str = "plan",
    ) -> RunReport:
        """Run a plan and compare every output with the unsplit model's; `progress` hears of finished requests.

        The report bears the name of the `strategy`. A native run is rehearsed before, to know the machine's present
        `level`. A worker that fails, or `stop`, ends the run within its deadlines; the report then says why, and keeps
        the requests that were finished. Raises `DeccError` only before the run has started.
        """
        return _rehearsed_run(
            PlanRun(self, instance, plan, settings, strategy), settings.dilation, progress, stop or threading.Event()
        )

    def run_each(
        self,
        instance: CostInstance,
        plans: Mapping[str, Plan],
        settings: RunSettings,
        progress: Callable[[str], Progress] = lambda strategy: silent,
        stop: threading.Event | None = None,
    ) -> Iterator[RunReport]:
        """Run the strategies' plans one after the other under the same conditions, the same dilation included.

        `progress` gives, for each strategy, whoever hears of its plan. Once `stop` is set no plan is begun any more.
        """
        stop = stop or threading.Event()
        runs = [PlanRun(self, instance, plan, settings, strategy) for strategy, plan in plans.items()]
        dilation = settings.dilation
        if dilation is None and settings.speed is Speed.EMULATED and len(runs) > 1:
            dilation = 1.0
            for run in runs:
                if stop.is_set():
                    return
                progress(run.strategy)(0, instance.requests, "finding out how fast this machine is")
                dilation = max(dilation, run.dilation())
        for run in runs:
            if stop.is_set():
                return
            yield _rehearsed_run(run, dilation, progress(run.strategy), stop)


def _rehearsed_run(run: PlanRun, dilation: float | None, progress: Progress, stop: threading.Event) -> RunReport:
    def rehearsing(done: int, total: int, what: str) -> None:
        progress(0, total, "rehearsing" if what == "running" else what)

    rehearsals: list[RunReport] = []
    rehearsed_ns = 0
    while (
        run.settings.speed is Speed.NATIVE and len(rehearsals) < REHEARSALS and rehearsed_ns <= REHEARSED_S * NS_PER_S
    ):
        report = run.execute(rehearsing, stop)
        if report.failure is not None:
            return report
        rehearsals.append(report)
        rehearsed_ns += report.trace.makespan_ns
    return run.execute(progress, stop, dilation, median_level(rehearsals))


@contextmanager
def local_workers() -> Iterator[Workers]:
    """An edge and a cloud worker process on this machine; both are gone afterwards, whatever happened."""
    processes: list[LocalWorker] = []
    try:
        processes += [LocalWorker.start(side) for side in SIDES]
        edge, cloud = (WorkerClient.of(process) for process in processes)
        with closing(Workers(edge, cloud)) as workers:
            workers.connect()
            yield workers
    finally:
        for process in processes:
            process.stop()


@contextmanager
def remote_workers(
    edge: Address, cloud: Address, security: Security, cloud_from_edge: Address | None = None
) -> Iterator[Workers]:
    """Workers that are already up, on this or other hosts; they stay up afterwards."""
    clients = WorkerClient(Resource.EDGE, edge, security), WorkerClient(Resource.CLOUD, cloud, security)
    with closing(Workers(*clients, cloud_from_edge)) as workers:
        workers.connect()
        yield workers


def profile_here(
    network: NetworkRef,
    settings: ProfileSettings,
    progress: Progress = silent,
    started: Callable[[LocalWorker], None] = lambda process: None,
) -> DeviceProfile:
    """Measure a network on this machine in a worker process of its own: under the conditions of a live run.

    `started` hears of the process as soon as there is one, to end it before it is done.
    """
    process = LocalWorker.start(Resource.EDGE)
    try:
        started(process)
        with closing(WorkerClient.of(process)) as client:
            progress(0, 1, "building the network")
            client.load(network)
            return client.profile(settings, progress)
    finally:
        process.stop()
