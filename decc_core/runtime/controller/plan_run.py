"""One plan on its way through the workers: prepared, warmed up, run, and checked."""

from __future__ import annotations

import statistics
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from decc_core import store
from decc_core.errors import DeccError, WorkerFailed
from decc_core.network.graph import LayerGraph, TensorSpec
from decc_core.network.work import Resource
from decc_core.plans.check import check_plan
from decc_core.plans.plan import Plan
from decc_core.plans.runs import segments
from decc_core.plans.schedule import Schedule, schedule
from decc_core.plans.trace import totals
from decc_core.problem.instance import NS_PER_S, CostInstance
from decc_core.runtime.controller.client import WorkerClient
from decc_core.runtime.controller.dilation import needed_dilation
from decc_core.runtime.controller.outputs import Outputs, OutputsReader, compare_outputs
from decc_core.runtime.controller.pair import SIDES, WorkerPair, both
from decc_core.runtime.controller.report import RunReport, RunSettings, Speed
from decc_core.runtime.controller.watch import Watch
from decc_core.runtime.wire import messages as m

DEADLINE_FACTOR, DEADLINE_EXTRA_S = 4.0, 30.0
NORMAL: Mapping[Resource, float] = {Resource.EDGE: 1.0, Resource.CLOUD: 1.0}
OnProgress = Callable[[str, int, int], None]
"""Hears what is going on, how many requests are finished, and how many there are."""


def median_level(rehearsals: Sequence[RunReport]) -> dict[Resource, float]:
    """How many times slower than planned each side computed in rehearsals; 1 where there were none."""
    levels: dict[Resource, list[float]] = {side: [] for side in SIDES}
    for one in rehearsals:
        for side in totals(one.trace, one.predicted):
            if side.resource.computes and side.predicted_ns:
                levels[side.resource].append(side.ratio)
    return {side: statistics.median(found) if found else 1.0 for side, found in levels.items()}


