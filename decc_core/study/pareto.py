"""Latency against throughput against uplink bytes: the plans of one instance that no other plan beats in all three."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from decc_core.planner.analysis import Analysis
from decc_core.problem.instance import CostInstance, Objective, uplink_bytes
from decc_core.study.compare import Comparison, Outcome, compare

MAX_LEVELS = 8
"""Limits on uplink bytes that are tried beside none."""


@dataclass(frozen=True)
class ParetoPoint:
    """A plan with its three measures: when the last result is back, the rate when repeated, and bytes per request."""

    outcome: Outcome
    objective: Objective

    @property
    def makespan_s(self) -> float:
        return self.outcome.makespan_s

    @property
    def throughput_rps(self) -> float:
        return self.outcome.throughput_rps

    @property
    def bytes_per_request(self) -> float:
        return self.outcome.uplink_bytes / len(self.outcome.plan.cuts)

    @property
    def costs(self) -> tuple[float, float, float]:
        """The measures, smaller being better."""
        return self.makespan_s, -self.throughput_rps, self.bytes_per_request

    def most_bytes(self, instance: CostInstance) -> int:
        """What its largest request sends: the lowest limit on uplink bytes that the plan keeps."""
        return max(uplink_bytes(instance, cut) for cut in self.outcome.plan.groups())


def pareto(instance: CostInstance) -> tuple[ParetoPoint, ...]:
    """All strategies' plans for both objectives and under several limits on uplink bytes, dominated ones removed.

    The limits are spread over the bytes that the cuts worth considering send. A sample of the true front: other plans
    may lie between its points. Sorted by makespan.
    """
    asked = trade_offs(instance, uplink_limits(instance))
    return undominated_points(point for one in asked for point in points_of(compare(one)))


def uplink_limits(instance: CostInstance) -> tuple[int | None, ...]:
    """The instance's own limit, and byte counts of candidate cuts, spread evenly over their order, from few to many."""
    analysis = Analysis(instance)
    cuts = analysis.candidates.undominated
    sizes = sorted({analysis.network.sent_bytes(cuts.mask(place)) for place in range(len(cuts))})
    picked = np.linspace(0, len(sizes) - 1, min(MAX_LEVELS, len(sizes))).round().astype(int)
    return instance.constraints.uplink_bytes, *(sizes[i] for i in picked.tolist())


def trade_offs(instance: CostInstance, limits: Iterable[int | None]) -> tuple[CostInstance, ...]:
    """The instance under each limit on uplink bytes, for both objectives."""
    return tuple(
        replace(instance, objective=objective, constraints=replace(instance.constraints, uplink_bytes=limit))
        for limit in limits
        for objective in Objective
    )


def points_of(comparison: Comparison) -> list[ParetoPoint]:
    """The plans of a comparison, whether others beat them or not."""
    return [ParetoPoint(outcome, comparison.instance.objective) for outcome in comparison.outcomes]


def undominated_points(points: Iterable[ParetoPoint]) -> tuple[ParetoPoint, ...]:
    """The points than which no other is at least as good in all three measures; of equal ones the first."""
    kept: list[ParetoPoint] = []
    for point in sorted(points, key=lambda one: one.costs):
        if not any(all(a <= b for a, b in zip(other.costs, point.costs, strict=True)) for other in kept):
            kept.append(point)
    return tuple(kept)
