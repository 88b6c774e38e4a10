"""The strategies by name; adding one is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from decc_core.cost import CostInstance
from decc_core.errors import UnknownName
from decc_core.plan import Plan
from decc_core.plan_check import check_plan
from decc_core.strategies.dads_dsh import dads_dsh
from decc_core.strategies.dads_dsl import dads_dsl
from decc_core.strategies.decc import decc
from decc_core.strategies.exact import ExactResult, exact
from decc_core.strategies.fixed import cloud_only, edge_only
from decc_core.strategies.jps import jps
from decc_core.strategies.neurosurgeon import neurosurgeon
from decc_core.strategies.qdmp import qdmp
from decc_core.strategies.single_cut import single_cut

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
        plan = decc(instance, starts or [baseline(instance) for baseline in BASELINES.values()])
    else:
        raise UnknownName(f"Unknown strategy '{strategy}'; choose one of {', '.join(STRATEGIES)}.")
    check_plan(instance, plan)
    return plan


def solve_exact(instance: CostInstance, warm_start: Plan, limit_s: float) -> ExactResult:
    """The checked result of the exact solver."""
    result = exact(instance, warm_start, limit_s)
    check_plan(instance, result.plan)
    return result
