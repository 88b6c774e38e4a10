"""A study's results as a report: tables, figures, and one HTML page with the study's file in it.

The results may be a stranger's: names in them are cut, and every kind of output escapes them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from math import inf, isfinite
from typing import TYPE_CHECKING, Any, cast

from decc_core.errors import UnreadableFile
from decc_core.printed import html
from decc_core.printed.sheet import SIZES, Form, Picture, printed
from decc_core.printed.study import pictures
from decc_core.printed.table import Value
from decc_core.studies.columns import PLANNED
from decc_core.study.findings import (
    PLAN_LIMIT,
    STREAM_LIMIT,
    Curves,
    Failure,
    Findings,
    Line,
    Point,
    is_contested,
)
from decc_core.text import counted, written

if TYPE_CHECKING:
    from pyarrow import Table as ArrowTable

CONDITIONS = {
    "edge": ("edge", ""),
    "cloud": ("cloud", ""),
    "edge_slowdown": ("edge slower by", "×"),
    "cloud_speedup": ("cloud faster by", "×"),
    "uplink_mbps": ("uplink", "Mbit/s"),
    "downlink_mbps": ("downlink", "Mbit/s"),
    "rtt_ms": ("round trip", "ms"),
    "overhead_ms": ("overhead per tensor", "ms"),
    "requests": ("requests", ""),
    "wire": ("wire", ""),
    "input_wire": ("inputs travel as", ""),
    "min_agreement": ("agreement at least", ""),
    "wire_percentile": ("coded bytes' percentile", "%"),
    "objective": ("objective", ""),
    "results": ("results wanted", ""),
    "keep_on_edge": ("kept on the edge", ""),
    "keep_in_cloud": ("kept in the cloud", ""),
    "limit_edge_memory_mb": ("edge memory at most", "MB"),
    "limit_uplink_kb": ("sent by a request at most", "kB"),
    "edge_tensor_ms": ("edge, per tensor", "ms"),
    "edge_mb_ms": ("edge, per MB", "ms"),
    "cloud_tensor_ms": ("cloud, per tensor", "ms"),
    "cloud_mb_ms": ("cloud, per MB", "ms"),
    "arrivals": ("arrivals", ""),
    "arrivals_cv": ("arrivals' CV", ""),
    "stream_requests": ("simulated requests", ""),
    "sources": ("sources", ""),
    "servers": ("servers", ""),
    "percentile": ("percentile", "%"),
    "rate_rps": ("rate", "requests/s"),
}
"""What a point is about, by column: in words, and its unit."""
SAME_AS_UPLINK = "as the uplink"
BATCH = 4096
"""Rows that are looked at as Python values at a time."""
LONGEST_NAME, LONGEST_REASON = 80, 300
NEEDED = ("study", "point", "strategy", "status", "network", "network_fingerprint")
MOST_ROWS, MOST_STRATEGIES, MOST_NETWORKS = 2_000_000, 64, 1_000
"""Of the results that a report is made of."""
MOST_VALUES = 12
"""So many values of a condition are listed."""
COLUMNS = (
    "study", "point", "strategy", "status", "error", "network", "network_fingerprint", "objective_ns", "lower_bound_ns",
    "sustained_rps", "rate_rps", "deadline_s", "capacity_rps", "p50_s", "p90_s", "p99_s", "grows", "decc_version",
    "python_version", "numpy_version", *CONDITIONS,
)  # fmt: skip
"""All that a report reads of a study's results; there may be more."""
TIME, SUSTAINED, LATENCY = "time", "sustained rate", "latency"


