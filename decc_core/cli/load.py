"""decc load: requests that keep arriving, and the rate that every policy sustains."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decc_core import files
from decc_core.cli import output
from decc_core.cli.options import Commands, runs
from decc_core.cli.progress import bar
from decc_core.cli.scenario import add_scenario, add_uplink, scenario_of
from decc_core.cli.sources import NetworkOptions, graph_and_profiles, network_of
from decc_core.errors import InvalidInstance, UnknownName
from decc_core.planner.analysis import Analysis
from decc_core.printed.table import as_csv, scenario_columns
from decc_core.problem.link import NS_PER_S
from decc_core.problem.scenario import Scenario
from decc_core.ranges import number, whole_number
from decc_core.streams.arrivals import Process
from decc_core.streams.load import POLICIES, Demand, Load, usual_deadline_ns
from decc_core.streams.policies import Site
from decc_core.text import duration

MOST_RATES = 200
USUAL_REQUESTS = 20_000


@dataclass(frozen=True)
class LoadOptions:
    scenario: Scenario
    network: NetworkOptions
    rate: tuple[float, ...]
    curve: bool
    arrivals: str
    cv: float
    deadline_ms: float | None
    percentile: float
    stream_requests: int
    sources: int
    servers: int
    policies: tuple[str, ...]
    seed: int
    csv: Path | None
    json: bool

    def __post_init__(self) -> None:
        if self.rate and self.curve:
            raise InvalidInstance("--rate names rates and --curve takes its own; give one of the two.")
        if len(self.rate) > MOST_RATES:
            raise InvalidInstance(f"--rate names {len(self.rate)} rates; {MOST_RATES} at a time are enough.")
        for name in self.policies:
            if name not in POLICIES:
                raise UnknownName(f"There is no policy '{name}'; choose one of {', '.join(POLICIES)}.")


def add_commands(commands: Commands) -> None:
    load = commands.add_parser("load", help="requests that keep arriving: latency, and the rate that is sustained")
    add_scenario(load, requests=f"requests that arrive, at every rate (default: {USUAL_REQUESTS:,})")
    add_uplink(load)
    which = load.add_mutually_exclusive_group()
    which.add_argument(
        "--rate",
        type=_rates,
        default=(),
        metavar="PER_S",
        help="look at these rates, comma-separated, in requests/s (default: look for the one that is sustained)",
    )
    which.add_argument("--curve", action="store_true", help="look at twelve rates up to the capacity")
    load.add_argument(
        "--arrivals",
        choices=[process.value for process in Process],
        default="poisson",
        help="how they arrive (default: poisson)",
    )
    load.add_argument("--cv", type=number, default=3.0, help="how bursty gamma arrivals are (default: 3)")
    load.add_argument(
        "--deadline-ms", type=number, help="default: three times what a request takes alone on the fastest cut"
    )
    load.add_argument(
        "--percentile", type=number, default=99.0, help="of the requests have to keep the deadline (default: 99)"
    )
    load.add_argument("--sources", type=whole_number, default=1, help="cameras that share the cloud (default: 1)")
    load.add_argument("--servers", type=whole_number, default=1, help="of the cloud (default: 1)")
    load.add_argument("--policies", type=_names, default=POLICIES, help="names, comma-separated (default: all)")
    load.add_argument("--seed", type=whole_number, default=0, help="of the arrivals (default: 0)")
    load.add_argument("--csv", type=Path, metavar="FILE", help="write the table to this file, too (default: none)")
    runs(
        load, stream_load, LoadOptions, scenario=_scenario_of, network=network_of,
        stream_requests=lambda given: USUAL_REQUESTS if given.requests is None else given.requests,
    )  # fmt: skip


def _rates(text: str) -> tuple[float, ...]:
    return tuple(number(part) for part in text.split(","))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _scenario_of(given: argparse.Namespace) -> Scenario:
    """The scenario of one request: how many are simulated is no part of it."""
    return scenario_of(argparse.Namespace(**{**vars(given), "requests": None, "objective": None}))


def stream_load(options: LoadOptions) -> None:
    files.require_place(options.csv)
    scenario = options.scenario
    graph, edge, cloud = graph_and_profiles(options.network, scenario)
    instance = scenario.instance(graph, edge, cloud)
    site = Site(Analysis(instance), options.sources, options.servers)
    deadline_ns = (
        usual_deadline_ns(site) if options.deadline_ms is None else round(options.deadline_ms / 1e3 * NS_PER_S)
    )
    demand = Demand(
        deadline_ns, Process(options.arrivals), options.cv, options.percentile, options.stream_requests, options.seed
    )
    load = Load(site, demand)
    impossible = load.not_possible(options.policies)
    names = [name for name in options.policies if name not in impossible]
    rates = load.rates() if options.curve else options.rate
    rows: list[dict[str, Any]] = []
    if rates:
        with bar("simulating") as progress:
            for done, point in enumerate(load.curve(names, rates)):
                progress(done, len(rates) * len(names), f"{point.policy} at {point.rate_hz:.3g} requests/s")
                rows.append(point.row(deadline_ns))
    else:
        with bar("simulating") as progress:
            for done, name in enumerate(names):
                progress(done, len(names), f"the rate that {name} sustains")
                rows.append(load.sustained_row(name))
    if options.csv:
        about = scenario_columns(scenario, instance.graph, edge, cloud)
        about |= {
            "arrivals": options.arrivals,
            "arrivals_cv": options.cv,
            "seed": options.seed,
            "sources": options.sources,
            "servers": options.servers,
            "deadline_s": deadline_ns / NS_PER_S,
            "percentile": demand.percentile,
            "requests": demand.requests,
            "capacity_rps": site.capacity_hz,
        }
        heads = list(dict.fromkeys(key for row in rows for key in row))
        output.write_bytes(as_csv([{key: row.get(key) for key in heads} for row in rows], about).encode(), options.csv)
    asked = f"{demand.percentile:g} % of the requests within {duration(deadline_ns)}"
    if options.json:
        output.print_json(
            {
                "instance": scenario.description(instance.graph),
                "arrivals": {"process": options.arrivals, "cv": options.cv, "seed": options.seed},
                "sources": options.sources, "servers": options.servers, "deadline_s": deadline_ns / NS_PER_S,
                "percentile": demand.percentile, "capacity_rps": site.capacity_hz, "least_s": site.least_ns / NS_PER_S,
                "rows": rows, "not_possible": impossible,
            }
        )  # fmt: skip
        return
    output.print_table(
        f"{instance.graph.name}: {options.arrivals} arrivals, {asked}",
        tuple(COLUMNS[key] for key in COLUMNS if any(key in row for row in rows)),
        [[_cell(key, row.get(key)) for key in COLUMNS if any(key in other for other in rows)] for row in rows],
    )
    for name, reason in impossible.items():
        output.say(f"{name}: not possible. {reason}")
    output.say(
        f"No policy sustains more than {site.capacity_hz:.3g} requests/s for ever, and none answers in less than "
        f"{duration(site.least_ns)}."
    )


COLUMNS = {
    "policy": "policy",
    "sustained_rps": "sustained, req/s",
    "rate_rps": "rate, req/s",
    "p50_s": "p50",
    "p90_s": "p90",
    "p99_s": "p99",
    "goodput_rps": "in time, req/s",
    "edge_utilisation": "edge busy",
    "uplink_utilisation": "uplink busy",
    "cloud_utilisation": "cloud busy",
    "downlink_utilisation": "downlink busy",
    "refused": "refused",
    "grows": "queues",
}


def _cell(key: str, value: Any) -> str:
    if value is None:
        return "unknown" if key.endswith("_s") else ""
    if key == "grows":
        return "grow" if value else "stable"
    if key.endswith("_utilisation") or key == "refused":
        return f"{100 * value:.0f} %"
    if key.endswith("_rps"):
        return f"{value:.3g}"
    return duration(value * NS_PER_S) if key.endswith("_s") else str(value)
