"""How close live runs are to their prediction: `python -m benchmarks.live [--quick] [--output FILE]`.

Eight networks, four links, four strategies, one and eight requests (two of networks with several inputs), on two local
worker processes over the emulated link; every output is compared with the unsplit model's. `--wire int8` has tensors
coded before they travel; the weights are random, so that only formats of certain sizes tell anything. Three parts:

- emulated: the shipped profiles (edge: one thread without oneDNN, twice as slow; cloud: two threads, channels_last,
  twice as fast), replayed by waiting, all times and the link stretched where this machine is too slow. Tests transport,
  overlap and queueing, not the compute prediction.
- native: both workers' layers are measured again for each scenario, and run as fast as a core does. All plans run by
  turns, nine rounds in an order that changes; the first three are the rehearsals of the fourth, and so on. Strategies
  that choose the same plan share its runs, but DECC's plan runs twice in each round: the second is the control, which
  says what this machine can tell. Medians over the rounds count, and plans are compared by the median of their ratios
  within a round. The error is given against the profile, and against the profile at the level of the rehearsals.
- pacer: a tensor over the loopback at 1 to 500 Mbit/s.

The closing line has medians and 95th percentiles of |measured / predicted - 1| of the makespan, the dispatch cost per
segment, and for each speed what the choice of the plan was worth, all from profile and link alone:

- winner_holds: the share of cases in which the strategy that wins on paper is measured within 2 % of the fastest;
- gain_predicted, gain_measured: geometric means of the best baseline's makespan over DECC's, the best on paper and the
  best as measured;
- slower: the share of cases in which DECC was measured more than 2 % slower than the best baseline, slowest: how much
  at the worst;
- control_apart: the share of cases in which DECC's own plan, run twice, was measured more than 2 % apart from itself,
  control_worst: how much at the worst. Where this is not far below `slower`, the machine is what was measured.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path

from rich.progress import track

from decc_core import library
from decc_core.models.device import ONE_THREAD
from decc_core.models.ref import NetworkRef
from decc_core.network.work import Resource
from decc_core.planner.analysis import NATIVE_ERROR, Analysis
from decc_core.planner.strategies import solve
from decc_core.plans.plan import Plan
from decc_core.problem.instance import RESOURCES, CostInstance, loads
from decc_core.problem.link import NS_PER_S, TensorWork
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.scenario import INPUTS, Scenario
from decc_core.problem.wire import FP32
from decc_core.profiling.settings import ProfileSettings
from decc_core.progress import silent
from decc_core.runtime.controller.client import WorkerClient
from decc_core.runtime.controller.live import REHEARSALS, Workers, local_workers
from decc_core.runtime.controller.outputs import Verdict
from decc_core.runtime.controller.plan_run import PlanRun, median_level
from decc_core.runtime.controller.report import RunReport, RunSettings, Speed
from decc_core.runtime.wire.methods import PROBE
from decc_core.runtime.wire.pacing import LinkShape, Pacer, Rate, sleep_until
from decc_core.runtime.wire.transport import start_call
from decc_core.study.findings import quantile

NETWORKS = (
    "googlenet", "resnet18", "squeezenet1_1", "mobilenet_v2",
    "shufflenet_v2_x1_0", "multiview4", "two_tower", "siamese",
)  # fmt: skip
LINKS = ((5.0, 20.0, False), (20.0, 10.0, False), (50.0, 5.0, True), (100.0, 5.0, False))
"""Mbit/s each way, milliseconds of round trip, and whether raw inputs may not leave the edge."""
BASELINES = ("dads-dsl", "single-cut", "jps")
STRATEGIES = (*BASELINES, "decc")
REQUESTS, REQUESTS_OF_SEVERAL_INPUTS = (1, 8), (1, 2)
QUICK_NETWORKS, QUICK_LINKS = ("squeezenet1_1", "two_tower"), LINKS[1::2]
AS_FAST = 1.02
"""Measured times this close to each other tell no winner."""
EDGE_SLOWDOWN, CLOUD_SPEEDUP = 2.0, 2.0
NATIVE_REPEATS = 8
ROUNDS = 9
"""A run of some tens of milliseconds may meet a burst of a neighbour's work on a shared host; the median counts."""
CONTROL = "decc again"
Where = tuple[str, float, float, bool, int]
"""Network, Mbit/s, milliseconds of round trip, whether raw inputs stay, requests."""
PACER_MBPS = (1.0, 5.0, 20.0, 100.0, 500.0)
PACER_S = 2.0


