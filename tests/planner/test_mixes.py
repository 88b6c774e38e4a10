"""The LP over mixes of cuts: its bound and its shares prove each other, and no assignment of cuts goes below."""

from __future__ import annotations

import random
from itertools import combinations_with_replacement

import numpy as np
import pytest

from decc_core.planner.analysis import Analysis
from decc_core.planner.cuts import Cuts
from decc_core.planner.mincut import as_cut
from decc_core.planner.mixes import MAX_KNOWN, NOTHING_IDLE, Mix, _Master
from decc_core.problem.instance import CostInstance, Cut, Loads, loads
from tests.brute_force import all_cuts
from tests.builders import make_graph, make_instance, random_graph, random_instance

CHAIN = make_graph({"x": [], "y": ["x"]})


def largest(instance: CostInstance, cuts: list[Cut], shares: list[float], idle: Loads) -> float:
    """The largest load, idle time included, if requests take the cuts so often."""
    load = np.array([loads(instance, cut) for cut in cuts], float)
    return float((np.array(shares) @ load + np.array(idle)).max())


def mix_of(instance: CostInstance, requests: int, idle: Loads = NOTHING_IDLE, known: bool = False) -> Mix:
    analysis = Analysis(instance)
    guess = analysis.candidates.undominated if known else Cuts.of_masks(analysis.network, [])
    return analysis.mixes.best(requests, guess, idle)


def small_instance(seed: int, layers: int = 8) -> tuple[random.Random, CostInstance]:
    rng = random.Random(seed)
    return rng, random_instance(rng, random_graph(rng, rng.randint(2, layers)), 1)


def test_half_of_the_requests_each_way_halve_the_largest_load():
    # Edge-only takes 10 a request, cloud-only sends for 10: four requests load edge and uplink with 20 each.
    mix = mix_of(make_instance(CHAIN, {"y": 10}, {"y": 0}, {"x": 10}), 4)
    assert mix.bound_ns == 20
    share = {as_cut(cut): share for cut, share in zip(mix.cuts, mix.shares, strict=True)}
    assert share[frozenset({0})] == pytest.approx(0.5)
    assert share[frozenset({0, 1})] == pytest.approx(0.5)


def test_idle_time_of_a_resource_moves_work_to_the_others():
    # 20 of idle time on the uplink: 40 of edge work and 40 + 20 of sending meet at 30 = 40 e = 20 + 40 (1 - e).
    mix = mix_of(make_instance(CHAIN, {"y": 10}, {"y": 0}, {"x": 10}), 4, Loads(0, 20, 0, 0))
    assert mix.bound_ns == 30


def test_no_request_leaves_the_idle_time():
    assert mix_of(make_instance(CHAIN, {"y": 10}, {"y": 0}, {"x": 10}), 0, Loads(1, 5, 3, 2)).bound_ns == 5


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("batch", range(4))
def test_bound_and_shares_prove_each_other(batch, known):
    for seed in range(25 * batch, 25 * batch + 25):
        rng, instance = small_instance(seed)
        requests = rng.randint(1, 9)
        idle = Loads(*(rng.choice((0, 0, 17)) for _ in range(4)))
        mix = mix_of(instance, requests, idle, known)
        cuts = [as_cut(cut) for cut in mix.cuts]
        assert set(cuts) <= set(all_cuts(instance)), seed
        assert sum(mix.shares) == pytest.approx(1), seed
        # Any mix is at least the least one, and the bound at most: where they meet, both are right.
        value = largest(instance, cuts, [requests * share for share in mix.shares], idle)
        assert mix.bound_ns - 1 <= value * (1 + 1e-9), seed
        assert value <= mix.bound_ns * (1 + 2e-3) + 1e-6, seed


def test_no_assignment_of_cuts_to_requests_goes_below_the_bound():
    for seed in range(60):
        rng, instance = small_instance(seed, layers=6)
        requests = rng.randint(1, 3)
        idle = Loads(*(rng.choice((0, 0, 9)) for _ in range(4)))
        bound = mix_of(instance, requests, idle).bound_ns
        for chosen in combinations_with_replacement(all_cuts(instance), requests):
            assert bound <= largest(instance, list(chosen), [1.0] * requests, idle), seed


def test_in_one_segment_no_mix_of_its_cuts_goes_below_the_bound():
    for seed in range(40):
        _, instance = small_instance(200 + seed)
        analysis = Analysis(instance)
        nothing = Cuts.of_masks(analysis.network, [])
        for segment in analysis.network.segments:
            first, last = (as_cut(analysis.network.prefix(k)) for k in (segment.low, segment.high))
            inside = [cut for cut in all_cuts(instance) if first <= cut <= last]
            bound = analysis.mixes.best(2, nothing, segment=segment).bound_ns
            for one, other in combinations_with_replacement(inside, 2):
                assert bound <= largest(instance, [one, other], [1.0, 1.0], NOTHING_IDLE), seed


def test_the_same_question_is_answered_once():
    analysis = Analysis(small_instance(3)[1])
    known = analysis.candidates.undominated
    assert analysis.mixes.best(3, known) is analysis.mixes.best(3, known)


def test_of_very_many_known_cuts_a_spread_of_them_is_enough():
    n = MAX_KNOWN + 200
    graph = make_graph({"n0": []} | {f"n{i}": [f"n{i - 1}"] for i in range(1, n)})
    rng = random.Random(0)
    times = [{f"n{i}": rng.randint(1, 9) for i in range(1, n)} for _ in range(3)]
    analysis = Analysis(make_instance(graph, *times))
    every = Cuts.of_prefixes(analysis.network, np.arange(1, n + 1))
    nothing = Cuts.of_masks(analysis.network, [])
    found, from_scratch = analysis.mixes.best(5, every), analysis.mixes.best(5, nothing)
    assert found.bound_ns == pytest.approx(from_scratch.bound_ns, rel=2e-3)


@pytest.mark.parametrize("seed", range(12))
def test_loads_twelve_powers_of_ten_apart_are_bounded_as_closely_as_others(seed):
    rng = random.Random(seed)
    graph = random_graph(rng, 8)
    names = [layer.name for layer in graph.layers if not layer.is_input]
    producers = [layer.name for layer in graph.layers]
    edge, cloud, uplink = (
        {name: rng.choice((0, 1, 10**6, 10**12)) for name in keys} for keys in (names, names, producers)
    )
    instance = make_instance(graph, edge, cloud, uplink, downlink=rng.choice((0, 1, 10**6)))
    mix = mix_of(instance, 8, known=True)
    value = largest(instance, [as_cut(cut) for cut in mix.cuts], [8 * share for share in mix.shares], NOTHING_IDLE)
    assert mix.bound_ns - 1 <= value * (1 + 1e-9)
    assert value <= mix.bound_ns * (1 + 2e-3) + 1


def test_where_the_solver_gives_up_the_bound_known_so_far_stands(monkeypatch):
    instance = make_instance(CHAIN, {"y": 10}, {"y": 0}, {"x": 10})
    monkeypatch.setattr(_Master, "solve", lambda _: None)
    for known in (False, True):
        mix = mix_of(instance, 4, known=known)
        # The mean of the loads, and one cut for all.
        assert mix.bound_ns == 10
        assert sum(mix.shares) == 1
