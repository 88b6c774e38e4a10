"""A stream on its way through the workers: the whole menu made ready, requests dispatched, results compared."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from decc_core.errors import InvalidInstance, WireError, WorkerFailed
from decc_core.network.arrays import Ints
from decc_core.network.work import Resource
from decc_core.planner.analysis import Analysis
from decc_core.plans.pieces import SIDES
from decc_core.plans.plan import Plan, pick_works
from decc_core.problem.instance import RESOURCES, CostInstance, crossing_tensors
from decc_core.problem.link import NS_PER_S
from decc_core.progress import Progress, silent
from decc_core.runtime.controller.client import WorkerClient, WorkerPair
from decc_core.runtime.controller.outputs import Outputs, OutputsReader, compare_outputs, is_classifier
from decc_core.runtime.controller.plan_run import DEADLINE_EXTRA_S, NORMAL, PlanRun, require_going_on
from decc_core.runtime.controller.report import RunSettings, Speed
from decc_core.runtime.controller.stream_report import REFUSED, UNFINISHED, StreamReport
from decc_core.runtime.controller.watch import Watch
from decc_core.runtime.wire import messages as m
from decc_core.runtime.wire.assembly import TensorChunk
from decc_core.streams.arrivals import Arrivals, Process, arrivals
from decc_core.streams.menu import Menu
from decc_core.streams.policies import Policy, Site
from decc_core.streams.posted import Posted
from decc_core.streams.served import Served
from decc_core.text import counted
from decc_core.unforeseen import enough_for

INPUTS = 4
"""Different inputs at least, which the requests take in turn."""
MOST_OPEN, MOST_OPEN_BYTES = 1_000, 1 << 30
"""Requests that may be in the system, and what their tensors may take on either side."""
SHOWN = 24
"""Requests in the middle of a stream whose work is told piece by piece."""
MOST_SAMPLES = 256
REHEARSED_S, REHEARSED, REHEARSED_AT = 4.0, (24, 2_000), 0.5
"""Of the rehearsal before a native stream: for how long requests come, how many at least and at most, and at what share
of the capacity."""
SLACK = 1.5


def menu_plan(analysis: Analysis, menu: Menu) -> Plan:
    """A plan with a request for each cut of a menu, which has workers make all of its programs ready."""
    chains = list(menu.chains)
    chains += chains[:1] * (INPUTS - len(chains))
    work = {id(chain): analysis.chains.work_of_jobs(chain) for chain in chains}
    sequences = {
        resource: pick_works((i, np.concatenate(work[id(chain)][place])) for i, chain in enumerate(chains))
        for place, resource in enumerate(RESOURCES)
    }
    return Plan(menu.execution, tuple(chain.cut for chain in chains), sequences)


def most_open(instance: CostInstance, menu: Menu) -> int:
    """How many requests may be in the system: beyond that a policy counts as overloaded."""
    tensors = instance.graph.tensors
    returned = sum(tensors[tensor].spec.size_bytes for tensor in instance.graph.returned)
    largest = max(
        returned + sum(tensors[tensor].spec.size_bytes for tensor in crossing_tensors(instance.graph, cut))
        for cut in menu.cuts
    )
    return max(1, min(MOST_OPEN, MOST_OPEN_BYTES // max(1, largest)))


@dataclass(frozen=True, eq=False)
class Finished:
    """What the edge told of its requests; times on the controller's clock."""

    taken: Ints
    dispatched_ns: Ints
    result_ns: Ints
    decision_ns: Ints
    samples: Ints


