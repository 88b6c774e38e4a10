"""Who sustains which rate: `python -m benchmarks.streams [--quick] [--networks A,B] [--output FILE] [--limit-s S]`.

19 networks, three uplinks, two pairs of devices as far as both were measured, and two arrival processes (Poisson, and
Gamma with a CV of 3); requests keep their deadline within three times what one takes alone on the fastest cut, and 99 %
have to. A policy's
rate is looked for on arrivals that none of its choices has seen: seeds of judging and of choosing are apart. Most of
the networks and two of the uplinks were left aside while the dispatcher was made (`MADE_WITH` are the others); they
are told apart. Scenarios come in a seeded order. With `--output` every row is written as it is found, and rows that
are there are not made again, so that a long run may be cut into slices (`--limit-s`). `--quick` takes the scenarios
with which the dispatcher was made.

A loss is a scenario in which decc sustains more than 2 % less than the best baseline there. Means are geometric, over
scenarios in which the baseline sustains any rate.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import product
from math import isfinite, nan
from pathlib import Path
from statistics import median

from decc_core import library
from decc_core.planner.analysis import Analysis
from decc_core.printed.findings import as_text
from decc_core.problem.scenario import DEFAULT_CLOUD, DEFAULT_EDGE, Scenario
from decc_core.streams.arrivals import Process, arrivals
from decc_core.streams.load import Demand, Load, usual_deadline_ns
from decc_core.streams.policies import Site, Weights
from decc_core.study import findings
from decc_core.study.findings import geometric_mean

UPLINKS_MBPS = (5.85, 18.88, 50.0)
RTT_MS = 10.0
PAIRS = {
    "cpu": Scenario("", edge=DEFAULT_EDGE, cloud=DEFAULT_CLOUD, cloud_speedup=4.0),
    "gpu": Scenario("", edge=DEFAULT_EDGE, cloud="h100-gpu"),
}
PROCESSES = (Process.POISSON, Process.GAMMA)
MADE_WITH = ("mobilenet_v2", "googlenet", "squeezenet1_1", "resnet18", "vgg16", "two_tower")
MADE_AT_MBPS = 18.88
JUDGED, SEED = 12_000, 1_000_003
LOSS, BAD_LOSS = findings.STREAM_LIMIT, 0.05
TOLD = ("dads", "single-cut", "jps", findings.BEST_BASELINE)
SPEED_REQUESTS = 100_000


@dataclass(frozen=True)
class Point:
    """One scenario."""

    network: str
    uplink_mbps: float
    pair: str
    process: str

    @property
    def is_apart(self) -> bool:
        """Whether the dispatcher was made without it."""
        return self.network not in MADE_WITH or self.uplink_mbps != MADE_AT_MBPS

    @property
    def was_measured(self) -> bool:
        """Whether times of the network on both devices are shipped."""
        pair = PAIRS[self.pair]
        return {pair.edge, pair.cloud} <= {*library.shipped_devices(self.network)}

    def load(self) -> Load:
        pair = PAIRS[self.pair]
        graph = library.load_graph(self.network)
        scenario = Scenario(
            self.network, pair.edge, pair.cloud, cloud_speedup=pair.cloud_speedup, uplink_mbps=self.uplink_mbps,
            rtt_ms=RTT_MS,
        )  # fmt: skip
        edge, cloud = (library.load_profile(self.network, device) for device in (pair.edge, pair.cloud))
        site = Site(Analysis(scenario.instance(graph, edge, cloud)))
        return Load(site, Demand(usual_deadline_ns(site), Process(self.process), requests=JUDGED, seed=SEED))


@dataclass(frozen=True)
class Row:
    """What every policy sustains of the capacity, and how long it took to choose the dispatcher at each rate."""

    point: Point
    capacity_hz: float
    sustained_hz: dict[str, float]
    choose_s: float
    dispatches: str

    @property
    def found(self) -> findings.Point:
        """The row as a study's tables take it."""
        point = self.point
        where = f"{point.uplink_mbps:g} Mbit/s, {point.pair}, {point.process}"
        return findings.Point(
            point.network, point.uplink_mbps, None, None, self.sustained_hz, higher=True, where=where
        )  # fmt: skip


def points(networks: Sequence[str], quick: bool) -> list[Point]:
    """In a seeded order, so that the first of them are a fair sample of all; of pairs that were measured."""
    everything = list(product(networks, UPLINKS_MBPS, PAIRS, (process.value for process in PROCESSES)))
    random.Random(SEED).shuffle(everything)
    measured = [point for one in everything if (point := Point(*one)).was_measured]
    return [point for point in measured if not (point.is_apart and quick)]


def evaluate(point: Point) -> Row:
    load = point.load()
    sustained, took, rates = {}, 0.0, 1
    for name in load.possible():
        chosen = len(load.choices)
        began = time.perf_counter()
        sustained[name] = load.sustained_hz(name)
        took, rates = time.perf_counter() - began, max(1, len(load.choices) - chosen)
    rate = sustained["decc"]
    chosen_policy = load.policy("decc", rate) if rate else None
    what = "" if chosen_policy is None else str(chosen_policy.weights or chosen_policy.pattern)
    return Row(point, load.site.capacity_hz, sustained, took / rates, what)