@dataclass(frozen=True)
class Row:
    """One run; times in seconds of the plan's time."""

    speed: str
    network: str
    uplink_mbps: float
    rtt_ms: float
    private: bool
    requests: int
    strategy: str
    predicted_s: float
    at_level_s: float
    measured_s: float
    outputs_equal: bool
    all_resources_work: bool
    dilation: float
    dispatch_s: float
    rounds_s: tuple[float, ...] = ()
    """Each measured time, by round."""
    verdict: str = ""
    raw_bytes: int = 0
    sent_bytes: int = 0
    """Of what went up in one round: as it is, and as it travelled."""

    @property
    def error(self) -> float:
        return abs(self.measured_s / self.predicted_s - 1)

    @property
    def error_at_level(self) -> float:
        return abs(self.measured_s / self.at_level_s - 1)


def cases(networks: Sequence[str], quick: bool) -> Iterator[Where]:
    for network in networks:
        several = len(library.load_graph(network).inputs) > 1
        requests = REQUESTS_OF_SEVERAL_INPUTS if several else REQUESTS
        for (mbps, rtt_ms, private), count in product(*((QUICK_LINKS, requests[1:]) if quick else (LINKS, requests))):
            yield network, mbps, rtt_ms, private, count


def measure(chosen: Sequence[Where], speed: Speed, wire: str) -> Iterator[Row]:
    """All runs of some cases at one speed, with tensors that travel in such formats."""
    with local_workers() as workers:
        loaded = ""
        for where in chosen:
            if where[0] != loaded:
                loaded = where[0]
                workers.load(NetworkRef(loaded))
            yield from (emulated if speed is Speed.EMULATED else native)(workers, where, wire)


def emulated(workers: Workers, where: Where, wire: str) -> Iterator[Row]:
    """Every strategy under the same conditions, the same dilation included."""
    shipped = scenario(where, wire)
    edge, cloud = (library.load_profile(shipped.model, device) for device in (shipped.edge, shipped.cloud))
    devices = replace(shipped, edge_slowdown=EDGE_SLOWDOWN, cloud_speedup=CLOUD_SPEEDUP)
    instance, settings = prepared(devices, edge, cloud, Speed.EMULATED)
    plans, same = chosen_plans(instance)
    runs = {name: [report] for name, report in zip(plans, workers.run_each(instance, plans, settings), strict=True)}
    yield from (replace(row(instance, runs[run], where), strategy=name) for name, run in same.items())


def native(workers: Workers, where: Where, wire: str) -> Iterator[Row]:
    """Every strategy on profiles that were measured just before."""
    edge, cloud = (
        workers.profile(
            side, ProfileSettings(f"{side.value} worker", ONE_THREAD, NATIVE_REPEATS, requests_in_a_run=where[4])
        )
        for side in (Resource.EDGE, Resource.CLOUD)
    )
    work = workers.tensor_work(dict.fromkeys(workers.clients, ONE_THREAD.n_threads))
    instance, settings = prepared(scenario(where, wire), edge, cloud, Speed.NATIVE, work)
    plans, same = chosen_plans(instance, NATIVE_ERROR)
    plans[CONTROL], same[CONTROL] = plans[same["decc"]], CONTROL
    runs = {name: PlanRun(workers, instance, plan, settings, name) for name, plan in plans.items()}
    reports: dict[str, list[RunReport]] = {name: [] for name in runs}
    order, shuffled = list(runs), random.Random(repr(where))
    for _ in range(ROUNDS):
        shuffled.shuffle(order)
        for name in order:
            level = median_level(reports[name][-REHEARSALS:])
            reports[name].append(runs[name].execute(silent, threading.Event(), level=level))
    for name, run in same.items():
        yield replace(row(instance, reports[run][REHEARSALS:], where), strategy=name)


def chosen_plans(instance: CostInstance, prediction_error: float = 0.0) -> tuple[dict[str, Plan], dict[str, str]]:
    """The plans that differ, and for each strategy whose of them it has; how one request follows another is nothing
    where there is no other."""
    plans: dict[str, Plan] = {}
    same: dict[str, str] = {}
    analysis = Analysis(instance, prediction_error)
    for strategy in STRATEGIES:
        plan = solve(analysis, strategy).plan
        alike = (name for name, other in plans.items() if _alike(plan, other))
        same[strategy] = next(alike, strategy)
        plans.setdefault(same[strategy], plan)
    return plans, same


def _alike(one: Plan, other: Plan) -> bool:
    return one.sequences == other.sequences and (len(one.cuts) == 1 or one.execution is other.execution)


def scenario(where: Where, wire: str = FP32) -> Scenario:
    network, mbps, rtt_ms, private, requests = where
    kept = INPUTS if private else None
    return Scenario(network, uplink_mbps=mbps, rtt_ms=rtt_ms, requests=requests, keep_on_edge=kept, wire=wire)


