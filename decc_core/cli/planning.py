"""decc plan, compare and sweep: the commands that plan."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from decc_core import library, store
from decc_core.cli import output
from decc_core.compare import Comparison, Outcome, compare
from decc_core.cost import (
    DEFAULT_OVERHEAD_S,
    RESOURCES,
    CostInstance,
    Link,
    Objective,
    WireDtype,
    crossing_tensors,
)
from decc_core.errors import InvalidInstance
from decc_core.explain import duration, explain
from decc_core.graph import LayerGraph
from decc_core.strategies import STRATEGIES
from decc_core.sweep import GridPoint, sweep

BITS_PER_MBIT = 1e6


def add_commands(commands: Any) -> None:
    plan = commands.add_parser("plan", help="plan one network with one strategy")
    _add_scenario(plan)
    plan.add_argument("--strategy", default="decc", choices=STRATEGIES, help="default: decc")
    plan.add_argument("--uplink-mbps", type=float, default=18.88, help="uplink rate in Mbit/s (default: 18.88)")
    plan.add_argument("--output", "-o", type=Path, help="plan file to write")
    plan.set_defaults(run=plan_model)

    comparison = commands.add_parser("compare", help="compare all strategies on one network")
    _add_scenario(comparison)
    comparison.add_argument("--uplink-mbps", type=float, default=18.88, help="uplink rate in Mbit/s (default: 18.88)")
    comparison.add_argument("--exact", type=float, metavar="SECONDS", help="add the exact solver with this time limit")
    comparison.set_defaults(run=compare_strategies)

    grid = commands.add_parser("sweep", help="compare strategies over a range of uplink rates")
    _add_scenario(grid)
    rates = (0.13, 1.1, 5.85, 18.88, 50.0, 100.0, 400.0, 1000.0)
    grid.add_argument("--uplink-mbps", type=_numbers, default=rates, help="rates in Mbit/s, comma-separated")
    grid.add_argument("--strategies", default=",".join(STRATEGIES), help="names, comma-separated (default: all)")
    grid.set_defaults(run=sweep_rates)


def _add_scenario(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a network with sample profiles, or a graph file")
    parser.add_argument("--edge", default=library.DEFAULT_EDGE, help="edge profile: a shipped device or a file")
    parser.add_argument("--cloud", default=library.DEFAULT_CLOUD, help="cloud profile: a shipped device or a file")
    parser.add_argument("--edge-slowdown", type=float, default=1.0, help="multiplies the edge profile's times")
    parser.add_argument("--cloud-speedup", type=float, default=1.0, help="divides the cloud profile's times")
    parser.add_argument("--downlink-mbps", type=float, default=None, help="default: as the uplink")
    parser.add_argument("--rtt-ms", type=float, default=0.0, help="round-trip time of the link (default: 0)")
    parser.add_argument(
        "--overhead-ms",
        type=float,
        default=DEFAULT_OVERHEAD_S * 1e3,
        help=f"time that every tensor occupies the link beside its bytes (default: {DEFAULT_OVERHEAD_S * 1e3:g})",
    )
    parser.add_argument("--requests", type=int, default=1, help="requests in flight, all there at time 0 (default: 1)")
    parser.add_argument("--wire", type=WireDtype, choices=list(WireDtype), default=WireDtype.FP32, help="fp32 or fp16")
    parser.add_argument(
        "--objective", type=Objective, choices=list(Objective), default=Objective.MAKESPAN, help="what to optimise"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _instance(options: argparse.Namespace, graph: LayerGraph, uplink_mbps: float) -> CostInstance:
    if not options.cloud_speedup > 0:
        raise InvalidInstance(f"The cloud speed-up is {options.cloud_speedup:g}; choose a number above 0.")
    if not options.edge_slowdown > 0:
        raise InvalidInstance(f"The edge slowdown is {options.edge_slowdown:g}; choose a number above 0.")
    edge = library.load_profile(options.model, options.edge)
    cloud = library.load_profile(options.model, options.cloud)
    downlink_mbps = uplink_mbps if options.downlink_mbps is None else options.downlink_mbps
    return CostInstance.build(
        graph,
        edge.scaled(options.edge_slowdown, f"{options.edge_slowdown:g} x {edge.device}"),
        cloud.scaled(1 / options.cloud_speedup, f"{cloud.device} / {options.cloud_speedup:g}"),
        Link(
            uplink_bps=uplink_mbps * BITS_PER_MBIT,
            downlink_bps=downlink_mbps * BITS_PER_MBIT,
            rtt_s=options.rtt_ms / 1e3,
            overhead_s=options.overhead_ms / 1e3,
        ),
        requests=options.requests,
        wire=options.wire,
        objective=options.objective,
    )


def _describe(options: argparse.Namespace, graph: LayerGraph, uplink_mbps: Any) -> dict[str, Any]:
    """The scenario as it stands in JSON output."""
    return {
        "model": graph.name,
        "fingerprint": graph.fingerprint,
        "layers": len(graph.layers),
        "edge": options.edge,
        "cloud": options.cloud,
        "edge_slowdown": options.edge_slowdown,
        "cloud_speedup": options.cloud_speedup,
        "uplink_mbps": uplink_mbps,
        "downlink_mbps": options.downlink_mbps if options.downlink_mbps is not None else uplink_mbps,
        "rtt_ms": options.rtt_ms,
        "overhead_ms": options.overhead_ms,
        "requests": options.requests,
        "wire": options.wire.value,
        "objective": options.objective.value,
    }


def _row(outcome: Outcome) -> dict[str, Any]:
    busy = {f"{r.value}_busy_s": ns / 1e9 for r, ns in zip(RESOURCES, outcome.busy_ns, strict=True)}
    return {
        "strategy": outcome.strategy,
        "execution": outcome.execution.value,
        "makespan_s": outcome.makespan_s,
        "throughput_rps": outcome.throughput_rps,
        **busy,
        "uplink_bytes": outcome.uplink_bytes,
        "lower_bound_s": outcome.lower_bound_s,
        "gap": outcome.gap,
        "plan_s": outcome.plan_s,
    }


def compare_strategies(options: argparse.Namespace) -> None:
    if options.exact is not None and not options.exact > 0:
        raise InvalidInstance(f"The time limit of the exact solver is {options.exact:g} s; choose one above 0.")
    graph = library.load_graph(options.model)
    instance = _instance(options, graph, options.uplink_mbps)
    found = compare(instance, clock=time.perf_counter, exact_limit_s=options.exact)
    if options.json:
        scenario = _describe(options, graph, options.uplink_mbps)
        output.print_json({"instance": scenario, "outcomes": [_row(outcome) for outcome in found.outcomes]})
        return
    _print_comparison(options, found)


def _print_comparison(options: argparse.Namespace, found: Comparison) -> None:
    columns = ("strategy", "execution", "makespan", "req/s", *(f"{r.value} busy" for r in RESOURCES))
    rows = [
        (
            outcome.strategy,
            outcome.execution.value,
            duration(outcome.schedule.makespan_ns),
            f"{outcome.throughput_rps:.3g}",
            *(duration(busy) for busy in outcome.busy_ns),
            f"{outcome.uplink_bytes / 1e3:,.0f} kB",
            f"{outcome.gap:.2%}",
            duration(outcome.plan_s * 1e9),
        )
        for outcome in found.outcomes
    ]
    title = f"{found.instance.graph.name}: {options.requests} request(s), {options.uplink_mbps:g} Mbit/s up"
    best = found.outcomes.index(found.of("decc"))
    output.print_table(title, (*columns, "sent", "gap", "planned in"), rows, highlight=best)
    print(explain(found))
    gains = [f"{found.gain(name):.2f}x over {name}" for name in ("dads-dsl", "single-cut")]
    print(f"DECC: {', '.join(gains)}, {found.gain(found.best_baseline.strategy):.2f}x over the best baseline.")


def plan_model(options: argparse.Namespace) -> None:
    graph = library.load_graph(options.model)
    instance = _instance(options, graph, options.uplink_mbps)
    outcome = compare(instance, (options.strategy,), time.perf_counter).outcomes[0]
    if options.json:
        scenario = _describe(options, graph, options.uplink_mbps)
        output.print_json({"instance": scenario, "outcome": _row(outcome), "cuts": _cuts(instance, outcome)})
    else:
        print(
            f"{graph.name}, {options.strategy}, {outcome.execution.value}: makespan "
            f"{duration(outcome.schedule.makespan_ns)}, {outcome.throughput_rps:.3g} requests/s, gap {outcome.gap:.2%}"
        )
        for cut in _cuts(instance, outcome):
            sent = ", ".join(cut["crossing_tensors"]) or "nothing"
            print(f"requests {cut['requests']}: {cut['edge_layers']} layers on the edge; sends {sent}")
    if options.output:
        output.save(store.SavedPlan(graph.name, graph.fingerprint, outcome.plan), options.output)


def _cuts(instance: CostInstance, outcome: Outcome) -> list[dict[str, Any]]:
    """Each distinct cut with the requests that take it."""
    return [
        {
            "requests": [request for request, other in enumerate(outcome.plan.cuts) if other == cut],
            "edge_layers": len(cut),
            "cloud_layers": len(instance.graph.layers) - len(cut),
            "crossing_tensors": [instance.graph.tensor_name(i) for i in crossing_tensors(instance.graph, cut)],
        }
        for cut in dict.fromkeys(outcome.plan.cuts)
    ]


def sweep_rates(options: argparse.Namespace) -> None:
    graph = library.load_graph(options.model)
    points = [
        GridPoint(rate * BITS_PER_MBIT, options.edge_slowdown, _instance(options, graph, rate))
        for rate in options.uplink_mbps
    ]
    strategies = tuple(options.strategies.split(","))
    rows = sweep(points, strategies, time.perf_counter)
    if options.json:
        output.print_json(
            {
                "instance": _describe(options, graph, list(options.uplink_mbps)),
                "rows": [
                    {"uplink_mbps": row.uplink_bps / BITS_PER_MBIT, **_row(outcome)}
                    for row in rows
                    for outcome in row.comparison.outcomes
                ],
            }
        )
        return
    output.print_table(
        f"{graph.name}: makespan by uplink rate, {options.requests} request(s)",
        ("Mbit/s", *strategies, "best"),
        [
            (
                f"{row.uplink_bps / BITS_PER_MBIT:g}",
                *(duration(outcome.schedule.makespan_ns) for outcome in row.comparison.outcomes),
                row.comparison.best.strategy,
            )
            for row in rows
        ],
    )
