"""The strategies by name; adding one is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from decc_core.errors import NotPossible, UnknownName
from decc_core.planner.strategies.dads_dsh import dads_dsh
from decc_core.planner.strategies.dads_dsl import dads_dsl
from decc_core.planner.strategies.decc import decc
from decc_core.planner.strategies.exact_result import ExactResult, Progress, Stoppable
from decc_core.planner.strategies.fixed import cloud_only, edge_only
from decc_core.planner.strategies.jps import jps
from decc_core.planner.strategies.neurosurgeon import neurosurgeon
from decc_core.planner.strategies.qdmp import qdmp
from decc_core.planner.strategies.single_cut import single_cut
from decc_core.plans.check import check_plan
from decc_core.plans.plan import Plan
from decc_core.problem.instance import CostInstance

BASELINES: dict[str, Callable[[CostInstance], Plan]] = {
    "edge-only": edge_only,
    "cloud-only": cloud_only,
    "neurosurgeon": neurosurgeon,
    "dads-dsl": dads_dsl,
    "qdmp": qdmp,
    "dads-dsh": dads_dsh,
    "single-cut": single_cut,
    "jps": jps,
}
STRATEGIES: tuple[str, ...] = (*BASELINES, "decc")
"""Everything that plans at once; the exact solver is asked for apart, with a time limit."""


def solve(instance: CostInstance, strategy: str, starts: Sequence[Plan] | None = None) -> Plan:
    """The checked plan of one strategy; `starts` hands decc the baselines' plans, if they are known already."""
    if strategy in BASELINES:
        plan = BASELINES[strategy](instance)
    elif strategy == "decc":
        plan = decc(instance, possible_baselines(instance) if starts is None else starts)
    else:
        raise UnknownName(f"Unknown strategy '{strategy}'; choose one of {', '.join(STRATEGIES)}.")
    check_plan(instance, plan)
    return plan


def possible_baselines(instance: CostInstance) -> list[Plan]:
    """The plans of all baselines that have one under the constraints; dads-dsl has one whenever any plan exists."""
    found = []
    for baseline in BASELINES.values():
        with suppress(NotPossible):
            found.append(baseline(instance))
    return found


def solve_exact(
    instance: CostInstance,
    warm_start: Plan,
    limit_s: float,
    progress: Progress | None = None,
    stoppable: Stoppable | None = None,
) -> ExactResult:
    """The checked result of the exact solver; `progress` hears of every better plan or bound, in seconds.

    `stoppable` is handed a function that ends the search early, from another thread.
    """
    from decc_core.planner.strategies.exact import (
        exact,  # CP-SAT brings half a second of imports that only a proof needs
    )

    result = exact(instance, warm_start, limit_s, progress, stoppable=stoppable)
    check_plan(instance, result.plan)
    return result
