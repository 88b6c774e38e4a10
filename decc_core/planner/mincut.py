"""The cheapest cut of one request under weights on the four resources.

Cuts right after a waist have their loads in closed form. Only between two waists, and only where a lower bound says
that it may pay, is a max-flow solved, on the layers in between. Its network, with a layer on the source side meaning
"runs on the edge": arc source->v costs the cloud time of v, v->sink its edge time, v->v' the uplink time of a tensor
and the work to send and receive it, v'->u is infinite for each consumer u, and u->v is infinite for each edge (v, u),
without which a min cut may let the cloud feed the edge. An output layer's cloud arc also carries its downlink time.
Construction after DADS (INFOCOM'19), with the reverse arcs and the way back added; the restriction to segments between
waists is that of QDMP (IMWUT'20).

A cut is a row of booleans here, one for each layer: whether it runs on the edge.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from ortools.graph.python import max_flow

from decc_core.errors import SolverFailed
from decc_core.kernels import codes, one_cut
from decc_core.network.arrays import Ints, Mask, topology
from decc_core.network.branches import split_branches
from decc_core.network.graph import LayerGraph
from decc_core.plans.memory import cut_memory_bytes, parameter_sums, tensor_bytes
from decc_core.problem.constraints import UNCONSTRAINED
from decc_core.problem.instance import CostInstance, Cut, loads_of_masks

Weights = tuple[int, int, int, int]
"""Non-negative integer weights on E, T, C and D."""

EVEN: Weights = (1, 1, 1, 1)
CAPACITY_LIMIT = 2**60
EDGE, UPLINK, CLOUD, DOWNLINK, INFINITE = range(5)
"""What an arc costs: time on one of the resources, or more than any cut may pay."""


class Arcs(NamedTuple):
    """The arcs of a flow network; `item` is the layer or tensor whose time an arc costs, by `kind`."""

    tails: NDArray[np.int32]
    heads: NDArray[np.int32]
    kind: NDArray[np.int8]
    item: Ints


class SegmentFlow:
    """The layers `low` up to `high` between two neighbouring waists, as a flow network.

    A cut lies in the segment if everything before `low` runs on the edge and everything from `high` on in the cloud;
    `ends` is false for what follows the last waist, where a cut may also leave everything on the edge. `tensors` may
    cross in this segment.
    """

    def __init__(self, graph: LayerGraph, low: int, high: int, ends: bool) -> None:
        self.graph, self.low, self.high, self.ends = graph, low, high, ends
        first = topology(graph).made_first
        self._made = range(int(first[max(0, low - 1)]), int(first[high]))
        self.tensors: Ints = np.array([i for i in self._made if graph.tensors[i].consumers], np.int64)

    @property
    def source(self) -> int:
        return self.high - self.low

    @property
    def sink(self) -> int:
        return self.source + 1

    @cached_property
    def arcs(self) -> Arcs:
        graph, low, high, source, sink = self.graph, self.low, self.high, self.source, self.sink
        inputs = set(graph.inputs)
        rows: list[tuple[int, int, int, int]] = []

        def node(layer: int) -> int:
            return source if layer < low or layer in inputs else sink if layer >= high else layer - low

        for layer in range(low, high):
            if layer not in inputs:
                rows.append((node(layer), sink, EDGE, layer))
                rows.append((source, node(layer), CLOUD, layer))
                rows += [(node(layer), node(parent), INFINITE, 0) for parent in graph.parents[layer] if parent >= low]
        extra = sink + 1
        for i in self._made:
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
        return Arcs(
            np.array(tails, np.int32), np.array(heads, np.int32), np.array(kind, np.int8), np.array(item, np.int64)
        )

    @cached_property
    def of_kind(self) -> tuple[tuple[Ints, Ints], ...]:
        """The places of the arcs that cost time on each of the four resources, and whose time that is."""
        places = [np.flatnonzero(self.arcs.kind == kind) for kind in (EDGE, UPLINK, CLOUD, DOWNLINK)]
        return tuple((place, self.arcs.item[place]) for place in places)


@lru_cache(maxsize=8)
def segment_flows(graph: LayerGraph) -> tuple[SegmentFlow, ...]:
    """The segments of a graph that have an interior."""
    segments = []
    for start, end in pairwise((None, *split_branches(graph).waists, None)):
        low = 0 if start is None else start + 1
        high = len(graph.layers) if end is None else end
        if low < high:
            segments.append(SegmentFlow(graph, low, high, end is not None))
    return tuple(segments)


class CutNetwork:
    """The cuts of an instance, prepared once and searched for many weights."""

    def __init__(self, instance: CostInstance) -> None:
        self.instance = instance
        self.topology = topology(instance.graph)
        self.n_layers = self.topology.n_layers
        self.segments = segment_flows(instance.graph)
        self.last_pinned_edge = max(instance.on_edge, default=-1)
        self.first_pinned_cloud = min(instance.in_cloud, default=self.n_layers)
        self.edge_before: Ints = np.concatenate(([0], instance.times.edge_ns.cumsum()))
        """Edge time of the first k layers of the stored order."""
        self.cloud_after: Ints = self.edge_before * 0 + instance.times.cloud_ns.sum()
        self.cloud_after[1:] -= instance.times.cloud_ns.cumsum()
        """Cloud time of all layers but the first k."""
        self.prefixes = self._prefix_loads()
        """E, T, C and D of the cuts with the inputs and the first k layers on the edge; row k."""
        self.points = np.array(split_branches(instance.graph).waists, np.int64) + 1
        """The prefixes that end with a waist."""
        edge, uplink, cloud, downlink = (sum(times.tolist()) for times in instance.times.by_resource)
        self.totals = edge + sum(instance.send_ns), uplink, cloud + sum(instance.receive_ns), downlink
        limited = instance.constraints.uplink_bytes is not None
        self.forbidden = ~instance.sendable if limited else None
        """Tensors too large to be sent at all; a cut in which one crosses is no cut."""
        self.low = np.array([segment.low for segment in self.segments], np.int64)
        self.high = np.array([segment.high for segment in self.segments], np.int64)
        sends = [place for place, segment in enumerate(self.segments) if segment.ends and len(segment.tensors)]
        self.sends = np.array(sends, np.int64)
        """The segments in which at least one of their tensors crosses for certain."""
        self.may_cross = np.concatenate([self.segments[place].tensors for place in sends] or [self.sends])
        self.first_that_may = np.cumsum([0, *(len(self.segments[place].tensors) for place in sends)])[:-1]
        # What a segment pays for certain: edge time before it, cloud and downlink time after it.
        self.certain = np.zeros((len(self.segments), 4), np.int64)
        self.certain[:, EDGE] = self.edge_before[self.low]
        self.certain[:, CLOUD] = self.cloud_after[self.high]
        self.certain[:, DOWNLINK] = np.where(self.high < self.n_layers, self.prefixes[self.high, DOWNLINK], 0)
        self._memory_bytes: dict[bytes, int] = {}
        self._ends: dict[int, tuple[NDArray[np.int32], NDArray[np.int32]]] = {}

    def _prefix_loads(self) -> Ints:
        arrays = self.topology
        times = self.instance.times
        returned = np.where(arrays.is_output, times.downlink_ns, 0)
        by_producer = np.zeros(arrays.n_layers + 1, np.int64)
        np.add.at(by_producer, np.where(arrays.is_input[arrays.producer], 0, arrays.producer + 1), returned)
        return np.column_stack(
            (
                self.edge_before + self._crossing_sums(times.send_ns),
                self._crossing_sums(times.uplink_ns),
                self.cloud_after + self._crossing_sums(times.receive_ns),
                returned.sum() - by_producer.cumsum(),
            )
        )

    def _crossing_sums(self, per_tensor: Ints) -> Ints:
        """For each prefix of the stored order the sum over the tensors that cross."""
        arrays = self.topology
        read = arrays.last_reader >= 0
        made = np.where(arrays.is_input[arrays.producer], 0, arrays.producer + 1)
        changes = np.zeros(arrays.n_layers + 2, np.int64)
        np.add.at(changes, made[read], per_tensor[read])
        np.add.at(changes, np.maximum(made, arrays.last_reader + 1)[read], -per_tensor[read])
        return np.asarray(changes.cumsum()[:-1])

    @cached_property
    def prefix_sequential_ns(self) -> Ints:
        """E + T + C + D + RTT of every prefix; only the last one, all-edge, saves the RTT."""
        costs = self.prefixes.sum(axis=1)
        costs[:-1] += self.instance.rtt_ns
        return np.asarray(costs)

    @cached_property
    def prefix_bytes(self) -> Ints:
        """What a request sends at every prefix."""
        return self._crossing_sums(np.array(self.instance.wire_bytes, np.int64))

    @cached_property
    def crossing_counts(self) -> Ints:
        """How many tensors a request sends at every prefix."""
        return self._crossing_sums(np.ones(self.topology.n_tensors, np.int64))

    @cached_property
    def allowed_prefixes(self) -> Mask:
        """Which prefixes keep the pins and the limit on uplink bytes."""
        k = np.arange(self.n_layers + 1)
        allowed = (k > self.last_pinned_edge) & (k <= self.first_pinned_cloud)
        limit = self.instance.constraints.uplink_bytes
        return np.asarray(allowed if limit is None else allowed & (self.prefix_bytes <= limit))

    @cached_property
    def fitting_prefixes(self) -> Mask:
        """Which prefixes keep the limit on the edge's memory, too, with the requests one after the other."""
        limit = self.instance.constraints.edge_memory_bytes
        return self.allowed_prefixes if limit is None else self.allowed_prefixes & (self.prefix_memory_bytes <= limit)

    @cached_property
    def prefix_memory_bytes(self) -> Ints:
        """What `memory_bytes` says of every prefix, in time that grows with the layers, not with their square.

        A request alone sends after it has computed, so that what lives while a layer runs is the same for every prefix
        that holds the layer; what is to be sent is there at its end. Never too low; exact where sending takes time.
        """
        arrays, sizes = self.topology, tensor_bytes(self.instance.graph)
        first = np.where(arrays.is_input[arrays.producer], 0, arrays.producer)
        last = np.maximum(arrays.producer, arrays.last_reader)
        changes = np.zeros(self.n_layers + 1, np.int64)
        np.add.at(changes, first, sizes)
        np.add.at(changes, last + 1, -sizes)
        # What layers without a time of their own make counts once the next one runs, or the tensors are sent.
        takes_time, sends = self.instance.times.edge_ns > 0, self.instance.times.send_ns > 0
        takes_time[arrays.producer[sends]] = True
        live = np.where(takes_time, changes.cumsum()[:-1], 0)
        highest = np.maximum.accumulate(np.concatenate(([0], live)))
        waiting = int(sizes[arrays.is_input[arrays.producer]].sum()) * (self.instance.requests - 1)
        leaving = self._crossing_sums(sizes)
        if sends[arrays.is_input[arrays.producer]].any():
            # An input that nobody reads is there while the others are sent.
            leaving += int(sizes[arrays.is_input[arrays.producer] & (arrays.last_reader < 0)].sum())
        return np.asarray(np.maximum(highest, leaving) + parameter_sums(self.instance.graph) + waiting)

    def prefix(self, k: int) -> Mask:
        """The cut with the inputs and the first k layers of the stored order on the edge."""
        mask: Mask = self.topology.is_input.copy()
        mask[:k] = True
        return mask

    def prefix_of(self, mask: Mask) -> int | None:
        """The first layer in the cloud, inputs aside, if all after it are there, too."""
        first_off = int(np.append(mask, False).argmin())
        inputs_after = int(self.topology.is_input[first_off:].sum())
        return first_off if int(mask[first_off:].sum()) == inputs_after else None

    def mask(self, cut: Cut) -> Mask:
        """A cut that was given as a set of layers."""
        mask = np.zeros(self.n_layers, np.bool_)
        mask[list(cut)] = True
        return mask

    def loads(self, masks: Mask) -> Ints:
        """E, T, C and D of many cuts, one a row; shape (cuts, 4)."""
        return loads_of_masks(self.instance, masks)

    def sent_bytes(self, mask: Mask) -> int:
        """What one request sends to the cloud."""
        crossing = one_cut.crossing(mask, self.topology)
        return sum(self.instance.wire_bytes[tensor] for tensor in crossing.tolist())

    def allows(self, mask: Mask) -> bool:
        """Whether a cut keeps the pins and the limit on uplink bytes."""
        pins, limit = self.pins, self.instance.constraints.uplink_bytes
        if self.instance.constraints == UNCONSTRAINED:
            return True
        pinned = bool(mask[pins == codes.ON_EDGE].all()) and not mask[pins == codes.IN_CLOUD].any()
        return pinned and (limit is None or self.sent_bytes(mask) <= limit)

    def memory_bytes(self, mask: Mask) -> int:
        """What a cut needs on the edge with the requests one after the other."""
        prefix = self.prefix_of(mask)
        if prefix is not None:
            return int(self.prefix_memory_bytes[prefix])
        # A short key: a long chain has a cut after every layer, and whole masks would be layers by layers.
        key = hashlib.blake2b(mask.tobytes(), digest_size=16).digest()
        if key not in self._memory_bytes:
            self._memory_bytes[key] = cut_memory_bytes(self.instance, as_cut(mask))
        return self._memory_bytes[key]

    def fits(self, mask: Mask) -> bool:
        """Whether a cut keeps pins, bytes sent, and the edge's memory with the requests one after the other."""
        limit = self.instance.constraints.edge_memory_bytes
        return self.allows(mask) and (limit is None or self.memory_bytes(mask) <= limit)

    @cached_property
    def pins(self) -> Ints:
        """Per layer whether a cut may choose its side."""
        pins = np.full(self.n_layers, codes.FREE, np.int64)
        pins[list(self.instance.least_edge)] = codes.ON_EDGE
        pins[list(self.instance.in_cloud)] = codes.IN_CLOUD
        return pins

    def pins_around(self, low: int, high: int) -> Ints:
        """The pins of cuts between two layers: what comes before runs on the edge, what comes after in the cloud."""
        pins: Ints = self.pins.copy()
        pins[:low] = np.where(pins[:low] == codes.IN_CLOUD, codes.IN_CLOUD, codes.ON_EDGE)
        pins[high:] = np.where(pins[high:] == codes.ON_EDGE, codes.ON_EDGE, codes.IN_CLOUD)
        return pins

    def reaches(self, segment: SegmentFlow) -> bool:
        """Whether the instance's pins allow a cut in the segment."""
        return self.last_pinned_edge < segment.high and self.first_pinned_cloud >= segment.low

    def cheapest(self, weights: Weights, segment: SegmentFlow | None = None) -> Mask:
        """A cut of least weighted load, of all or of those in one segment, its two ends included.

        Exact while the weighted total stays under 2**60; beyond, low bits are dropped from all times alike (`slack`).
        """
        last_edge, first_cloud = self.last_pinned_edge, self.first_pinned_cloud
        if segment is not None:
            last_edge, first_cloud = max(last_edge, segment.low - 1), min(first_cloud, segment.high)
        cut = self._cheapest(weights, last_edge, first_cloud, self.forbidden)
        if cut is None and self.forbidden is not None:
            cut = self._cheapest(weights, last_edge, first_cloud, None)
        if cut is None:
            raise SolverFailed(f"The pins leave no cut of '{self.instance.graph.name}'.")
        return cut

    def _cheapest(self, weights: Weights, last_edge: int, first_cloud: int, forbidden: Mask | None) -> Mask | None:
        """The cheapest cut in which no forbidden tensor crosses, if there is any."""
        shift = self._shift(weights)
        best, cut = None, None
        points = self.points[(self.points > last_edge) & (self.points <= first_cloud)]
        if forbidden is not None:
            points = points[self.prefix_bytes[points] <= (self.instance.constraints.uplink_bytes or 0)]
        if len(points):
            values = self._weighted(self.prefixes[points], weights, shift)
            place = int(values.argmin())
            best, cut = int(values[place]), self.prefix(int(points[place]))
        for bound, i in self._promising(weights, shift, last_edge, first_cloud):
            if best is not None and bound >= best:
                break
            value, kept = self._solve(i, weights, shift, forbidden)
            if value < CAPACITY_LIMIT and (best is None or value < best):
                best, cut = value, kept
        return cut

    def slack(self, weights: Weights) -> int:
        """By how much the weighted load of `cheapest` may miss the least one, where the numbers are too large."""
        shift = self._shift(weights)
        return (4 * (self.n_layers + self.topology.n_tensors) << shift) if shift else 0

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
        """The segments in which the pins allow a cut, with lower bounds on its cost, most promising first."""
        edge, cloud = self.instance.times.edge_ns, self.instance.times.cloud_ns
        if shift:
            least = np.zeros(self.n_layers + 1, np.int64)
        else:
            least = np.concatenate(([0], np.minimum(weights[EDGE] * edge, weights[CLOUD] * cloud).cumsum()))
        bounds = self._weighted(self.certain, weights, shift) + least[self.high] - least[self.low]
        if not shift and len(self.sends):
            crossing = self._crossing_costs(weights)[self.may_cross]
            bounds[self.sends] += np.minimum.reduceat(crossing, self.first_that_may)
        reached = np.flatnonzero((first_cloud >= self.low) & (last_edge < self.high))
        for i in reached[np.argsort(bounds[reached], kind="stable")].tolist():
            yield int(bounds[i]), i

    def _crossing_costs(self, weights: Weights) -> Ints:
        """What each tensor costs that crosses, with the work to send and to receive it."""
        times = self.instance.times
        costs: Ints = weights[UPLINK] * times.uplink_ns
        return costs + weights[EDGE] * times.send_ns + weights[CLOUD] * times.receive_ns if times.charged else costs

    def _solve(self, i: int, weights: Weights, shift: int, forbidden: Mask | None) -> tuple[int, Mask]:
        """The cheapest cut inside one segment, by max-flow; from CAPACITY_LIMIT on there is none."""
        segment = self.segments[i]
        flow = max_flow.SimpleMaxFlow()
        if i not in self._ends:
            self._ends[i] = self._ends_of(segment)
        flow.add_arcs_with_capacity(*self._ends[i], self._capacities(segment, weights, shift, forbidden))
        if flow.solve(segment.source, segment.sink) != flow.OPTIMAL:
            raise SolverFailed(f"No minimum cut was found for '{self.instance.graph.name}'.")
        mask = self.prefix(segment.low)
        mask[[node + segment.low for node in flow.get_source_side_min_cut() if node < segment.source]] = True
        mask[list(self.instance.on_edge)] = True
        value = int(self._weighted(self.certain[i : i + 1], weights, shift)[0]) + flow.optimal_flow()
        return value, mask

    def _ends_of(self, segment: SegmentFlow) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Tails and heads of the arcs, pinned layers merged with the source or the sink."""
        arcs, inside = segment.arcs, slice(segment.low, segment.high)
        on_edge = np.zeros(self.n_layers, np.bool_)
        on_edge[list(self.instance.on_edge)] = True
        in_cloud = self.pins[inside] == codes.IN_CLOUD
        if not on_edge[inside].any() and not in_cloud.any():
            return arcs.tails, arcs.heads
        node = np.arange(int(max(arcs.tails.max(), arcs.heads.max(), segment.sink)) + 1, dtype=np.int32)
        node[: segment.source][on_edge[inside]] = segment.source
        node[: segment.source][in_cloud] = segment.sink
        return node[arcs.tails], node[arcs.heads]

    def _capacities(
        self, segment: SegmentFlow, weights: Weights, shift: int, forbidden: Mask | None
    ) -> NDArray[np.int64]:
        # Above every sum of finite capacities, so no minimum cut pays it; a feasible cut always exists.
        arcs = segment.arcs
        capacities = np.full(len(arcs.kind), CAPACITY_LIMIT, np.int64)
        times = self.instance.times
        if shift:
            for kind, (own, weight) in enumerate(zip(times.by_resource, weights, strict=True)):
                parts = [(own, weight)]
                if kind == UPLINK and times.charged:
                    parts += [(times.send_ns, weights[EDGE]), (times.receive_ns, weights[CLOUD])]
                places, items = segment.of_kind[kind]
                capacities[places] = [
                    sum(int(part[item]) * int(weight) for part, weight in parts) >> shift for item in items.tolist()
                ]
        else:
            for (places, items), own, weight in zip(segment.of_kind, times.by_resource, weights, strict=True):
                capacities[places] = own[items] * weight
            if times.charged:
                places, items = segment.of_kind[UPLINK]
                capacities[places] = self._crossing_costs(weights)[items]
        if forbidden is not None:
            capacities[(arcs.kind == UPLINK) & forbidden[arcs.item]] = CAPACITY_LIMIT
        return capacities


def as_cut(mask: Mask) -> Cut:
    """The layers of a row as a set, for a plan to take."""
    return frozenset(np.flatnonzero(mask).tolist())
