"""Latency against throughput against uplink bytes: the plans of one instance that no other plan beats in all three."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from decc_core.planner.analysis import Analysis
from decc_core.problem.instance import CostInstance, Objective
from decc_core.study.compare import Outcome, compare

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


def pareto(instance: CostInstance) -> tuple[ParetoPoint, ...]:
    """All strategies' plans for both objectives and under several limits on uplink bytes, dominated ones removed.

    The limits are spread over the bytes that the cuts worth considering send. A sample of the true front: other plans
    may lie between its points. Sorted by makespan.
    """
    points = []
    for limit in (instance.constraints.uplink_bytes, *_levels(instance)):
        for objective in Objective:
            limited = replace(
                instance, objective=objective, constraints=replace(instance.constraints, uplink_bytes=limit)
            )
            points += [ParetoPoint(outcome, objective) for outcome in compare(limited).outcomes]
    return undominated_points(points)


def _levels(instance: CostInstance) -> list[int]:
    """Byte counts of candidate cuts, spread evenly over their order, from few to many."""
    analysis = Analysis(instance)
    cuts = analysis.candidates.undominated
    sizes = sorted({analysis.network.sent_bytes(cuts.mask(place)) for place in range(len(cuts))})
    picked = np.linspace(0, len(sizes) - 1, min(MAX_LEVELS, len(sizes))).round().astype(int)
    return [sizes[i] for i in picked.tolist()]


def undominated_points(points: Iterable[ParetoPoint]) -> tuple[ParetoPoint, ...]:
    """The points than which no other is at least as good in all three measures; of equal ones the first."""
    kept: list[ParetoPoint] = []
    for point in sorted(points, key=lambda one: one.costs):
        if not any(all(a <= b for a, b in zip(other.costs, point.costs, strict=True)) for other in kept):
            kept.append(point)
    return tuple(kept)
