"""What two workers on one machine do to each other: `python -m benchmarks.sharing [--networks NAME ...] [--mbps RATE]`.

A plan of JPS for eight requests, in which both workers compute most of the time, runs natively on profiles that were
measured just before. Every layer's measured time is held against its profile, apart for whether the other worker
computed meanwhile, and whether the uplink was busy: the first is what two workers on one machine share, its memory and
caches, the second what sending and receiving take. Layers during which either changed are left out.

Printed are quotients of sums, for each side, and in brackets how much of a run they stand for.
"""

from __future__ import annotations

import argparse
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence

from decc_core import library
from decc_core.models.device import ONE_THREAD
from decc_core.models.ref import NetworkRef
from decc_core.network.work import Resource, Span
from decc_core.planner.strategies import solve
from decc_core.plans.pieces import SIDES
from decc_core.problem.instance import RESOURCES, work_times_ns
from decc_core.problem.scenario import Scenario
from decc_core.profiling.settings import ProfileSettings
from decc_core.progress import silent
from decc_core.runtime.controller.live import Workers, local_workers
from decc_core.runtime.controller.plan_run import PlanRun
from decc_core.runtime.controller.report import RunSettings, Speed
from decc_core.runtime.wire.pacing import LinkShape

REQUESTS, RTT_MS = 8, 5.0
PROFILE_PASSES, RUNS = 8, 4
SHORT_NS = 20_000
"""Layers below this are mostly the clock."""
State = tuple[str, bool, bool]
"""A side, whether the other one computes, and whether the uplink is busy."""


def states(workers: Workers, network: str, mbps: float, strategy: str) -> Iterator[tuple[State, int, int]]:
    """For each layer of each run its state, and its measured and profiled nanoseconds."""
    edge, cloud = (
        workers.profile(
            side,
            ProfileSettings(f"{side.value} worker", ONE_THREAD, PROFILE_PASSES, requests_in_a_run=REQUESTS),
        )
        for side in SIDES
    )
    scenario = Scenario(network, uplink_mbps=mbps, rtt_ms=RTT_MS, requests=REQUESTS)
    instance = scenario.instance(library.load_graph(network), edge, cloud)
    plan = solve(instance, strategy).plan
    settings = RunSettings(LinkShape.of(scenario.link), Speed.NATIVE, keep_outputs=False)
    run = PlanRun(workers, instance, plan, settings, strategy)
    profiled = {cut: work_times_ns(instance, cut) for cut in plan.groups()}
    for _ in range(RUNS):
        report = run.execute(silent, threading.Event())
        if report.failure is not None:
            raise SystemExit(report.failure)
        spans = report.trace.spans
        for side, other in (SIDES, SIDES[::-1]):
            for span in spans[side]:
                wanted = int(profiled[plan.cuts[span.work.request]][RESOURCES.index(side)][span.work.item])
                computes, sends = (_share(span, spans[resource]) for resource in (other, Resource.UPLINK))
                if wanted >= SHORT_NS and {computes, sends} <= {True, False}:
                    yield (side.value, bool(computes), bool(sends)), span.duration_ns, wanted


def _share(span: Span, others: Sequence[Span]) -> bool | None:
    """Whether other work went on during nearly all of a span, or nearly none; None where neither is so."""
    shared = sum(max(0, min(span.end_ns, one.end_ns) - max(span.start_ns, one.start_ns)) for one in others)
    share = shared / span.duration_ns if span.duration_ns else 0.0
    return True if share > 0.9 else False if share < 0.1 else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--networks", nargs="+", default=["squeezenet1_1", "resnet18", "googlenet"])
    parser.add_argument("--mbps", type=float, nargs="+", default=[20.0, 100.0])
    parser.add_argument("--strategy", default="jps")
    parser.add_argument("--rounds", type=int, default=3, help="profiles, each followed by four runs (default: 3)")
    options = parser.parse_args()
    with local_workers() as workers:
        for network in options.networks:
            workers.load(NetworkRef(network))
            for mbps in options.mbps:
                sums: dict[State, list[int]] = defaultdict(lambda: [0, 0])
                for _ in range(options.rounds):
                    for state, measured_ns, wanted_ns in states(workers, network, mbps, options.strategy):
                        sums[state][0] += measured_ns
                        sums[state][1] += wanted_ns
                print(f"{network}, {mbps:g} Mbit/s, as many times as long as profiled:")
                for (side, computes, sends), (measured_ns, wanted_ns) in sorted(sums.items()):
                    print(
                        f"  {side:5}  the other {'computes' if computes else 'rests   '}  uplink "
                        f"{'busy' if sends else 'free'}  {measured_ns / wanted_ns:.3f} "
                        f"({wanted_ns / 1e6 / options.rounds / RUNS:.0f} ms)"
                    )


if __name__ == "__main__":
    main()
