"""The controller: gives a plan to an edge and a cloud worker, watches them run it, and checks what comes out."""

from __future__ import annotations

import os
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from decc_core import store
from decc_core.cost import NS_PER_S, CostInstance, WireDtype
from decc_core.errors import DeccError, WorkerFailed
from decc_core.graph import LayerGraph, TensorSpec
from decc_core.plan import Plan
from decc_core.plan_check import check_plan
from decc_core.profile import DeviceProfile
from decc_core.runtime import messages as m
from decc_core.runtime.assembly import TensorPart
from decc_core.runtime.client import Progress, WorkerClient
from decc_core.runtime.dilation import needed_dilation
from decc_core.runtime.machine import machine_id
from decc_core.runtime.outputs import Difference, Outputs, OutputsReader, compare_outputs
from decc_core.runtime.pacing import LinkShape
from decc_core.runtime.processes import LocalWorker
from decc_core.runtime.transport import Address, Security
from decc_core.schedule import Schedule, schedule
from decc_core.segments import segments
from decc_core.span import Resource
from decc_core.trace import Trace, spans_of

SIDES = (Resource.EDGE, Resource.CLOUD)
SILENCE_S = 10.0
"""A worker that says nothing for so long, not even that it is still there, is given up."""
DEADLINE_FACTOR, DEADLINE_EXTRA_S = 4.0, 30.0
POLL_S = 0.2
OnProgress = Callable[[str, int, int], None]
"""Hears what is going on, how many requests are finished, and how many there are."""


class Speed(str, Enum):
    """Native: as fast as the core runs. Emulated: every layer takes the time that its profile says, by waiting."""

    NATIVE = "native"
    EMULATED = "emulated"


@dataclass(frozen=True)
class RunSettings:
    """How to run a plan. `seed` draws random inputs, unless `inputs` (parts of tensors) are given.

    `dilation` stretches all times and the link of an emulated run; None lets the run find the smallest that this
    machine can keep. With `fallback_edge`, requests that cannot finish remotely are completed on the edge.
    """

    link: LinkShape
    speed: Speed = Speed.EMULATED
    wire: WireDtype = WireDtype.FP32
    device: m.Device = field(default_factory=m.Device)
    cloud_device: m.Device | None = None
    seed: int = 0
    inputs: tuple[TensorPart, ...] | None = None
    dilation: float | None = None
    fallback_edge: bool = False
    deadline_s: float | None = None
    silence_s: float = SILENCE_S


@dataclass(frozen=True)
class RunReport:
    """What came of a run, as far as it got; predicted and measured times are in the plan's time, without dilation.

    A machine's speed drifts from minute to minute. `level` is how many times slower each side computed the plan's
    segments while it warmed up, right before a native run, than its profile says; `at_level` is the prediction with
    all layers slower by that. Emulated runs have level 1.
    """

    plan: Plan
    speed: Speed
    dilation: float
    predicted: Schedule
    level: dict[Resource, float]
    at_level: Schedule
    trace: Trace
    outputs: dict[int, Outputs] = field(repr=False)
    differences: dict[int, Difference]
    dispatch_s: dict[Resource, float]
    fallen_back: tuple[int, ...] = ()
    failure: str | None = None

    @property
    def unfinished(self) -> tuple[int, ...]:
        """Requests without a result, whether from the run or from the fallback."""
        return tuple(request for request in range(len(self.plan.cuts)) if request not in self.outputs)

    @property
    def outputs_equal(self) -> bool:
        """Whether every request has its outputs, and all are bit for bit those of the unsplit model."""
        return not self.unfinished and all(found.equal for found in self.differences.values())

    @property
    def max_abs_diff(self) -> float:
        return max((found.max_abs for found in self.differences.values()), default=float("nan"))

    @property
    def error(self) -> float:
        """Measured over predicted makespan, less 1."""
        return _relative(self.trace.makespan_ns, self.predicted.makespan_ns)

    @property
    def error_at_level(self) -> float:
        """The same against the prediction at the level of the warm-up."""
        return _relative(self.trace.makespan_ns, self.at_level.makespan_ns)


def _relative(measured_ns: int, predicted_ns: int) -> float:
    return measured_ns / predicted_ns - 1 if predicted_ns else 0.0


