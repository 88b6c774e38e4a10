"""Heads, tails and idle times of crossing tensors, against sets of layers written out."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest

from decc_core.kernels import sequencing
from decc_core.network.arrays import topology
from decc_core.network.graph import LayerGraph
from decc_core.planner.delays import Delays
from tests.builders import make_graph, make_instance, random_graph, random_instance


def ancestor_sets(graph: LayerGraph) -> list[set[int]]:
    """For each layer itself and all that it waits for."""
    behind: list[set[int]] = []
    for layer, parents in enumerate(graph.parents):
        behind.append({layer}.union(*(behind[parent] for parent in parents)))
    return behind


@pytest.mark.parametrize("n_layers", [1, 2, 7, 55, 56, 57, 112, 113, 200])
def test_heads_and_tails_are_the_sums_over_all_ancestors_and_descendants(n_layers):
    for seed in range(8):
        rng = random.Random(seed)
        graph = random_graph(rng, n_layers)
        instance = random_instance(rng, graph, 1)
        above, delays = ancestor_sets(graph), Delays(instance)
        assert delays.head_ns.tolist() == [sum(instance.edge_ns[i] for i in above[v]) for v in range(n_layers)]
        assert delays.tail_ns.tolist() == [
            sum(instance.cloud_ns[v] for v in range(n_layers) if u in above[v]) for u in range(n_layers)
        ]


def test_sums_beyond_53_bits_are_exact():
    graph = make_graph({"x": [], "a": ["x"], "b": ["x"], "y": ["a", "b"]})
    instance = make_instance(graph, {"a": 2**60 + 1, "b": 2**60 + 2, "y": 1}, {}, {})
    assert Delays(instance).head_ns.tolist() == [0, 2**60 + 1, 2**60 + 2, 2**61 + 4]


def test_a_fork_gives_the_idle_times_on_paper():
    # x feeds a (edge 3) and b (edge 5); both feed y (cloud 7). Sending x takes 2, a and b 1 each; the way back 4.
    graph = make_graph({"x": [], "a": ["x"], "b": ["x"], "y": ["a", "b"]})
    instance = make_instance(
        graph, {"a": 3, "b": 5, "y": 9}, {"a": 2, "b": 2, "y": 7}, {"x": 2, "a": 1, "b": 1}, downlink=4, half_rtt_ns=10
    )
    delays = Delays(instance)
    crossing = np.array([1, 2])
    assert delays.h.tolist() == [0, 3, 5, 17]
    assert delays.least_q.tolist() == [9, 7, 7, 0]
    assert delays.single_exit
    assert delays.shortest_way_ns(crossing) == 3 + 1 + 7 + 20 + 4
    assert delays.idle(crossing, all_offloaded=True) == (1 + 7 + 24, 3 + 7 + 24, 4 + 24, 4 + 20 + 7)
    assert delays.idle(crossing, all_offloaded=False).edge_ns == 0


def test_a_chain_of_twenty_thousand_layers_takes_no_square_of_memory_and_little_time():
    n = 20_000
    graph = make_graph({"n0": []} | {f"n{i}": [f"n{i - 1}"] for i in range(1, n)})
    arrays, times = topology(graph), np.arange(n)
    sequencing.sums_behind(arrays.parent_first, arrays.parents, times, False)
    began = time.process_time()
    sums = sequencing.sums_behind(arrays.parent_first, arrays.parents, times, False)
    assert time.process_time() - began < 0.5
    assert sums.tolist() == times.cumsum().tolist()
    behind = sequencing.sums_behind(arrays.child_first, arrays.children, times, True)
    assert behind.tolist() == times[::-1].cumsum()[::-1].tolist()
