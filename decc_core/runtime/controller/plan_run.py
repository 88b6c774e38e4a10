"""One plan on its way through the workers: checked once, then prepared, warmed up, run and compared, once or again."""

from __future__ import annotations

import statistics
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from decc_core import store
from decc_core.errors import DeccError, InvalidInstance, WorkerFailed
from decc_core.formats import RAW, find
from decc_core.network.work import Resource
from decc_core.plans.check import check_plan
from decc_core.plans.pieces import SIDES
from decc_core.plans.plan import Plan
from decc_core.plans.runs import runs_of
from decc_core.plans.schedule import schedule
from decc_core.plans.trace import totals
from decc_core.problem.instance import (
    RESOURCES,
    CostInstance,
    Cut,
    crossing_tensors,
    returned_tensors,
    work_times_ns,
)
from decc_core.problem.link import NS_PER_S
from decc_core.progress import Progress
from decc_core.runtime.controller.client import WorkerClient, WorkerPair
from decc_core.runtime.controller.dilation import needed_dilation
from decc_core.runtime.controller.outputs import Outputs, OutputsReader, References, is_classifier
from decc_core.runtime.controller.report import RunReport, RunSettings, Speed
from decc_core.runtime.controller.watch import Watch
from decc_core.runtime.wire import messages as m
from decc_core.text import bytes_text
from decc_core.unforeseen import enough_for

DEADLINE_FACTOR, DEADLINE_EXTRA_S = 4.0, 30.0
NORMAL: Mapping[Resource, float] = dict.fromkeys(SIDES, 1.0)


def median_level(rehearsals: Sequence[RunReport]) -> dict[Resource, float]:
    """How many times slower than planned each side computed in rehearsals; 1 where there were none."""
    levels: dict[Resource, list[float]] = {side: [] for side in SIDES}
    for rehearsal in rehearsals:
        for side in totals(rehearsal.trace, rehearsal.predicted):
            if side.resource.computes and side.predicted_ns:
                levels[side.resource].append(side.ratio)
    return {side: statistics.median(ratios) if ratios else 1.0 for side, ratios in levels.items()}


MOST_RUN_BYTES = 2 << 30
"""Of inputs, outputs and references of all requests, which edge and controller hold until they are compared."""


def require_room(instance: CostInstance) -> None:
    """Refuse a run whose requests would hold more than a controller and an edge have room for."""
    graph = instance.graph
    inputs = sum(graph.tensors[graph.tensors_of[layer][0]].spec.size_bytes for layer in graph.inputs)
    outputs = sum(graph.tensors[tensor].spec.size_bytes for tensor in graph.returned)
    one = inputs + 2 * outputs
    if one * instance.requests > MOST_RUN_BYTES:
        fit = MOST_RUN_BYTES // one
        raise InvalidInstance(
            f"{instance.requests} requests of '{graph.name}' hold {bytes_text(one * instance.requests)} of inputs, "
            f"outputs and references, and a run may hold {bytes_text(MOST_RUN_BYTES)}; "
            + (f"run {fit} at most." if fit else "one request alone is too large.")
        )