class StreamWatch(Watch):
    """Follows a stream to its end, and compares each new kind of output with the unsplit model's."""

    def __init__(self, requests: int, *more: Any) -> None:
        super().__init__(*more)
        self.total, self.inputs = requests, len(self.plan.cuts)
        outputs = more[4]
        self.reader = OutputsReader(outputs, MOST_SAMPLES * self.inputs**2, "edge worker", self.compare)
        self.of_sample: dict[int, tuple[int, int]] = {}
        """The input and the place of the cut that each kind of output is of."""
        empty = np.full((5, requests), UNFINISHED, np.int64)
        self.finished_requests = Finished(*empty)
        self.busy_ns: dict[Resource, int] = {}
        self.overloaded = False

    def compare(self, request: int, outputs: Outputs) -> None:
        sample, number = divmod(request, self.inputs**2)
        which, place = divmod(number, self.inputs)
        self.differences[sample] = compare_outputs(outputs, self.references.of(which))
        if self.through_formats is not None:
            if number not in self.through_formats:
                raise WireError(f"The edge worker told of outputs of cut {place}, which no request may take.")
            self.from_formats[sample] = compare_outputs(outputs, self.through_formats.of(number))
        self.of_sample[sample] = which, place

    @property
    def done(self) -> int:
        """Requests that came to an end."""
        return int((self.finished_requests.taken != UNFINISHED).sum())

    def _take(self, side: Resource, event: Any, progress: Progress) -> str | None:
        if isinstance(event, m.Results):
            self._note(event, self.clients[side].ahead_ns)
            progress(self.done, self.total, "running")
            return None
        if isinstance(event, (TensorChunk, m.Done)):
            self.reader.take(event)
            return None
        if isinstance(event, m.Finished):
            sends = Resource.UPLINK if side is Resource.EDGE else Resource.DOWNLINK
            self.busy_ns |= dict(zip((side, sends), event.busy_ns, strict=True))
        if isinstance(event, m.Failed):
            self.overloaded = event.overloaded
        return super()._take(side, event, progress)

    def _note(self, event: m.Results, ahead_ns: int) -> None:
        found = self.finished_requests
        for request, place, dispatched_ns, result_ns, decision_ns, sample in event.rows:
            self._require_open(request)
            if place >= self.inputs or sample >= MOST_SAMPLES:
                raise WireError(f"The edge worker told of a cut or an output of request {request} that is not there.")
            asked = request % self.inputs, place
            if self.of_sample.get(sample, asked) != asked:
                raise WireError(
                    f"The edge worker told of outputs of request {request} that are for another input or cut."
                )
            found.taken[request], found.samples[request] = place, sample
            found.dispatched_ns[request], found.result_ns[request] = dispatched_ns - ahead_ns, result_ns - ahead_ns
            found.decision_ns[request] = decision_ns
        for request in event.refused:
            self._require_open(request)
            found.taken[request] = REFUSED

    def _require_open(self, request: int) -> None:
        if request >= self.total or self.finished_requests.taken[request] != UNFINISHED:
            raise WireError(f"The edge worker told of request {request}, which the stream does not wait for.")

    def _explained(self, trouble: str, side: Resource, event: Any) -> str:
        return self._sentence(trouble) if self.overloaded else super()._explained(trouble, side, event)

    def _sentence(self, trouble: str) -> str:
        return f"{trouble} {counted(self.done, 'request')} of {self.total:,} came to an end."


