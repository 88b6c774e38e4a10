"""DECC with one of its two ideas taken away: only a mix of cuts, or only the overlap of branches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from decc_core.errors import InfeasiblePlan
from decc_core.planner.many_requests import alike_strings, improved_strings, merged_plan, start_strings
from decc_core.planner.one_request import plan_one_request
from decc_core.plans.check import check_plan
from decc_core.plans.plan import Execution, Plan, staged_plan
from decc_core.problem.instance import CostInstance


def mix_only(instance: CostInstance, starts: Sequence[Plan]) -> list[Plan]:
    """Requests may be cut differently, but their four stages stay whole (frame-pipelined)."""
    singles = plan_one_request(instance).shapes
    strings = improved_strings(instance, start_strings(instance, starts), singles, staged=True)
    plans = [staged_plan(instance, Execution.FRAME_PIPELINED, [shape.cut for shape in string]) for string in strings]
    return list(_legal(instance, plans))


def overlap_only(instance: CostInstance, starts: Sequence[Plan]) -> list[Plan]:
    """All requests are cut alike, but their branches overlap."""
    strings = alike_strings(instance, plan_one_request(instance).shapes)
    plans = [merged_plan(instance, string) for string in strings]
    plans += [replace(plan, execution=Execution.BRANCH_PIPELINED) for plan in starts]
    return list(_legal(instance, plans))


def _legal(instance: CostInstance, plans: Sequence[Plan]) -> Iterator[Plan]:
    """The plans that the edge has the memory for."""
    for plan in plans:
        try:
            check_plan(instance, plan)
        except InfeasiblePlan:
            continue
        yield plan
