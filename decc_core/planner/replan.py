"""The best plan found for given cuts: what DECC does with somebody else's choice of cuts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from decc_core.errors import InfeasiblePlan
from decc_core.network.work import Resource, Work
from decc_core.planner.analysis import Analysis
from decc_core.planner.many_requests import best_order, merged_plan
from decc_core.planner.sequences import best_sequences
from decc_core.plans.check import check_constraints, check_cut, first_that_fits
from decc_core.plans.plan import Execution, Plan, stage_work, staged_plan
from decc_core.plans.schedule import period_ns, schedule
from decc_core.problem.instance import RESOURCES, CostInstance, Cut, Objective


def replan(
    analysis: Analysis,
    cuts: Sequence[Cut],
    like: Plan | None = None,
    execution: Execution = Execution.BRANCH_PIPELINED,
) -> Plan:
    """The best plan found in which every request has the cut given for it; for one output and few tensors the optimum.

    `like` is a plan of the same instance with similar cuts: its order of work is tried, too, so that with its own cuts
    the result is never worse than it. Raises `InfeasiblePlan` or `NotPossible` where the cuts break a rule.
    """
    instance = analysis.instance
    if len(cuts) != instance.requests:
        raise InfeasiblePlan(f"There are {len(cuts)} cuts for {instance.requests} requests.")
    for cut in dict.fromkeys(cuts):
        check_cut(instance.graph, cut)
        check_constraints(instance, cut)
    if execution is Execution.BRANCH_PIPELINED:
        plans = [*_as_before(instance, cuts, like), *_overlapped(analysis, cuts, like)]
    else:
        # One after the other, requests take as long in any order.
        pipelined = execution is Execution.FRAME_PIPELINED
        order = _order(analysis, cuts, like, staged=True) if pipelined else range(len(cuts))
        plans = [staged_plan(instance, execution, cuts, order)]
    return first_that_fits(instance, sorted(plans, key=lambda plan: _rank(instance, plan)))


def _rank(instance: CostInstance, plan: Plan) -> tuple[int, int]:
    makespan, period = schedule(instance, plan).makespan_ns, period_ns(instance, plan)
    return (makespan, period) if instance.objective is Objective.MAKESPAN else (period, makespan)


def _overlapped(analysis: Analysis, cuts: Sequence[Cut], like: Plan | None) -> Iterator[Plan]:
    """The branches of all requests interleaved, as decc does it."""
    chains = [analysis.chains.of_cut(cut) for cut in cuts]
    order = _order(analysis, cuts, like, staged=False) if len(cuts) > 1 else (0,)
    yield _renumbered(merged_plan(analysis, [chains[i] for i in order]), order)
    if len(cuts) == 1 and not chains[0].exact:
        yield from best_sequences(analysis.instance, chains)


def _renumbered(plan: Plan, order: Sequence[int]) -> Plan:
    """The plan whose request i is called `order[i]`."""
    cuts = dict(zip(order, plan.cuts, strict=True))
    sequences = {
        resource: tuple(Work(order[work.request], work.item) for work in works)
        for resource, works in plan.sequences.items()
    }
    return Plan(plan.execution, tuple(cuts[request] for request in range(len(cuts))), sequences)


def _order(analysis: Analysis, cuts: Sequence[Cut], like: Plan | None, staged: bool) -> tuple[int, ...]:
    """The best order of the requests found from that of `like`, and from early and from late cuts first."""
    chains = [analysis.chains.of_cut(cut) for cut in cuts]
    by_edge = sorted(range(len(cuts)), key=lambda i: chains[i].loads.edge_ns)
    starts = [by_edge, by_edge[::-1]]
    if like is not None and len(like.cuts) == len(cuts):
        starts.insert(0, list(like.request_order()))
    return best_order(analysis, chains, starts, staged)


def _as_before(instance: CostInstance, cuts: Sequence[Cut], like: Plan | None) -> Iterator[Plan]:
    """The order of work of another plan, with what changed sides put where its turn was.

    Everything is sorted by the time at which it, or for a tensor not sent before the layer that makes it, was over in
    that plan; since no layer starts before what it reads was over, the sequences never contradict each other.
    """
    if like is None or len(like.cuts) != len(cuts):
        return
    if tuple(cuts) == like.cuts:
        yield Plan(Execution.BRANCH_PIPELINED, like.cuts, like.sequences)
        return
    timing, graph = schedule(instance, like), instance.graph
    start: dict[tuple[bool, Work], int] = {}
    end: dict[Work, int] = {}
    for resource in RESOURCES:
        for span in timing.spans[resource]:
            start[resource.computes, span.work] = span.start_ns
            if resource.computes:
                end[span.work] = span.end_ns

    def turn(resource: Resource, work: Work) -> tuple[int, int, int]:
        if resource.computes:
            return start[True, work], work.request, 2 * work.item
        producer = graph.tensors[work.item].producer
        time = start.get((False, work), end[Work(work.request, producer)])
        return time, work.request, 2 * producer + 1

    sequences = {}
    for resource in RESOURCES:
        items = (Work(i, item) for i, cut in enumerate(cuts) for item in stage_work(graph, cut)[resource].tolist())
        sequences[resource] = tuple(sorted(items, key=lambda work: turn(resource, work)))
    yield Plan(Execution.BRANCH_PIPELINED, tuple(cuts), sequences)
