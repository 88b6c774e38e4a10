"""Strategies over a grid of conditions: one row for each point and strategy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from decc_core.compare import Clock, Comparison, compare, no_clock
from decc_core.cost import CostInstance
from decc_core.plan import Plan


@dataclass(frozen=True)
class GridPoint:
    """The conditions that a sweep varies, and the instance that they make."""

    uplink_bps: float
    edge_slowdown: float
    instance: CostInstance


@dataclass(frozen=True)
class SweepRow:
    """All outcomes at one point."""

    uplink_bps: float
    edge_slowdown: float
    comparison: Comparison


def sweep(points: Iterable[GridPoint], strategies: Sequence[str], clock: Clock = no_clock) -> tuple[SweepRow, ...]:
    """Compare the strategies at every point of a grid; rows in the order of the points.

    Points are planned from the worst conditions to the best, and decc starts at each of them from the plans of its
    neighbours with a slower link or a slower edge. The same plan takes no longer under better conditions, so decc's
    objective never rises with the rate or falls with the slowdown.
    """
    points = tuple(points)
    order = sorted(range(len(points)), key=lambda i: (points[i].uplink_bps, -points[i].edge_slowdown))
    rows: dict[int, SweepRow] = {}
    for i in order:
        point = points[i]
        comparison = compare(point.instance, strategies, clock, more_starts=_neighbours(point, rows.values()))
        rows[i] = SweepRow(point.uplink_bps, point.edge_slowdown, comparison)
    return tuple(rows[i] for i in range(len(points)))


def _neighbours(point: GridPoint, planned: Iterable[SweepRow]) -> list[Plan]:
    """decc's plans at the nearest points with a slower link and with a slower edge."""
    slower_link: SweepRow | None = None
    slower_edge: SweepRow | None = None
    for row in planned:
        if not row.comparison.has("decc"):
            continue
        if row.edge_slowdown == point.edge_slowdown and row.uplink_bps <= point.uplink_bps:
            slower_link = row
        if row.uplink_bps == point.uplink_bps and row.edge_slowdown >= point.edge_slowdown:
            slower_edge = row
    return [row.comparison.of("decc").plan for row in (slower_link, slower_edge) if row is not None]
