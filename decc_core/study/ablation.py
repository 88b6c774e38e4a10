"""What mixing cuts and overlapping branches contribute, each alone and both together."""

from __future__ import annotations

from dataclasses import dataclass

from decc_core.planner.strategies import BASELINES
from decc_core.planner.strategies.ablated import mix_only, overlap_only
from decc_core.plans.plan import Plan
from decc_core.plans.schedule import objective_ns, schedule
from decc_core.study.compare import Comparison, ratio


@dataclass(frozen=True)
class Ablation:
    """Objectives in nanoseconds.

    `neither` is the best plan with one cut for all requests and no overlap inside a request; `mix` lets requests be cut
    differently but keeps their stages whole; `overlap` cuts all requests alike but overlaps their branches; `both` is
    decc.
    """

    neither_ns: int
    mix_ns: int
    overlap_ns: int
    both_ns: int
    best_baseline: str
    best_baseline_ns: int

    def gain(self, part_ns: int) -> float:
        """How many times better than neither."""
        return ratio(self.neither_ns, part_ns)

    @property
    def over_best_baseline(self) -> float:
        return ratio(self.best_baseline_ns, self.both_ns)


UNIFORM = tuple(name for name in BASELINES if name != "jps")
"""The baselines that cut all requests alike."""


def ablate(comparison: Comparison) -> Ablation:
    """The ablation of a comparison that holds decc and all baselines that are possible."""
    instance, decc = comparison.instance, comparison.of("decc")
    baselines = [one for one in comparison.outcomes if one.strategy in BASELINES]
    uniform = [one for one in baselines if one.strategy in UNIFORM]
    neither = min(one.objective_ns for one in uniform)

    def value(plan: Plan) -> int:
        return objective_ns(instance, plan, schedule(instance, plan))

    plans = [one.plan for one in baselines]
    mix = min(*(one.objective_ns for one in baselines), *map(value, mix_only(instance, plans)))
    overlap = min(neither, *map(value, overlap_only(instance, [one.plan for one in uniform])))
    best = comparison.best_baseline
    return Ablation(neither, mix, overlap, decc.objective_ns, best.strategy, best.objective_ns)
