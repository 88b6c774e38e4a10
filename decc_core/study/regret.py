"""What it costs to keep a plan when the conditions change: its objective there over that of the best plan there."""

from __future__ import annotations

from dataclasses import dataclass

from decc_core.errors import InfeasiblePlan
from decc_core.plans.check import check_plan
from decc_core.plans.plan import Plan
from decc_core.plans.schedule import objective_ns
from decc_core.problem.instance import CostInstance
from decc_core.study.compare import ratio


@dataclass(frozen=True)
class Kept:
    """A plan under other conditions than it was made for: cuts and sequences kept, every start computed again.

    `objective_ns` is None where the plan breaks a rule there, and `reason` says which.
    """

    objective_ns: int | None
    reason: str = ""

    def regret(self, planned_ns: int) -> float | None:
        """How many times better a new plan is; 1 means that keeping the old one costs nothing.

        A plan that is kept is a plan, too: where it beats the new one, it is the best known.
        """
        if self.objective_ns is None:
            return None
        return ratio(self.objective_ns, min(self.objective_ns, planned_ns))


def keep(instance: CostInstance, plan: Plan) -> Kept:
    """The plan's objective on an instance of the same network under other conditions."""
    try:
        timing = check_plan(instance, plan)
    except InfeasiblePlan as error:
        return Kept(None, str(error))
    return Kept(objective_ns(instance, plan, timing))
