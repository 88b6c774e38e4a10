"""Several requests as a batch of chains: which request takes which cut, and in which order they follow each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

import numpy as np

from decc_core.kernels import many_cuts, one_cut
from decc_core.network.arrays import Ints
from decc_core.planner.analysis import Analysis
from decc_core.planner.chains import Chain
from decc_core.planner.one_request import OneRequest
from decc_core.plans.plan import Execution, Plan, pick_works
from decc_core.problem.instance import RESOURCES, Objective

MAX_POOL = 40
MAX_ROUNDS = 6
MAX_REFINED = 3
MAX_ALIKE = 40
MAX_STEPS = 3_000_000
"""Jobs timed in the search from one start; the search stops after these, never after a time."""
MAX_MERGE_STEPS = 2_000_000
MAX_ORDERS = 2_000
"""Orders timed while requests that keep their cuts are put in order."""

Batch = tuple[Chain, ...]
"""The chains of all requests, in the order in which they follow each other."""


def search_batches(analysis: Analysis, starts: Sequence[Plan]) -> list[Batch]:
    """The batches found from the rounded LP, from the plans of the baselines, and with all requests alike."""
    alike = alike_batches(analysis)
    better = improved_batches(analysis, [alike[0], *start_batches(analysis, starts)])
    return list(dict.fromkeys([*better, *alike]))


def alike_batches(analysis: Analysis) -> list[Batch]:
    """The best batch with all requests alike; more of them where memory is scarce, since they need the least."""
    alone, search, n = analysis.one_request, _LocalSearch(analysis, staged=False), analysis.instance.requests
    # A request that is a single job needs no timing: n equal ones end n - 1 bottlenecks after the first.
    makespan_ns = alone.makespan_ns + (n - 1) * alone.cuts.bottleneck_ns
    values = np.column_stack((makespan_ns, n * alone.cuts.bottleneck_ns))
    if analysis.instance.objective is Objective.THROUGHPUT:
        values = values[:, ::-1].copy()
    for place in np.flatnonzero(~alone.one_job).tolist():
        values[place] = search.value((alone.chain(place),) * n)
    count = 1 if analysis.instance.constraints.edge_memory_bytes is None else MAX_ALIKE
    return [(alone.chain(place),) * n for place in np.lexsort(values.T[::-1])[:count].tolist()]


def start_batches(analysis: Analysis, starts: Sequence[Plan]) -> list[Batch]:
    """The plans of others and the rounded mixes of the LP as batches."""
    chains = analysis.chains
    return [
        *(tuple(chains.of_cut(plan.cuts[request]) for request in plan.request_order()) for plan in starts),
        *_rounded_mixes(analysis),
    ]


def improved_batches(analysis: Analysis, starts: Iterable[Batch], staged: bool = False) -> list[Batch]:
    """Local search from several batches; `staged` times every request as four indivisible stages."""
    batches = list(dict.fromkeys(starts))
    pool = list(dict.fromkeys([chain for batch in batches for chain in batch] + _shortlist(analysis.one_request)))
    search = _LocalSearch(analysis, staged)
    better = sorted(dict.fromkeys(search.improve(batch, pool) for batch in batches), key=search.value)
    return [*(search.refine(batch) for batch in better[:MAX_REFINED]), *better]


def best_order(
    analysis: Analysis, batch: Sequence[Chain], starts: Iterable[Sequence[int]], staged: bool = False
) -> tuple[int, ...]:
    """The best order found for requests that keep their chains; `starts` are orders to begin from."""
    search = _LocalSearch(analysis, staged)
    return min((search.reorder(batch, start) for start in starts), key=lambda order: order[0])[1]


class _LocalSearch:
    """Improves batches of chains; `staged` times every request as four indivisible stages."""

    def __init__(self, analysis: Analysis, staged: bool) -> None:
        self.analysis, self.instance, self.staged = analysis, analysis.instance, staged
        self.by_period = self.instance.objective is Objective.THROUGHPUT

    def improve(self, batch: Batch, pool: Sequence[Chain]) -> Batch:
        """Give requests other chains of the pool, and exchange and move them, while that helps."""
        place = {chain: i for i, chain in enumerate(pool)}
        ids = np.array([place[chain] for chain in batch], np.int64)
        better = many_cuts.improve_batch(ids, *self._tables(pool), MAX_STEPS)
        return tuple(pool[i] for i in better.tolist())

    def value(self, batch: Batch) -> tuple[int, int]:
        pool = list(dict.fromkeys(batch))
        ids = np.array([pool.index(chain) for chain in batch], np.int64)
        objective, other = many_cuts.batch_value(ids, *self._tables(pool))
        return int(objective), int(other)

    def reorder(self, batch: Sequence[Chain], start: Sequence[int]) -> tuple[tuple[int, int], tuple[int, ...]]:
        """Move single requests to other places in the order while that helps; the value, and the order."""
        pool = list(dict.fromkeys(batch))
        place = {chain: i for i, chain in enumerate(pool)}
        ids, tables = np.array([place[chain] for chain in batch], np.int64), self._tables(pool)
        order = np.array(start, np.int64)
        value, tried, improved = many_cuts.batch_value(ids[order], *tables), 1, True
        while improved and tried < MAX_ORDERS:
            improved = False
            for i, j in product(range(len(order)), range(len(order))):
                if ids[order[i]] == ids[order[j]] or tried >= MAX_ORDERS:
                    continue
                trial = np.insert(np.delete(order, i), j, order[i])
                other, tried = many_cuts.batch_value(ids[trial], *tables), tried + 1
                if other < value:
                    value, order, improved = other, trial, True
        return (int(value[0]), int(value[1])), tuple(order.tolist())

    def _tables(self, pool: Sequence[Chain]) -> tuple[Ints, Ints, Ints, int, bool]:
        jobs = [chain.as_stages if self.staged else chain.jobs for chain in pool]
        loads = np.array([chain.loads for chain in pool], np.int64)
        first = np.cumsum([0, *map(len, jobs)])
        return np.concatenate(jobs), first, loads, self.instance.half_rtt_ns, self.by_period

    def refine(self, batch: Batch) -> Batch:
        """Move the requests' cuts inside their segments while that helps the whole batch."""
        for _ in range(MAX_ROUNDS):
            own = list(dict.fromkeys(batch))
            near = {
                self.analysis.chains.best(mask): None
                for chain in own
                for mask in self.analysis.segments.neighbours(chain.on_edge)
            }
            fresh = [chain for chain in near if chain not in own]
            better = self.improve(batch, [*own, *self._most_useful(batch, fresh)])
            if self.value(better) >= self.value(batch):
                break
            batch = better
        return batch

    def _most_useful(self, batch: Batch, fresh: Sequence[Chain]) -> list[Chain]:
        """The chains with which one request of the batch, cut so instead, makes the best whole."""
        own = list(dict.fromkeys(batch))
        tables = self._tables([*own, *fresh])
        ids = np.array([own.index(chain) for chain in batch], np.int64)
        places = np.array([batch.index(chain) for chain in own], np.int64)
        values = many_cuts.replaced_values(ids, places, len(own), *tables)
        return [fresh[i] for i in np.lexsort(values.T[::-1])[:MAX_POOL].tolist()]