class PlanRun:
    """One plan and the workers that shall run it; workers take each run under a new name."""

    coded_kind = "through formats"

    @enough_for("a live run", WorkerFailed)
    def __init__(
        self, workers: WorkerPair, instance: CostInstance, plan: Plan, settings: RunSettings, strategy: str = "plan"
    ) -> None:
        """Refuses a plan that breaks a rule, or one of another network than the workers hold."""
        self.instance, self.plan, self.settings, self.workers = instance, plan, settings, workers
        self.graph, self.clients, self.name = instance.graph, workers.clients, ""
        self.strategy = strategy
        if self.graph.fingerprint != workers.fingerprint:
            raise WorkerFailed(
                f"The workers hold another version of '{self.graph.name}' than the plan is for; "
                "extract and profile the network again with this version of DECC."
            )
        require_room(instance)
        self.predicted = check_plan(instance, plan)
        self.layers_ns = {Resource.EDGE: instance.edge_ns, Resource.CLOUD: instance.cloud_ns}
        self.crossing_ns = {Resource.EDGE: instance.send_ns, Resource.CLOUD: instance.receive_ns}
        self.coding_ns = {Resource.EDGE: instance.encode_ns, Resource.CLOUD: instance.decode_ns}
        crossing = {tensor for cut in plan.groups() for tensor in crossing_tensors(self.graph, cut)}
        self.formats = {
            tensor: name
            for tensor, name in enumerate(instance.formats)
            if tensor in crossing and find(name).takes(self.graph.tensors[tensor].spec)
        }
        """Of the tensors that cross coded, by their index."""
        self.lossy = self.loses(plan.groups())
        self.outputs = {tensor: self.graph.tensors[tensor].spec for tensor in self.graph.returned}

    def loses(self, cuts: Iterable[Cut]) -> bool:
        """Whether anything that these cuts send, up or back, is coded with loss."""
        coded = set[str]()
        for cut in cuts:
            coded |= {self.formats.get(tensor, RAW) for tensor in crossing_tensors(self.graph, cut)}
            coded |= {self.instance.result_format for _ in returned_tensors(self.graph, cut)}
        return not all(find(name).lossless for name in coded)

    @contextmanager
    def prepared(self) -> Iterator[PlanRun]:
        """A run that both workers know; they are told when it is over."""
        self.name = uuid.uuid4().hex
        saved = store.to_json(store.SavedPlan(self.graph.name, self.graph.fingerprint, self.plan, self.strategy))
        try:
            self.workers.both(lambda client: client.prepare(self._order(client, saved)))
            if self.settings.inputs is not None:
                self.clients[Resource.EDGE].send_inputs(self.name, self.settings.inputs)
            yield self
        finally:
            self.workers.both(self._leave)

    def _leave(self, client: WorkerClient) -> None:
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
        beside = client.role in self.beside
        results = self.instance.result_format
        return m.PrepareRun(
            self.name, client.network.handle, saved, device, self.formats, beside, results, seed, peer, cores
        )

    @property
    def beside(self) -> frozenset[Resource]:
        """The sides on which the plan has another core code tensors: it charges their layers' core nothing for it."""
        if not self.formats:
            return frozenset()
        return frozenset(
            side for side, times in self.coding_ns.items() if not any(times[tensor] for tensor in self.formats)
        )

    @enough_for("a live run", WorkerFailed)
    def dilation(self) -> float:
        """By how much an emulated run must be stretched on these workers."""
        with self.prepared():
            return self._needed_dilation()

    def _needed_dilation(self) -> float:
        """Warms both sides, at the same time as in the run."""
        native = self.workers.both(lambda client: client.warm(self.name))
        by_cut = {cut: work_times_ns(self.instance, cut) for cut in self.plan.groups()}
        planned = {
            side: [
                int(by_cut[self.plan.cuts[run.request]][RESOURCES.index(side)][list(run.layers)].sum()) / NS_PER_S
                for run in runs_of(self.graph, self.plan, side)
            ]
            for side in SIDES
        }
        return needed_dilation([(native[side], planned[side]) for side in SIDES])

    @enough_for("a live run", WorkerFailed)
    def execute(
        self,
        progress: Progress,
        stop: threading.Event,
        dilation: float | None = None,
        level: Mapping[Resource, float] = NORMAL,
    ) -> RunReport:
        """Warm up, run, and compare.

        `dilation` of None lets an emulated run find its own; `level` is how many times slower than planned each side is
        known to compute.
        """
        settings, total = self.settings, len(self.plan.cuts)
        emulated = settings.speed is Speed.EMULATED
        with self.prepared():
            progress(0, total, "computing the unsplit model")
            references = self._references(stop)
            through_formats = None
            if self.lossy:
                progress(0, total, "computing what the formats give")
                through_formats = self._through_formats(stop)
            progress(0, total, "warming up")
            needed = self._needed_dilation()
            require_going_on(stop)
            dilation = (dilation or needed) if emulated else 1.0
            edge_ns, cloud_ns = (
                tuple(round(time_ns * level[side]) for time_ns in times) for side, times in self.layers_ns.items()
            )
            at_level = schedule(replace(self.instance, edge_ns=edge_ns, cloud_ns=cloud_ns), self.plan)
            deadline_s = settings.deadline_s or (
                DEADLINE_FACTOR * at_level.makespan_ns / NS_PER_S * dilation
                + self._sending_s(at_level.makespan_ns / NS_PER_S) * dilation
                + DEADLINE_EXTRA_S
            )
            deadline_s = min(deadline_s, m.MAX_DEADLINE_S)
            for side, times in self.layers_ns.items():
                paced_ns = tuple(round(time_ns * dilation) for time_ns in times) if emulated else None
                charged = emulated and self.instance.charges_work
                crossing_ns = tuple(round(time * dilation) for time in self.crossing_ns[side]) if charged else ()
                link = settings.link.dilated(dilation)
                self.clients[side].pace(m.Pace(self.name, link, paced_ns, deadline_s, crossing_ns))
            progress(0, total, "running")
            watch = Watch(
                self.name, self.plan, settings, self.clients, self.outputs, references, deadline_s, through_formats
            )
            failure = watch.follow(progress, stop)
            fallen_back: tuple[int, ...] = ()
            if failure is not None and settings.fallback_edge and not stop.is_set():
                fallen_back, failure = self._fall_back(watch, failure)
        return RunReport(
            strategy=self.strategy,
            plan=self.plan,
            speed=settings.speed,
            dilation=dilation,
            predicted=self.predicted,
            level=dict(level),
            at_level=at_level,
            trace=replace(watch.trace(dilation), beside=self.beside),
            outputs=watch.outputs,
            differences=watch.differences,
            from_formats=watch.from_formats,
            formats=self.formats,
            lossy=self.lossy,
            sizes=watch.sizes,
            classifies=is_classifier(tuple(self.outputs.values())),
            dispatch_s=watch.dispatch_s,
            fallen_back=fallen_back,
            failure=failure,
        )

    def _sending_s(self, ready_s: float) -> float:
        """How long the uplink would take for all tensors, were they ready only then: no trace delays a run by more."""
        link = self.settings.link
        # What a format makes of a tensor depends on its values; the most is the tensor itself, but for a byte.
        sizes = {
            tensor: self.graph.tensors[tensor].spec.size_bytes if tensor in self.formats else planned
            for tensor, planned in enumerate(self.instance.wire_bytes)
        }
        by_cut = {cut: sum(map(sizes.__getitem__, crossing_tensors(self.graph, cut))) for cut in self.plan.groups()}
        size_bytes = sum(by_cut[cut] for cut in self.plan.cuts)
        return link.uplink.sent_at(ready_s, size_bytes) - ready_s if link.shaped else 0.0

    def _references(self, stop: threading.Event) -> References:
        """The unsplit model's outputs, computed by the edge worker; equal inputs are computed once in a row."""
        known = self.workers.references_for((self.settings.seed, self.settings.device, self.settings.inputs))
        missing = [request for request in range(len(self.plan.cuts)) if request not in known]
        if missing:
            self._whole(missing, known.keep, stop)
        return known

    def _through_formats(self, stop: threading.Event) -> References:
        """What comes out when crossing tensors are coded, without a link; computed by the edge worker."""
        inputs = (self.settings.seed, self.settings.device, self.settings.inputs)
        known = self.workers.references_for(
            (inputs, self.plan, self.formats, self.instance.result_format), self.coded_kind
        )
        missing = [number for number in self._coded_numbers() if number not in known]
        if missing:
            events = self.clients[Resource.EDGE].through_formats(self.name, missing)
            self._listen(events, known.keep, stop, max(missing) + 1)
        return known

    def _coded_numbers(self) -> Sequence[int]:
        """What the edge worker is asked for by: the requests."""
        return range(len(self.plan.cuts))

    def _whole(self, requests: Sequence[int], complete: Callable[[int, Outputs], None], stop: threading.Event) -> None:
        self._listen(self.clients[Resource.EDGE].whole(self.name, requests), complete, stop, len(self.plan.cuts))

    def _listen(
        self, events: Iterator[Any], complete: Callable[[int, Outputs], None], stop: threading.Event, many: int
    ) -> None:
        reader = OutputsReader(self.outputs, many, "edge worker", complete)
        for event in events:
            reader.take(event)
            require_going_on(stop)

    def _fall_back(self, watch: Watch, failure: str) -> tuple[tuple[int, ...], str | None]:
        """Complete on the edge what did not finish; the failure stays where the edge is what failed."""
        unfinished = [request for request in range(len(self.plan.cuts)) if request not in watch.differences]
        try:
            self._whole(unfinished, watch.compare, threading.Event())
        except DeccError as error:
            return (), f"{failure} The fallback to the edge failed, too: {error}"
        return tuple(unfinished), failure


def require_going_on(stop: threading.Event) -> None:
    if stop.is_set():
        raise WorkerFailed("The run was stopped before it began.")
