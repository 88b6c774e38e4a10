"""How close live streams are to their simulation: `python -m benchmarks.live_streams [--speed native] [--output FILE]`.

Eight networks, three loads (0.3, 0.6 and 0.85 of what the policy sustains), two policies (dads and decc), Poisson
arrivals, at least 700 requests each, on two local worker processes over the emulated link at emulated speed: every
output is compared with the unsplit model's. Edge and cloud are the profile of one thread, ten and two and a half times
as slow, so that two small cores can stand in for them without stretching the time; 20 Mbit/s and 10 ms.

With `--speed native` both workers' layers, and what tensors cost them, are measured again for each load, and run as
fast as a core does, as in `decc run --native --rate`: the simulation knows the level of a rehearsal, and what a request
takes beside its work. What the machine did differently in the run is told apart from what the simulation does not know:
the error is given again for a simulation at the level at which the run's own work was done (`at_work`).

The closing line has, over all runs, the median of |measured / simulated - 1| of p50, p90 and p99 of the same arrivals,
how long a decision took (the median, and the longest 99th percentile of a run), the share of requests that took
the cut that they take in the simulation, and how many runs ended before all requests had their results.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from decc_core import library
from decc_core.models.device import ONE_THREAD
from decc_core.models.ref import NetworkRef
from decc_core.network.work import Resource
from decc_core.planner.analysis import Analysis
from decc_core.plans.pieces import SIDES
from decc_core.problem.instance import CostInstance
from decc_core.problem.link import NS_PER_S
from decc_core.problem.scenario import DEFAULT_EDGE, Scenario
from decc_core.profiling.settings import ProfileSettings
from decc_core.runtime.controller.live import Workers, local_workers
from decc_core.runtime.controller.report import RunSettings, Speed
from decc_core.runtime.controller.stream_report import StreamReport
from decc_core.runtime.controller.stream_run import run_streams, simulate_at
from decc_core.runtime.wire.pacing import LinkShape
from decc_core.streams.arrivals import Process, arrivals
from decc_core.streams.load import Demand, Load, usual_deadline_ns
from decc_core.streams.policies import Site
from decc_core.streams.served import Served

NETWORKS = (
    "shufflenet_v2_x1_0", "squeezenet1_1", "alexnet", "efficientnet_lite0",
    "mobilenet_v2", "resnet18", "googlenet", "two_tower",
)  # fmt: skip
"""The quickest of the shipped ones, as every request takes its time, and one with two inputs; two and a half hours."""
LOADS = (0.3, 0.6, 0.85)
POLICIES = ("dads", "decc")
REQUESTS = 700
SEED = 11
SCENARIO = Scenario(NETWORKS[0], cloud=DEFAULT_EDGE, uplink_mbps=20.0, rtt_ms=10.0)
EDGE_SLOWDOWN, CLOUD_SPEEDUP = 10.0, 0.4
NATIVE_REPEATS = 8
PERCENTILES = (50.0, 90.0, 99.0)


@dataclass(frozen=True)
class Row:
    """One policy at one load; times in seconds of the plan's time.

    `level` says of a native run how many times slower than measured alone each side was in the rehearsal, `handling_s`
    what a request took there beside its work, `work_level` how many times slower the work was in the run itself, and
    `at_work_s` what a simulation gives that knows the latter.
    """

    network: str
    load: float
    policy: str
    rate_rps: float
    requests: int
    finished: int
    outputs_equal: bool
    measured_s: dict[str, float | None]
    simulated_s: dict[str, float | None]
    same_cut: float
    decision_median_s: float
    decision_p99_s: float
    issued_late_s: float
    dilation: float
    took_s: float
    failure: str | None
    level: Mapping[str, float]
    handling_s: float = 0.0
    work_level: Mapping[str, float] = field(default_factory=dict)
    at_work_s: dict[str, float | None] = field(default_factory=dict)

    def error(self, percentile: float, at_work: bool = False) -> float | None:
        found = self.measured_s[f"{percentile:g}"]
        expected = (self.at_work_s if at_work else self.simulated_s).get(f"{percentile:g}")
        return abs(found / expected - 1) if found and expected else None


def measure(
    networks: Sequence[str], loads: Sequence[float], policies: Sequence[str], requests: int, speed: Speed
) -> Iterator[Row]:
    with local_workers() as workers:
        for network in networks:
            workers.load(NetworkRef(network))
            for share in loads:
                instance = (as_shipped if speed is Speed.EMULATED else as_measured)(workers, network)
                yield from served(workers, network, instance, share, policies, requests, speed)


def as_shipped(_: Workers, network: str) -> CostInstance:
    scenario = replace(SCENARIO, model=network, edge_slowdown=EDGE_SLOWDOWN, cloud_speedup=CLOUD_SPEEDUP)
    edge, cloud = (library.load_profile(network, device) for device in (scenario.edge, scenario.cloud))
    return scenario.instance(library.load_graph(network), edge, cloud)


def as_measured(workers: Workers, network: str) -> CostInstance:
    """One request on both workers as fast as they are just now."""
    edge, cloud = (
        workers.profile(side, ProfileSettings(f"{side.value} worker", ONE_THREAD, NATIVE_REPEATS)) for side in SIDES
    )
    work = workers.tensor_work(dict.fromkeys(workers.clients, ONE_THREAD.n_threads))
    scenario = replace(SCENARIO, model=network)
    return scenario.instance(library.load_graph(network), edge, cloud, work[Resource.EDGE], work[Resource.CLOUD])


def served(
    workers: Workers,
    network: str,
    instance: CostInstance,
    share: float,
    policies: Sequence[str],
    requests: int,
    speed: Speed,
) -> Iterator[Row]:
    """Every policy at its own rate: of what it sustains for ever, which for decc is what no policy exceeds."""
    site = Site(Analysis(instance))
    deadline_ns = usual_deadline_ns(site)
    load = Load(site, Demand(deadline_ns))
    settings = RunSettings(LinkShape.of(SCENARIO.link), speed)
    for name in policies:
        policy = load.policy(name, share * site.capacity_hz)
        rate_hz = share * site.sustains_hz(policy)
        policy = load.policy(name, rate_hz)
        stream = arrivals(Process.POISSON, rate_hz, requests, seed=SEED)
        began = time.monotonic()
        (report,) = run_streams(workers, site, {name: policy}, stream, deadline_ns, settings)
        took_s = time.monotonic() - began
        at_work = None
        if speed is Speed.NATIVE:
            at_work = simulate_at(report.work_level, report.handling_ns, site, policy, stream, deadline_ns)
        yield row(report, network, share, rate_hz, took_s, at_work)


def row(report: StreamReport, network: str, share: float, rate_hz: float, took_s: float, at_work: Served | None) -> Row:
    def seconds(served: Served | None) -> dict[str, float | None]:
        found = {p: served.percentile_ns(p) if served else None for p in PERCENTILES}
        return {f"{p:g}": None if ns is None else ns / NS_PER_S for p, ns in found.items()}

    return Row(
        network, share, report.policy, rate_hz, len(report.taken), report.finished, report.outputs_equal,
        seconds(report.measured), seconds(report.simulated), report.same_cut, report.decision_median_ns / NS_PER_S,
        report.slowest_decision_ns / NS_PER_S, report.late_ns / NS_PER_S, report.dilation, took_s, report.failure,
        {side.value: slower for side, slower in report.level.items()},
        report.handling_ns / NS_PER_S, {side.value: slower for side, slower in report.work_level.items()},
        seconds(at_work),
    )  # fmt: skip


def told(one: Row) -> str:
    parts = []
    for percentile in PERCENTILES:
        error = one.error(percentile)
        parts.append(f"p{percentile:g} " + ("unknown" if error is None else f"{100 * error:5.1f} %"))
    return (
        f"{one.network:20} {one.load:4.2f} {one.policy:5} {one.rate_rps:7.2f}/s  {'  '.join(parts)}  "
        f"same cut {100 * one.same_cut:3.0f} %  decision {1e6 * one.decision_median_s:4.0f} us  "
        f"{levels_text(one)}"
        f"dilation {one.dilation:g}  took {one.took_s:.0f} s{'  ' + one.failure if one.failure else ''}"
    )


def levels_text(one: Row) -> str:
    """How slow each side was in the rehearsal and in the run, and what the latter leaves of the error."""
    error = one.error(50.0, at_work=True)
    if error is None:
        return ""
    sides = "".join(f"{side} {was:.2f} -> {one.work_level[side]:.2f}x as long  " for side, was in one.level.items())
    return f"{sides}handling {1e3 * one.handling_s:.1f} ms  p50 {100 * error:.1f} % at the latter  "


def closing_line(rows: Sequence[Row]) -> str:
    figures = {"runs": str(len(rows)), "outputs_equal": f"{statistics.fmean(one.outputs_equal for one in rows):.3f}"}
    for percentile in PERCENTILES:
        errors = [error for one in rows if (error := one.error(percentile)) is not None]
        figures[f"p{percentile:g}_median"] = f"{statistics.median(errors):.4f}" if errors else "none"
        figures[f"p{percentile:g}_worst"] = f"{max(errors):.4f}" if errors else "none"
    at_work = [error for one in rows if (error := one.error(50.0, at_work=True)) is not None]
    if at_work:
        figures["p50_median_at_work"] = f"{statistics.median(at_work):.4f}"
    figures["decision_ms"] = f"{1e3 * statistics.median(one.decision_median_s for one in rows):.3f}"
    figures["decision_p99_ms"] = f"{1e3 * max(one.decision_p99_s for one in rows):.3f}"
    figures["same_cut"] = f"{statistics.fmean(one.same_cut for one in rows):.3f}"
    figures["ended_early"] = str(sum(one.failure is not None for one in rows))
    return " ".join(f"{name}={value}" for name, value in figures.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--networks", default=",".join(NETWORKS), help="names, comma-separated")
    parser.add_argument("--loads", default=",".join(map(str, LOADS)), help="shares of what the policy sustains")
    parser.add_argument("--policies", default=",".join(POLICIES), help="names, comma-separated")
    speeds = [speed.value for speed in Speed]
    parser.add_argument("--speed", choices=speeds, default=Speed.EMULATED.value, help="default: emulated")
    parser.add_argument("--requests", type=int, default=REQUESTS, help="of each run")
    parser.add_argument("--output", type=Path, help="JSON file for the rows, which later runs add to")
    options = parser.parse_args()
    rows: list[Row] = []
    if options.output and options.output.exists():
        rows = [Row(**one) for one in json.loads(options.output.read_text())]
    loads = [float(share) for share in options.loads.split(",")]
    networks, policies = options.networks.split(","), options.policies.split(",")
    for one in measure(networks, loads, policies, options.requests, Speed(options.speed)):
        rows.append(one)
        print(told(one), flush=True)
        if options.output:
            options.output.write_text(json.dumps([asdict(each) for each in rows], indent=1))
    print(closing_line(rows))


if __name__ == "__main__":
    main()
