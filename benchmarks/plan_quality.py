"""How good plans are, and how fast: `python -m benchmarks.plan_quality [--quick] [--exact SECONDS] [--output FILE]`.

A seeded sample of 600 scenarios from the product of networks, uplinks, round trips, device pairs and requests in
flight; nothing is chosen by hand after the seed. A scenario is *contested* where edge-only and cloud-only are within a
factor of two for one request. `--quick` takes the first scenarios of the same sample; with `--charged` both devices
send and receive tensors with the processor time that DECC's workers need, the edge as many times slower as its layers.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from itertools import groupby, product
from pathlib import Path

import networkx as nx
from rich.progress import track

from decc_core import library
from decc_core.network.graph import INPUT, Layer, LayerGraph, TensorRef, TensorSpec
from decc_core.planner.strategies import BASELINES, STRATEGIES, solve_exact
from decc_core.plans.schedule import objective_ns, schedule
from decc_core.problem.instance import CostInstance, sequential_ns
from decc_core.problem.profile import DeviceProfile, ProvenanceKind
from decc_core.problem.scenario import DEFAULT_CLOUD, DEFAULT_EDGE, Scenario
from decc_core.study import findings
from decc_core.study.compare import Comparison, compare
from decc_core.study.findings import geometric_mean, quantile
from decc_core.study.sweep import GridPoint, sweep

SEED = 2024
SAMPLE_SIZE = 600
QUICK_SIZE = 150
TENSOR_MS, MB_MS = 0.4, 2.0
"""What `decc link` measures for two workers on two cores of an AMD EPYC."""
UPLINKS_MBPS = (0.13, 1.1, 5.85, 18.88, 50.0, 100.0, 400.0, 1000.0)
RTTS_MS = (0.0, 20.0, 80.0)
MEASURED_PAIR = "measured"
EDGES = ("2", "5", "10", "20", MEASURED_PAIR)
"""The edge is so many times slower than the cloud on every layer, or the two measured devices are used as they are."""
REQUESTS = (1, 2, 4, 8, 16)
SEVERAL_INPUTS = ("multiview4", "multiview12", "two_tower", "siamese")


@dataclass(frozen=True)
class Point:
    """One point of the product."""

    model: str
    uplink_mbps: float
    rtt_ms: float
    edge: str
    requests: int

    @property
    def scenario(self) -> Scenario:
        slower = {} if self.edge == MEASURED_PAIR else {"edge": DEFAULT_CLOUD, "edge_slowdown": float(self.edge)}
        return Scenario(self.model, uplink_mbps=self.uplink_mbps, rtt_ms=self.rtt_ms, requests=self.requests, **slower)


@dataclass(frozen=True)
class Row:
    """What was found at one point; gains are quotients of makespans, gaps fractions of the bound."""

    scenario: Point
    contested: bool
    losses: int
    gap: float
    over_dads: float
    over_single: float
    over_best: float
    best_baseline: str
    plan_ms: float
    networkx_ms: float
    exact_gap: float | None = None


def sample(size: int) -> list[Point]:
    """The first scenarios of the seeded sample."""
    models = [
        name
        for name in library.shipped_models()
        if library.load_profile(name, DEFAULT_EDGE).provenance.kind is ProvenanceKind.MEASURED
    ]
    everything = list(product(models, UPLINKS_MBPS, RTTS_MS, EDGES, REQUESTS))
    return [Point(*point) for point in random.Random(SEED).sample(everything, SAMPLE_SIZE)[:size]]


@lru_cache(maxsize=1)
def graph_and_profiles(model: str) -> tuple[LayerGraph, dict[str, DeviceProfile]]:
    graph = library.load_graph(model)
    return graph, {device: library.load_profile(model, device) for device in (DEFAULT_EDGE, DEFAULT_CLOUD)}


def build(point: Point, charged: bool = False) -> CostInstance:
    scenario = point.scenario
    if charged:
        slower = scenario.edge_slowdown
        scenario = replace(
            scenario,
            edge_tensor_ms=TENSOR_MS * slower,
            edge_mb_ms=MB_MS * slower,
            cloud_tensor_ms=TENSOR_MS,
            cloud_mb_ms=MB_MS,
        )
    graph, profiles = graph_and_profiles(scenario.model)
    return scenario.instance(graph, profiles[scenario.edge], profiles[scenario.cloud])


def evaluate(point: Point, exact_s: float | None, charged: bool) -> Row:
    instance = build(point, charged)
    began = time.perf_counter()
    found = compare(instance)
    plan_ms = (time.perf_counter() - began) * 1e3
    decc = found.of("decc")
    return Row(
        scenario=point,
        contested=is_contested(instance),
        losses=sum(found.of(name).objective_ns < decc.objective_ns for name in BASELINES),
        gap=decc.gap,
        over_dads=found.gain("dads-dsl"),
        over_single=found.gain("single-cut"),
        over_best=found.gain(found.best_baseline.strategy),
        best_baseline=found.best_baseline.strategy,
        plan_ms=plan_ms,
        networkx_ms=networkx_ms(instance),
        exact_gap=None if exact_s is None else exact_gap(found, exact_s),
    )


def is_contested(instance: CostInstance) -> bool:
    alone = replace(instance, requests=1)
    edge, cloud = sequential_ns(alone, alone.all_edge), sequential_ns(alone, alone.all_cloud)
    return findings.is_contested(edge, cloud)


def exact_gap(found: Comparison, limit_s: float) -> float:
    """The gap that is left after the exact solver has worked on the plan and on the bound."""
    decc = found.of("decc")
    if decc.gap == 0:
        return 0.0
    result = solve_exact(found.instance, decc.plan, limit_s)
    value = objective_ns(found.instance, result.plan, schedule(found.instance, result.plan))
    return replace(decc, objective_ns=value, lower_bound_ns=max(result.lower_bound_ns, decc.lower_bound_ns)).gap


def branches_in_full() -> tuple[list[float], list[float]]:
    """Gains over the best baseline, and the most that the bound leaves, on all contested scenarios of one request of
    the networks with several inputs; the sample holds only a few of them.
    """
    gains, ceilings = [], []
    for point in track(list(product(SEVERAL_INPUTS, UPLINKS_MBPS, RTTS_MS, EDGES, (1,))), "branches", transient=True):
        instance = build(Point(*point))
        if is_contested(instance):
            found = compare(instance)
            gains.append(found.gain(found.best_baseline.strategy))
            ceilings.append(found.best_baseline.objective_ns / found.lower_bound_ns)
    return gains, ceilings


def sweep_s() -> float:
    """Seconds for 65 uplink rates of GoogLeNet, one request, all strategies and bounds."""
    rates = [0.1 * 10 ** (i / 16) for i in range(65)]
    points = [GridPoint(rate, 10.0, build(Point("googlenet", rate, 20.0, "10", 1))) for rate in rates]
    began = time.perf_counter()
    sweep(points, STRATEGIES)
    return time.perf_counter() - began


def random_dag_s(n_layers: int = 2000) -> float:
    """Seconds for a random DAG, one request, all strategies and the bound, everything from the graph on."""
    rng = random.Random(SEED)
    spec = (TensorSpec((1,), "float32"),)
    layers = [Layer("n0", INPUT, (), spec)]
    for i in range(1, n_layers):
        parents = rng.sample(range(max(0, i - 12), i), min(i, rng.choice((1, 1, 2, 3))))
        layers.append(Layer(f"n{i}", "op", tuple(TensorRef(f"n{parent}") for parent in parents), spec))
    read = {ref.layer for layer in layers for ref in layer.inputs}
    graph = LayerGraph("random", tuple(layers), tuple(TensorRef(one.name) for one in layers if one.name not in read))

    def times(scale: int) -> tuple[int, ...]:
        return (0, *(rng.randint(1, scale) for _ in range(n_layers - 1)))

    sent = tuple(rng.randint(1, 300_000) for _ in graph.tensors)
    instance = CostInstance(graph, times(100_000), times(20_000), sent, sent, sent, half_rtt_ns=100_000)
    began = time.perf_counter()
    compare(instance)
    return time.perf_counter() - began


def networkx_ms(instance: CostInstance) -> float:
    """Time of one `networkx.minimum_cut` of the sequential cost on the whole graph, its construction left out."""
    graph = nx.DiGraph()
    for layer in range(len(instance.graph.layers)):
        if layer in instance.graph.inputs:
            graph.add_edge("edge", layer)
        else:
            graph.add_edge("edge", layer, capacity=instance.cloud_ns[layer])
            graph.add_edge(layer, "cloud", capacity=instance.edge_ns[layer])
    for i, tensor in enumerate(instance.graph.tensors):
        graph.add_edge(tensor.producer, ("sent", i), capacity=instance.uplink_ns[i])
        for consumer in tensor.consumers:
            graph.add_edge(("sent", i), consumer)
            graph.add_edge(consumer, tensor.producer)
    began = time.perf_counter()
    nx.minimum_cut(graph, "edge", "cloud")
    return (time.perf_counter() - began) * 1e3


def report(rows: Sequence[Row]) -> None:
    """Tables apart for contested and other scenarios, then one closing line."""
    print(f"{len(rows)} scenarios, seed {SEED}; {platform.machine()}, Python {platform.python_version()}")
    print(
        f"\n{'requests':>8} {'scenarios':>20} {'over DADS':>10} {'single-cut':>10} {'best':>7}  gap median, p95, zero"
    )
    for requests in REQUESTS:
        for title, wanted in (("contested", True), ("other", False)):
            part = [row for row in rows if row.scenario.requests == requests and row.contested is wanted]
            print(f"{requests:>8} {len(part):>10} {title:>9} {_gains(part)}  {_gaps([row.gap for row in part])}")
    print(f"\n{'network':>30} {'over best, 1 request':>22} {'gap, 1 request':>30} {'gap, 8 requests':>30}")
    for model in sorted({row.scenario.model for row in rows}):
        one = [row for row in rows if row.scenario.model == model and row.scenario.requests == 1]
        eight = [row.gap for row in rows if row.scenario.model == model and row.scenario.requests == 8]
        gain = geometric_mean(row.over_best for row in one if row.contested)
        print(f"{model:>30} {gain:>21.3f}x {_gaps([row.gap for row in one]):>30} {_gaps(eight):>30}")
    print(f"\n{'requests':>8} {'plan median':>12} {'p95':>10}   ratio to one networkx.minimum_cut (median)")
    for requests in REQUESTS:
        part = [row for row in rows if row.scenario.requests == requests]
        times, ratios = [row.plan_ms for row in part], [row.plan_ms / row.networkx_ms for row in part]
        median, p95 = quantile(times, 0.5), quantile(times, 0.95)
        print(f"{requests:>8} {median:>9.1f} ms {p95:>7.1f} ms   {quantile(ratios, 0.5):.2f}")
    exact = [row.exact_gap for row in rows if row.exact_gap is not None]
    if exact:
        print(f"\nafter the exact solver: {_gaps(exact)}")
    print(f"\n65-point sweep of googlenet {sweep_s():.2f} s; random DAG of 2,000 layers {random_dag_s():.2f} s")
    print("\n" + closing_line(rows))


def _gains(rows: Sequence[Row]) -> str:
    pick: tuple[Callable[[Row], float], ...] = (
        lambda row: row.over_dads, lambda row: row.over_single, lambda row: row.over_best
    )  # fmt: skip
    return " ".join(
        f"{geometric_mean(one(row) for row in rows):>{width}.3f}" for one, width in zip(pick, (10, 10, 7), strict=True)
    )


def _gaps(gaps: Sequence[float]) -> str:
    if not gaps:
        return "-"
    zero = sum(gap == 0 for gap in gaps) / len(gaps)
    return f"{quantile(gaps, 0.5):.2%}, {quantile(gaps, 0.95):.2%}, {zero:.0%}"


def closing_line(rows: Sequence[Row]) -> str:
    one = [row for row in rows if row.scenario.requests == 1]
    eight = [row for row in rows if row.scenario.requests == 8]
    single_input = [row for row in one if row.scenario.model not in SEVERAL_INPUTS]
    branches = [row.over_best for row in one if row.contested and row.scenario.model in SEVERAL_INPUTS]
    contested = [row for row in eight if row.contested]
    figures = {
        "losses": f"{sum(row.losses for row in rows)}",
        "gap1_zero": f"{statistics.fmean(row.gap == 0 for row in single_input):.3f}",
        "gap8_median": f"{quantile([row.gap for row in eight], 0.5):.3f}",
        "gap8_p95": f"{quantile([row.gap for row in eight], 0.95):.3f}",
        "speedup1_branches": f"{geometric_mean(branches):.2f}",
        "speedup8_dads": f"{geometric_mean(row.over_dads for row in contested):.2f}",
        "speedup8_single": f"{geometric_mean(row.over_single for row in contested):.2f}",
        "speedup8_best": f"{geometric_mean(row.over_best for row in contested):.2f}",
        "plan1_ms": f"{quantile([row.plan_ms for row in one], 0.5):.1f}",
        "plan8_ms": f"{quantile([row.plan_ms for row in eight], 0.5):.1f}",
    }
    return " ".join(f"{name}={value}" for name, value in figures.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help=f"only the first {QUICK_SIZE} scenarios")
    parser.add_argument("--branches", action="store_true", help="also all scenarios of networks with several inputs")
    parser.add_argument("--exact", type=float, metavar="SECONDS", help="let CP-SAT work on scenarios of 8 requests")
    parser.add_argument("--charged", action="store_true", help="sending and receiving cost processor time")
    parser.add_argument("--output", type=Path, help="JSON file for the rows")
    options = parser.parse_args()
    scenarios = sample(QUICK_SIZE if options.quick else SAMPLE_SIZE)
    if options.exact:
        scenarios = [one for one in scenarios if one.requests == 8]
    # Grouped by network, so that each graph is read once.
    ordered = sorted(scenarios, key=lambda one: (one.model, one.requests))
    rows = []
    for _, group in groupby(track(ordered, "planning", transient=True), key=lambda one: one.model):
        for i, one in enumerate(group):
            if i == 0:
                # Reads and splits the graph, and compiles; a plan is timed on a known graph.
                compare(build(one, options.charged))
            rows.append(evaluate(one, options.exact, options.charged))
    if options.branches:
        gains, ceilings = branches_in_full()
        mean, most = geometric_mean(gains), geometric_mean(ceilings)
        print(f"one request, several inputs, all {len(gains)} contested: {mean:.3f}x; at most {most:.3f}x is possible")
    report(rows)
    if options.output:
        options.output.write_text(json.dumps([asdict(row) for row in rows], indent=1))


if __name__ == "__main__":
    main()
