"""DECC: the partition point of every branch of every request, and the order on every resource."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from decc_core.errors import InfeasiblePlan
from decc_core.network.work import Resource
from decc_core.planner.chains import one_request_plan
from decc_core.planner.many_requests import MAX_ALIKE, merged_plan, search_strings
from decc_core.planner.one_request import plan_one_request
from decc_core.planner.sequences import best_sequences
from decc_core.plans.check import check_memory
from decc_core.plans.plan import Execution, Plan
from decc_core.plans.schedule import period_ns, schedule
from decc_core.problem.instance import CostInstance, Objective

MAX_OPEN_CUTS = 20


def decc(instance: CostInstance, starts: Sequence[Plan]) -> Plan:
    """Search cuts per branch and per request, then orders; never worse than any of `starts`, the baselines' plans.

    Idea: Zhuang et al., "DECC: Delay-Aware Edge-Cloud Collaboration for Accelerating DNN Inference", IEEE TETC 2024, of
    which only the abstract is public: independent branches, a partition point for each, pipelined. The rest is our own
    reconstruction: one request is searched stretch by stretch under proven bounds; more requests by rounding the LP
    over mixes of cuts, local search on who takes which cut and in which order, and interleaving of their branches. A
    start's sequences, timed branch by branch, are never slower than as its author runs them.
    """
    relaxed = _distinct(replace(plan, strategy="decc", execution=Execution.BRANCH_PIPELINED) for plan in starts)
    alone = plan_one_request(instance)
    if instance.requests == 1 and instance.objective is Objective.MAKESPAN:
        # Under a memory limit the quickest plan may not fit, and that of another cut may.
        limited = instance.constraints.edge_memory_bytes is not None
        own = [one_request_plan(instance, "decc", shape) for shape in alone.shapes[: MAX_ALIKE if limited else 1]]
        below = None if limited else alone.shapes[0].makespan_ns
        own += best_sequences(instance, "decc", alone.open_cuts[:MAX_OPEN_CUTS], below)
    else:
        own = [merged_plan(instance, "decc", string) for string in search_strings(instance, alone.shapes, starts)]
    # Overlap makes more tensors wait; under a memory limit a start may fit only as its author runs it.
    as_given = [replace(plan, strategy="decc") for plan in starts] if instance.constraints.edge_memory_bytes else []
    return min((*own, *relaxed, *as_given), key=lambda plan: _rank(instance, plan))


def _distinct(plans: Iterable[Plan]) -> list[Plan]:
    """Plans with different cuts or sequences; the first of each."""
    seen: dict[tuple[object, ...], Plan] = {}
    for plan in plans:
        seen.setdefault((plan.cuts, *(plan.sequences[resource] for resource in Resource)), plan)
    return list(seen.values())


def _rank(instance: CostInstance, plan: Plan) -> tuple[float, float]:
    """The objective first, the other measure to break ties; plans that break a limit come last."""
    timing = schedule(instance, plan)
    makespan, period = timing.makespan_ns, period_ns(instance, plan)
    try:
        check_memory(instance, plan, timing)
    except InfeasiblePlan:
        return float("inf"), float("inf")
    return (makespan, period) if instance.objective is Objective.MAKESPAN else (period, makespan)