def prepared(
    chosen: Scenario,
    edge: DeviceProfile,
    cloud: DeviceProfile,
    speed: Speed,
    work: Mapping[Resource, TensorWork] | None = None,
) -> tuple[CostInstance, RunSettings]:
    both = (work[Resource.EDGE], work[Resource.CLOUD]) if work else ()
    instance = chosen.instance(library.load_graph(chosen.model), edge, cloud, *both)
    return instance, RunSettings(LinkShape.of(chosen.link), speed)


def row(instance: CostInstance, reports: Sequence[RunReport], where: Where) -> Row:
    """Runs of one plan, one after the other; medians are what was predicted and measured."""
    report = reports[0]
    failure = next((one.failure for one in reports if one.failure), None)
    if failure is not None:
        raise SystemExit(f"{where}, {report.strategy}: {failure}")
    work = [sum(column) for column in zip(*(loads(instance, cut) for cut in report.plan.cuts), strict=True)]
    return Row(
        report.speed.value,
        *where,
        strategy=report.strategy,
        predicted_s=report.predicted.makespan_ns / NS_PER_S,
        at_level_s=statistics.median(one.at_level.makespan_ns for one in reports) / NS_PER_S,
        measured_s=statistics.median(one.trace.makespan_ns for one in reports) / NS_PER_S,
        outputs_equal=all(one.outputs_equal for one in reports),
        all_resources_work=all(work[RESOURCES.index(r)] for r in (Resource.EDGE, Resource.UPLINK, Resource.CLOUD)),
        dilation=report.dilation,
        dispatch_s=max(report.dispatch_s.values(), default=0.0),
        rounds_s=tuple(one.trace.makespan_ns / NS_PER_S for one in reports),
        verdict=" and ".join(sorted({one.verdict.value for one in reports if one.verdict})),
        raw_bytes=report.raw_bytes,
        sent_bytes=report.sent_bytes,
    )


def pacer_ratios() -> dict[float, float]:
    """Achieved over wanted rate, from the first byte until a worker on the loopback has them all."""
    with local_workers() as workers:
        client = workers.clients[Resource.CLOUD]
        return {mbps: _pacer_ratio(client, mbps * 1e6) for mbps in PACER_MBPS}


def _pacer_ratio(client: WorkerClient, bps: float) -> float:
    shape = LinkShape(Rate((bps,)), Rate((bps,)))
    size = round(bps / 8 * PACER_S)
    began = 0

    def sent() -> Iterator[bytes]:
        nonlocal began
        yield b"e"
        time.sleep(0.5)
        began = time.perf_counter_ns()
        for first, end, deadline in Pacer(shape.uplink, shape, began).plan(size, began):
            while time.perf_counter_ns() < deadline:
                sleep_until(deadline)
            yield b"u" + bytes(end - first - 1)
        yield b"s"

    answers = start_call(client.channel, PROBE, sent(), client.security, 60)
    assert next(answers) == b"e"
    assert int.from_bytes(next(answers), "big") == size
    return PACER_S / ((time.perf_counter_ns() - began) / NS_PER_S)


@dataclass(frozen=True)
class Case:
    """What all strategies did in one place."""

    rows: Mapping[str, Row]

    @property
    def winner_holds(self) -> bool:
        """Whether the winner on paper is measured as fast as any."""
        on_paper = min(self.rows, key=lambda name: self.rows[name].predicted_s)
        return all(self._ratio(name, on_paper) >= 1 / AS_FAST for name in STRATEGIES)

    @property
    def predicted_gain(self) -> float:
        return min(self.rows[name].predicted_s for name in BASELINES) / self.rows["decc"].predicted_s

    @property
    def measured_gain(self) -> float:
        return min(self._ratio(name, "decc") for name in BASELINES)

    @property
    def control(self) -> float | None:
        """How far apart the same plan was measured from itself, as a ratio of at least 1; None where it ran once."""
        if CONTROL not in self.rows:
            return None
        ratio = self._ratio(CONTROL, "decc")
        return max(ratio, 1 / ratio)

    def _ratio(self, one: str, other: str) -> float:
        """How much longer one strategy took than another: rounds are compared with themselves, since a machine's speed
        changes from one to the next."""
        pairs = zip(self.rows[one].rounds_s, self.rows[other].rounds_s, strict=True)
        return statistics.median(first / second for first, second in pairs)


def cases_of(rows: Sequence[Row], speed: str) -> list[Case]:
    found: dict[tuple[object, ...], dict[str, Row]] = {}
    for one in rows:
        if one.speed == speed:
            found.setdefault((one.network, one.uplink_mbps, one.private, one.requests), {})[one.strategy] = one
    return [Case(case) for case in found.values() if set(STRATEGIES) <= set(case)]


