"""decc plan, compare and sweep: the commands that plan."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from decc_core import store
from decc_core.cli import output
from decc_core.cli.scenario import BYTES_PER_KB, add_scenario, build_instance, describe, numbers
from decc_core.cli.sources import opened
from decc_core.errors import InvalidInstance
from decc_core.planner.strategies import STRATEGIES
from decc_core.problem.instance import BPS_PER_MBPS, RESOURCES, CostInstance, crossing_tensors
from decc_core.study.ablation import Ablation, ablate
from decc_core.study.compare import Comparison, Outcome, compare
from decc_core.study.explain import explain
from decc_core.study.pareto import pareto
from decc_core.study.sweep import GridPoint, sweep
from decc_core.text import duration


def add_commands(commands: Any) -> None:
    plan = commands.add_parser("plan", help="plan one network with one strategy")
    add_scenario(plan)
    plan.add_argument("--strategy", default="decc", choices=STRATEGIES, help="default: decc")
    plan.add_argument("--uplink-mbps", type=float, default=18.88, help="uplink rate in Mbit/s (default: 18.88)")
    plan.add_argument("--output", "-o", type=Path, help="plan file to write")
    plan.set_defaults(run=plan_model)

    comparison = commands.add_parser("compare", help="compare all strategies on one network")
    add_scenario(comparison)
    comparison.add_argument("--uplink-mbps", type=float, default=18.88, help="uplink rate in Mbit/s (default: 18.88)")
    comparison.add_argument("--exact", type=float, metavar="SECONDS", help="add the exact solver with this time limit")
    comparison.set_defaults(run=compare_strategies)

    front = commands.add_parser("pareto", help="trade latency against throughput and uplink bytes")
    add_scenario(front)
    front.add_argument("--uplink-mbps", type=float, default=18.88, help="uplink rate in Mbit/s (default: 18.88)")
    front.set_defaults(run=pareto_front)

    grid = commands.add_parser("sweep", help="compare strategies over a range of uplink rates")
    add_scenario(grid)
    rates = (0.13, 1.1, 5.85, 18.88, 50.0, 100.0, 400.0, 1000.0)
    grid.add_argument("--uplink-mbps", type=numbers, default=rates, help="rates in Mbit/s, comma-separated")
    grid.add_argument("--strategies", default=",".join(STRATEGIES), help="names, comma-separated (default: all)")
    grid.set_defaults(run=sweep_rates)


def compare_strategies(options: argparse.Namespace) -> None:
    if options.exact is not None and not options.exact > 0:
        raise InvalidInstance(f"The time limit of the exact solver is {options.exact:g} s; choose one above 0.")
    with opened(options) as source:
        graph, instance = source.graph, build_instance(options, source, options.uplink_mbps)
    with output.exact_progress() as progress:
        found = compare(instance, clock=time.perf_counter, exact_limit_s=options.exact, progress=progress)
    ablation = ablate(found)
    if options.json:
        content = {
            "instance": describe(options, graph, options.uplink_mbps),
            "outcomes": [outcome.row() for outcome in found.outcomes],
            "not_possible": found.not_possible,
            "ablation": _ablation_row(ablation),
        }
        output.print_json(content)
        return
    _print_comparison(options, found, ablation)


def _ablation_row(ablation: Ablation) -> dict[str, Any]:
    parts = {"neither": ablation.neither_ns, "mix": ablation.mix_ns, "overlap": ablation.overlap_ns}
    return {
        **{f"{name}_s": time_ns / 1e9 for name, time_ns in {**parts, "both": ablation.both_ns}.items()},
        "best_baseline": ablation.best_baseline,
        "gain_over_best_baseline": ablation.over_best_baseline,
    }


def _print_comparison(options: argparse.Namespace, found: Comparison, ablation: Ablation) -> None:
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
    dispensable = ("planned in", *reversed(columns[4:]), "execution")
    output.print_table(title, (*columns, "sent", "gap", "planned in"), rows, best, dispensable)
    for strategy, reason in found.not_possible.items():
        print(f"{strategy}: not possible. {reason}")
    print(explain(found))
    gains = [f"{found.gain(name):.2f}x over {name}" for name in ("dads-dsl", "single-cut") if found.has(name)]
    print(f"DECC: {', '.join(gains)}, {ablation.over_best_baseline:.2f}x over the best baseline.")
    print(
        "Against one cut for all requests without overlap inside one: "
        f"mix of cuts alone {ablation.gain(ablation.mix_ns):.2f}x, "
        f"overlap of branches alone {ablation.gain(ablation.overlap_ns):.2f}x, "
        f"both {ablation.gain(ablation.both_ns):.2f}x."
    )


def pareto_front(options: argparse.Namespace) -> None:
    with opened(options) as source:
        graph, points = source.graph, pareto(build_instance(options, source, options.uplink_mbps))
    if options.json:
        rows = [
            {
                "strategy": point.outcome.strategy,
                "makespan_s": point.makespan_s,
                "throughput_rps": point.throughput_rps,
                "uplink_bytes_per_request": point.bytes_per_request,
            }
            for point in points
        ]
        output.print_json({"instance": describe(options, graph, options.uplink_mbps), "points": rows})
        return
    output.print_table(
        f"{graph.name}: {options.requests} request(s), {options.uplink_mbps:g} Mbit/s up; no plan listed beats another",
        ("strategy", "chosen for", "makespan", "req/s when repeated", "sent per request"),
        [
            (
                point.outcome.strategy,
                point.objective.value,
                duration(point.outcome.schedule.makespan_ns),
                f"{point.throughput_rps:.3g}",
                f"{point.bytes_per_request / BYTES_PER_KB:,.1f} kB",
            )
            for point in points
        ],
    )


def plan_model(options: argparse.Namespace) -> None:
    with opened(options) as source:
        graph, instance = source.graph, build_instance(options, source, options.uplink_mbps)
    outcome = compare(instance, (options.strategy,), time.perf_counter).outcomes[0]
    if options.json:
        scenario = describe(options, graph, options.uplink_mbps)
        output.print_json({"instance": scenario, "outcome": outcome.row(), "cuts": _cuts(instance, outcome)})
    else:
        print(
            f"{graph.name}, {options.strategy}, {outcome.execution.value}: makespan "
            f"{duration(outcome.schedule.makespan_ns)}, {outcome.throughput_rps:.3g} requests/s, gap {outcome.gap:.2%}"
        )
        for cut in _cuts(instance, outcome):
            sent = ", ".join(cut["crossing_tensors"]) or "nothing"
            requests = ", ".join(str(request + 1) for request in cut["requests"])
            print(f"request(s) {requests}: {cut['edge_layers']} layers on the edge; sends {sent}")
    if options.output:
        output.save(store.SavedPlan(graph.name, graph.fingerprint, outcome.plan, outcome.strategy), options.output)


def _cuts(instance: CostInstance, outcome: Outcome) -> list[dict[str, Any]]:
    """Each distinct cut with the requests that take it."""
    return [
        {
            "requests": list(requests),
            "edge_layers": len(cut),
            "cloud_layers": len(instance.graph.layers) - len(cut),
            "crossing_tensors": [instance.graph.tensor_name(i) for i in crossing_tensors(instance.graph, cut)],
        }
        for cut, requests in outcome.plan.groups().items()
    ]


def sweep_rates(options: argparse.Namespace) -> None:
    with opened(options) as source:
        graph = source.graph
        points = [
            GridPoint(rate * BPS_PER_MBPS, options.edge_slowdown, build_instance(options, source, rate))
            for rate in options.uplink_mbps
        ]
    strategies = tuple(options.strategies.split(","))
    rows = sweep(points, strategies, time.perf_counter)
    if options.json:
        output.print_json(
            {
                "instance": describe(options, graph, list(options.uplink_mbps)),
                "rows": [
                    {"uplink_mbps": row.uplink_bps / BPS_PER_MBPS, **outcome.row()}
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
                f"{row.uplink_bps / BPS_PER_MBPS:g}",
                *(duration(outcome.schedule.makespan_ns) for outcome in row.comparison.outcomes),
                row.comparison.best.strategy,
            )
            for row in rows
        ],
    )
