"""Moves of single layers to the other side, against sets of layers written out."""

from __future__ import annotations

import random

import numpy as np
import pytest

from decc_core.kernels import one_cut
from decc_core.kernels.codes import IN_CLOUD, ON_EDGE
from decc_core.network.arrays import topology
from decc_core.problem.instance import loads_of_masks
from tests.builders import random_graph, random_instance
from tests.planner.test_delays import ancestor_sets


def moved(above: list[set[int]], cut: set[int], layer: int, inside: range, pin: list[int]) -> set[int]:
    """The cut after a layer and all that must go with it changed sides; the cut itself where one of them is pinned."""
    if layer in cut:
        gone = {other for other in inside if layer in above[other]}
        return cut if any(other in cut and pin[other] == ON_EDGE for other in gone) else cut - gone
    come = {other for other in inside if other in above[layer]}
    return cut if any(other not in cut and pin[other] == IN_CLOUD for other in come) else cut | come


@pytest.mark.parametrize("seed", range(60))
def test_a_move_takes_along_exactly_what_it_must(seed):
    rng = random.Random(seed)
    graph = random_graph(rng, rng.randint(2, 40))
    n, arrays, above = len(graph), topology(graph), ancestor_sets(graph)
    low = rng.randrange(n)
    inside = range(low, rng.randint(low + 1, n))
    cut = set(range(low)).union(*(above[i] for i in rng.sample(inside, rng.randint(0, len(inside)))), graph.inputs)
    pin = [rng.choice((0, 0, 0, ON_EDGE, IN_CLOUD)) for _ in range(n)]
    base = np.isin(np.arange(n), list(cut))
    expected = [moved(above, cut, layer, inside, pin) for layer in inside]
    masks = one_cut.moved_cuts(base, np.array(inside), inside.start, inside.stop, np.array(pin), arrays)
    assert [set(np.flatnonzero(mask).tolist()) for mask in masks] == expected
    instance = random_instance(rng, graph, 1)
    load = one_cut.moved_loads(base, inside.start, inside.stop, np.array(pin), arrays, instance.times)
    assert load.tolist() == loads_of_masks(instance, masks).tolist()
