"""decc plan, compare, pareto and sweep: the commands that plan."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from decc_core import files, store
from decc_core.cli import output
from decc_core.cli.options import Commands, runs
from decc_core.cli.scenario import add_scenario, add_uplink, scenario_of
from decc_core.cli.sources import NetworkOptions, graph_and_profiles, network_of
from decc_core.errors import InvalidInstance, LeftOut
from decc_core.formats import RAW
from decc_core.network.graph import LayerGraph
from decc_core.planner.strategies import STRATEGIES
from decc_core.plans.plan import Plan
from decc_core.problem.instance import RESOURCES, CostInstance, crossing_tensors
from decc_core.problem.link import BPS_PER_MBPS, NS_PER_S
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.scenario import Scenario
from decc_core.problem.wire import FP32, MOST_BITS, bits_name, bits_of
from decc_core.ranges import LONGEST_S, number
from decc_core.study.ablation import Ablation, ablate, ablate_wire
from decc_core.study.compare import Comparison, compare
from decc_core.study.explain import explain
from decc_core.study.pareto import pareto
from decc_core.study.sweep import GridPoint, SweepRow, sweep
from decc_core.study.verdict import doubts, verdict
from decc_core.text import bytes_text, counted, figure, gain_text, gap_text

COLUMNS = {
    "strategy": "strategy", "execution": "execution", "makespan_s": "makespan", "throughput_rps": "req/s",
    **{f"{resource.value}_busy_s": f"{resource.value} busy" for resource in RESOURCES},
    "uplink_bytes": "sent", "gap": "gap", "plan_s": "planned in",
}  # fmt: skip
"""Titles of the figures of an outcome's row."""
DISPENSABLE = ("planned in", *(f"{resource.value} busy" for resource in reversed(RESOURCES)), "execution")
RATES_MBPS = (0.13, 1.1, 5.85, 18.88, 50.0, 100.0, 400.0, 1000.0)


@dataclass(frozen=True)
class PlanOptions:
    scenario: Scenario
    network: NetworkOptions
    strategy: str
    output: Path | None
    json: bool


@dataclass(frozen=True)
class CompareOptions:
    scenario: Scenario
    network: NetworkOptions
    exact: float | None
    json: bool

    def __post_init__(self) -> None:
        if self.exact is not None and not 0 < self.exact <= LONGEST_S:
            raise InvalidInstance(
                f"The time limit of the exact solver is {self.exact:g} s; choose one above 0, up to {LONGEST_S:g} s."
            )


@dataclass(frozen=True)
class ParetoOptions:
    scenario: Scenario
    network: NetworkOptions
    json: bool


@dataclass(frozen=True)
class SweepOptions:
    scenario: Scenario
    network: NetworkOptions
    rates_mbps: tuple[float, ...]
    bits: tuple[float, ...]
    strategies: str
    json: bool

    def __post_init__(self) -> None:
        for bits in self.bits:
            if bits_of(bits_name(bits)) is None:
                raise InvalidInstance(f"{bits:g} bits a value are none; choose more than 0, up to {MOST_BITS:g}.")
        if self.bits and self.scenario.wire != FP32:
            raise InvalidInstance("--bits says how tensors travel, and so does --wire; leave one of them out.")


def add_commands(commands: Commands) -> None:
    plan = commands.add_parser("plan", help="plan one network with one strategy")
    add_scenario(plan)
    plan.add_argument("--strategy", default="decc", choices=STRATEGIES, help="how the plan is found (default: decc)")
    add_uplink(plan)
    plan.add_argument("--output", "-o", type=Path, help="plan file to write (default: none)")
    runs(plan, plan_model, PlanOptions, scenario=scenario_of, network=network_of)

    comparison = commands.add_parser("compare", help="compare all strategies on one network")
    add_scenario(comparison)
    add_uplink(comparison)
    comparison.add_argument(
        "--exact",
        type=number,
        metavar="SECONDS",
        help="add the exact solver with this time limit (default: without)",
    )
    runs(comparison, compare_strategies, CompareOptions, scenario=scenario_of, network=network_of)

    front = commands.add_parser(
        "pareto", help="list the plans that no other beats in time, requests per second and bytes sent at once"
    )
    add_scenario(front)
    add_uplink(front)
    runs(front, pareto_front, ParetoOptions, scenario=scenario_of, network=network_of)

    grid = commands.add_parser("sweep", help="compare strategies over a range of uplink rates")
    add_scenario(grid)
    grid.add_argument(
        "--uplink-mbps",
        dest="rates_mbps",
        metavar="UPLINK_MBPS",
        type=numbers,
        default=RATES_MBPS,
        help=f"rates in Mbit/s, comma-separated (default: {','.join(f'{rate:g}' for rate in RATES_MBPS)})",
    )
    grid.add_argument(
        "--bits",
        metavar="BITS",
        type=numbers,
        default=(),
        help="at each rate so many bits for every floating-point value on the wire, comma-separated, as in: 32,8,1.5 "
        "(default: what --wire says)",
    )
    grid.add_argument("--strategies", default=",".join(STRATEGIES), help="names, comma-separated (default: all)")
    runs(grid, sweep_rates, SweepOptions, scenario=scenario_of, network=network_of)


