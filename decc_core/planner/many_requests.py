"""Several requests as a string of shapes: which request takes which cut, and in which order they follow each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product

import numpy as np

from decc_core import kernels
from decc_core.network.arrays import Ints
from decc_core.network.work import Resource
from decc_core.planner.candidates import candidates, cuts_of
from decc_core.planner.chains import Shape, best_shape
from decc_core.planner.delays import delays
from decc_core.planner.mixes import best_mix
from decc_core.planner.segment_search import neighbours
from decc_core.plans.memory import fits
from decc_core.plans.plan import Execution, Plan, pick_works
from decc_core.problem.instance import RESOURCES, CostInstance, Cut, Objective

MAX_POOL = 40
MAX_ROUNDS = 6
MAX_REFINED = 3
MAX_ALIKE = 40
MAX_STEPS = 3_000_000
"""Jobs timed in the search from one start; the search stops after these, never after a time."""
MAX_MERGE_STEPS = 2_000_000
MAX_ORDERS = 2_000
"""Orders timed while requests that keep their cuts are put in order."""

String = tuple[Shape, ...]


def search_strings(instance: CostInstance, singles: Sequence[Shape], starts: Sequence[Plan]) -> list[String]:
    """The strings found from the rounded LP, from the plans of the baselines, and with all requests alike."""
    alike = alike_strings(instance, singles)
    found = improved_strings(instance, [alike[0], *start_strings(instance, starts)], singles)
    return list(dict.fromkeys([*found, *alike]))


def alike_strings(instance: CostInstance, shapes: Sequence[Shape]) -> list[String]:
    """The best string with all requests alike; more of them where memory is scarce, since they need the least."""
    search = _LocalSearch(instance, staged=False)
    found = sorted(((shape,) * instance.requests for shape in shapes), key=search.value)
    return found[: 1 if instance.constraints.edge_memory_bytes is None else MAX_ALIKE]


def start_strings(instance: CostInstance, starts: Sequence[Plan]) -> list[String]:
    """The plans of others and the rounded mixes of the LP as strings."""
    orders = [*(_in_order(plan) for plan in starts), *_rounded_mixes(instance)]
    return [tuple(best_shape(instance, cut) for cut in cuts) for cuts in orders]


def improved_strings(
    instance: CostInstance, starts: Iterable[Sequence[Shape]], singles: Sequence[Shape], staged: bool = False
) -> list[String]:
    """Local search from several strings; `staged` times every request as four indivisible stages."""
    strings = list(dict.fromkeys(tuple(start) for start in starts))
    pool = list(dict.fromkeys([shape for string in strings for shape in string] + _shortlist(singles)))
    search = _LocalSearch(instance, staged)
    found = list(dict.fromkeys(search.improve(string, pool) for string in strings))
    found.sort(key=search.value)
    return [*(search.refine(string) for string in found[:MAX_REFINED]), *found]


def best_order(
    instance: CostInstance, string: Sequence[Shape], starts: Iterable[Sequence[int]], staged: bool = False
) -> tuple[int, ...]:
    """The best order found for requests that keep their shapes; `starts` are orders to begin from."""
    search = _LocalSearch(instance, staged)
    return min((search.reorder(string, start) for start in starts), key=lambda found: found[0])[1]


class _LocalSearch:
    """Improves strings of shapes; `staged` times every request as four indivisible stages."""

    def __init__(self, instance: CostInstance, staged: bool) -> None:
        self.instance, self.staged = instance, staged
        self.by_period = instance.objective is Objective.THROUGHPUT

    def improve(self, string: String, pool: Sequence[Shape]) -> String:
        """Give requests other shapes of the pool, and exchange and move them, while that helps."""
        place = {shape: i for i, shape in enumerate(pool)}
        ids = np.array([place[shape] for shape in string], np.int64)
        better = kernels.improve_string(ids, *self._tables(pool), MAX_STEPS)
        return tuple(pool[i] for i in better.tolist())

    def value(self, string: String) -> tuple[int, int]:
        pool = list(dict.fromkeys(string))
        ids = np.array([pool.index(shape) for shape in string], np.int64)
        objective, other = kernels.string_value(ids, *self._tables(pool))
        return int(objective), int(other)

    def reorder(self, string: Sequence[Shape], start: Sequence[int]) -> tuple[tuple[int, int], tuple[int, ...]]:
        """Move single requests to other places in the order while that helps; the value, and the order."""
        pool = list(dict.fromkeys(string))
        place = {shape: i for i, shape in enumerate(pool)}
        ids, tables = np.array([place[shape] for shape in string], np.int64), self._tables(pool)
        order = np.array(start, np.int64)
        value, tried, improved = kernels.string_value(ids[order], *tables), 1, True
        while improved and tried < MAX_ORDERS:
            improved = False
            for i, j in product(range(len(order)), range(len(order))):
                if ids[order[i]] == ids[order[j]] or tried >= MAX_ORDERS:
                    continue
                trial = np.insert(np.delete(order, i), j, order[i])
                other, tried = kernels.string_value(ids[trial], *tables), tried + 1
                if other < value:
                    value, order, improved = other, trial, True
        return (int(value[0]), int(value[1])), tuple(order.tolist())

    def _tables(self, pool: Sequence[Shape]) -> tuple[Ints, Ints, Ints, int, bool]:
        jobs = [_as_stages(shape) if self.staged else shape.jobs for shape in pool]
        loads = np.array([shape.loads for shape in pool], np.int64)
        first = np.cumsum([0, *map(len, jobs)])
        return np.concatenate(jobs), first, loads, self.instance.half_rtt_ns, self.by_period

    def refine(self, string: String) -> String:
        """Move the requests' cuts inside their stretches while that helps the whole string."""
        for _ in range(MAX_ROUNDS):
            own = list(dict.fromkeys(string))
            near = dict.fromkeys(cut for shape in own for cut in neighbours(self.instance, shape.cut))
            fresh = [best_shape(self.instance, cut) for cut in near if all(cut != shape.cut for shape in own)]
            better = self.improve(string, [*own, *self._most_useful(string, fresh)])
            if self.value(better) >= self.value(string):
                break
            string = better
        return string

    def _most_useful(self, string: String, fresh: Sequence[Shape]) -> list[Shape]:
        """The shapes with which one request of the string, cut so instead, makes the best whole."""
        own = list(dict.fromkeys(string))
        tables = self._tables([*own, *fresh])
        ids = np.array([own.index(shape) for shape in string], np.int64)
        places = np.array([string.index(shape) for shape in own], np.int64)
        values = kernels.replaced_values(ids, places, len(own), *tables)
        return [fresh[i] for i in np.lexsort(values.T[::-1])[:MAX_POOL].tolist()]


