"""Cheapest cuts under weights, and prefixes in closed form, against every predecessor-closed set written out."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from decc_core.errors import ImpossibleConstraints
from decc_core.network.graph import Layer, TensorSpec
from decc_core.planner.mincut import CutNetwork, Weights, as_cut
from decc_core.plans.memory import cut_memory_bytes
from decc_core.problem.constraints import Constraints
from decc_core.problem.instance import CostInstance, Cut, loads, uplink_bytes
from tests.brute_force import all_cuts, sequential_cost
from tests.builders import make_graph, make_instance, random_graph, random_instance

SOME_WEIGHTS: tuple[Weights, ...] = (
    (1, 1, 1, 1),
    (1, 0, 0, 0),
    (0, 1, 0, 0),
    (3, 1, 7, 2),
    (1, 50, 1, 50),
    (0, 0, 0, 0),
)


def weighted(instance: CostInstance, cut: Cut, weights: Weights) -> int:
    return sum(weight * load for weight, load in zip(weights, loads(instance, cut), strict=True))


def small_instance(seed: int) -> CostInstance:
    rng = random.Random(seed)
    return random_instance(rng, random_graph(rng, rng.randint(1, 10)), 1)


def prefix(instance: CostInstance, k: int) -> Cut:
    return frozenset(range(k)) | frozenset(instance.graph.inputs)


def test_a_diamond_is_cut_where_one_works_out_on_paper():
    # Edge: a 2, b 3, y 9. Cloud: 1 each. Sending x takes 6, a 4, b 5; y comes back in 2.
    graph = make_graph({"x": [], "a": ["x"], "b": ["x"], "y": ["a", "b"]})
    times = {"a": 2, "b": 3, "y": 9}, {"a": 1, "b": 1, "y": 1}, {"x": 6, "a": 4, "b": 5}
    network = CutNetwork(make_instance(graph, *times, downlink=2))
    # All sums: x alone 6 + 3 + 2 = 11; all-edge 14; a and b 5 + 9 + 1 + 2 = 17; x and a 2 + 6 + 4 + 2 + 2 = 16.
    assert as_cut(network.cheapest((1, 1, 1, 1))) == {0}
    # Edge time for nothing: everything stays.
    assert as_cut(network.cheapest((0, 1, 1, 1))) == {0, 1, 2, 3}
    assert network.prefixes.tolist() == [[0, 6, 3, 2], [0, 6, 3, 2], [2, 10, 2, 2], [5, 9, 1, 2], [14, 0, 0, 0]]


@pytest.mark.parametrize("weights", SOME_WEIGHTS)
def test_the_cheapest_cut_is_that_of_all_closed_sets(weights):
    for seed in range(40):
        instance = small_instance(seed)
        cut = as_cut(CutNetwork(instance).cheapest(weights))
        cuts = all_cuts(instance)
        assert cut in cuts, seed
        assert weighted(instance, cut, weights) == min(weighted(instance, one, weights) for one in cuts), seed


@pytest.mark.parametrize("weights", SOME_WEIGHTS)
def test_in_one_segment_it_is_that_of_the_closed_sets_there(weights):
    for seed in range(40):
        instance = small_instance(100 + seed)
        network = CutNetwork(instance)
        for segment in network.segments:
            first, last = prefix(instance, segment.low), prefix(instance, segment.high)
            inside = [cut for cut in all_cuts(instance) if first <= cut <= last]
            cut = as_cut(network.cheapest(weights, segment))
            assert first <= cut <= last, seed
            assert weighted(instance, cut, weights) == min(weighted(instance, one, weights) for one in inside), seed


def test_under_pins_it_is_that_of_the_closed_sets_that_keep_them():
    tried = 0
    for seed in range(120):
        rng, plain = random.Random(seed), small_instance(seed)
        layers = [i for i in range(len(plain.graph.layers)) if i not in plain.graph.inputs]
        if len(layers) < 2:
            continue
        edge, cloud = (frozenset(rng.sample(layers, rng.randint(0, 2))) for _ in "ec")
        try:
            instance = replace(plain, constraints=Constraints(edge, cloud))
        except ImpossibleConstraints:
            continue
        weights = rng.choice(SOME_WEIGHTS)
        kept = [cut for cut in all_cuts(plain) if edge <= cut and not cloud & cut]
        cut = as_cut(CutNetwork(instance).cheapest(weights))
        assert cut in kept, seed
        assert weighted(plain, cut, weights) == min(weighted(plain, one, weights) for one in kept), seed
        tried += 1
    assert tried > 60


def test_a_tensor_too_large_to_be_sent_does_not_cross_while_another_cut_is_left():
    for seed in range(60):
        plain = small_instance(seed)
        limit = random.Random(seed).randint(0, 30)
        network = CutNetwork(replace(plain, constraints=Constraints(uplink_bytes=limit)))
        cut = as_cut(network.cheapest((1, 1, 1, 1)))
        crossing = [
            size
            for size, tensor in zip(plain.wire_bytes, plain.graph.tensors, strict=True)
            if tensor.producer in cut and set(tensor.consumers) - cut
        ]
        # All-edge sends nothing, so that there always is such a cut.
        assert max(crossing, default=0) <= limit, seed


def test_numbers_beyond_sixty_bits_miss_the_least_sum_by_no_more_than_the_slack():
    for seed in range(30):
        plain = small_instance(seed)
        scale = 10**15
        instance = replace(
            plain,
            **{
                name: tuple(scale * time + i if time else 0 for i, time in enumerate(getattr(plain, name)))
                for name in ("edge_ns", "cloud_ns", "uplink_ns", "downlink_ns")
            },
        )
        weights = (4096, 4095, 4097, 1)
        network = CutNetwork(instance)
        best = min(weighted(instance, cut, weights) for cut in all_cuts(instance))
        found = weighted(instance, as_cut(network.cheapest(weights)), weights)
        assert best <= found <= best + network.slack(weights), seed
        assert network.slack((1, 1, 1, 1)) == 0


def test_prefixes_are_what_their_layers_say():
    for seed in range(60):
        instance = small_instance(seed)
        network = CutNetwork(instance)
        for k in range(len(instance.graph.layers) + 1):
            cut = prefix(instance, k)
            assert as_cut(network.prefix(k)) == cut
            assert tuple(network.prefixes[k].tolist()) == loads(instance, cut), seed
            assert network.prefix_bytes[k] == uplink_bytes(instance, cut), seed
        for k in network.points.tolist():
            assert network.prefix_sequential_ns[k] == sequential_cost(instance, prefix(instance, k)), seed


def with_weights(rng: random.Random, instance: CostInstance) -> CostInstance:
    """Layers that read some of four weights, which they share, and tensors of random sizes."""
    weights = {name: rng.randint(0, 9) for name in "abcd"}

    def layer(old: Layer) -> Layer:
        made = tuple(TensorSpec((rng.randint(1, 9),), "uint8") for _ in old.outputs)
        read = () if old.is_input else tuple(rng.sample(sorted(weights), rng.choice((0, 0, 1, 2))))
        return replace(old, outputs=made, parameters=read)

    layers = tuple(map(layer, instance.graph.layers))
    return replace(instance, graph=replace(instance.graph, layers=layers, parameter_bytes=weights))


def test_the_memory_of_all_prefixes_at_once_is_that_of_each_ones_schedule():
    exact = 0
    for seed in range(300):
        instance = with_weights(random.Random(seed), small_instance(seed))
        sums = CutNetwork(instance).prefix_memory_bytes.tolist()
        one_by_one = [cut_memory_bytes(instance, prefix(instance, k)) for k in range(len(instance.graph.layers) + 1)]
        if all(instance.uplink_ns) and not any(instance.send_ns):
            exact += 1
            assert sums == one_by_one, seed
        else:
            assert all(a >= b for a, b in zip(sums, one_by_one, strict=True)), seed
    assert exact > 50


def test_a_cut_is_allowed_where_pins_and_bytes_are_kept():
    for seed in range(60):
        rng, plain = random.Random(seed), small_instance(seed)
        layers = [i for i in range(len(plain.graph.layers)) if i not in plain.graph.inputs]
        pinned = frozenset(rng.sample(layers, min(1, len(layers))))
        limit = rng.choice((None, 5, 40))
        network = CutNetwork(replace(plain, constraints=Constraints(pinned, uplink_bytes=limit)))
        for cut in all_cuts(plain):
            kept = pinned <= cut and (limit is None or uplink_bytes(plain, cut) <= limit)
            assert network.allows(network.mask(cut)) == network.fits(network.mask(cut)) == kept, seed
        allowed = network.allowed_prefixes
        for k in np.flatnonzero(allowed).tolist():
            assert network.allows(network.prefix(k)), seed
