"""Strategies over a grid of conditions: one row for each point and strategy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from decc_core.planner.strategies import BASELINES, STRATEGIES
from decc_core.plans.plan import uses_both
from decc_core.problem.instance import CostInstance
from decc_core.study.compare import Clock, Comparison, compare, no_clock, ratio


@dataclass(frozen=True)
class GridPoint:
    """The conditions that a sweep varies, and the instance that they make.

    `bits` is how many every float takes on the wire, where that is varied, too.
    """

    uplink_bps: float
    edge_slowdown: float
    instance: CostInstance
    bits: float | None = None


@dataclass(frozen=True)
class SweepRow:
    """All outcomes at one point."""

    uplink_bps: float
    edge_slowdown: float
    comparison: Comparison
    bits: float | None = None


@dataclass(frozen=True)
class Cell:
    """What is worth keeping of a row when there are many: the objective of each strategy, and the bound.

    Strategies stand in the order of the table, the simplest first; `whole` are those whose plan leaves the network to
    one device.
    """

    uplink_bps: float
    edge_slowdown: float
    objective_ns: dict[str, int]
    lower_bound_ns: int
    not_possible: dict[str, str]
    bits: float | None = None
    whole: frozenset[str] = frozenset()

    @classmethod
    def of(cls, row: SweepRow) -> Cell:
        found = {outcome.strategy: outcome.objective_ns for outcome in row.comparison.outcomes}
        return cls(
            uplink_bps=row.uplink_bps,
            edge_slowdown=row.edge_slowdown,
            objective_ns={name: found[name] for name in STRATEGIES if name in found},
            lower_bound_ns=row.comparison.lower_bound_ns,
            not_possible=dict(row.comparison.not_possible),
            bits=row.bits,
            whole=frozenset(
                outcome.strategy
                for outcome in row.comparison.outcomes
                if not uses_both(row.comparison.instance, outcome.plan)
            ),
        )

    @cached_property
    def winner(self) -> str:
        """The strategy with the smallest objective; of equal ones the simplest."""
        return min(self.objective_ns, key=lambda name: self.objective_ns[name])

    @property
    def best_ns(self) -> int:
        return self.objective_ns[self.winner]

    def simplest_within(self, share: float) -> str:
        """The simplest strategy that is at most this much worse than the best, as a fraction."""
        return next(name for name, value in self.objective_ns.items() if value <= (1 + share) * self.best_ns)

    @cached_property
    def best_baseline(self) -> str | None:
        """The best strategy that is not decc; none where only decc has a plan."""
        known = [name for name in self.objective_ns if name in BASELINES]
        return min(known, key=lambda name: self.objective_ns[name], default=None)

    def gain(self, over: str | None = None) -> float | None:
        """How many times better decc is than a baseline, at first the best; None where one of them has no plan."""
        rival = over or self.best_baseline
        if rival not in self.objective_ns or "decc" not in self.objective_ns:
            return None
        return ratio(self.objective_ns[rival], self.objective_ns["decc"])


def sweep(points: Iterable[GridPoint], strategies: Sequence[str], clock: Clock = no_clock) -> tuple[SweepRow, ...]:
    """Compare the strategies at every point of a grid; rows in the order of the points."""
    points = tuple(points)
    order = planning_order(points)
    found = dict(zip(order, sweep_rows([points[i] for i in order], strategies, clock), strict=True))
    return tuple(found[i] for i in range(len(points)))


def planning_order(points: Sequence[GridPoint]) -> list[int]:
    """The points from the worst conditions to the best: by rate, at one rate from the slowest edge and most bits."""
    return sorted(range(len(points)), key=lambda i: (points[i].uplink_bps, *(-part for part in _line(points[i]))))


def _line(point: GridPoint) -> tuple[float, float]:
    """What the points of one line have in common, whatever their rate."""
    return point.edge_slowdown, point.bits or 0.0


def sweep_rows(
    points: Iterable[GridPoint],
    strategies: Sequence[str],
    clock: Clock = no_clock,
    plan: Callable[..., Comparison] = compare,
) -> Iterator[SweepRow]:
    """The rows one by one as they are planned, for points in planning order; others are planned, too, on their own.

    decc starts at each point from the plans of its neighbours with a slower link, and a slower edge or more bits. The
    same plan takes no longer under better conditions, so decc's objective never rises with the rate or falls with the
    slowdown; fewer bits are no better where coding takes longer than it saves. `plan` is `compare`, or has it done
    elsewhere.
    """
    of_line: dict[tuple[float, float], SweepRow] = {}
    of_rate: dict[float, SweepRow] = {}
    for point in points:
        slower_link, slower_edge = of_line.get(_line(point)), of_rate.get(point.uplink_bps)
        neighbours = [
            row.comparison.of("decc").plan
            for row in (slower_link, slower_edge)
            if row is not None and row.comparison.has("decc")
        ]
        comparison = plan(point.instance, strategies, clock, more_starts=neighbours)
        row = SweepRow(point.uplink_bps, point.edge_slowdown, comparison, point.bits)
        # Plans are large: only the newest of each line of the grid is kept.
        of_line[_line(point)] = row
        of_rate = {point.uplink_bps: row}
        yield row