def numbers(text: str) -> tuple[float, ...]:
    return tuple(number(part) for part in text.split(","))


def compare_strategies(options: CompareOptions) -> None:
    scenario = options.scenario
    graph, edge, cloud = graph_and_profiles(options.network, scenario)
    instance = scenario.instance(graph, edge, cloud)
    with output.exact_progress() as progress:
        comparison = compare(instance, clock=time.perf_counter, exact_limit_s=options.exact, progress=progress)
    found = verdict(comparison)
    sentence = f"{found} {doubts(found, scenario, edge, cloud)}".strip()
    try:
        ablation: Ablation | None = ablate(comparison)
    except LeftOut as note:
        ablation = None
        output.note(str(note))
    _tell_doubt(scenario)
    coded = ablate_wire(scenario, graph, edge, cloud, comparison.of("decc").objective_ns)
    if options.json:
        content = {
            "instance": scenario.description(instance.graph),
            "outcomes": [outcome.row() for outcome in comparison.outcomes],
            "not_possible": comparison.not_possible,
            "ablation": _ablation_row(ablation) if ablation else None,
            "wire_ablation": coded.row() if coded else None,
            "verdict": {
                "recommended": found.recommended.strategy,
                "gain_over_one_device": found.gain,
                "text": sentence,
            },
        }
        output.print_json(content)
    else:
        _print_comparison(_title(scenario, instance), comparison, ablation, sentence)
        if coded is not None:
            output.say(str(coded))


def _tell_doubt(scenario: Scenario) -> None:
    if scenario.travel.doubt:
        output.note(scenario.travel.doubt)


def _title(scenario: Scenario, instance: CostInstance) -> str:
    return f"{instance.graph.name}: {counted(scenario.requests, 'request')}, {scenario.uplink_mbps:g} Mbit/s up"


def _ablation_row(ablation: Ablation) -> dict[str, Any]:
    parts = {"neither": ablation.neither_ns, "mix": ablation.mix_ns, "overlap": ablation.overlap_ns}
    return {
        **{f"{name}_s": time_ns / NS_PER_S for name, time_ns in {**parts, "both": ablation.both_ns}.items()},
        "best_baseline": ablation.best_baseline,
        "gain_over_best_baseline": ablation.over_best_baseline,
    }


def _print_comparison(title: str, comparison: Comparison, ablation: Ablation | None, sentence: str) -> None:
    rows = [outcome.row() for outcome in comparison.outcomes]
    cells = [[figure(name, row[name]) for name in COLUMNS] for row in rows]
    best = comparison.outcomes.index(comparison.of("decc"))
    output.say(sentence)
    output.print_table(title, tuple(COLUMNS.values()), cells, best, DISPENSABLE)
    for strategy, reason in comparison.not_possible.items():
        output.say(f"{strategy}: not possible. {reason}")
    output.say(explain(comparison))
    gains = [
        f"{gain_text(comparison.gain(name))} over {name}" for name in ("dads-dsl", "single-cut") if comparison.has(name)
    ]
    if ablation is None:
        output.say(f"DECC: {', '.join(gains)}.")
        return
    output.say(f"DECC: {', '.join(gains)}, {gain_text(ablation.over_best_baseline)} over the best baseline.")
    output.say(
        "Against one cut for all requests without overlap inside one: "
        f"mix of cuts alone {gain_text(ablation.gain(ablation.mix_ns))}, "
        f"overlap of branches alone {gain_text(ablation.gain(ablation.overlap_ns))}, "
        f"both {gain_text(ablation.gain(ablation.both_ns))}."
    )


def pareto_front(options: ParetoOptions) -> None:
    scenario = options.scenario
    instance = scenario.instance(*graph_and_profiles(options.network, scenario))
    points = pareto(instance)
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
        output.print_json({"instance": scenario.description(instance.graph), "points": rows})
        return
    output.print_table(
        f"{_title(scenario, instance)}; no plan listed beats another",
        ("strategy", "chosen for", "makespan", "req/s when repeated", "sent per request"),
        [
            (
                point.outcome.strategy,
                point.objective.value,
                figure("makespan_s", point.makespan_s),
                figure("throughput_rps", point.throughput_rps),
                figure("uplink_bytes", point.bytes_per_request),
            )
            for point in points
        ],
        dispensable=("req/s when repeated", "chosen for"),
    )