def _as_stages(shape: Shape) -> Ints:
    edge, uplink, cloud, downlink = shape.loads
    offloaded = len(shape.cut) < len(shape.instance.graph.layers)
    nothing = kernels.NOTHING
    return np.array([[edge, uplink, cloud, downlink] if offloaded else [edge, nothing, 0, nothing]], np.int64)


def _in_order(plan: Plan) -> list[Cut]:
    """The cuts of a plan's requests in its own order on the edge."""
    return [plan.cuts[request] for request in dict.fromkeys(work.request for work in plan.sequences[Resource.EDGE])]


def _rounded_mixes(instance: CostInstance) -> list[list[Cut]]:
    """The LP's mixes, with and without idle time at the ends, as whole requests; early cuts before late ones."""
    n, graph = instance.requests, instance.graph
    known = cuts_of(candidates(instance))
    tensors = np.array([i for i, tensor in enumerate(graph.tensors) if tensor.consumers], np.int64)
    offsets = [delays(instance).idle(tensors, all_offloaded=True)] if len(tensors) else []
    mixes = [best_mix(instance, n, known=known), *(best_mix(instance, n, idle, known=known) for idle in offsets)]
    found = []
    for mix in mixes:
        wanted = [share * n for share in mix.shares]
        counts = [int(share) for share in wanted]
        by_rest = sorted(range(len(wanted)), key=lambda i: counts[i] - wanted[i])
        for i in by_rest[: n - sum(counts)]:
            counts[i] += 1
        pairs = sorted(zip(mix.cuts, counts, strict=True), key=lambda pair: len(pair[0]))
        cuts = [cut for cut, count in pairs for _ in range(count) if fits(instance, cut)]
        if len(cuts) == n:
            found.append(cuts)
    return found


def _shortlist(singles: Sequence[Shape]) -> list[Shape]:
    """Shapes that differ in purpose: the fastest alone, the smallest bottlenecks, the least of each resource."""
    orders: list[Callable[[Shape], tuple[int, int]]] = [
        lambda shape: (shape.makespan_ns, 0),
        lambda shape: (shape.loads.bottleneck_ns, shape.makespan_ns),
        lambda shape: (shape.loads.edge_ns + shape.loads.uplink_ns, shape.makespan_ns),
        lambda shape: (shape.loads.uplink_ns + shape.loads.cloud_ns, shape.makespan_ns),
        lambda shape: (shape.loads.edge_ns + shape.loads.cloud_ns, shape.makespan_ns),
    ]
    ranked = [sorted(singles, key=order) for order in orders]
    merged = dict.fromkeys(shape for row in zip(*ranked, strict=True) for shape in row)
    return list(merged)[:MAX_POOL]


def merged_plan(instance: CostInstance, string: String) -> Plan:
    """The branch-pipelined plan of a string, the jobs of different requests interleaved where that ends earlier."""
    jobs = np.concatenate([shape.jobs for shape in string])
    request = np.repeat(np.arange(len(string)), [len(shape.jobs) for shape in string])
    number = np.concatenate([np.arange(len(shape.jobs)) for shape in string])
    order = np.arange(len(jobs))
    if instance.objective is Objective.MAKESPAN and len(jobs) > 2 * len(string):
        order = kernels.interleave(jobs, request, instance.half_rtt_ns, MAX_MERGE_STEPS)
    pairs = list(zip(request[order].tolist(), number[order].tolist(), strict=True))
    sequences = {
        resource: pick_works(instance.graph, ((i, string[i].work_of_jobs[resource][job]) for i, job in pairs))
        for resource in RESOURCES
    }
    return Plan(Execution.BRANCH_PIPELINED, tuple(shape.cut for shape in string), sequences)
