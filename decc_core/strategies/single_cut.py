"""Single cut: the strongest plan without mixing cuts and without overlapping branches."""

from __future__ import annotations

from decc_core.candidates import candidates, prefix_candidates
from decc_core.cost import CostInstance, Objective
from decc_core.plan import Execution, Plan, staged_plan


def single_cut(instance: CostInstance) -> Plan:
    """One cut for all n requests, minimising sequential time + (n - 1) max(E, T, C, D), the makespan of n equal frames.

    Our own reference, not from a paper. Searched over prefixes, waists and weighted min cuts; for the throughput
    objective the bottleneck alone is minimised.
    """
    found = (*candidates(instance), *prefix_candidates(instance))
    if instance.objective is Objective.THROUGHPUT:
        best = min(found, key=lambda one: (one.loads.bottleneck_ns, one.sequential_ns))
    else:
        waits = instance.requests - 1
        # An all-edge request never waits for a link, but its bottleneck is the edge all the same.
        best = min(found, key=lambda one: one.sequential_ns + waits * one.loads.bottleneck_ns)
    return staged_plan(instance, "single-cut", Execution.FRAME_PIPELINED, (best.cut,) * instance.requests)
