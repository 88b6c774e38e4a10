"""The cheapest cut of one request under weights on the four resources.

Cuts right after a waist have their loads in closed form. Only between two waists, and only where a lower bound says
that it may pay, is a max-flow solved, on the layers in between. Its network, with a layer on the source side meaning
"runs on the edge": arc source->v costs the cloud time of v, v->sink its edge time, v->v' the uplink time of a tensor,
v'->u is infinite for each consumer u, and u->v is infinite for each edge (v, u), without which a min cut may let the
cloud feed the edge. An output layer's cloud arc also carries its downlink time. Construction after DADS (INFOCOM'19),
with the reverse arcs and the way back added; the restriction to stretches between waists is that of QDMP (IMWUT'20).
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from ortools.graph.python import max_flow

from decc_core.errors import SolverFailed
from decc_core.network.arrays import Ints, Mask, topology
from decc_core.network.branches import split_branches
from decc_core.network.graph import LayerGraph
from decc_core.problem.instance import CostInstance, Cut

Weights = tuple[int, int, int, int]
"""Non-negative integer weights on E, T, C and D."""

CAPACITY_LIMIT = 2**60
EDGE, UPLINK, CLOUD, DOWNLINK, INFINITE = range(5)
"""What an arc costs: time on one of the resources, or more than any cut may pay."""

NO_PINS: Cut = frozenset()


@dataclass(frozen=True, eq=False)
class Stretch:
    """The layers `low` up to `high` between two neighbouring waists, as a flow network.

    A cut lies in the stretch if everything before `low` runs on the edge and everything from `high` on in the cloud;
    `ends` is false for what follows the last waist, where a cut may also leave everything on the edge. `item` is the
    layer or tensor whose time an arc costs, by `kind`. `tensors` may cross in this stretch.
    """

    low: int
    high: int
    ends: bool
    tensors: Ints
    tails: NDArray[np.int32]
    heads: NDArray[np.int32]
    kind: NDArray[np.int8]
    item: Ints

    @property
    def source(self) -> int:
        return self.high - self.low

    @property
    def sink(self) -> int:
        return self.source + 1


@lru_cache(maxsize=32)
def stretches(graph: LayerGraph) -> tuple[Stretch, ...]:
    """The stretches of a graph that have an interior."""
    waists = split_branches(graph).waists
    found = []
    for start, end in pairwise((None, *waists, None)):
        low = 0 if start is None else start + 1
        high = len(graph.layers) if end is None else end
        if low < high:
            found.append(_stretch(graph, low, high, end is not None))
    return tuple(found)


def _stretch(graph: LayerGraph, low: int, high: int, ends: bool) -> Stretch:
    source, sink = high - low, high - low + 1
    rows: list[tuple[int, int, int, int]] = []
    first = next((i for i, tensor in enumerate(graph.tensors) if tensor.producer >= low - 1), len(graph.tensors))
    tensors = [i for i in range(first, len(graph.tensors)) if graph.tensors[i].producer < high]
    inputs = set(graph.inputs)

    def node(layer: int) -> int:
        return source if layer < low or layer in inputs else sink if layer >= high else layer - low

    for layer in range(low, high):
        if layer not in inputs:
            rows.append((node(layer), sink, EDGE, layer))
            rows.append((source, node(layer), CLOUD, layer))
            rows += [(node(layer), node(parent), INFINITE, 0) for parent in graph.parents[layer] if parent >= low]
    extra = sink + 1
    for i in tensors:
        tensor = graph.tensors[i]
        if tensor.is_output and tensor.producer >= low and tensor.producer not in inputs:
            rows.append((source, node(tensor.producer), DOWNLINK, i))
        if len(tensor.consumers) == 1:
            rows.append((node(tensor.producer), node(tensor.consumers[0]), UPLINK, i))
        elif tensor.consumers:
            rows.append((node(tensor.producer), extra, UPLINK, i))
            rows += [(extra, node(consumer), INFINITE, 0) for consumer in tensor.consumers]
            extra += 1
    tails, heads, kind, item = zip(*rows, strict=True) if rows else ((), (), (), ())
    read = [i for i in tensors if graph.tensors[i].consumers]
    return Stretch(
        low=low,
        high=high,
        ends=ends,
        tensors=np.array(read, np.int64),
        tails=np.array(tails, np.int32),
        heads=np.array(heads, np.int32),
        kind=np.array(kind, np.int8),
        item=np.array(item, np.int64),
    )


class CutNetwork:
    """The cuts of an instance, prepared once and searched for many weights."""

    def __init__(self, instance: CostInstance) -> None:
        self.instance = instance
        self.n_layers = len(instance.graph.layers)
        self.stretches = stretches(instance.graph)
        waists = split_branches(instance.graph).waists
        self.prefixes = prefix_loads(instance)
        """E, T, C and D of the cuts with the inputs and the first k layers on the edge."""
        self.points = np.array([waist + 1 for waist in waists], np.int64)
        self.totals = tuple(sum(times.tolist()) for times in instance.arrays)
        limited = instance.constraints.uplink_bytes is not None
        self.forbidden = ~instance.sendable if limited else None
        """Tensors too large to be sent at all; a cut in which one crosses is no cut."""
        self.prefix_bytes = prefix_sums(instance, np.array(instance.wire_bytes, np.int64))
        self.low = np.array([one.low for one in self.stretches], np.int64)
        self.high = np.array([one.high for one in self.stretches], np.int64)
        uplink = instance.arrays[UPLINK]
        self.least_sent = np.array(
            [min(uplink[one.tensors].tolist(), default=0) if one.ends else 0 for one in self.stretches], np.int64
        )
        # What a stretch pays for certain: edge time before it, cloud and downlink time after it.
        self.certain = np.zeros((len(self.stretches), 4), np.int64)
        self.certain[:, EDGE] = self.prefixes[self.low, EDGE]
        self.certain[:, CLOUD] = self.prefixes[self.high, CLOUD]
        self.certain[:, DOWNLINK] = np.where(self.high < self.n_layers, self.prefixes[self.high, DOWNLINK], 0)

    def cheapest(self, weights: Weights, on_edge: Set[int] = NO_PINS, in_cloud: Set[int] = NO_PINS) -> Cut:
        """A cut of least weighted load, with the given layers pinned.

        Exact while the weighted total stays under 2**60; beyond, low bits are dropped from all times alike (`slack`).
        Pins come on top of those of the instance, and must leave a legal cut: no layer of `in_cloud` may lead to one of
        `on_edge`.
        """
        on_edge, in_cloud = self.instance.on_edge | on_edge, self.instance.in_cloud | in_cloud
        found = self._cheapest(weights, on_edge, in_cloud, self.forbidden)
        if found is None and self.forbidden is not None:
            found = self._cheapest(weights, on_edge, in_cloud, None)
        if found is None:
            raise SolverFailed(f"The pins leave no cut of '{self.instance.graph.name}'.")
        return found

    def _cheapest(self, weights: Weights, on_edge: Cut, in_cloud: Cut, forbidden: Mask | None) -> Cut | None:
        """The cheapest cut in which no forbidden tensor crosses, if there is any."""
        last_edge, first_cloud = max(on_edge, default=-1), min(in_cloud, default=self.n_layers)
        shift = self._shift(weights)
        best, cut = None, None
        points = self.points[(self.points > last_edge) & (self.points <= first_cloud)]
        if forbidden is not None:
            points = points[self.prefix_bytes[points] <= (self.instance.constraints.uplink_bytes or 0)]
        if len(points):
            values = self._weighted(self.prefixes[points], weights, shift)
            place = int(values.argmin())
            best, cut = int(values[place]), frozenset(range(int(points[place]))) | self.instance.all_cloud
        for bound, i in self._promising(weights, shift, last_edge, first_cloud):
            if best is not None and bound >= best:
                break
            value, found = self._solve(i, weights, shift, on_edge, in_cloud, forbidden)
            if value < CAPACITY_LIMIT and (best is None or value < best):
                best, cut = value, found
        return cut

    def reaches(self, stretch: Stretch) -> bool:
        """Whether the instance's pins allow a cut in the stretch."""
        last_edge = max(self.instance.on_edge, default=-1)
        return last_edge < stretch.high and min(self.instance.in_cloud, default=self.n_layers) >= stretch.low

    def slack(self, weights: Weights) -> int:
        """By how much the weighted load of `cheapest` may miss the least one, where the numbers are too large."""
        shift = self._shift(weights)
        return (4 * (self.n_layers + len(self.instance.graph.tensors)) << shift) if shift else 0

    def _shift(self, weights: Weights) -> int:
        total = sum(int(weight * load) for weight, load in zip(weights, self.totals, strict=True))
        return max(0, total.bit_length() - CAPACITY_LIMIT.bit_length() + 1)

    @staticmethod
    def _weighted(loads: Ints, weights: Weights, shift: int) -> Ints:
        if not shift:
            return loads @ np.array(weights, np.int64)
        exact = loads.astype(object) @ np.array(weights, object)
        return np.array([int(value) >> shift for value in exact], np.int64)

    def _promising(self, weights: Weights, shift: int, last_edge: int, first_cloud: int) -> Iterator[tuple[int, int]]:
        """The stretches in which the pins allow a cut, with lower bounds on its cost, most promising first."""
        edge, _, cloud, _ = self.instance.arrays
        if shift:
            least = np.zeros(self.n_layers + 1, np.int64)
        else:
            least = np.concatenate(([0], np.minimum(weights[EDGE] * edge, weights[CLOUD] * cloud).cumsum()))
        bounds = self._weighted(self.certain, weights, shift) + least[self.high] - least[self.low]
        if not shift:
            bounds += weights[UPLINK] * self.least_sent
        for i in np.argsort(bounds, kind="stable").tolist():
            one = self.stretches[i]
            if first_cloud >= one.low and (last_edge < one.high):
                yield int(bounds[i]), i

    def _solve(
        self, i: int, weights: Weights, shift: int, on_edge: Cut, in_cloud: Cut, forbidden: Mask | None
    ) -> tuple[int, Cut]:
        """The cheapest cut inside one stretch, by max-flow; from CAPACITY_LIMIT on there is none."""
        one = self.stretches[i]
        flow = max_flow.SimpleMaxFlow()
        tails, heads = self._pinned(one, on_edge, in_cloud)
        flow.add_arcs_with_capacity(tails, heads, self._capacities(one, weights, shift, forbidden))
        if flow.solve(one.source, one.sink) != flow.OPTIMAL:
            raise SolverFailed(f"No minimum cut was found for '{self.instance.graph.name}'.")
        kept = [node + one.low for node in flow.get_source_side_min_cut() if node < one.source]
        value = int(self._weighted(self.certain[i : i + 1], weights, shift)[0]) + flow.optimal_flow()
        pinned = frozenset(on_edge)
        return value, frozenset(range(one.low)).union(kept, pinned, self.instance.all_cloud)

    @staticmethod
    def _pinned(one: Stretch, on_edge: Set[int], in_cloud: Set[int]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        inside = range(one.low, one.high)
        fixed = [(layer - one.low, one.source) for layer in on_edge if layer in inside]
        fixed += [(layer - one.low, one.sink) for layer in in_cloud if layer in inside]
        if not fixed:
            return one.tails, one.heads
        node = np.arange(int(max(one.tails.max(), one.heads.max(), one.sink)) + 1, dtype=np.int32)
        for layer, side in fixed:
            node[layer] = side
        return node[one.tails], node[one.heads]

    def _capacities(self, one: Stretch, weights: Weights, shift: int, forbidden: Mask | None) -> NDArray[np.int64]:
        # Above every sum of finite capacities, so no minimum cut pays it; a feasible cut always exists.
        capacities = np.full(len(one.kind), CAPACITY_LIMIT, np.int64)
        for kind, (times, weight) in enumerate(zip(self.instance.arrays, weights, strict=True)):
            arcs = one.kind == kind
            found = times[one.item[arcs]]
            if shift:
                capacities[arcs] = [weight * time >> shift for time in found.tolist()]
            else:
                capacities[arcs] = found * weight
        if forbidden is not None:
            capacities[(one.kind == UPLINK) & forbidden[one.item]] = CAPACITY_LIMIT
        return capacities


def prefix_loads(instance: CostInstance) -> Ints:
    """E, T, C and D of the cuts with the inputs and the first k layers of the stored order on the edge; row k."""
    edge, uplink, cloud, downlink = instance.arrays
    found = topology(instance.graph)
    returned = np.where(found.is_output, downlink, 0)
    by_producer = np.zeros(found.n_layers + 1, np.int64)
    np.add.at(by_producer, np.where(found.is_input[found.producer], 0, found.producer + 1), returned)
    done = np.concatenate(([0], edge.cumsum()))
    left = cloud.sum() - np.concatenate(([0], cloud.cumsum()))
    return np.column_stack((done, prefix_sums(instance, uplink), left, returned.sum() - by_producer.cumsum()))


def prefix_sums(instance: CostInstance, per_tensor: Ints) -> Ints:
    """For each prefix of the stored order the sum over the tensors that cross."""
    graph = topology(instance.graph)
    read = graph.last_reader >= 0
    made = np.where(graph.is_input[graph.producer], 0, graph.producer + 1)
    found = np.zeros(graph.n_layers + 2, np.int64)
    np.add.at(found, made[read], per_tensor[read])
    np.add.at(found, np.maximum(made, graph.last_reader + 1)[read], -per_tensor[read])
    return np.asarray(found.cumsum()[:-1])


@lru_cache(maxsize=8)
def cut_network(instance: CostInstance) -> CutNetwork:
    """The network of an instance; kept for the strategies that ask one after another."""
    return CutNetwork(instance)