@lru_cache(maxsize=1)
def speeds() -> tuple[float, float]:
    """Requests simulated per second of a fixed cut, and of a dispatcher with a full menu, at 0.6 of the capacity."""
    load = Point("googlenet", MADE_AT_MBPS, "cpu", "poisson").load()
    site, deadline_ns = load.site, load.demand.deadline_ns
    found = []
    for policy in (site.baseline("dads-dsh"), site.dispatcher(Weights())):
        stream = arrivals(Process.POISSON, 0.5 * min(site.capacity_hz, site.sustains_hz(policy)), SPEED_REQUESTS)
        site.serve(policy, stream, deadline_ns)
        began = time.perf_counter()
        site.serve(policy, stream, deadline_ns)
        found.append(SPEED_REQUESTS / (time.perf_counter() - began))
    return found[0], found[1]


def report(rows: Sequence[Row]) -> None:
    """A study's tables; the means by arrivals and by what the dispatcher was made with; the closing line."""
    asked, rows = len(rows), [row for row in rows if any(row.sustained_hz.values())]
    print(f"In {asked - len(rows)} of {asked} scenarios nobody keeps the deadline at any rate; of the others:\n")
    found = findings.Findings(tuple(row.found for row in rows), (), "sustained rate", LOSS)
    for table in found.tables:
        print(as_text(table))
    print(f"{'scenarios':<12} {'number':>6}" + "".join(f"{name:>19}" for name in TOLD) + f"{'of capacity':>13}")
    groups = {
        **{f"{process.value}": [row for row in rows if row.point.process == process] for process in PROCESSES},
        "made with": [row for row in rows if not row.point.is_apart],
        "apart": [row for row in rows if row.point.is_apart],
        "all": list(rows),
    }
    for name, group in groups.items():
        if group:
            share = geometric_mean(row.sustained_hz["decc"] / row.capacity_hz for row in group)
            means = "".join(f"{mean:19.3f}" for mean in _means(group))
            print(f"{name:<12} {len(group):>6}{means}{share:13.3f}")
    gains = [gain for row in rows if isfinite(gain := row.found.gain("decc", findings.BEST_BASELINE))]
    losses, bad = (sum(gain < 1 - limit for gain in gains) for limit in (LOSS, BAD_LOSS))
    nothing = {name: sum(not row.sustained_hz.get(name) for row in rows) for name in TOLD[:-1]}
    print(
        f"sustain nothing: {nothing}; more than {BAD_LOSS:.0%} below the best baseline: {bad}, "
        f"at worst {min(gains, default=nan):.3f}"
    )
    fixed_rps, dispatched_rps = speeds()
    dads, single, jps, best = _means(rows)
    print(
        f"over_dads={dads:.3f} over_single={single:.3f} over_jps={jps:.3f} over_best={best:.3f} "
        f"losses={losses}/{len(gains)} sim_rps={fixed_rps:.0f},{dispatched_rps:.0f} "
        f"choose_s={median(row.choose_s for row in rows):.2f}"
    )


def _means(rows: Sequence[Row]) -> list[float]:
    return [geometric_mean(row.found.gain("decc", name) for row in rows) for name in TOLD]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="only what the dispatcher was made with")
    parser.add_argument("--networks", help="some networks, comma-separated (default: all)")
    parser.add_argument("--arrivals", choices=[process.value for process in PROCESSES], help="default: both")
    parser.add_argument("--output", type=Path, help="a file with a row of JSON for each scenario")
    parser.add_argument("--limit-s", type=float, default=float("inf"), help="begin no scenario after so many seconds")
    options = parser.parse_args()
    began = time.monotonic()
    networks = options.networks.split(",") if options.networks else list(library.shipped_models())
    asked = [one for one in points(networks, options.quick) if options.arrivals in (None, one.process)]
    rows: list[Row] = []
    if options.output and options.output.exists():
        for line in options.output.read_text().splitlines():
            held = json.loads(line)
            rows.append(Row(**{**held, "point": Point(**held["point"])}))
    known = {row.point for row in rows}
    for point in asked:
        if point in known or time.monotonic() - began > options.limit_s:
            continue
        row = evaluate(point)
        rows.append(row)
        gains = [row.found.gain("decc", name) for name in TOLD]
        print(
            f"{point.network} {point.uplink_mbps:g} Mbit/s {point.pair} {point.process}: "
            f"{row.sustained_hz['decc'] / row.capacity_hz:.2f} of the capacity; "
            + " ".join(f"{gain:.2f}" for gain in gains) + f"; {row.choose_s:.2f} s; {row.dispatches}",
            flush=True,
        )  # fmt: skip
        if options.output:
            with options.output.open("a") as file:
                file.write(json.dumps(asdict(row)) + "\n")
    done = [row for row in rows if row.point in set(asked)]
    if len(done) < len(asked):
        print(f"{len(asked) - len(done)} of {len(asked)} scenarios are still to be done")
    if done:
        report(done)


if __name__ == "__main__":
    main()
