"""DECC with one of its two ideas taken away: only a mix of cuts, or only the overlap of branches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from decc_core.planner.analysis import Analysis
from decc_core.planner.many_requests import alike_batches, improved_batches, merged_plan, start_batches
from decc_core.plans.check import plan_fits
from decc_core.plans.plan import Execution, Plan, staged_plan
from decc_core.plans.schedule import schedule


def mix_only(analysis: Analysis, starts: Sequence[Plan]) -> list[Plan]:
    """Requests may be cut differently, but their four stages stay whole (frame-pipelined)."""
    batches = improved_batches(analysis, start_batches(analysis, starts), staged=True)
    cuts = ([chain.cut for chain in batch] for batch in batches)
    return list(_legal(analysis, (staged_plan(analysis.instance, Execution.FRAME_PIPELINED, one) for one in cuts)))


def overlap_only(analysis: Analysis, starts: Sequence[Plan]) -> list[Plan]:
    """All requests are cut alike, but their branches overlap."""
    plans = [merged_plan(analysis, batch) for batch in alike_batches(analysis)]
    plans += [replace(plan, execution=Execution.BRANCH_PIPELINED) for plan in starts]
    return list(_legal(analysis, plans))


def _legal(analysis: Analysis, plans: Iterable[Plan]) -> Iterator[Plan]:
    """The plans that the edge has the memory for."""
    instance = analysis.instance
    return (plan for plan in plans if plan_fits(instance, plan, schedule(instance, plan)))
