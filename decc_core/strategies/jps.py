"""JPS: two cuts, how many requests take each, and in which order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from decc_core.candidates import Candidate, candidates
from decc_core.cost import CostInstance, Objective
from decc_core.plan import Execution, Plan, staged_plan

MAX_CANDIDATES = 48

Floats = NDArray[np.float64]


def jps(instance: CostInstance) -> Plan:
    """Try every pair of candidate cuts and every split of the requests between them, and keep the best makespan.

    Source: Duan and Wu, "Joint Optimization of DNN Partition and Scheduling for Mobile Cloud Computing", ICPP 2021, and
    "Optimizing Job Offloading Schedule for Collaborative DNN Inference", IEEE TMC 2024. They order two-stage jobs by
    Johnson's rule; with two kinds of jobs that leaves two orders, and both are tried. Departures: cuts come from the
    waists and the weighted min cuts of a DAG, and all four stages and the RTT count. O(candidates^2 * requests).
    """
    found = _shortlist(instance)
    n = instance.requests
    best: tuple[float, Candidate, Candidate, int] | None = None
    for first in found:
        counts = np.arange(1, n + 1, dtype=np.float64)
        cost = _costs(instance, first, found, counts)
        row, column = np.unravel_index(int(np.argmin(cost)), cost.shape)
        if best is None or cost[row, column] < best[0]:
            best = (float(cost[row, column]), first, found[int(row)], int(column) + 1)
    assert best is not None
    _, first, second, count = best
    cuts = (first.cut,) * count + (second.cut,) * (n - count)
    return staged_plan(instance, "jps", Execution.FRAME_PIPELINED, cuts)


def _shortlist(instance: CostInstance) -> tuple[Candidate, ...]:
    """All candidates where they are few; else the best sequential times and the smallest bottlenecks."""
    found = candidates(instance)
    if len(found) <= MAX_CANDIDATES:
        return found
    by_bottleneck = sorted(found, key=lambda one: one.loads.bottleneck_ns)
    merged = dict.fromkeys(one for pair in zip(found, by_bottleneck, strict=True) for one in pair)
    return tuple(merged)[:MAX_CANDIDATES]


def _costs(instance: CostInstance, first: Candidate, found: tuple[Candidate, ...], counts: Floats) -> Floats:
    """Objective of `counts` requests cut like `first`, then the rest cut like each candidate; shape (found, counts)."""
    n = instance.requests
    a = np.array(first.loads, np.float64)
    b = np.array([one.loads for one in found], np.float64)
    rest = n - counts
    if instance.objective is Objective.THROUGHPUT:
        totals = a[None, None, :] * counts[None, :, None] + b[:, None, :] * rest[None, :, None]
        return np.asarray(totals.max(axis=2))
    return _makespans(a, b, counts, rest, np.array([_delay(instance, one) for one in found]), _delay(instance, first))


def _delay(instance: CostInstance, one: Candidate) -> float:
    return float(instance.rtt_ns if len(one.cut) < len(instance.graph.layers) else 0)


def _makespans(a: Floats, b: Floats, counts: Floats, rest: Floats, b_delay: Floats, a_delay: float) -> Floats:
    """Makespan of a permutation flow shop of `counts` jobs a, then `rest` jobs b; shape (len(b), len(counts)).

    A longest path visits the stages up to i within the first block and from i on within the second; inside a block of
    equal jobs it dwells on the longest stage that it visits there.
    """
    alone = a.sum() + (counts - 1) * a.max() + a_delay
    after_edge = counts[None, :] * a[0] + rest[None, :] * b[:, :1]
    both = np.zeros((len(b), len(counts)))
    for stage in range(len(a)):
        to, on = a[: stage + 1], b[:, stage:]
        head = to.sum() + (counts - 1) * to.max()
        tail = on.sum(axis=1)[:, None] + (rest - 1)[None, :] * on.max(axis=1)[:, None]
        both = np.maximum(both, head[None, :] + tail)
    # A second block that stays on the edge waits for no link: it ends with the edge, or the first block's results do.
    local = np.maximum(alone[None, :], after_edge)
    mixed = np.where((b_delay > 0)[:, None] | (b[:, 1:].sum(axis=1) > 0)[:, None], both + b_delay[:, None], local)
    return np.asarray(np.where((rest > 0)[None, :], mixed, alone[None, :]))
