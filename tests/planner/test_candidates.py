"""Cuts worth considering, and arrays of cuts, against every predecessor-closed set written out."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from decc_core.errors import ImpossibleConstraints
from decc_core.planner.analysis import Analysis
from decc_core.planner.candidates import Candidates
from decc_core.planner.cuts import Cuts
from decc_core.planner.mincut import CutNetwork, as_cut
from decc_core.problem.constraints import Constraints
from decc_core.problem.instance import CostInstance, Cut, loads, uplink_bytes
from tests.brute_force import all_cuts, sequential_cost
from tests.builders import make_graph, make_instance, random_graph, random_instance


def small_instance(seed: int) -> CostInstance:
    rng = random.Random(seed)
    return random_instance(rng, random_graph(rng, rng.randint(1, 10)), 1)


def costs(instance: CostInstance, cut: Cut) -> tuple[int, ...]:
    return (*loads(instance, cut), sequential_cost(instance, cut))


def cuts_of(cuts: Cuts) -> list[Cut]:
    return [as_cut(cuts.mask(place)) for place in range(len(cuts))]


def pinned(seed: int) -> CostInstance | None:
    """A small instance with one or two layers pinned, and some with a limit on bytes; None where the pins clash."""
    rng, plain = random.Random(1000 + seed), small_instance(seed)
    layers = [i for i in range(len(plain.graph.layers)) if i not in plain.graph.inputs]
    on_edge, in_cloud = (frozenset(rng.sample(layers, rng.randint(0, min(1, len(layers))))) for _ in "ec")
    limit = rng.choice((None, None, 60))
    try:
        return replace(plain, constraints=Constraints(on_edge, in_cloud, uplink_bytes=limit))
    except ImpossibleConstraints:
        return None


def test_a_chain_has_its_ends_and_the_cut_that_sends_least():
    # The edge takes 10 a layer, the cloud 1. Sending x takes 5, a 2, b 9, nothing comes back.
    graph = make_graph({"x": [], "a": ["x"], "b": ["a"], "y": ["b"]})
    times = dict.fromkeys("aby", 10), dict.fromkeys("aby", 1), {"x": 5, "a": 2, "b": 9}
    candidates = Analysis(make_instance(graph, *times)).candidates
    assert as_cut(candidates.least_sequential) == {0}
    assert candidates.best_prefix in (0, 1)
    # After b (20 + 9 + 1) a prefix is worse in every way than all-edge is not: 30 on the edge, nothing else.
    assert sorted(map(sorted, cuts_of(candidates.undominated))) == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]


@pytest.mark.parametrize("batch", range(4))
def test_the_cut_of_least_sequential_time_is_that_of_all_closed_sets(batch):
    for seed in range(25 * batch, 25 * batch + 25):
        instance = small_instance(seed)
        best = min(sequential_cost(instance, cut) for cut in all_cuts(instance))
        candidates = Analysis(instance).candidates
        assert sequential_cost(instance, as_cut(candidates.least_sequential)) == best, seed
        assert candidates.undominated.sequential_ns.min() == best, seed


def test_under_pins_it_is_that_of_the_closed_sets_that_keep_them():
    for seed in range(100):
        instance = pinned(seed)
        if instance is None or instance.constraints.uplink_bytes is not None:
            continue
        kept = [cut for cut in all_cuts(instance) if instance.allows(cut)]
        best = min(sequential_cost(instance, cut) for cut in kept)
        assert sequential_cost(instance, as_cut(Analysis(instance).candidates.least_sequential)) == best, seed


def test_no_candidate_is_illegal_or_beaten_by_another_in_everything():
    for seed in range(100):
        instance = pinned(seed) or small_instance(seed)
        try:
            cuts = cuts_of(Analysis(instance).candidates.undominated)
        except ImpossibleConstraints:
            continue
        assert set(cuts) <= {cut for cut in all_cuts(instance) if instance.allows(cut)}, seed
        values = [costs(instance, cut) for cut in cuts]
        assert len(set(values)) == len(values), seed
        for one in values:
            assert not any(other != one and all(map(int.__le__, other, one)) for other in values), seed
        assert [value[-1] for value in values] == sorted(value[-1] for value in values), seed


def test_no_cut_after_a_waist_is_missing_but_those_that_another_candidate_beats():
    for seed in range(60):
        instance = small_instance(seed)
        analysis = Analysis(instance)
        values = [costs(instance, cut) for cut in cuts_of(analysis.candidates.undominated)]
        for k in analysis.network.points.tolist():
            waist = costs(instance, as_cut(analysis.network.prefix(k)))
            assert any(all(map(int.__le__, other, waist)) for other in values), seed


def test_the_best_prefix_is_the_best_of_all_that_keep_the_constraints():
    for seed in range(100):
        instance = pinned(seed) or small_instance(seed)
        network = CutNetwork(instance)
        prefixes = [as_cut(network.prefix(k)) for k in range(len(instance.graph.layers) + 1)]
        allowed = [cut for cut in prefixes if instance.allows(cut)]
        found = Candidates(network, Analysis(instance).mixes).best_prefix
        if found is None:
            assert not allowed, seed
        else:
            assert prefixes[found] in allowed, seed
            cost = network.prefix_sequential_ns
            assert cost[found] == min(cost[k] for k, cut in enumerate(prefixes) if cut in allowed), seed


def test_an_impossible_limit_is_refused_with_the_least_that_must_be_sent():
    graph = make_graph({"x": [], "a": ["x"], "y": ["a"]})
    plain = make_instance(graph, {"a": 1, "y": 1}, {"a": 1, "y": 1}, {"x": 9, "a": 4})
    instance = replace(plain, constraints=Constraints(in_cloud=frozenset({2}), uplink_bytes=3))
    with pytest.raises(ImpossibleConstraints, match="sends at least 4 bytes"):
        _ = Analysis(instance).candidates.least_sequential


def test_prefixes_and_sets_of_layers_stand_beside_each_other():
    for seed in range(30):
        instance = small_instance(seed)
        network, rng = CutNetwork(instance), random.Random(seed)
        sets = rng.choices(all_cuts(instance), k=4)
        layers = np.array(rng.choices(range(len(instance.graph.layers) + 1), k=3))
        cuts = Cuts.of_masks(network, [network.mask(cut) for cut in sets]) + Cuts.of_prefixes(network, layers)
        expected = [*dict.fromkeys(sets), *(as_cut(network.prefix(k)) for k in layers.tolist())]
        assert cuts_of(cuts) == expected
        assert [tuple(row) for row in cuts.loads.tolist()] == [loads(instance, cut) for cut in expected]
        assert cuts.sequential_ns.tolist() == [
            sum(loads(instance, cut)) + (2 * instance.half_rtt_ns if used else 0)
            for cut, used in zip(expected, cuts.use_cloud.tolist(), strict=True)
        ]
        assert cuts.bottleneck_ns.tolist() == [max(loads(instance, cut)) for cut in expected]
        order = rng.sample(range(len(cuts)), len(cuts))
        assert cuts_of(cuts.take(np.array(order))) == [expected[i] for i in order]


def test_cuts_that_break_a_limit_are_left_out():
    for seed in range(30):
        plain = small_instance(seed)
        instance = replace(plain, constraints=Constraints(uplink_bytes=20))
        network = CutNetwork(instance)
        every = [network.mask(cut) for cut in all_cuts(plain)]
        kept = cuts_of(Cuts.of_masks(network, every).fitting())
        assert kept == [cut for cut in all_cuts(plain) if uplink_bytes(plain, cut) <= 20], seed
