"""Edge-only and cloud-only: the two plans that need no thought."""

from __future__ import annotations

from decc_core.errors import NotPossible
from decc_core.plans.memory import fits
from decc_core.plans.plan import Execution, Plan, staged_plan
from decc_core.problem.instance import CostInstance, Cut


def edge_only(instance: CostInstance) -> Plan:
    """Everything on the edge, one request after the other."""
    return _if_possible(instance, "edge-only", instance.all_edge)


def cloud_only(instance: CostInstance) -> Plan:
    """Only the inputs on the edge, one request after the other."""
    return _if_possible(instance, "cloud-only", instance.all_cloud)


def _if_possible(instance: CostInstance, strategy: str, cut: Cut) -> Plan:
    if not fits(instance, cut):
        raise NotPossible(f"The constraints do not allow the only cut of {strategy}.")
    return consecutive(instance, cut)


def consecutive(instance: CostInstance, cut: Cut) -> Plan:
    """The same cut for every request, executed one request after the other."""
    return staged_plan(instance, Execution.CONSECUTIVE, (cut,) * instance.requests)