class Workers:
    """An edge and a cloud worker that are up, and the model that they have loaded."""

    def __init__(self, edge: WorkerClient, cloud: WorkerClient, cloud_from_edge: Address | None = None) -> None:
        """`cloud_from_edge` is where the edge reaches the cloud, if not where we do."""
        self.cloud_from_edge = cloud_from_edge or cloud.address
        self.clients = {Resource.EDGE: edge, Resource.CLOUD: cloud}
        self.fingerprint = ""
        self.references: dict[Any, dict[int, Outputs]] = {}
        self.cores = _cores()

    def load(self, source: str | Any) -> str:
        """Give both workers a model: a zoo name, or an `ExtractedModel` as data. Returns its graph's fingerprint."""
        if isinstance(source, str):
            order, pieces = m.LoadModel(source), tuple[bytes, ...]()
        else:
            from decc_core import portable  # needs torch, which a controller of zoo networks does not

            data = portable.to_data(source)
            order, pieces = m.LoadModel(None, *map(len, data)), data
        found = _both(lambda client: client.load(order, pieces), self.clients)
        edge, cloud = found[Resource.EDGE], found[Resource.CLOUD]
        if edge != cloud:
            what = "graphs" if edge.fingerprint != cloud.fingerprint else "weights"
            raise WorkerFailed(
                f"The workers made different {what} of '{source if isinstance(source, str) else source.graph.name}': "
                "run the same versions of DECC and PyTorch on both hosts."
            )
        self.fingerprint = str(edge.fingerprint)
        self.references.clear()
        return self.fingerprint

    def profile(
        self, side: Resource, device: m.Device, name: str, repeats: int = 30, progress: Progress | None = None
    ) -> DeviceProfile:
        """Measure the loaded model's layers on one worker; the other one rests meanwhile."""
        return self.clients[side].profile(m.ProfileModel(self.fingerprint, device, name, repeats), progress)

    def dilation_for(self, instance: CostInstance, plan: Plan, settings: RunSettings) -> float:
        """By how much an emulated run of the plan must be stretched on these workers."""
        if settings.speed is Speed.NATIVE:
            return 1.0
        with _Run(self, instance, plan, settings) as run:
            return needed_dilation(tuple(run.warm_up().values()))

    def run(
        self,
        instance: CostInstance,
        plan: Plan,
        settings: RunSettings,
        progress: OnProgress | None = None,
        stop: threading.Event | None = None,
    ) -> RunReport:
        """Run a plan and compare every output with the unsplit model's.

        A worker that fails, or `stop`, ends the run within its deadlines; the report then says why, and keeps the
        requests that were finished. Raises `DeccError` only before the run has started.
        """
        with _Run(self, instance, plan, settings) as run:
            return run.execute(progress or (lambda *_: None), stop or threading.Event())

    def run_each(
        self,
        instance: CostInstance,
        plans: Sequence[Plan],
        settings: RunSettings,
        progress: Callable[[str, str, int, int], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[RunReport]:
        """Run plans one after the other under the same conditions, the same dilation included.

        `progress` hears the strategy, what is going on, how many requests are finished, and how many there are.
        """

        def told(name: str) -> OnProgress:
            return lambda what, done, total: progress(name, what, done, total) if progress is not None else None

        if settings.dilation is None and settings.speed is Speed.EMULATED and len(plans) > 1:
            found = [1.0]
            for plan in plans:
                told(plan.strategy)("finding out how fast this machine is", 0, instance.requests)
                found.append(self.dilation_for(instance, plan, settings))
            settings = replace(settings, dilation=max(found))
        for plan in plans:
            yield self.run(instance, plan, settings, told(plan.strategy), stop)

    def close(self) -> None:
        for client in self.clients.values():
            with suppress(Exception):
                client.close()


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


def _both(call: Callable[[WorkerClient], Any], clients: dict[Resource, WorkerClient]) -> dict[Resource, Any]:
    """The same call to both workers at once; the first failure is raised when both are done."""
    found: dict[Resource, Any] = {}
    failures: list[Exception] = []

    def one(side: Resource) -> None:
        try:
            found[side] = call(clients[side])
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=(side,), daemon=True) for side in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(POLL_S)
    if failures:
        raise failures[0]
    return found


def _cores() -> dict[Resource, tuple[int, ...]]:
    """A core of its own for each local worker, where there are two."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return {Resource.EDGE: (cores[0],), Resource.CLOUD: (cores[1],)} if len(cores) > 1 else dict.fromkeys(SIDES, ())


class _Run:
    """One plan on its way through the workers; a context, because workers must be told when it is over."""

    def __init__(self, workers: Workers, instance: CostInstance, plan: Plan, settings: RunSettings) -> None:
        self.instance, self.plan, self.settings, self.workers = instance, plan, settings, workers
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

    def __enter__(self) -> _Run:
        saved = store.to_json(store.SavedPlan(self.graph.name, self.graph.fingerprint, self.plan))
        try:
            _both(lambda client: client.prepare(self._order(client, saved)), self.clients)
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
        native = _both(lambda client: client.warm(self.name), self.clients)
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

    def _at_level(self, level: dict[Resource, float]) -> Schedule:
        one = self.instance
        edge_ns = tuple(round(time_ns * level[Resource.EDGE]) for time_ns in one.edge_ns)
        cloud_ns = tuple(round(time_ns * level[Resource.CLOUD]) for time_ns in one.cloud_ns)
        return schedule(replace(one, edge_ns=edge_ns, cloud_ns=cloud_ns), self.plan)

    def execute(self, progress: OnProgress, stop: threading.Event) -> RunReport:
        settings = self.settings
        emulated = settings.speed is Speed.EMULATED
        total = len(self.plan.cuts)
        progress("computing the unsplit model", 0, total)
        references = self._references()
        progress("warming up", 0, total)
        sides = self.warm_up()
        dilation = (settings.dilation or needed_dilation(tuple(sides.values()))) if emulated else 1.0
        level = {
            side: sum(native) / sum(planned) if not emulated and any(planned) else 1.0
            for side, (native, planned) in sides.items()
        }
        at_level = self._at_level(level)
        deadline_s = settings.deadline_s or (
            DEADLINE_FACTOR * at_level.makespan_ns / NS_PER_S * dilation + DEADLINE_EXTRA_S
        )
        for side, times in ((Resource.EDGE, self.instance.edge_ns), (Resource.CLOUD, self.instance.cloud_ns)):
            layers_ns = tuple(round(time_ns * dilation) for time_ns in times) if emulated else None
            self.clients[side].pace(m.Pace(self.name, settings.link.dilated(dilation), layers_ns, deadline_s))
        progress("running", 0, total)
        watch = _Watch(self, deadline_s)
        failure = watch.follow(progress, stop)
        fallen_back: tuple[int, ...] = ()
        if failure is not None and settings.fallback_edge and not stop.is_set():
            fallen_back, failure = self._fall_back(watch, failure)
        differences = {request: compare_outputs(found, references[request]) for request, found in watch.outputs.items()}
        return RunReport(
            plan=self.plan,
            speed=settings.speed,
            dilation=dilation,
            predicted=self.predicted,
            level=level,
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
        reader = OutputsReader(self.output_specs(), len(self.plan.cuts), "edge worker")
        for event in self.clients[Resource.EDGE].whole(self.name, requests):
            reader.take(event)
        return reader.done

    def output_specs(self) -> dict[int, TensorSpec]:
        return {tensor: self.graph.tensors[tensor].spec for tensor in self.graph.returned}

    def _fall_back(self, watch: _Watch, failure: str) -> tuple[tuple[int, ...], str | None]:
        """Complete on the edge what did not finish; the failure stays where the edge is what failed."""
        unfinished = [request for request in range(len(self.plan.cuts)) if request not in watch.outputs]
        try:
            watch.outputs.update(self._whole(unfinished))
        except DeccError as error:
            return (), f"{failure} The fallback to the edge failed, too: {error}"
        return tuple(unfinished), failure


class _Watch:
    """Follows the events of both workers to the end of a run."""

    def __init__(self, run: _Run, deadline_s: float) -> None:
        self.run, self.deadline_s = run, deadline_s
        self.total = len(run.plan.cuts)
        self.reader = OutputsReader(run.output_specs(), self.total, "edge worker")
        self.outputs = self.reader.done
        self.results: dict[int, int] = {}
        self.rows: dict[Resource, list[Any]] = {resource: [] for resource in Resource}
        self.arrivals: dict[Resource, dict[Any, int]] = {Resource.UPLINK: {}, Resource.DOWNLINK: {}}
        self.zero_ns = 0
        self.finished: set[Resource] = set()
        self.dispatch_s: dict[Resource, float] = {}

    def follow(self, progress: OnProgress, stop: threading.Event) -> str | None:
        """Start both sides and listen; returns why the run failed, or None."""
        events: queue.SimpleQueue[tuple[Resource, Any]] = queue.SimpleQueue()
        uses_cloud = bool(self.run.plan.sequences[Resource.CLOUD])
        sides = (Resource.CLOUD, Resource.EDGE) if uses_cloud else (Resource.EDGE,)
        calls = [self.run.clients[side].watch(self.run.name, self.deadline_s + 10, events) for side in sides]
        heard = dict.fromkeys(sides, time.monotonic())
        limit = time.monotonic() + self.deadline_s
        try:
            while self.finished != set(sides):
                try:
                    side, event = events.get(timeout=POLL_S)
                except queue.Empty:
                    pass
                else:
                    heard[side] = time.monotonic()
                    trouble = self._take(side, event, progress)
                    if trouble is not None:
                        return self._explained(trouble, side, event)
                if stop.is_set():
                    return self._sentence("The run was stopped.")
                late = self._late(heard, limit)
                if late is not None:
                    return self._sentence(late)
            return None
        finally:
            for call in calls:
                call.cancel()

    def _late(self, heard: dict[Resource, float], limit: float) -> str | None:
        now = time.monotonic()
        for side, last in heard.items():
            if side not in self.finished and now - last > self.run.settings.silence_s:
                address = self.run.clients[side].address
                return f"The {side.value} worker at {address} was silent for {self.run.settings.silence_s:g} s."
        return f"The run did not end within {self.deadline_s:.0f} s." if now > limit else None

    def _take(self, side: Resource, event: Any, progress: OnProgress) -> str | None:
        """Note one event; returns the trouble that ends the run, if it is one."""
        if isinstance(event, m.Failed):
            return event.reason
        if isinstance(event, Exception):
            return str(event)
        if event is None:
            return None if side in self.finished else f"The {side.value} worker ended the run early."
        if isinstance(event, m.Finished):
            self.finished.add(side)
            self.dispatch_s[side] = event.dispatch_s
        elif isinstance(event, m.Started):
            self.zero_ns = event.zero_ns - self.run.clients[side].ahead_ns
        elif isinstance(event, m.Spans):
            ahead = self.run.clients[side].ahead_ns
            self.rows[Resource(event.resource)] += [(r, i, s - ahead, e - ahead) for r, i, s, e in event.rows]
        elif isinstance(event, m.Arrivals):
            ahead = self.run.clients[side].ahead_ns
            self.arrivals[Resource(event.resource)] |= {(r, i): at - ahead for r, i, at in event.rows}
        elif isinstance(event, (TensorPart, m.Done)):
            self.reader.take(event)
            if isinstance(event, m.Done):
                self.results[event.request] = event.result_ns - self.run.clients[side].ahead_ns
                progress("running", len(self.results), self.total)
        return None

    def _explained(self, trouble: str, side: Resource, event: Any) -> str:
        """The failure, with the worker that caused it: one that died or hangs explains what the other one says."""
        for client in self.run.clients.values():
            gone = client.why_gone()
            if gone is not None:
                return self._sentence(gone)
        if isinstance(event, m.Failed) and not event.lost_link:
            trouble = f"The {side.value} worker at {self.run.clients[side].address} gave up: {trouble}"
        return self._sentence(trouble)

    def _sentence(self, trouble: str) -> str:
        open_requests = [request for request in range(self.total) if request not in self.results]
        if not open_requests:
            return trouble
        many = len(open_requests) > 1
        named = ", ".join(map(str, open_requests[:5])) + (", …" if len(open_requests) > 5 else "")
        return (
            f"{trouble} Request{'s' if many else ''} {named} {'are' if many else 'is'} not finished; "
            f"{len(self.results)} of {self.total} keep their results."
        )

    def trace(self, dilation: float) -> Trace:
        if not self.run.settings.link.shaped:
            self._end_at_arrival()
        spans = {
            resource: tuple(spans_of(resource, sorted(rows, key=lambda row: row[2]), self.zero_ns, dilation))
            for resource, rows in self.rows.items()
        }
        results = {request: max(0, round((at_ns - self.zero_ns) / dilation)) for request, at_ns in self.results.items()}
        return Trace(spans, results)

    def _end_at_arrival(self) -> None:
        """On a real link the sender cannot see when a tensor is through: it is when the other side has it."""
        for resource, arrived in self.arrivals.items():
            self.rows[resource] = [
                (request, item, start, max(start, arrived.get((request, item), end)))
                for request, item, start, end in self.rows[resource]
            ]