@dataclass(frozen=True)
class Report:
    """What is told of a study. `facts` are what it was about, `text` is its file."""

    name: str
    text: str
    findings: Findings
    curves: tuple[Curves, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    pictures: tuple[Picture, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pictures", pictures(self.findings, self.curves))

    @property
    def about(self) -> dict[str, Value]:
        """What stands in every row of its tables as CSV."""
        return {"study": self.name}


def report_of(table: ArrowTable, text: str) -> Report:
    """The report on results as they were read; `text` is the study's file."""
    rows = _Rows(table)
    plans, sustained, rated = (dict[int, Point]() for _ in range(3))
    curves, failures = _Curves(rows), []
    for row in rows:
        if row["status"] != PLANNED:
            reason = _cut(str(row["error"] or "no reason is given"), LONGEST_REASON)
            failures.append(Failure(row["network"], row["strategy"], row["status"], reason))
        elif row["sustained_rps"] is not None:
            _add(sustained, row, row["sustained_rps"], rows.where(row), higher=True)
        elif row["rate_rps"] is not None:
            # Where queues grow without end, so does the latency.
            value = inf if row["grows"] else _latency(row)
            if value is not None:
                where = ", ".join(filter(None, (rows.where(row), _told("rate_rps", row["rate_rps"]))))
                _add(rated, row, value, where)
            curves.add(row)
        elif row["objective_ns"] is not None:
            _add(plans, row, float(row["objective_ns"]), rows.where(row))
    points, measure, limit = plans, TIME, PLAN_LIMIT
    if not plans and (sustained or rated):
        points, limit = sustained or rated, STREAM_LIMIT
        measure = SUSTAINED if sustained else LATENCY
    found = tuple(_with_contested(point) for point in points.values()) if points is plans else tuple(points.values())
    return Report(rows.name, text, Findings(found, tuple(failures), measure, limit), curves.found(), rows.facts())


def _add(points: dict[int, Point], row: Mapping[str, Any], value: float, where: str, higher: bool = False) -> None:
    """Take a row into its point, which is begun where there is none yet."""
    values: dict[str, float] = {}
    if row["point"] in points:
        values = cast("dict[str, float]", points[row["point"]].values)
    else:
        of_plans = row["objective_ns"] is not None
        bound = float(row["lower_bound_ns"]) if of_plans and row["lower_bound_ns"] is not None else None
        requests = row["requests"] if of_plans else None
        points[row["point"]] = Point(row["network"], row["uplink_mbps"], requests, None, values, bound, higher, where)
    values[row["strategy"]] = value


def _with_contested(point: Point) -> Point:
    edge, cloud = point.values.get("edge-only"), point.values.get("cloud-only")
    return point if edge is None or cloud is None else replace(point, contested=is_contested(edge, cloud))


class _Rows:
    """The rows of results, a few at a time; equal texts are one object, and which conditions vary is known first."""

    def __init__(self, table: ArrowTable) -> None:
        self.table = table.select([name for name in COLUMNS if name in table.column_names])
        self.values: dict[str, set[Any]] = {name: set() for name in CONDITIONS}
        self._texts: dict[str, str] = {}
        fingerprints: dict[str, set[str]] = {}
        self.name = ""
        self.points: set[int] = set()
        self.versions: dict[str, set[str]] = {"decc_version": set(), "python_version": set(), "numpy_version": set()}
        if table.num_rows > MOST_ROWS:
            raise UnreadableFile(
                f"The results have {table.num_rows:,} rows; a report is made of {MOST_ROWS:,} at most."
            )
        strategies = set()
        for row in self._raw():
            _require_row(row)
            strategies.add(row["strategy"])
            if len(strategies) > MOST_STRATEGIES or len(fingerprints) > MOST_NETWORKS:
                raise UnreadableFile(
                    f"The results have more than {MOST_STRATEGIES} strategies or {MOST_NETWORKS} networks, which no "
                    "study has; make them anew with `decc study`."
                )
            self.name = self.name or _cut(str(row["study"]), LONGEST_NAME)
            self.points.add(row["point"])
            fingerprints.setdefault(row["network"], set()).add(row["network_fingerprint"])
            for name, values in (*self.values.items(), *self.versions.items()):
                values.add(row[name])
        self.ambiguous = {name for name, some in fingerprints.items() if len(some) > 1}
        self.varying = tuple(
            name for name, values in self.values.items() if len(values) > 1 and name not in ("requests", "rate_rps")
        )

    def _raw(self) -> Iterator[dict[str, Any]]:
        nothing = dict.fromkeys(COLUMNS)
        for batch in self.table.to_batches(max_chunksize=BATCH):
            for row in batch.to_pylist():
                whole = nothing | {name: self._same(value) for name, value in row.items()}
                if whole["downlink_mbps"] == whole["uplink_mbps"]:
                    whole["downlink_mbps"] = SAME_AS_UPLINK
                yield whole

    def _same(self, value: Any) -> Any:
        return self._texts.setdefault(value, _cut(value, LONGEST_REASON)) if isinstance(value, str) else value

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        for row in self._raw():
            name = str(row["network"])
            if name in self.ambiguous:
                name = f"{_cut(name, LONGEST_NAME - 12)} ({str(row['network_fingerprint'])[:8]})"
            yield row | {"network": _cut(name, LONGEST_NAME), "strategy": _cut(str(row["strategy"]), LONGEST_NAME)}

    def where(self, row: Mapping[str, Any], without: Sequence[str] = ()) -> str:
        """The conditions that vary, in words."""
        told = (_told(name, row[name]) for name in self.varying if name not in without and row[name] is not None)
        return ", ".join(told)

    def facts(self) -> tuple[tuple[str, str], ...]:
        """How much there is, and all conditions with their values."""
        found = [("points", f"{len(self.points):,}"), ("rows", f"{self.table.num_rows:,}")]
        for name, values in self.values.items():
            there = [value for value in values if value is not None]
            # One percentile is said by nobody, and means nothing where nothing is coded.
            if there and not (name == "wire_percentile" and len(values) == 1):
                label, unit = CONDITIONS[name]
                numbers = sorted((value for value in there if not isinstance(value, str)), key=float)
                texts = sorted(value for value in there if isinstance(value, str))
                all_of_them = [*map(_text, numbers), *texts]
                told = ", ".join(_cut(text, LONGEST_NAME) for text in all_of_them[:MOST_VALUES])
                more = f" and {len(all_of_them) - MOST_VALUES:,} more" if len(all_of_them) > MOST_VALUES else ""
                found.append((f"{label} ({unit})" if unit else label, f"{told}{more}"))
        for name, values in self.versions.items():
            found.append((name.replace("_", " "), ", ".join(sorted(_cut(str(one), LONGEST_NAME) for one in values))))
        return tuple(found)


def _require_row(row: Mapping[str, Any]) -> None:
    """Refuse what no study has written: a row that does not say what it is of."""
    uplink = row["uplink_mbps"]
    lacks = next((name for name in NEEDED if row[name] is None), None)
    if lacks is None and row["status"] == PLANNED and not (uplink is not None and isfinite(uplink) and uplink > 0):
        lacks = "uplink_mbps"
    if lacks is not None:
        raise UnreadableFile(
            f"A row of the results has no '{lacks}' that means something; make them anew with `decc study`."
        )


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def _text(value: object) -> str:
    return written(value) if isinstance(value, float) else str(value)


def _told(name: str, value: object) -> str:
    label, unit = CONDITIONS[name]
    return f"{label} {_cut(_text(value), LONGEST_NAME)}{' ' + unit if unit and value != SAME_AS_UPLINK else ''}"


def _latency(row: Mapping[str, Any]) -> float | None:
    """At the percentile that was asked for, where it is one of those that are kept."""
    known: float | None = row[_kept_percentile(row)]
    return known


def _kept_percentile(row: Mapping[str, Any]) -> str:
    name = f"p{row['percentile'] or 99:g}_s"
    return name if name in row else "p99_s"


class _Curves:
    """Latency over rate, gathered row by row, wherever there is more than one rate under the same conditions."""

    def __init__(self, rows: _Rows) -> None:
        self.rows = rows
        self._first: dict[tuple[Any, ...], Curves] = {}
        self._lines: dict[tuple[Any, ...], dict[str, list[tuple[float, float]]]] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        key = (row["network"], *(row[name] for name in CONDITIONS if name != "rate_rps"))
        if key not in self._first:
            where = self.rows.where(row, ("percentile",))
            percentile = float(_kept_percentile(row).strip("p_s"))
            self._first[key] = Curves(row["network"], where, percentile, (), row["deadline_s"], row["capacity_rps"])
            self._lines[key] = {}
        latency = _latency(row)
        if latency is not None and not row["grows"]:
            self._lines[key].setdefault(row["strategy"], []).append((row["rate_rps"], latency))

    def found(self) -> tuple[Curves, ...]:
        curves = []
        for key, curve in self._first.items():
            lines = tuple(
                Line(policy, *(tuple(side) for side in zip(*sorted(at), strict=True)))
                for policy, at in self._lines[key].items()
                if len({rate for rate, _ in at}) > 1
            )
            if lines:
                curves.append(replace(curve, lines=lines))
        return tuple(curves)


def html_page(report: Report) -> str:
    """Everything in one file that opens anywhere, with the study's file to take out of it again."""
    found = report.findings
    parts = [f"<h1>{escape(report.name)}</h1>\n", _lead(found), html.section("The study", _about(report))]
    for table in found.tables:
        columns = [column.title for column in table.columns]
        note = f"<p class='note'>{escape(table.note)}</p>\n"
        parts.append(html.section(table.title, note + html.table(columns, table.texts)))
    for picture in report.pictures:
        # The declaration of XML is none of HTML's.
        svg = printed(picture, SIZES["columns"], Form.SVG).decode()
        figure = f'<div class="paper">{_apart(svg[svg.index("<svg") :], picture.name)}</div>\n'
        parts.append(html.section(picture.title, figure))
    return html.page(f"DECC study: {report.name}", parts)


def _apart(svg: str, name: str) -> str:
    """The drawing with names of its own for its parts: several in one page would take each other's."""
    own = "".join(char if char.isalnum() else "-" for char in name)
    for before in ('id="', 'href="#', "url(#"):
        svg = svg.replace(before, f"{before}{own}-")
    return svg


def _lead(found: Findings) -> str:
    wins = [
        f"{name} is best at {sum(point.winner == name for point in found.points):,} of "
        f"{counted(len(found.points), 'point')}"
        for name in found.own
    ]
    return f'<p class="lead">{escape("; ".join(wins))}.</p>\n' if wins and found.points else ""


def _about(report: Report) -> str:
    content = base64.b64encode(report.text.encode()).decode()
    link = f'<p><a download="study.toml" href="data:text/plain;charset=utf-8;base64,{content}">Save study.toml</a></p>'
    return (
        f"{html.table(('', ''), report.facts, head=False)}"
        f"<p>Its file; `decc study study.toml` makes the results anew:</p>\n<pre>{escape(report.text)}</pre>\n{link}\n"
    )