class StreamRun(PlanRun):
    """One policy and the workers that shall serve it."""

    coded_kind = "through formats, with any cut"

    @enough_for("a live run", WorkerFailed)
    def __init__(
        self, workers: WorkerPair, site: Site, policy: Policy, deadline_ns: int, settings: RunSettings, name: str
    ) -> None:
        """Refuses what a live run cannot do: it has one source and one server."""
        if (site.sources, site.servers) != (1, 1):
            raise InvalidInstance("A live stream has one source and one server; simulate more of them with decc load.")
        if settings.fallback_edge:
            raise InvalidInstance("A stream has no fallback to the edge: its policy decides which cut a request takes.")
        plan = menu_plan(site.analysis, policy.menu)
        # What the edge has memory for is the policy's to keep, request by request.
        free = replace(site.instance.constraints, edge_memory_bytes=None)
        instance = replace(site.instance, requests=len(plan.cuts), constraints=free)
        super().__init__(workers, instance, plan, settings, name)
        self.site, self.policy, self.deadline_ns = site, policy, deadline_ns
        self.most_open = most_open(site.instance, policy.menu)

    def _order(self, client: WorkerClient, saved: bytes) -> m.PrepareRun:
        return msgspec.structs.replace(super()._order(client, saved), stream=True)

    @enough_for("a live run", WorkerFailed)
    def serve(
        self,
        stream: Arrivals,
        progress: Progress,
        stop: threading.Event,
        dilation: float | None = None,
        level: Mapping[Resource, float] = NORMAL,
        handling_ns: int = 0,
    ) -> StreamReport:
        """Make the menu ready, have the stream served, and compare with `simulate_at` such a level and handling."""
        total, settings = len(stream), self.settings
        emulated = settings.speed is Speed.EMULATED
        progress(0, total, "simulating")
        simulation = simulate_at(level, handling_ns, self.site, self.policy, stream, self.deadline_ns)
        with self.prepared():
            progress(0, total, "computing the unsplit model")
            references, through_formats = self._references(stop), None
            if self.lossy:
                progress(0, total, "computing what the formats give")
                through_formats = self._through_formats(stop)
            progress(0, total, "warming up the whole menu")
            needed = self._needed_dilation()
            require_going_on(stop)
            dilation = (dilation or needed) if emulated else 1.0
            deadline_s = settings.deadline_s or self._longest_s(stream, dilation)
            deadline_s = min(deadline_s, m.MAX_DEADLINE_S)
            self._pace(dilation, deadline_s)
            first = max(0, (total - SHOWN) // 2)
            window = (first, min(total, first + SHOWN) - 1)
            order = m.Stream(
                self.name,
                tuple(stream.times_ns.tolist()),
                Posted.of(self.site, self.policy, self.deadline_ns),
                dilation,
                self.most_open,
                window,
            )
            self.workers.both(lambda client: client.stream(order))
            progress(0, total, "running")
            watch = StreamWatch(
                total, self.name, self.plan, settings, self.clients, self.outputs, references, deadline_s,
                through_formats,
            )  # fmt: skip
            failure = watch.follow(progress, stop)
        report = self._report(stream, watch, failure, simulation, dilation, window)
        return replace(report, level=dict(level), handling_ns=handling_ns)

    def _report(
        self,
        stream: Arrivals,
        watch: StreamWatch,
        failure: str | None,
        simulation: Served,
        dilation: float,
        window: tuple[int, int],
    ) -> StreamReport:
        """What the workers told, in the plan's time."""
        found, zero_ns = watch.finished_requests, watch.zero_ns

        def planned(times_ns: Ints) -> Ints:
            return np.where(found.taken >= 0, np.round((times_ns - zero_ns) / dilation), UNFINISHED).astype(np.int64)

        finish_ns = planned(found.result_ns)
        shown = watch.trace(dilation)
        loads = self.policy.menu.rows.loads[found.taken[found.taken >= 0]].sum(axis=0).tolist()
        results = {r: int(finish_ns[r]) for r in range(window[0], window[1] + 1) if found.taken[r] >= 0}
        return StreamReport(
            policy=self.strategy,
            rate_hz=stream.rate_hz,
            arrivals=stream,
            deadline_ns=self.deadline_ns,
            edge_layers=tuple(len(cut) for cut in self.policy.menu.cuts),
            taken=found.taken,
            dispatched_ns=planned(found.dispatched_ns),
            finish_ns=finish_ns,
            decision_ns=found.decision_ns,
            samples=found.samples,
            distances=watch.differences,
            from_formats=watch.from_formats,
            formats=self.formats,
            lossy=self.loses(self.policy.menu.cuts[place] for place in set(found.taken[found.taken >= 0].tolist())),
            sizes=watch.sizes,
            classifies=is_classifier(tuple(self.outputs.values())),
            busy_ns=watch.busy_ns,
            planned_ns={side: int(loads[RESOURCES.index(side)]) for side in SIDES},
            simulation=simulation,
            capacity_hz=self.site.capacity_hz,
            speed=self.settings.speed,
            dilation=dilation,
            level=NORMAL,
            trace=replace(shown, result_ns=results, beside=self.beside),
            window=window,
            failure=failure,
            overloaded=watch.overloaded,
        )

    def _coded_numbers(self) -> Sequence[int]:
        """Every input with every cut of the menu, as any request may take any."""
        places, many = range(len(self.policy.menu)), len(self.plan.cuts)
        return [which * many + place for which in range(many) for place in places]

    def _pace(self, dilation: float, deadline_s: float) -> None:
        emulated = self.settings.speed is Speed.EMULATED
        for side, times in self.layers_ns.items():
            paced_ns = tuple(round(time_ns * dilation) for time_ns in times) if emulated else None
            charged = emulated and self.instance.charges_work
            crossing_ns = tuple(round(time * dilation) for time in self.crossing_ns[side]) if charged else ()
            link = self.settings.link.dilated(dilation)
            self.clients[side].pace(m.Pace(self.name, link, paced_ns, deadline_s, crossing_ns))

    def _longest_s(self, stream: Arrivals, dilation: float) -> float:
        """Until the last request has come, and then until a system that is as full as it may be is empty."""
        last_s = int(stream.times_ns[-1]) / NS_PER_S
        slowest_s = int(self.policy.menu.rows.loads.sum(axis=1).max()) / NS_PER_S
        busy_s = SLACK * (last_s + self.most_open * slowest_s)
        return (busy_s + self._sending_s(busy_s)) * dilation + DEADLINE_EXTRA_S


def simulate_at(
    level: Mapping[Resource, float], handling_ns: int, site: Site, policy: Policy, stream: Arrivals, deadline_ns: int
) -> Served:
    """What a policy makes of arrivals where each side is so many times slower than it believes.

    Whoever is served has the result so much later than its work is over: what a machine needs to take a request in
    hand and to pass its results on, which keeps nobody else waiting.
    """
    served = site.serve(_at_level(policy, level), stream, deadline_ns)
    return replace(served, finish_ns=np.where(served.is_refused, served.finish_ns, served.finish_ns + handling_ns))


def _at_level(policy: Policy, level: Mapping[Resource, float]) -> Policy:
    """The same policy, where edge and cloud are so many times slower than it believes."""
    if all(slower == 1.0 for slower in level.values()):
        return policy
    factors = np.array([level.get(resource, 1.0) for resource in RESOURCES])

    def slower(jobs: Ints) -> Ints:
        return np.where(jobs > 0, np.round(jobs * factors), jobs).astype(np.int64)

    chains = tuple(replace(chain, jobs=slower(chain.jobs)) for chain in policy.menu.chains)
    return replace(policy, menu=replace(policy.menu, chains=chains))


def run_streams(
    workers: WorkerPair,
    site: Site,
    policies: Mapping[str, Policy],
    stream: Arrivals,
    deadline_ns: int,
    settings: RunSettings,
    progress: Callable[[str], Progress] = lambda policy: silent,
    stop: threading.Event | None = None,
    inputs: Callable[[int], tuple[TensorChunk, ...]] | None = None,
) -> Iterator[StreamReport]:
    """Have each policy serve the same arrivals, one after the other under the same conditions.

    `inputs` makes so many inputs, which the requests take in turn; without it they are random.

    Before a native stream some seconds are rehearsed, to know how slow each side is at present, and what a request
    takes beside its work. Once `stop` is set no policy is begun any more.
    """
    stop = stop or threading.Event()
    runs = []
    for name, policy in policies.items():
        here = settings if inputs is None else replace(settings, inputs=inputs(max(INPUTS, len(policy.menu))))
        runs.append(StreamRun(workers, site, policy, deadline_ns, here, name))
    dilation = settings.dilation
    if dilation is None and settings.speed is Speed.EMULATED and len(runs) > 1:
        dilation = 1.0
        for run in runs:
            if stop.is_set():
                return
            progress(run.strategy)(0, len(stream), "finding out how fast this machine is")
            dilation = max(dilation, run.dilation())
    for run in runs:
        if stop.is_set():
            return
        level, handling_ns = NORMAL, 0
        if settings.speed is Speed.NATIVE:
            rehearsal = _rehearsal(run, progress(run.strategy), len(stream), stop)
            if rehearsal.failure is not None:
                yield rehearsal
                continue
            level = rehearsal.work_level
            handling_ns = _handling_ns(run, rehearsal)
        yield run.serve(stream, progress(run.strategy), stop, dilation, level, handling_ns)


def _rehearsal(run: StreamRun, progress: Progress, total: int, stop: threading.Event) -> StreamReport:
    def rehearsing(done: int, _: int, what: str) -> None:
        progress(0, total, "rehearsing" if what == "running" else what)

    rate_hz = REHEARSED_AT * min(run.site.capacity_hz, run.site.sustains_hz(run.policy))
    many = round(min(max(REHEARSED[0], rate_hz * REHEARSED_S), REHEARSED[1]))
    return run.serve(arrivals(Process.CONSTANT, rate_hz, many), rehearsing, stop)


def _handling_ns(run: StreamRun, rehearsal: StreamReport) -> int:
    """How much later than work and queues explain a request had its result, in the median."""
    expected = simulate_at(rehearsal.work_level, 0, run.site, run.policy, rehearsal.arrivals, run.deadline_ns)
    if expected.given_up_after is not None:
        return 0
    # A request that a dispatcher gave another cut tells of that cut, not of how it was handled.
    same = (rehearsal.taken >= 0) & (rehearsal.taken == expected.taken)
    return max(0, round(np.median((rehearsal.finish_ns - expected.finish_ns)[same]))) if same.any() else 0