def _rounded_mixes(analysis: Analysis) -> list[Batch]:
    """The LP's mixes, with and without idle time at the ends, as whole requests; early cuts before late ones."""
    instance, candidates, mixes = analysis.instance, analysis.candidates.undominated, analysis.mixes
    n = instance.requests
    tensors = np.array([i for i, tensor in enumerate(instance.graph.tensors) if tensor.consumers], np.int64)
    offsets = [analysis.delays.idle(tensors, all_offloaded=True)] if len(tensors) else []
    batches = []
    for mix in (mixes.best(n, candidates), *(mixes.best(n, candidates, idle) for idle in offsets)):
        wanted = [share * n for share in mix.shares]
        counts = [int(share) for share in wanted]
        by_rest = sorted(range(len(wanted)), key=lambda i: counts[i] - wanted[i])
        for i in by_rest[: n - sum(counts)]:
            counts[i] += 1
        pairs = sorted(zip(mix.cuts, counts, strict=True), key=lambda pair: int(pair[0].sum()))
        masks = [mask for mask, count in pairs for _ in range(count) if analysis.network.fits(mask)]
        if len(masks) == n:
            batches.append(tuple(map(analysis.chains.best, masks)))
    return batches


def _shortlist(alone: OneRequest) -> list[Chain]:
    """Chains that differ in purpose: the fastest alone, the smallest bottlenecks, the least of each resource."""
    edge, uplink, cloud, _ = alone.cuts.loads.T
    purposes = (alone.cuts.bottleneck_ns, edge + uplink, uplink + cloud, edge + cloud)
    orders = [np.argsort(alone.makespan_ns, kind="stable")]
    orders += [np.lexsort((alone.makespan_ns, purpose)) for purpose in purposes]
    places = dict.fromkeys(np.column_stack([order[:MAX_POOL] for order in orders]).ravel().tolist())
    return [alone.chain(place) for place in list(places)[:MAX_POOL]]


def merged_plan(analysis: Analysis, batch: Sequence[Chain]) -> Plan:
    """The branch-pipelined plan of a batch, the jobs of different requests interleaved where that ends earlier."""
    instance = analysis.instance
    jobs = np.concatenate([chain.jobs for chain in batch])
    request = np.repeat(np.arange(len(batch)), [len(chain.jobs) for chain in batch])
    number = np.concatenate([np.arange(len(chain.jobs)) for chain in batch])
    order = np.arange(len(jobs))
    if instance.objective is Objective.MAKESPAN and len(jobs) > 2 * len(batch):
        order = one_cut.interleave(jobs, request, instance.half_rtt_ns, MAX_MERGE_STEPS)
    pairs = list(zip(request[order].tolist(), number[order].tolist(), strict=True))
    work = {chain: analysis.chains.work_of_jobs(chain) for chain in dict.fromkeys(batch)}
    sequences = {
        resource: pick_works((i, work[batch[i]][place][job]) for i, job in pairs)
        for place, resource in enumerate(RESOURCES)
    }
    return Plan(Execution.BRANCH_PIPELINED, tuple(chain.cut for chain in batch), sequences)
