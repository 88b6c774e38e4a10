"""The cheapest cut of one request under weights on the four resources, by max-flow.

Source (edge) and sink (cloud) are contracted with the layers that are pinned to them. With a layer on the source side
meaning "runs on the edge": arc source->v costs the cloud time of v, v->sink its edge time, v->v' the uplink time of a
tensor, v'->u is infinite for each consumer u, and u->v is infinite for each edge (v, u), without which a min cut may
let the cloud feed the edge. An output layer's cloud arc also carries its downlink time. Construction after DADS
(INFOCOM'19), with the reverse arcs and the way back added.
"""

from __future__ import annotations

from collections.abc import Set
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from ortools.graph.python import max_flow

from decc_core.cost import CostInstance, Cut
from decc_core.errors import SolverFailed

Weights = tuple[int, int, int, int]
"""Non-negative integer weights on E, T, C and D."""

CAPACITY_LIMIT = 2**60
EDGE, UPLINK, CLOUD, DOWNLINK, INFINITE = range(5)
"""What an arc costs: time on one of the resources, or more than any cut may pay."""


class CutNetwork:
    """The flow network of an instance, built once and solved for many weights."""

    def __init__(self, instance: CostInstance) -> None:
        graph = instance.graph
        self.instance = instance
        self.n_layers = len(graph.layers)
        self.source, self.sink = self.n_layers, self.n_layers + 1
        tails, heads, resource, cost = [], [], [], []

        def arc(tail: int, head: int, kind: int, time_ns: int) -> None:
            tails.append(tail)
            heads.append(head)
            resource.append(kind)
            cost.append(time_ns)

        for layer in range(self.n_layers):
            if layer not in graph.inputs:
                arc(layer, self.sink, EDGE, instance.edge_ns[layer])
                arc(self.source, layer, CLOUD, instance.cloud_ns[layer])
                for parent in graph.parents[layer]:
                    arc(layer, parent, INFINITE, 0)
        node = self.sink + 1
        for i, tensor in enumerate(graph.tensors):
            if tensor.is_output and tensor.producer not in graph.inputs:
                arc(self.source, tensor.producer, DOWNLINK, instance.downlink_ns[i])
            if len(tensor.consumers) == 1:
                arc(tensor.producer, tensor.consumers[0], UPLINK, instance.uplink_ns[i])
            elif tensor.consumers:
                arc(tensor.producer, node, UPLINK, instance.uplink_ns[i])
                for consumer in tensor.consumers:
                    arc(node, consumer, INFINITE, 0)
                node += 1
        self.n_nodes = node
        self.tails, self.heads = np.array(tails, np.int32), np.array(heads, np.int32)
        self.resource, self.cost = np.array(resource, np.int8), np.array(cost, np.int64)
        totals = [int(self.cost[self.resource == kind].astype(object).sum()) for kind in range(4)]
        self.totals: Weights = (totals[0], totals[1], totals[2], totals[3])

    def cheapest(self, weights: Weights, on_edge: Set[int] = frozenset(), in_cloud: Set[int] = frozenset()) -> Cut:
        """A cut of least weighted load, with the given layers pinned.

        Exact while the weighted total stays under 2**60; beyond, low bits are dropped from all times alike.
        Pins must leave a legal cut: no layer of `in_cloud` may feed one of `on_edge`.
        """
        flow = max_flow.SimpleMaxFlow()
        flow.add_arcs_with_capacity(*self._pinned(on_edge, in_cloud), self._capacities(weights))
        if flow.solve(self.source, self.sink) != flow.OPTIMAL:
            raise SolverFailed(f"No minimum cut was found for '{self.instance.graph.name}'.")
        side = flow.get_source_side_min_cut()
        return frozenset(node for node in side if node < self.n_layers) | self.instance.all_cloud | on_edge

    def _pinned(self, on_edge: Set[int], in_cloud: Set[int]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        node = np.arange(self.n_nodes, dtype=np.int32)
        node[list(self.instance.graph.inputs)] = self.source
        node[list(on_edge)] = self.source
        node[list(in_cloud)] = self.sink
        return node[self.tails], node[self.heads]

    def _capacities(self, weights: Weights) -> NDArray[np.int64]:
        total = sum(weight * load for weight, load in zip(weights, self.totals, strict=True))
        factors = np.array([*weights, 0], np.int64)[self.resource]
        if total < CAPACITY_LIMIT:
            capacities = self.cost * factors
        else:
            shift = total.bit_length() - CAPACITY_LIMIT.bit_length() + 1
            exact = self.cost.astype(object) * factors.astype(object)
            capacities = np.array([capacity >> shift for capacity in exact], np.int64)
        # Above every sum of finite capacities, so no minimum cut pays it; a feasible cut always exists.
        capacities[self.resource == INFINITE] = CAPACITY_LIMIT
        return np.asarray(capacities, np.int64)


@lru_cache(maxsize=8)
def cut_network(instance: CostInstance) -> CutNetwork:
    """The network of an instance; kept for the strategies that ask one after another."""
    return CutNetwork(instance)