def print_report(rows: Sequence[Row]) -> None:
    for speed in dict.fromkeys(one.speed for one in rows):
        part = [one for one in rows if one.speed == speed]
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in Counter(one.verdict for one in part).items())
        print(f"\n{speed}: {len(part)} runs, outputs {verdicts}; edge, uplink "
              f"and cloud all work in {statistics.fmean(one.all_resources_work for one in part):.0%}")  # fmt: skip
        for network in dict.fromkeys(one.network for one in part):
            errors = [one.error_at_level for one in part if one.network == network]
            dilations = sorted({one.dilation for one in part if one.network == network})
            print(f"  {network:22} error median {quantile(errors, 0.5):6.2%}  p95 {quantile(errors, 0.95):6.2%}  "
                  f"worst {max(errors):6.2%}  dilation {dilations[0]:g} to {dilations[-1]:g}")  # fmt: skip
        for case in cases_of(rows, speed):
            if case.measured_gain < 1 / AS_FAST:
                one = case.rows["decc"]
                print(f"  {one.network}, {one.uplink_mbps:g} Mbit/s, {one.requests} requests: DECC was measured "
                      f"{1 / case.measured_gain - 1:.1%} slower than the best baseline; on paper it gains "
                      f"{case.predicted_gain - 1:.1%}; its control is {(case.control or 1) - 1:.1%} apart")  # fmt: skip


def closing_line(rows: Sequence[Row], ratios: dict[float, float]) -> str:
    figures = {"outputs_equal": f"{statistics.fmean(one.outputs_equal for one in rows):.3f}"}
    figures["outputs_different"] = f"{statistics.fmean(Verdict.DIFFERENT.value in one.verdict for one in rows):.3f}"
    figures["bytes_saved"] = f"{sum(one.raw_bytes for one in rows) / max(1, sum(one.sent_bytes for one in rows)):.2f}"
    for speed in dict.fromkeys(one.speed for one in rows):
        part = [one for one in rows if one.speed == speed and one.strategy != CONTROL]
        errors = [one.error for one in part]
        if speed == Speed.NATIVE.value:
            levelled = [one.error_at_level for one in part]
            figures["native_at_level_median"] = f"{quantile(levelled, 0.5):.4f}"
            figures["native_at_level_p95"] = f"{quantile(levelled, 0.95):.4f}"
        figures[f"{speed}_median"] = f"{quantile(errors, 0.5):.4f}"
        figures[f"{speed}_p95"] = f"{quantile(errors, 0.95):.4f}"
        found = cases_of(rows, speed)
        gains = [case.measured_gain for case in found]
        figures[f"{speed}_winner_holds"] = f"{statistics.fmean(case.winner_holds for case in found):.3f}"
        figures[f"{speed}_gain_predicted"] = f"{statistics.geometric_mean(case.predicted_gain for case in found):.4f}"
        figures[f"{speed}_gain_measured"] = f"{statistics.geometric_mean(gains):.4f}"
        figures[f"{speed}_slower"] = f"{statistics.fmean(gain < 1 / AS_FAST for gain in gains):.3f}"
        figures[f"{speed}_slowest"] = f"{1 / min(gains):.4f}"
        if controls := [case.control for case in found if case.control is not None]:
            figures[f"{speed}_control_apart"] = f"{statistics.fmean(one > AS_FAST for one in controls):.3f}"
            figures[f"{speed}_control_worst"] = f"{max(controls):.4f}"
    waits = [one.dispatch_s for one in rows if one.dispatch_s > 0]
    figures["dispatch_ms"] = f"{1e3 * quantile(waits, 0.5):.3f}" if waits else "none"
    figures |= {f"pacer_{mbps:g}": f"{ratio:.4f}" for mbps, ratio in ratios.items()}
    return " ".join(f"{name}={value}" for name, value in figures.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="two networks, two links: below 5 minutes")
    parser.add_argument("--speed", choices=[speed.value for speed in Speed], help="only this part (default: both)")
    parser.add_argument("--networks", default=",".join(NETWORKS), help="names, comma-separated")
    parser.add_argument("--wire", default=FP32, help="how tensors travel, as `decc run --wire` (default: as they are)")
    parser.add_argument("--output", type=Path, help="JSON file for the rows")
    options = parser.parse_args()
    chosen = list(cases(QUICK_NETWORKS if options.quick else options.networks.split(","), options.quick))
    speeds = [Speed(options.speed)] if options.speed else list(Speed)
    ratios = pacer_ratios()
    total = len(chosen) * (len(STRATEGIES) + 1)
    rows: list[Row] = []
    for speed in speeds:
        for one in track(measure(chosen, speed, options.wire), speed.value, total=total, transient=True):
            rows.append(one)
            if options.output:
                # After each run: a long measurement that breaks off keeps what it has.
                options.output.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    print_report(rows)
    print(closing_line(rows, ratios))


if __name__ == "__main__":
    main()
