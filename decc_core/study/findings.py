"""What a study found, as tables: gains, winners, losses and gaps, per network and in all, contested points apart.

A table is a value: terminals, CSV, LaTeX, HTML and the page print the same one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from math import ceil, exp, fsum, inf, isfinite, log, nan

from decc_core.planner.strategies import BASELINES
from decc_core.streams.load import POLICIES
from decc_core.text import counted, gain_text, gap_text

BEST_BASELINE = "the best baseline"
ALL = "all networks"
CONTESTED_WITHIN = 2.0
"""A point is contested where edge-only and cloud-only are within this factor of each other for one request."""
PLAN_LIMIT, STREAM_LIMIT = 0.0, 0.02
"""By how much a strategy may be behind without a loss: plans are timed exactly, simulated streams are not."""
MOST_REASONS = 20
MOST_STEPS = 500
RIVALS = frozenset({*BASELINES, *POLICIES}) - {"decc"}
"""What others have published, or anybody would do: the strategies and policies to compare with."""
Cell = str | int | float | None


class Kind(Enum):
    """What a column holds."""

    TEXT = "text"
    COUNT = "count"
    GAIN = "gain"
    SHARE = "share"
    RATE = "rate"


@dataclass(frozen=True)
class Column:
    """`key` is its head for programs, with the unit in it; `title` is the one that people read."""

    key: str
    title: str
    kind: Kind = Kind.TEXT


@dataclass(frozen=True)
class Table:
    """Rows under columns; `note` says how they are read."""

    name: str
    title: str
    note: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(
                f"A row of '{self.name}' has another number of cells than the {len(self.columns)} columns."
            )

    @property
    def texts(self) -> list[list[str]]:
        """The cells as people read them."""
        return [[shown(cell, column.kind) for cell, column in zip(row, self.columns, strict=True)] for row in self.rows]


def shown(cell: Cell, kind: Kind) -> str:
    """A cell as people read it."""
    if cell is None or (isinstance(cell, float) and cell != cell):
        return "–"
    if isinstance(cell, str):
        return cell
    if kind is Kind.GAIN:
        return f"{cell:.3f}×" if cell < 10 else gain_text(cell)
    if kind is Kind.SHARE:
        return gap_text(cell) if cell >= 0 else f"−{gap_text(-cell)}"
    return f"{cell:,}" if kind is Kind.COUNT else f"{cell:.3g}"


@dataclass(frozen=True)
class Point:
    """What every strategy made of the same conditions: times, or with `higher` rates, of which more is better.

    `where` says in words which conditions they are, of those that vary; `contested` is None where nobody asked.
    """

    network: str
    uplink_mbps: float
    requests: int | None
    contested: bool | None
    values: Mapping[str, float]
    bound: float | None = None
    higher: bool = False
    where: str = ""

    def gain(self, strategy: str, over: str) -> float:
        """How many times better a strategy is than another one; not a number where one of them has no value."""
        if over == BEST_BASELINE:
            best = self.best_baseline
            return nan if best is None else self.gain(strategy, best)
        mine, other = self.values.get(strategy, nan), self.values.get(over, nan)
        better, worse = (other, mine) if self.higher else (mine, other)
        if better == 0 and worse == 0:
            return 1.0
        return worse / better if better else (nan if worse != worse else inf)

    @property
    def best_baseline(self) -> str | None:
        """The first of equals, so that the simplest is named."""
        return self._best([name for name in self.values if name in RIVALS])

    @property
    def winner(self) -> str | None:
        return self._best(list(self.values))

    def _best(self, names: Sequence[str]) -> str | None:
        there = [name for name in names if self.values[name] == self.values[name]]
        if not there:
            return None
        return (max if self.higher else min)(there, key=lambda name: self.values[name])

    def gap(self, strategy: str) -> float:
        """How far above the bound a strategy is, as a fraction of it; not a number without a bound."""
        value = self.values.get(strategy, nan)
        if self.bound is None or value != value:
            return nan
        if value == self.bound:
            return 0.0
        return (value - self.bound) / self.bound if self.bound else inf


@dataclass(frozen=True)
class Group:
    """Points of one network, or of all, with as many requests, contested or not; None where nobody asked."""

    network: str
    requests: int | None
    contested: bool | None
    points: tuple[Point, ...]


WHICH = {True: "contested", False: "other", None: "all"}


@dataclass(frozen=True)
class Failure:
    """A row of a study that has no value, with the reason."""

    network: str
    strategy: str
    status: str
    reason: str


@dataclass(frozen=True)
class Findings:
    """Everything that a study found, ready to be told; `measure` is what the values of its points are."""

    points: tuple[Point, ...]
    failures: tuple[Failure, ...] = ()
    measure: str = "time"
    limit: float = PLAN_LIMIT

    @cached_property
    def strategies(self) -> tuple[str, ...]:
        """The simple ones first."""
        there = {name for point in self.points for name in point.values}
        known = [*BASELINES, *(name for name in POLICIES if name not in BASELINES)]
        return (*(name for name in known if name in there), *sorted(there - {*known}))

    @cached_property
    def networks(self) -> tuple[str, ...]:
        return tuple(sorted({point.network for point in self.points}))

    @cached_property
    def baselines(self) -> tuple[str, ...]:
        return tuple(name for name in self.strategies if name in RIVALS)

    @cached_property
    def own(self) -> tuple[str, ...]:
        """Those that are compared with the baselines."""
        return tuple(name for name in self.strategies if name not in RIVALS)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """All networks together, then each; by number of requests, contested points first."""
        names = (ALL, *self.networks) if len(self.networks) > 1 else self.networks
        parts: dict[str, dict[tuple[int | None, bool | None], list[Point]]] = {
            name: defaultdict(list) for name in names
        }
        for point in self.points:
            for name in {ALL, point.network} & parts.keys():
                parts[name][point.requests, point.contested].append(point)
        return tuple(
            Group(name, *key, tuple(parts[name][key]))
            for name in names
            for key in sorted(parts[name], key=lambda key: (key[0] or 0, key[1] is not True))
        )

    @cached_property
    def group_columns(self) -> tuple[Column, ...]:
        """The network, what else groups are told apart by, and how many points they have."""
        found = [Column("network", "network")]
        if any(point.requests is not None for point in self.points):
            found.append(Column("requests", "requests", Kind.COUNT))
        if any(point.contested is not None for point in self.points):
            found.append(Column("contested", "points"))
        return (*found, Column("points", "number", Kind.COUNT))

    def group_cells(self, group: Group) -> tuple[Cell, ...]:
        cells: dict[str, Cell] = {
            "network": group.network,
            "requests": group.requests,
            "contested": WHICH[group.contested],
            "points": len(group.points),
        }
        return tuple(cells[column.key] for column in self.group_columns)

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """All tables that have something to say."""
        found = [
            *(gains(self, name) for name in self.own),
            against_each_other(self),
            winners(self),
            *(losses(self, name) for name in self.own),
            gaps(self),
            errors(self),
        ]
        return tuple(table for table in found if table.rows)


def gains(found: Findings, strategy: str) -> Table:
    """Geometric mean gain of one strategy over every baseline, and over the best of them at each point."""
    rivals = (*found.baselines, BEST_BASELINE)
    rows = []
    for group in found.groups:
        over_best = [gain for point in group.points if isfinite(gain := point.gain(strategy, BEST_BASELINE))]
        means = [geometric_mean(point.gain(strategy, rival) for point in group.points) for rival in rivals]
        rows.append((*found.group_cells(group), *means, min(over_best, default=nan), max(over_best, default=nan)))
    return Table(
        f"gain-{strategy}",
        f"How many times better {strategy} is",
        f"Geometric means of quotients of the {found.measure} at each point; the best baseline is whichever is best "
        "there. Points without a finite quotient are left out of the mean.",
        (
            *found.group_columns,
            *(Column(f"gain_over_{rival}", f"over {rival}", Kind.GAIN) for rival in found.baselines),
            Column("gain_over_best_baseline", f"over {BEST_BASELINE}", Kind.GAIN),
            Column("least_gain_over_best_baseline", "least", Kind.GAIN),
            Column("most_gain_over_best_baseline", "most", Kind.GAIN),
        ),
        tuple(rows) if found.baselines else (),
    )


def against_each_other(found: Findings) -> Table:
    """Every strategy against every baseline, all networks together."""
    rows = []
    for group in found.groups:
        if group.network != found.groups[0].network:
            break
        for strategy in found.strategies:
            means = [
                geometric_mean(point.gain(strategy, rival) for point in group.points)
                for rival in (*found.baselines, BEST_BASELINE)
            ]
            rows.append((strategy, *found.group_cells(group)[1:], *means))
    return Table(
        "strategies",
        "Every strategy against every baseline",
        "Geometric means over all networks; above 1 the strategy of the row is better, below 1 the baseline of the "
        "column.",
        (
            Column("strategy", "strategy"),
            *found.group_columns[1:],
            *(Column(f"gain_over_{rival}", f"over {rival}", Kind.GAIN) for rival in found.baselines),
            Column("gain_over_best_baseline", f"over {BEST_BASELINE}", Kind.GAIN),
        ),
        tuple(rows) if found.baselines else (),
    )


def winners(found: Findings) -> Table:
    """At how many points each strategy is best; of equal ones the simplest counts."""
    rows = []
    for group in found.groups:
        won = Counter(point.winner for point in group.points)
        rows.append((*found.group_cells(group), *(won[name] for name in found.strategies)))
    return Table(
        "winners",
        "Who wins",
        "Points at which each strategy is best; of equal ones the simplest is named, which comes first here.",
        (*found.group_columns, *(Column(f"{name}_wins", name, Kind.COUNT) for name in found.strategies)),
        tuple(rows) if len(found.strategies) > 1 else (),
    )


def losses(found: Findings, strategy: str) -> Table:
    """Points at which a strategy is further behind the best baseline than the limit, and the worst of them.

    Of the single networks those are listed that have some.
    """
    rows = []
    for group in found.groups:
        behind = sorted(
            (
                (point.gain(strategy, BEST_BASELINE), i)
                for i, point in enumerate(group.points)
                if point.gain(strategy, BEST_BASELINE) < 1 - found.limit
            ),
        )
        if not behind and group.network != found.groups[0].network:
            continue
        worst = group.points[behind[0][1]] if behind else None
        rows.append(
            (
                *found.group_cells(group),
                len(behind),
                found.limit,
                1 - behind[0][0] if behind else None,
                None if worst is None else worst.best_baseline,
                None if worst is None else worst.where,
            )
        )
    return Table(
        f"losses-{strategy}",
        f"Where {strategy} loses",
        f"Points at which the best baseline is better by more than {gap_text(found.limit)}.",
        (
            *found.group_columns,
            Column("losses", "losses", Kind.COUNT),
            Column("limit_fraction", "limit", Kind.SHARE),
            Column("worst_fraction", "worst", Kind.SHARE),
            Column("worst_to", "to"),
            Column("worst_at", "at"),
        ),
        tuple(rows) if found.baselines else (),
    )


def gaps(found: Findings) -> Table:
    """How far strategies are above the proven bound."""
    rows = []
    for strategy in found.own or found.strategies:
        for group in found.groups:
            known = [gap for point in group.points if (gap := point.gap(strategy)) == gap]
            if known:
                proven = sum(gap == 0 for gap in known) / len(known)
                rows.append(
                    (
                        strategy,
                        *found.group_cells(group),
                        quantile(known, 0.5),
                        quantile(known, 0.95),
                        max(known),
                        proven,
                    )
                )
    return Table(
        "gaps",
        "How far from the proven bound",
        "The bound is the same for all strategies at a point; where the gap is 0 the plan is proven optimal.",
        (
            Column("strategy", "strategy"),
            *found.group_columns,
            Column("gap_median_fraction", "median", Kind.SHARE),
            Column("gap_p95_fraction", "95th percentile", Kind.SHARE),
            Column("gap_most_fraction", "largest", Kind.SHARE),
            Column("proven_optimal_fraction", "proven optimal", Kind.SHARE),
        ),
        tuple(rows),
    )


def errors(found: Findings) -> Table:
    """How many rows have no value, by strategy and reason."""
    many = Counter((one.strategy, one.status, one.reason) for one in found.failures)
    where: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for one in found.failures:
        where[one.strategy, one.status, one.reason].add(one.network)
    told = many.most_common(MOST_REASONS)
    rows: list[tuple[Cell, ...]] = [(number, *key, len(where[key])) for key, number in told]
    rest = sum(many.values()) - sum(number for _, number in told)
    if rest:
        rows.append((rest, "–", "–", counted(len(many) - len(told), "other reason"), None))
    return Table(
        "errors",
        "Rows without a value",
        "They are counted in no other table.",
        (
            Column("rows", "rows", Kind.COUNT),
            Column("strategy", "strategy"),
            Column("status", "status"),
            Column("reason", "reason"),
            Column("networks", "networks", Kind.COUNT),
        ),
        tuple(rows),
    )


def geometric_mean(values: Iterable[float]) -> float:
    """Of those that are finite and above 0; not a number where there are none."""
    logs = [log(value) for value in values if isfinite(value) and value > 0]
    return exp(fsum(logs) / len(logs)) if logs else nan


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values do not exceed; not a number of none."""
    ordered = sorted(values)
    # Tenths of per cent, so that a share that is no binary fraction counts as it is written.
    rank = ceil(round(share * 1000) * len(ordered) / 1000)
    return ordered[min(len(ordered), max(1, rank)) - 1] if ordered else nan


