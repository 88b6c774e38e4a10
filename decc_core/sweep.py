"""Strategies over a grid of conditions: one row for each point and strategy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from decc_core.compare import Clock, Comparison, compare, no_clock
from decc_core.cost import CostInstance


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
    """Compare the strategies at every point of a grid."""
    return tuple(
        SweepRow(point.uplink_bps, point.edge_slowdown, compare(point.instance, strategies, clock)) for point in points
    )
