"""DECC: the partition point of every branch of every request, and the order on every resource."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from decc_core.network.work import Resource
from decc_core.planner.analysis import Analysis, Simpler
from decc_core.planner.many_requests import MAX_ALIKE, merged_plan, search_batches
from decc_core.planner.sequences import best_sequences
from decc_core.plans.check import plan_fits
from decc_core.plans.pieces import SIDES
from decc_core.plans.plan import Execution, Plan
from decc_core.plans.runs import runs_of
from decc_core.plans.schedule import period_ns, schedule
from decc_core.problem.instance import CostInstance, Objective, uplink_bytes

MAX_OPEN_CUTS = 20


def decc(analysis: Analysis) -> Plan:
    """Search cuts per branch and per request, then orders; never worse than any plan that is on the desk already.

    Idea: Zhuang et al., "DECC: Delay-Aware Edge-Cloud Collaboration for Accelerating DNN Inference", IEEE TETC 2024, of
    which only the abstract is public: independent branches, a partition point for each, pipelined. The rest is our own
    reconstruction: one request is searched segment by segment under proven bounds; more requests by rounding the LP
    over mixes of cuts, local search on who takes which cut and in which order, and interleaving of their branches. A
    start's sequences, timed branch by branch, are never slower than as its author runs them. Where predictions are
    known to be off, a simpler plan that differs by less is taken instead.
    """
    instance, alone, starts = analysis.instance, analysis.one_request, analysis.starts
    relaxed = _distinct(replace(plan, execution=Execution.BRANCH_PIPELINED) for plan in starts)
    if instance.requests == 1 and instance.objective is Objective.MAKESPAN:
        # Under a memory limit the quickest plan may not fit, and that of another cut may.
        limited = instance.constraints.edge_memory_bytes is not None
        count = min(MAX_ALIKE, len(alone.cuts)) if limited else 1
        own = [merged_plan(analysis, [alone.chain(place)]) for place in range(count)]
        open_chains = [analysis.chains.best(mask) for mask in alone.open_cuts[:MAX_OPEN_CUTS]]
        own += best_sequences(instance, open_chains, None if limited else int(alone.makespan_ns[0]))
    else:
        own = [merged_plan(analysis, batch) for batch in search_batches(analysis, starts)]
    # Overlap makes more tensors wait; under a memory limit a start may fit only as its author runs it.
    as_given = starts if instance.constraints.edge_memory_bytes or analysis.prediction_error else []
    plans = [*own, *relaxed, *as_given]
    ranks = [_rank(instance, plan) for plan in plans]
    best = min(range(len(plans)), key=ranks.__getitem__)
    if not analysis.prediction_error:
        return plans[best]
    most = (1 + analysis.prediction_error) * ranks[best][0]
    simplicity = {i: _simplicity(instance, plans[i]) for i, rank in enumerate(ranks) if rank[0] <= most}
    taken = min(simplicity, key=lambda i: (simplicity[i], ranks[i]))
    if simplicity[taken] < simplicity[best]:
        analysis.simpler = Simpler(
            round(ranks[best][0]),
            round(ranks[taken][0]),
            *(number for pair in zip(simplicity[best], simplicity[taken], strict=True) for number in pair),
        )
        return plans[taken]
    return plans[best]


def _simplicity(instance: CostInstance, plan: Plan) -> tuple[int, int]:
    """Bytes sent, and pieces: layers that run in one go, and tensors on their way."""
    sent = sum(len(requests) * uplink_bytes(instance, cut) for cut, requests in plan.groups().items())
    pieces = sum(len(runs_of(instance.graph, plan, side)) for side in SIDES)
    return sent, pieces + sum(len(plan.sequences[link]) for link in (Resource.UPLINK, Resource.DOWNLINK))


def _distinct(plans: Iterable[Plan]) -> list[Plan]:
    """Plans with different cuts or sequences; the first of each."""
    seen: dict[tuple[object, ...], Plan] = {}
    for plan in plans:
        seen.setdefault((plan.cuts, plan.sequences), plan)
    return list(seen.values())


def _rank(instance: CostInstance, plan: Plan) -> tuple[float, float]:
    """The objective first, the other measure to break ties; plans that break a limit come last."""
    timing = schedule(instance, plan)
    if not plan_fits(instance, plan, timing):
        return float("inf"), float("inf")
    makespan, period = timing.makespan_ns, period_ns(instance, plan)
    return (makespan, period) if instance.objective is Objective.MAKESPAN else (period, makespan)
