"""A line of a study becomes rows. This is what processes do, here or elsewhere; the answer is a table as bytes.

A point that cannot be planned is rows that say why, and never the end of its line.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from decc_core.errors import DeccError, InvalidStudy, NotPossible
from decc_core.planner.analysis import Analysis
from decc_core.plans.plan import Plan
from decc_core.problem.link import MS_PER_S, NS_PER_S
from decc_core.problem.scenario import Scenario
from decc_core.streams.arrivals import Process
from decc_core.streams.load import Demand, Load, usual_deadline_ns
from decc_core.streams.policies import Site
from decc_core.studies import columns
from decc_core.studies.columns import FAILED, NOT_POSSIBLE, PLANNED, SIDES, Row
from decc_core.studies.grid import Line, Point
from decc_core.studies.materials import Kit, profile_digest
from decc_core.studies.study import Stream
from decc_core.study.compare import Comparison, compare
from decc_core.text import first_line

Clock = Callable[[], float]
EXACT = "exact"
LONGEST_ERROR = 500


def planned(line: Line, kit: Kit, versions: dict[str, str]) -> bytes:
    """The rows of a line as a Parquet table; refused where whoever asks has other versions than this process."""
    require_versions(versions, "This process")
    return packed(columns.table(rows_of(line, kit)))


def require_versions(wanted: dict[str, str], who: str) -> None:
    """Refuse to plan for somebody with other versions: the plans could be others, too."""
    for name, here in columns.versions().items():
        if wanted.get(name) != here:
            what = {"decc_version": "DECC", "python_version": "Python", "numpy_version": "NumPy"}[name]
            raise InvalidStudy(
                f"{who} has {what} {here}, and the study is planned with {what} {wanted.get(name)}; "
                "install the same version on both sides."
            )


def packed(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, compression="zstd")
    return file.getvalue()


def rows_of(line: Line, kit: Kit, clock: Clock = time.perf_counter) -> list[Row]:
    """The rows of a line, by the number of the point, and within one in the order of the strategies."""
    about = about_kit(line, kit)
    plan_point = _Streams(line, kit, clock) if line.points[0].stream is not None else _Plans(line, kit, clock)
    rows: list[tuple[int, Row]] = []
    for point in line.points:
        said: Row = {**about, "point": point.number, **asked(point)}
        try:
            made = plan_point(point)
        except Exception as error:
            # Whatever it is, it is this point's: the others have their own.
            made = failed(line, _sentence(error))
        rows += ((point.number, {**said, **row}) for row in made)
    return [row for _, row in sorted(rows, key=lambda numbered: numbered[0])]


def failed_line(line: Line, kit: Kit, reason: str) -> bytes:
    """The rows of a line that could not be planned at all."""
    about = about_kit(line, kit)
    rows = [
        {**about, "point": point.number, **asked(point), **row}
        for point in sorted(line.points, key=lambda point: point.number)
        for row in failed(line, reason)
    ]
    return packed(columns.table(rows))


def about_kit(line: Line, kit: Kit) -> Row:
    """What all rows of a line say."""
    graph = kit.graph
    about: Row = {
        "study": line.study,
        "network": graph.name,
        "network_fingerprint": graph.fingerprint,
        "layers": len(graph.layers),
        **columns.versions(),
    }
    for side, profile in zip(SIDES, (kit.edge, kit.cloud), strict=True):
        about |= {
            f"{side}_device": profile.device,
            f"{side}_fingerprint": profile_digest(profile),
            f"{side}_times": profile.provenance.kind.value,
            f"{side}_times_off_by_percent": 100 * profile.error,
        }
    if kit.wire is not None:
        about["wire_profile_fingerprint"] = profile_digest(kit.wire)
    return about


def asked(point: Point) -> Row:
    """The conditions of a point as columns; of a scenario that cannot be, what is known of it."""
    stream = point.stream
    try:
        scenario = Scenario(**point.settings)  # type: ignore[arg-type]
        chosen = scenario.choices()
    except DeccError:
        chosen = point.settings
    if chosen.get("downlink_mbps") is None:
        chosen = {**chosen, "downlink_mbps": chosen.get("uplink_mbps")}
    row: Row = {column: chosen.get(field) for column, field in columns.SCENARIO.items()}
    if stream is not None:
        row |= {
            "arrivals": stream.arrivals,
            "arrivals_cv": stream.cv if stream.arrivals == Process.GAMMA.value else None,
            "stream_requests": stream.requests,
            "stream_seed": stream.seed,
            "sources": stream.sources,
            "servers": stream.servers,
            "deadline_s": None if stream.deadline_ms is None else stream.deadline_ms / MS_PER_S,
            "percentile": stream.percentile,
            "rate_rps": stream.rate_rps,
            "rate_of_capacity": stream.rate_of_capacity,
        }
    return row


def _scenario(point: Point, kit: Kit) -> Scenario:
    return Scenario(**point.settings, measured=kit.wire)  # type: ignore[arg-type]


def failed(line: Line, reason: str) -> list[Row]:
    """A point that could not be planned: a row for each strategy that was asked for."""
    names = (*line.strategies, *([EXACT] if line.exact_s is not None else []))
    return [{"strategy": name, "status": FAILED, "error": reason[:LONGEST_ERROR]} for name in names]


class _Plans:
    """Requests that are all there at once: a comparison for each point, started from its neighbours' plans."""

    def __init__(self, line: Line, kit: Kit, clock: Clock) -> None:
        self.line, self.kit, self.clock = line, kit, clock
        self.conditions: object = None
        # Plans are large: of each slowdown only the newest is kept.
        self.newest: dict[float, Plan] = {}
        self.last: tuple[float, Plan] | None = None

    def __call__(self, point: Point) -> list[Row]:
        scenario = _scenario(point, self.kit)
        instance = scenario.instance(*self.kit[:3])
        conditions = replace(scenario, uplink_mbps=1.0, edge_slowdown=1.0)
        if conditions != self.conditions:
            self.conditions, self.newest, self.last = conditions, {}, None
        # As in a sweep: at a slower link, and at the same rate at a slower edge.
        slower_link = self.newest.get(scenario.edge_slowdown)
        slower_edge = self.last[1] if self.last is not None and self.last[0] == scenario.uplink_mbps else None
        starts = [plan for plan in (slower_link, slower_edge) if plan is not None]
        comparison = compare(instance, self.line.strategies, self.clock, self.line.exact_s, more_starts=starts)
        if comparison.has("decc"):
            plan = comparison.of("decc").plan
            self.newest[scenario.edge_slowdown], self.last = plan, (scenario.uplink_mbps, plan)
        return self._rows(comparison)

    def _rows(self, comparison: Comparison) -> list[Row]:
        outcomes = {outcome.strategy: outcome for outcome in comparison.outcomes}
        rows: list[Row] = []
        for name in (*self.line.strategies, *([EXACT] if self.line.exact_s is not None else [])):
            if name in outcomes:
                found = outcomes[name]
                rows.append(
                    {**found.row(), "status": PLANNED, "objective_ns": found.objective_ns,
                     "lower_bound_ns": found.lower_bound_ns}
                )  # fmt: skip
            else:
                bound = comparison.lower_bound_ns
                reason = comparison.not_possible.get(name, "It has no plan under the constraints.")
                rows.append(
                    {"strategy": name, "status": NOT_POSSIBLE, "error": reason[:LONGEST_ERROR],
                     "lower_bound_ns": bound, "lower_bound_s": bound / NS_PER_S}
                )  # fmt: skip
        return rows


