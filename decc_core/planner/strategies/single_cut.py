"""Single cut: the strongest plan without mixing cuts and without overlapping branches."""

from __future__ import annotations

from decc_core.planner.candidates import Candidate, allowed_prefixes, candidates, prefix_candidate, prefix_sequential_ns
from decc_core.planner.mincut import cut_network
from decc_core.plans.check import first_that_fits
from decc_core.plans.memory import fits
from decc_core.plans.plan import Execution, Plan, staged_plan
from decc_core.problem.instance import CostInstance, Objective


def single_cut(instance: CostInstance) -> Plan:
    """One cut for all n requests, minimising sequential time + (n - 1) max(E, T, C, D), the makespan of n equal frames.

    Our own reference, not from a paper. Searched over prefixes, waists and weighted min cuts; for the throughput
    objective the bottleneck alone is minimised.
    """
    found = [*candidates(instance), *_best_prefix(instance)]
    found.sort(key=lambda one: _cost(instance, one.sequential_ns, one.loads.bottleneck_ns))
    return first_that_fits(
        instance,
        (staged_plan(instance, Execution.FRAME_PIPELINED, (one.cut,) * instance.requests) for one in found),
    )


def _best_prefix(instance: CostInstance) -> list[Candidate]:
    bottleneck = cut_network(instance).prefixes.max(axis=1).tolist()
    costs = [_cost(instance, *both) for both in zip(prefix_sequential_ns(instance).tolist(), bottleneck, strict=True)]
    allowed = [
        (cost, k) for k, (cost, legal) in enumerate(zip(costs, allowed_prefixes(instance), strict=True)) if legal
    ]
    best = [prefix_candidate(instance, k) for _, k in [min(allowed)]] if allowed else []
    return [one for one in best if fits(instance, one.cut)]


def _cost(instance: CostInstance, sequential_ns: int, bottleneck_ns: int) -> tuple[int, int]:
    if instance.objective is Objective.THROUGHPUT:
        return bottleneck_ns, sequential_ns
    # An all-edge request never waits for a link, but its bottleneck is the edge all the same.
    return sequential_ns + (instance.requests - 1) * bottleneck_ns, 0
