"""JPS: two cuts, how many requests take each, and in which order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from decc_core.planner.analysis import Analysis
from decc_core.planner.cuts import Cuts
from decc_core.planner.mincut import as_cut
from decc_core.plans.check import first_that_fits
from decc_core.plans.plan import Execution, Plan, staged_plan
from decc_core.problem.instance import CostInstance, Objective

MAX_CANDIDATES = 48
MAX_TRIED = 200
"""Plans looked at where the edge's memory is limited."""

Floats = NDArray[np.float64]


def jps(analysis: Analysis) -> Plan:
    """Try every pair of candidate cuts and every split of the requests between them, and keep the best makespan.

    Source: Duan and Wu, "Joint Optimization of DNN Partition and Scheduling for Mobile Cloud Computing", ICPP 2021, and
    "Optimizing Job Offloading Schedule for Collaborative DNN Inference", IEEE TMC 2024. They order two-stage jobs by
    Johnson's rule; with two kinds of jobs that leaves two orders, and both are tried. Departures: cuts come from the
    waists and the weighted min cuts of a DAG, and all four stages and the RTT count. O(candidates^2 * requests).
    """
    instance, cuts = analysis.instance, _shortlist(analysis.candidates.undominated)
    n = instance.requests
    costs = _costs(instance, cuts, np.arange(1, n + 1, dtype=np.float64))
    limited = instance.constraints.edge_memory_bytes is not None
    best = np.argsort(costs, axis=None, kind="stable")[:MAX_TRIED].tolist() if limited else [int(np.argmin(costs))]

    def plan(place: int) -> Plan:
        first, second, last = (int(index) for index in np.unravel_index(place, costs.shape))
        early, late = as_cut(cuts.mask(first)), as_cut(cuts.mask(second))
        return staged_plan(instance, Execution.FRAME_PIPELINED, (early,) * (last + 1) + (late,) * (n - last - 1))

    return first_that_fits(instance, map(plan, best))


def _shortlist(cuts: Cuts) -> Cuts:
    """All candidates where they are few; else the best sequential times and the smallest bottlenecks."""
    if len(cuts) <= MAX_CANDIDATES:
        return cuts
    by_bottleneck = np.argsort(cuts.bottleneck_ns, kind="stable")[:MAX_CANDIDATES].tolist()
    merged = dict.fromkeys(place for pair in enumerate(by_bottleneck) for place in pair)
    return cuts.take(np.array(list(merged)[:MAX_CANDIDATES], np.int64))


def _costs(instance: CostInstance, cuts: Cuts, counts: Floats) -> Floats:
    """Objective of `counts` requests cut like one candidate, then the rest like another; (first, second, counts)."""
    loads = cuts.loads.astype(np.float64)
    rest = instance.requests - counts
    if instance.objective is Objective.THROUGHPUT:
        totals = loads[:, None, None, :] * counts[:, None] + loads[None, :, None, :] * rest[:, None]
        return np.asarray(totals.max(axis=3))
    delay = np.where(cuts.use_cloud, float(instance.rtt_ns), 0.0)
    return _makespans(loads, delay, counts, rest)


def _makespans(loads: Floats, delay: Floats, counts: Floats, rest: Floats) -> Floats:
    """Makespan of a permutation flow shop of `counts` jobs of one kind, then `rest` of another.

    A longest path visits the stages up to i within the first block and from i on within the second; inside a block of
    equal jobs it dwells on the longest stage that it visits there.
    """
    stages = loads.shape[1]
    alone = loads.sum(axis=1)[:, None] + (counts - 1) * loads.max(axis=1)[:, None] + delay[:, None]
    after_edge = counts * loads[:, None, None, 0] + rest * loads[None, :, None, 0]
    both = np.zeros_like(after_edge)
    for stage in range(stages):
        to, on = loads[:, : stage + 1], loads[:, stage:]
        head = to.sum(axis=1)[:, None] + (counts - 1) * to.max(axis=1)[:, None]
        tail = on.sum(axis=1)[:, None] + (rest - 1) * on.max(axis=1)[:, None]
        both = np.maximum(both, head[:, None, :] + tail[None, :, :])
    # A second block that stays on the edge waits for no link: it ends with the edge, or the first block's results do.
    local = np.maximum(alone[:, None, :], after_edge)
    offloaded = (delay > 0) | (loads[:, 1:].sum(axis=1) > 0)
    mixed = np.where(offloaded[None, :, None], both + delay[None, :, None], local)
    return np.asarray(np.where(rest > 0, mixed, alone[:, None, :]))