def plan_model(options: PlanOptions) -> None:
    files.require_place(options.output)
    instance = options.scenario.instance(*graph_and_profiles(options.network, options.scenario))
    graph = instance.graph
    outcome = compare(instance, (options.strategy,), time.perf_counter).of(options.strategy)
    row, cuts = outcome.row(), _cuts(instance, outcome.plan)
    _tell_doubt(options.scenario)
    if options.json:
        output.print_json({"instance": options.scenario.description(graph), "outcome": row, "cuts": cuts})
    else:
        makespan, rate = (figure(name, row[name]) for name in ("makespan_s", "throughput_rps"))
        output.say(
            f"{graph.name}, {options.strategy}, {row['execution']}: all done in {makespan} (makespan), {rate} "
            f"requests/s when repeated, within {gap_text(outcome.gap)} of the proven bound (gap)"
        )
        for cut in cuts:
            sent = ", ".join(map(_sent, cut["crossing_tensors"], cut["wire_formats"], cut["wire_bytes"])) or "nothing"
            requests = ", ".join(str(request + 1) for request in cut["requests"])
            several = "s" if len(cut["requests"]) > 1 else ""
            output.say(f"request{several} {requests}: {cut['edge_layers']} layers on the edge; sends {sent}")
    if options.output:
        output.save(store.SavedPlan(graph.name, graph.fingerprint, outcome.plan, outcome.strategy), options.output)


def _sent(name: str, form: str, size: int) -> str:
    return name if form == RAW else f"{name} as {form} ({bytes_text(size)})"


def _cuts(instance: CostInstance, plan: Plan) -> list[dict[str, Any]]:
    """Each distinct cut with the requests that take it."""
    crossing = {cut: crossing_tensors(instance.graph, cut) for cut in plan.groups()}
    return [
        {
            "requests": list(requests),
            "edge_layers": len(cut),
            "cloud_layers": len(instance.graph.layers) - len(cut),
            "crossing_tensors": [instance.graph.tensor_name(i) for i in crossing[cut]],
            "wire_formats": [instance.format_of(i) for i in crossing[cut]],
            "wire_bytes": [instance.wire_bytes[i] for i in crossing[cut]],
        }
        for cut, requests in plan.groups().items()
    ]


def sweep_rates(options: SweepOptions) -> None:
    scenario, rates = options.scenario, list(options.rates_mbps)
    graph, edge, cloud = graph_and_profiles(options.network, scenario)
    points = [
        _grid_point(scenario, rate, bits, graph, edge, cloud) for rate in rates for bits in options.bits or (None,)
    ]
    strategies = tuple(options.strategies.split(","))
    rows = sweep(points, strategies, time.perf_counter)
    if options.json:
        down = rates if scenario.downlink_mbps is None else scenario.downlink_mbps
        output.print_json(
            {
                "instance": {**scenario.description(graph), "uplink_mbps": rates, "downlink_mbps": down},
                "rows": [
                    {"uplink_mbps": row.uplink_bps / BPS_PER_MBPS, **_bits_column(row), **outcome.row()}
                    for row in rows
                    for outcome in row.comparison.outcomes
                ],
            }
        )
        return
    output.print_table(
        f"{graph.name}: makespan by uplink rate, {counted(scenario.requests, 'request')}",
        ("Mbit/s", *(("bits",) if options.bits else ()), *strategies, "best"),
        [
            (
                f"{row.uplink_bps / BPS_PER_MBPS:g}",
                *(f"{bits:g}" for bits in _bits_column(row).values()),
                *(figure("makespan_s", outcome.makespan_s) for outcome in row.comparison.outcomes),
                row.comparison.best.strategy,
            )
            for row in rows
        ],
        # Who wins stands in the last column, whatever else there is room for.
        dispensable=tuple(name for name in strategies if name != "decc"),
    )


def _grid_point(
    scenario: Scenario,
    rate_mbps: float,
    bits: float | None,
    graph: LayerGraph,
    edge: DeviceProfile,
    cloud: DeviceProfile,
) -> GridPoint:
    there = replace(scenario, uplink_mbps=rate_mbps)
    if bits is not None:
        there = replace(there, wire=bits_name(bits))
    return GridPoint(rate_mbps * BPS_PER_MBPS, scenario.edge_slowdown, there.instance(graph, edge, cloud), bits)


def _bits_column(row: SweepRow) -> dict[str, float]:
    return {} if row.bits is None else {"bits_a_value": row.bits}
