"""decc run --rate: requests that keep arriving at real workers, measured beside their simulation."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from decc_core import files
from decc_core.cli import output
from decc_core.errors import InvalidInstance, UnknownName
from decc_core.plans import trace
from decc_core.printed.table import as_csv
from decc_core.problem.instance import RESOURCES, CostInstance
from decc_core.problem.link import MS_PER_S, NS_PER_S
from decc_core.progress import Progress
from decc_core.ranges import number, require
from decc_core.streams.arrivals import RATES_HZ, Process, arrivals
from decc_core.streams.load import POLICIES, Demand, Load, usual_deadline_ns
from decc_core.streams.policies import Site
from decc_core.streams.served import PERCENTILES, requests_needed
from decc_core.text import counted, duration

if TYPE_CHECKING:
    from decc_core.planner.analysis import Analysis
    from decc_core.runtime.controller.live import Workers
    from decc_core.runtime.controller.report import RunSettings
    from decc_core.runtime.controller.stream_report import StreamReport
    from decc_core.runtime.wire.assembly import TensorChunk

USUAL_DURATION_S = 30.0
LONGEST_S = 86_400.0
FLAGS = ("duration", "arrivals", "cv", "policy", "deadline_ms", "output")
"""What means something only where there is a rate."""


@dataclass(frozen=True)
class StreamOptions:
    """How requests arrive, for how long, who dispatches them, and where a table of them goes."""

    rate_hz: float
    duration_s: float
    process: Process
    cv: float
    policies: tuple[str, ...]
    deadline_ms: float | None
    output: Path | None

    def __post_init__(self) -> None:
        from decc_core.runtime.wire.messages import MAX_STREAM

        require("rate", self.rate_hz, *RATES_HZ, "requests/s")
        require("duration", self.duration_s, 1e-3, LONGEST_S, "s")
        if self.deadline_ms is not None:
            require("deadline", self.deadline_ms, 1e-3, LONGEST_S * MS_PER_S, "ms")
        if self.requests > MAX_STREAM:
            raise InvalidInstance(
                f"{self.rate_hz:g} requests/s for {self.duration_s:g} s are {self.requests:,} requests; a live stream "
                f"has at most {MAX_STREAM:,}. Choose a shorter --duration."
            )
        for name in self.policies:
            if name not in POLICIES:
                raise UnknownName(f"There is no policy '{name}'; choose one of {', '.join(POLICIES)}.")
        files.require_place(self.output)

    @property
    def requests(self) -> int:
        return max(1, round(self.rate_hz * self.duration_s))


def add_stream(run: argparse.ArgumentParser) -> None:
    run.add_argument(
        "--rate",
        type=number,
        metavar="PER_S",
        help="have requests keep arriving, so many a second, and dispatch each when it comes (default: none; all are "
        "there at time 0)",
    )
    run.add_argument(
        "--duration",
        type=number,
        metavar="SECONDS",
        help=f"with --rate: for how long they arrive (default: {USUAL_DURATION_S:g})",
    )
    run.add_argument(
        "--arrivals",
        choices=[process.value for process in Process],
        help="with --rate: how they arrive (default: poisson)",
    )
    run.add_argument("--cv", type=number, help="with --rate: how bursty gamma arrivals are (default: 3)")
    run.add_argument(
        "--policy",
        type=_names,
        metavar="NAMES",
        help="with --rate: who dispatches them; several, comma-separated, serve the same arrivals one after the other "
        "(default: decc)",
    )
    run.add_argument(
        "--deadline-ms",
        type=number,
        help="with --rate: the latency that a request should keep (default: three times what a request takes alone on "
        "the fastest cut)",
    )
    run.add_argument(
        "--output",
        type=Path,
        metavar="CSV",
        help="with --rate: write a row for each request into this file (default: none)",
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def stream_of(given: argparse.Namespace) -> StreamOptions | None:
    """The stream that was asked for, if there is a rate; refuses what only one means something with."""
    said = [name for name in FLAGS if getattr(given, name) is not None]
    if given.rate is None:
        if said:
            raise InvalidInstance(f"--{said[0].replace('_', '-')} is of requests that keep arriving; add --rate.")
        return None
    return StreamOptions(
        given.rate,
        USUAL_DURATION_S if given.duration is None else given.duration,
        Process(given.arrivals or Process.POISSON),
        3.0 if given.cv is None else given.cv,
        given.policy or ("decc",),
        given.deadline_ms,
        given.output,
    )


def serve(
    asked: StreamOptions,
    seed: int,
    analysis: Analysis,
    workers: Workers,
    settings: RunSettings,
    inputs: Callable[[int], tuple[TensorChunk, ...]] | None,
    progress: Progress,
) -> list[StreamReport]:
    """Choose the policies by simulation, and have each serve the same arrivals."""
    from decc_core.runtime.controller.stream_run import run_streams

    site = Site(analysis)
    deadline_ns = (
        usual_deadline_ns(site) if asked.deadline_ms is None else round(asked.deadline_ms / MS_PER_S * NS_PER_S)
    )
    demand = Demand(deadline_ns, asked.process, asked.cv, seed=abs(seed))
    load = Load(site, demand)
    policies = {}
    for name in asked.policies:
        progress(0, 1, f"choosing how {name} dispatches")
        policies[name] = load.policy(name, asked.rate_hz)
    stream = arrivals(asked.process, asked.rate_hz, asked.requests, 1, asked.cv, abs(seed))

    def told(policy: str) -> Progress:
        return lambda done, total, what: progress(done, total, f"{policy}: {what}")

    return list(run_streams(workers, site, policies, stream, deadline_ns, settings, told, inputs=inputs))


def tell(
    asked: StreamOptions,
    instance: CostInstance,
    reports: Sequence[StreamReport],
    about: Mapping[str, Any],
    json: bool,
    trace_file: Path | None,
) -> None:
    """A table with a column for each policy, and sentences; or JSON with `about` on top. Files are written first."""
    if asked.output:
        rows = [row for report in reports for row in report.requests()]
        columns: dict[str, str | float | int | None] = {
            "network": instance.graph.name,
            "rate_rps": asked.rate_hz,
            "arrivals": asked.process.value,
            "arrivals_cv": asked.cv,
            "deadline_s": reports[0].deadline_ns / NS_PER_S if reports else None,
        }
        output.write_bytes(as_csv(rows, columns).encode(), asked.output)
    if trace_file:
        output.write_traces(((report.policy, _trace(instance, report)) for report in reports), trace_file)
    if json:
        stream = {
            "rate_rps": asked.rate_hz, "duration_s": asked.duration_s, "requests": asked.requests,
            "arrivals": asked.process.value, "cv": asked.cv,
            "deadline_s": reports[0].deadline_ns / NS_PER_S, "capacity_rps": reports[0].capacity_hz,
        }  # fmt: skip
        output.print_json({**about, "stream": stream, "runs": [_row(report) for report in reports]})
        return
    how = "native speed" if reports[0].speed.value == "native" else "emulated device speeds"
    output.print_table(
        f"{instance.graph.name}: {counted(asked.requests, 'request')}, {asked.rate_hz:g} a second, "
        f"{asked.process.value} arrivals, {how}; measured (simulated)",
        ("", *(report.policy for report in reports)),
        zip(_heads(reports[0]), *(_cells(report) for report in reports), strict=True),
    )
    if reports[0].dilation != 1:
        output.say(
            f"Run {reports[0].dilation:g} times slower than shown, so that this machine can keep up with the devices "
            "that it stands in for."
        )
    for report in reports:
        output.say(str(report))


def _heads(report: StreamReport) -> tuple[str, ...]:
    return (
        "finished",
        "outputs",
        *(f"p{percentile:g}" for percentile in PERCENTILES),
        f"within {duration(report.deadline_ns)}, req/s",
        *(f"{resource.value} busy" for resource in RESOURCES),
        "queues",
        "decision",
    )


def _cells(report: StreamReport) -> tuple[str, ...]:
    measured, simulated = report.measured, report.simulated

    def latency(percentile: float) -> str:
        if measured is None:
            return "-"
        found = measured.percentile_ns(percentile)
        if found is None:
            return f"takes {requests_needed(percentile):,} requests"
        expected = simulated.percentile_ns(percentile) if simulated else None
        return duration(found) + (f" ({duration(expected)})" if expected is not None else "")

    in_time = "-"
    if measured is not None:
        in_time = f"{measured.goodput_hz(report.deadline_ns):.3g}"
        in_time += f" ({simulated.goodput_hz(report.deadline_ns):.3g})" if simulated else ""
    return (
        f"{report.finished:,} of {len(report.taken):,}",
        report.outputs_text,
        *(latency(percentile) for percentile in PERCENTILES),
        in_time,
        *(
            f"{100 * busy:.0f} % ({100 * planned:.0f} %)"
            for busy, planned in zip(report.utilisation, report.planned_utilisation, strict=True)
        ),
        "-" if measured is None else "grow" if measured.grows or report.overloaded else "stable",
        duration(report.decision_median_ns),
    )


def _row(report: StreamReport) -> dict[str, Any]:
    cuts = [
        {"edge_layers": layers, "share_measured": measured, "share_simulated": simulated}
        for layers, (measured, simulated) in zip(report.edge_layers, report.shares(), strict=True)
    ]
    return {**report.row(), "cuts": cuts}


def _trace(instance: CostInstance, report: StreamReport) -> dict[str, Any]:
    about = {
        "network": instance.graph.name,
        "policy": report.policy,
        "requests": f"{report.window[0]} to {report.window[1]}",
        "speed": report.speed.value,
        "dilation": report.dilation,
    }
    return trace.chrome_trace(instance, None, report.trace, about)
