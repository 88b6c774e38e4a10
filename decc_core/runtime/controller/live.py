"""The controller: starts or finds an edge and a cloud worker, and has them run plans."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

from decc_core.network.work import Resource
from decc_core.plans.plan import Plan
from decc_core.problem.instance import NS_PER_S, CostInstance
from decc_core.problem.profile import DeviceProfile
from decc_core.runtime.controller.client import Progress, WorkerClient
from decc_core.runtime.controller.dilation import needed_dilation
from decc_core.runtime.controller.pair import SIDES, WorkerPair, as_data
from decc_core.runtime.controller.plan_run import OnProgress, PlanRun, median_level
from decc_core.runtime.controller.report import RunReport, RunSettings, Speed
from decc_core.runtime.wire import messages as m
from decc_core.runtime.wire.machine import machine_id
from decc_core.runtime.wire.processes import LocalWorker
from decc_core.runtime.wire.transport import Address, Security

REHEARSING = {"running": "rehearsing"}
REHEARSALS, REHEARSED_S = 3, 1.0
"""A native run is rehearsed so often, or for so long: one short rehearsal may meet a neighbour's burst of work."""


class Workers(WorkerPair):
    """Workers that are up, and run plans of the model that they have loaded."""

    def dilation_for(self, instance: CostInstance, plan: Plan, settings: RunSettings) -> float:
        """By how much an emulated run of the plan must be stretched on these workers."""
        if settings.speed is Speed.NATIVE:
            return 1.0
        with PlanRun(self, instance, plan, settings) as run:
            return needed_dilation(tuple(run.warm_up().values()))

    def run(
        self,
        instance: CostInstance,
        plan: Plan,
        settings: RunSettings,
        progress: OnProgress | None = None,
        stop: threading.Event | None = None,
        strategy: str = "plan",
    ) -> RunReport:
        """Run a plan and compare every output with the unsplit model's; the report bears the name of its `strategy`.

        A native run is rehearsed before, to know the machine's present `level`.
        A worker that fails, or `stop`, ends the run within its deadlines; the report then says why, and keeps the
        requests that were finished. Raises `DeccError` only before the run has started.
        """
        told, stop = progress or (lambda *_: None), stop or threading.Event()
        rehearsals: list[RunReport] = []
        while settings.speed is Speed.NATIVE and not _rehearsed(rehearsals):
            with PlanRun(self, instance, plan, settings, strategy) as rehearsal:
                found = rehearsal.execute(lambda what, _, total: told(REHEARSING.get(what, what), 0, total), stop)
            if found.failure is not None:
                return found
            rehearsals.append(found)
        with PlanRun(self, instance, plan, settings, strategy) as run:
            return run.execute(told, stop, median_level(rehearsals))

    def run_each(
        self,
        instance: CostInstance,
        plans: Mapping[str, Plan],
        settings: RunSettings,
        progress: Callable[[str, str, int, int], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[RunReport]:
        """Run the strategies' plans one after the other under the same conditions, the same dilation included.

        `progress` hears the strategy, what is going on, how many requests are finished, and how many there are. Once
        `stop` is set no plan is begun any more.
        """

        stop = stop or threading.Event()

        def told(name: str) -> OnProgress:
            return lambda what, done, total: progress(name, what, done, total) if progress is not None else None

        if settings.dilation is None and settings.speed is Speed.EMULATED and len(plans) > 1:
            found = [1.0]
            for strategy, plan in plans.items():
                if stop.is_set():
                    return
                told(strategy)("finding out how fast this machine is", 0, instance.requests)
                found.append(self.dilation_for(instance, plan, settings))
            settings = replace(settings, dilation=max(found))
        for strategy, plan in plans.items():
            if stop.is_set():
                return
            yield self.run(instance, plan, settings, told(strategy), stop, strategy)


def _rehearsed(found: Sequence[RunReport]) -> bool:
    return len(found) == REHEARSALS or sum(one.trace.makespan_ns for one in found) > REHEARSED_S * NS_PER_S


@contextmanager
def local_workers() -> Iterator[Workers]:
    """An edge and a cloud worker process on this machine; both are gone afterwards, whatever happened."""
    processes: list[LocalWorker] = []
    workers = None
    try:
        processes += [LocalWorker.start(side) for side in SIDES]
        for process in processes:
            process.wait_ready()
        workers = _connected([WorkerClient(p.role, p.address, p.security, p) for p in processes])
        yield workers
    finally:
        if workers is not None:
            workers.close()
        for process in processes:
            process.stop()


def profile_here(
    source: str | Any, device: m.Device, name: str, repeats: int = 30, progress: Progress | None = None
) -> DeviceProfile:
    """Measure a model on this machine in a worker process of its own: under the conditions of a live run."""
    data = as_data(source)
    process = LocalWorker.start(Resource.EDGE)
    try:
        process.wait_ready()
        with closing(WorkerClient(Resource.EDGE, process.address, process.security, process)) as client:
            loaded = client.load(data)
            return client.profile(m.ProfileModel(loaded.fingerprint, device, name, repeats), progress)
    finally:
        process.stop()


@contextmanager
def remote_workers(
    edge: Address, cloud: Address, security: Security, cloud_from_edge: Address | None = None
) -> Iterator[Workers]:
    """Workers that are already up, on this or other hosts; they stay up afterwards."""
    clients = [WorkerClient(Resource.EDGE, edge, security), WorkerClient(Resource.CLOUD, cloud, security)]
    workers = _connected(clients, cloud_from_edge)
    try:
        yield workers
    finally:
        workers.close()


def _connected(clients: Sequence[WorkerClient], cloud_from_edge: Address | None = None) -> Workers:
    edge, cloud = clients
    for client in clients:
        client.connect(machine_id())
    return Workers(edge, cloud, cloud_from_edge)