class _Streams:
    """Requests that keep arriving: policies at a rate; what is chosen and known of a site is kept from rate to rate."""

    def __init__(self, line: Line, kit: Kit, clock: Clock) -> None:
        self.line, self.kit, self.clock = line, kit, clock
        self.conditions: object = None
        self.load: Load | None = None

    def __call__(self, point: Point) -> list[Row]:
        stream = point.stream
        assert stream is not None
        load = self._load_of(_scenario(point, self.kit), stream)
        return [self._row(load, stream, name) for name in self.line.strategies]

    def _load_of(self, scenario: Scenario, stream: Stream) -> Load:
        conditions = (scenario, replace(stream, rate_rps=None, rate_of_capacity=None))
        if conditions != self.conditions or self.load is None:
            site = Site(Analysis(scenario.instance(*self.kit[:3])), stream.sources, stream.servers)
            deadline_ns = (
                usual_deadline_ns(site)
                if stream.deadline_ms is None
                else round(stream.deadline_ms / MS_PER_S * NS_PER_S)
            )
            demand = Demand(
                deadline_ns, Process(stream.arrivals), stream.cv, stream.percentile, stream.requests, stream.seed
            )
            self.conditions, self.load = conditions, Load(site, demand)
        return self.load

    def _row(self, load: Load, stream: Stream, name: str) -> Row:
        site, deadline_ns = load.site, load.demand.deadline_ns
        row: Row = {
            "strategy": name,
            "deadline_s": deadline_ns / NS_PER_S,
            "capacity_rps": site.capacity_hz,
            "least_s": site.least_ns / NS_PER_S,
        }
        began = self.clock()
        try:
            if stream.is_sustained:
                rate_hz = load.sustained_hz(name)
                row |= {"sustained_rps": rate_hz, "rate_rps": rate_hz}
            else:
                rate_hz = stream.rate_rps or (stream.rate_of_capacity or 0.0) * site.capacity_hz
                row["rate_rps"] = rate_hz
            # At no rate, and at any, there is nothing to look at.
            figures: dict[str, Any] = load.point(name, rate_hz).row(deadline_ns) if 0 < rate_hz < float("inf") else {}
        except NotPossible as reason:
            return {**row, "status": NOT_POSSIBLE, "error": str(reason)[:LONGEST_ERROR]}
        except DeccError as reason:
            return {**row, "status": FAILED, "error": str(reason)[:LONGEST_ERROR]}
        return {**figures, **row, "status": PLANNED, "plan_s": self.clock() - began}


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, DeccError) else f"{type(error).__name__}: {first_line(error)}."