@dataclass(frozen=True)
class Line:
    """A line of a figure, over `xs`."""

    name: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]


def gain_over_uplink(found: Findings, strategy: str) -> dict[int | None, tuple[Line, ...]]:
    """For each number of requests a line for each network: geometric mean gain over the best baseline at each rate."""
    kept: dict[int | None, dict[str, dict[float, list[float]]]] = {}
    for point in found.points:
        at = kept.setdefault(point.requests, {}).setdefault(point.network, {})
        at.setdefault(point.uplink_mbps, []).append(point.gain(strategy, BEST_BASELINE))
    lines = {}
    for requests in sorted(kept, key=lambda many: many or 0):
        lines[requests] = tuple(_means(name, kept[requests][name]) for name in sorted(kept[requests]))
    return lines


def _means(name: str, values: Mapping[float, Sequence[float]]) -> Line:
    xs = sorted(values)
    return Line(name, tuple(xs), tuple(geometric_mean(values[x]) for x in xs))


def distribution_of_gains(found: Findings, strategy: str) -> tuple[Line, ...]:
    """For each baseline, and for the best, at which share of the points the gain is at most so large."""
    lines = []
    for rival in (*found.baselines, BEST_BASELINE):
        values = sorted(gain for point in found.points if isfinite(gain := point.gain(strategy, rival)))
        if values:
            # More steps than these nobody sees; the last is always among them.
            every = ceil(len(values) / MOST_STEPS)
            kept = range(len(values) - 1, -1, -every)[::-1]
            lines.append(Line(rival, tuple(values[i] for i in kept), tuple((i + 1) / len(values) for i in kept)))
    return tuple(lines)


@dataclass(frozen=True)
class Curves:
    """Latency over rate of every policy for the network `name`, under the same conditions, of which `where` tells those
    that vary; `percentile` of the requests are quicker, and the times are seconds."""

    name: str
    where: str
    percentile: float
    lines: tuple[Line, ...]
    deadline_s: float | None = None
    capacity_rps: float | None = None


def is_contested(edge_only: float, cloud_only: float) -> bool:
    """Whether neither device alone is far better. Both take requests one after the other, so that the quotient is that
    of one request."""
    return max(edge_only, cloud_only) <= CONTESTED_WITHIN * min(edge_only, cloud_only)