class PlanRun:
    """One plan on its way through the workers; a context, because workers must be told when it is over."""

    def __init__(
        self, workers: WorkerPair, instance: CostInstance, plan: Plan, settings: RunSettings, strategy: str = "plan"
    ) -> None:
        self.instance, self.plan, self.settings, self.workers = instance, plan, settings, workers
        self.strategy = strategy
        self.graph: LayerGraph = instance.graph
        if self.graph.fingerprint != workers.fingerprint:
            raise WorkerFailed(
                f"The workers hold another version of '{self.graph.name}' than the plan is for; "
                "extract and profile the network again with this version of DECC."
            )
        check_plan(instance, plan)
        self.predicted = schedule(instance, plan)
        self.name = uuid.uuid4().hex
        self.clients = workers.clients

    def __enter__(self) -> PlanRun:
        saved = store.to_json(store.SavedPlan(self.graph.name, self.graph.fingerprint, self.plan, self.strategy))
        try:
            both(lambda client: client.prepare(self._order(client, saved)), self.clients)
            if self.settings.inputs is not None:
                self.clients[Resource.EDGE].send_inputs(self.name, self.settings.inputs)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        for client in self.clients.values():
            with suppress(DeccError):
                client.close_run(self.name)

    def _order(self, client: WorkerClient, saved: bytes) -> m.PrepareRun:
        edge, cloud = (self.clients[side] for side in SIDES)
        ahead = cloud.ahead_ns - edge.ahead_ns
        if client is edge:
            security = cloud.security
            peer = m.Peer(str(self.workers.cloud_from_edge), security.token, security.certificate, ahead)
            device, seed = self.settings.device, None if self.settings.inputs else self.settings.seed
        else:
            peer = m.Peer("", None, None, -ahead)
            device, seed = self.settings.cloud_device or self.settings.device, None
        # Cores are handed out only where both processes were started here, each with one thread.
        cores = self.workers.cores[client.role] if client.process is not None and device.threads == 1 else ()
        wire = self.settings.wire.value
        return m.PrepareRun(self.name, self.graph.fingerprint, saved, device, wire, seed, peer, cores)

    def warm_up(self) -> dict[Resource, tuple[Sequence[float], Sequence[float]]]:
        """Warm both sides, at the same time as in the run: native and planned seconds of every segment."""
        native = both(lambda client: client.warm(self.name), self.clients)
        return {
            side: (
                native[side],
                [
                    sum(times[layer] for layer in segment.layers) / NS_PER_S
                    for segment in segments(self.graph, self.plan, side)
                ],
            )
            for side, times in ((Resource.EDGE, self.instance.edge_ns), (Resource.CLOUD, self.instance.cloud_ns))
        }

    def _at_level(self, level: Mapping[Resource, float]) -> Schedule:
        one = self.instance
        edge_ns = tuple(round(time_ns * level[Resource.EDGE]) for time_ns in one.edge_ns)
        cloud_ns = tuple(round(time_ns * level[Resource.CLOUD]) for time_ns in one.cloud_ns)
        return schedule(replace(one, edge_ns=edge_ns, cloud_ns=cloud_ns), self.plan)

    def execute(
        self, progress: OnProgress, stop: threading.Event, level: Mapping[Resource, float] = NORMAL
    ) -> RunReport:
        """Warm up, run, and compare; `level` is how many times slower than planned each side is known to compute."""
        settings = self.settings
        emulated = settings.speed is Speed.EMULATED
        total = len(self.plan.cuts)
        progress("computing the unsplit model", 0, total)
        references = self._references()
        progress("warming up", 0, total)
        sides = self.warm_up()
        dilation = (settings.dilation or needed_dilation(tuple(sides.values()))) if emulated else 1.0
        at_level = self._at_level(level)
        deadline_s = settings.deadline_s or (
            DEADLINE_FACTOR * at_level.makespan_ns / NS_PER_S * dilation + DEADLINE_EXTRA_S
        )
        for side, times in ((Resource.EDGE, self.instance.edge_ns), (Resource.CLOUD, self.instance.cloud_ns)):
            layers_ns = tuple(round(time_ns * dilation) for time_ns in times) if emulated else None
            self.clients[side].pace(m.Pace(self.name, settings.link.dilated(dilation), layers_ns, deadline_s))
        progress("running", 0, total)
        watch = Watch(self.name, self.plan, settings, self.clients, self._output_specs(), deadline_s)
        failure = watch.follow(progress, stop)
        fallen_back: tuple[int, ...] = ()
        if failure is not None and settings.fallback_edge and not stop.is_set():
            fallen_back, failure = self._fall_back(watch, failure)
        differences = {request: compare_outputs(found, references[request]) for request, found in watch.outputs.items()}
        return RunReport(
            strategy=self.strategy,
            plan=self.plan,
            speed=settings.speed,
            dilation=dilation,
            predicted=self.predicted,
            level=dict(level),
            at_level=at_level,
            trace=watch.trace(dilation),
            outputs=watch.outputs,
            differences=differences,
            dispatch_s=watch.dispatch_s,
            fallen_back=fallen_back,
            failure=failure,
        )

    def _references(self) -> dict[int, Outputs]:
        """The unsplit model's outputs, computed by the edge worker; equal inputs are computed once."""
        key = (self.settings.seed, self.settings.device, self.settings.inputs)
        known = self.workers.references.setdefault(key, {})
        missing = [request for request in range(len(self.plan.cuts)) if request not in known]
        if missing:
            known.update(self._whole(missing))
        return known

    def _whole(self, requests: Sequence[int]) -> dict[int, Outputs]:
        reader = OutputsReader(self._output_specs(), len(self.plan.cuts), "edge worker")
        for event in self.clients[Resource.EDGE].whole(self.name, requests):
            reader.take(event)
        return reader.done

    def _output_specs(self) -> dict[int, TensorSpec]:
        return {tensor: self.graph.tensors[tensor].spec for tensor in self.graph.returned}

    def _fall_back(self, watch: Watch, failure: str) -> tuple[tuple[int, ...], str | None]:
        """Complete on the edge what did not finish; the failure stays where the edge is what failed."""
        unfinished = [request for request in range(len(self.plan.cuts)) if request not in watch.outputs]
        try:
            watch.outputs.update(self._whole(unfinished))
        except DeccError as error:
            return (), f"{failure} The fallback to the edge failed, too: {error}"
        return tuple(unfinished), failure
