"""Policies under load: what is sustained, what is bounded, and who chooses what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from decc_core.errors import DeccError, InvalidInstance
from decc_core.planner.analysis import Analysis
from decc_core.plans.plan import Execution
from decc_core.problem.constraints import Constraints
from decc_core.streams.arrivals import Process, arrivals, arrivals_at
from decc_core.streams.load import POLICIES, Demand, Load, most_sources, usual_deadline_ns
from decc_core.streams.policies import FORESEEING, Policy, Site, Weights, spread_evenly
from decc_core.streams.served import requests_needed
from tests.builders import make_graph, make_instance
from tests.streams.slow_reference import finish_times

MS = 1_000_000


def site(sources: int = 1, servers: int = 1) -> Site:
    """A chain: 10 ms on the edge or 2 in the cloud for each layer; 8 ms to send the input, 4 what lies between."""
    graph = make_graph({"x": [], "a": ["x"], "y": ["a"]})
    edge, cloud = {"a": 10 * MS, "y": 10 * MS}, {"a": 2 * MS, "y": 2 * MS}
    return Site(Analysis(make_instance(graph, edge, cloud, {"x": 8 * MS, "a": 4 * MS})), sources, servers)


def demand(**more: object) -> Demand:
    return Demand(**{"deadline_ns": 60 * MS, "requests": 2000, **more})


def test_no_policy_exceeds_the_capacity_of_the_mix_of_cuts():
    here = site()
    # a on the edge: 10 and 4; nothing: 0 and 8; everything: 20. The mix of the first two is busiest at 80 / 14 ms.
    assert here.capacity_hz == pytest.approx(1e9 / (80 / 14 * MS), rel=1e-3)
    for policy in (*here.fixed_cuts, here.jps):
        assert here.sustains_hz(policy) <= here.capacity_hz * (1 + 1e-9)


@pytest.mark.parametrize("share", [0.98, 1.02])
def test_just_below_its_capacity_a_queue_is_stable_and_just_above_it_grows(share):
    here = site()
    policy = here.baseline("cloud-only")
    rate = share * here.sustains_hz(policy)
    served = here.serve(policy, arrivals(Process.POISSON, rate, 40_000, seed=3), 60 * MS)
    assert served.grows == (share > 1)


def test_every_request_leaves_later_than_it_came_and_none_is_lost():
    here = site(3)
    stream = arrivals(Process.GAMMA, 0.7 * here.capacity_hz, 3000, 3, seed=5)
    served = here.serve(here.dispatcher(Weights()), stream, 60 * MS)
    assert len(served.latency_ns) == 3000
    assert served.latency_ns.min() >= here.least_ns
    assert set(served.taken.tolist()) <= set(range(len(here.menu)))


def test_the_dispatcher_sustains_what_no_fixed_cut_can_and_loses_to_no_baseline():
    load = Load(site(), demand())
    found = {name: load.sustained_hz(name) for name in load.possible()}
    assert set(found) == set(POLICIES)
    assert found["decc"] >= 0.98 * max(rate for name, rate in found.items() if name != "decc")
    assert found["decc"] <= load.site.capacity_hz


def test_the_same_seed_gives_the_same_and_another_one_another():
    a, b, other = (arrivals(Process.POISSON, 5, 100, seed=seed) for seed in (1, 1, 2))
    assert a.times_ns.tolist() == b.times_ns.tolist() != other.times_ns.tolist()
    # At half the rate everything takes twice as long.
    slower = arrivals(Process.POISSON, 2.5, 100, seed=1)
    assert slower.times_ns == pytest.approx(2 * a.times_ns, abs=2)


@pytest.mark.parametrize(("process", "cv"), [(Process.CONSTANT, 0), (Process.POISSON, 1), (Process.GAMMA, 3)])
def test_gaps_vary_as_their_process_says(process, cv):
    gaps = np.diff(arrivals(process, 100, 200_000, seed=7).times_ns)
    assert gaps.mean() == pytest.approx(1e7, rel=0.03)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, abs=0.1)


def test_several_sources_share_the_rate_evenly():
    stream = arrivals(Process.POISSON, 40, 40_000, 4, seed=1)
    assert np.bincount(stream.source) == pytest.approx(10_000, rel=0.05)
    assert stream.rate_hz == pytest.approx(40, rel=0.03)


def test_times_from_elsewhere_are_sorted_and_count_from_the_first():
    assert arrivals_at([5, 3, 4]).times_ns.tolist() == [0, 10**9, 2 * 10**9]
    with pytest.raises(InvalidInstance, match="finite"):
        arrivals_at([1, float("nan")])


def test_percentiles_need_as_many_requests_as_the_rules_of_the_benchmark_say():
    assert [requests_needed(p) for p in (90, 95, 99, 99.9)] == [64, 130, 662, 6636]


def test_a_pattern_is_spread_evenly():
    assert spread_evenly([2, 4]) == (1, 0, 1, 1, 0, 1)
    with pytest.raises(InvalidInstance, match="pattern"):
        Policy("none", site().menu)


def test_two_cameras_on_two_servers_are_each_as_one_on_one():
    one, two = site(), site(2, 2)
    assert two.capacity_hz == pytest.approx(2 * one.capacity_hz)
    assert usual_deadline_ns(two) == usual_deadline_ns(one)


def test_a_cloud_carries_so_many_cameras():
    # All in the cloud: 4 ms each; the link of each camera carries 125 a second, the cloud 250 in all.
    def load_of(sources: int) -> Load:
        return Load(site(sources), demand(deadline_ns=200 * MS, process=Process.CONSTANT))

    assert most_sources(load_of, 100.0, "cloud-only", most=8) == 2


def test_menus_overlap_requests_and_name_their_cuts():
    menu = site().menu
    assert menu.execution is Execution.BRANCH_PIPELINED
    assert (np.diff(menu.alone_ns) >= 0).all()
    assert len(set(menu.cuts)) == len(menu)


def remembering(edge_memory_bytes: int, sources: int = 1) -> Site:
    """The same chain; every tensor has 4 bytes."""
    instance = replace(site().instance, constraints=Constraints(edge_memory_bytes=edge_memory_bytes))
    return Site(Analysis(instance), sources)


def test_a_request_for_which_the_edge_has_no_memory_is_refused_and_misses_its_deadline():
    # The link takes 8 ms for each input of 4 bytes; of ten at once four fit into 16 bytes.
    here = remembering(16)
    served = here.serve(here.baseline("cloud-only"), arrivals_at([0.0] * 10), 1000 * MS)
    assert served.is_refused.tolist() == [False] * 4 + [True] * 6
    assert served.latency_ns[:4].tolist() == [12 * MS, 20 * MS, 28 * MS, 36 * MS]
    assert served.keep_rate(1000 * MS) == pytest.approx(0.4)
    assert served.utilisation[1] == 1.0


def test_a_dispatcher_never_lets_an_edge_hold_more_than_its_limit_and_serves_more_than_a_fixed_cut():
    here = remembering(24, 2)
    stream = arrivals(Process.POISSON, 1.3 * here.capacity_hz, 2000, 2, seed=4)
    policy = here.dispatcher(Weights())
    served = here.serve(policy, stream, 60 * MS)
    assert 0 < served.is_refused.sum() < 1000
    cuts = [policy.menu.chains[max(0, place)].jobs.tolist() for place in served.taken.tolist()]
    kept = np.flatnonzero(~served.is_refused).tolist()
    log: dict = {}
    finish_times(stream.times_ns[kept].tolist(), stream.source[kept].tolist(), [cuts[i] for i in kept], 0, 1, log)
    memory = here.memory(policy.menu)
    changes: list[tuple[int, int, int]] = []
    for number, i in enumerate(kept):
        gone = max(
            end for (kind, request, _), (_, end) in log.items() if request == number and kind in ("edge", "uplink")
        )
        held = int(memory.holds[served.taken[i]])
        changes += [(int(stream.times_ns[i]), int(stream.source[i]), held), (gone, int(stream.source[i]), -held)]
    for source in range(2):
        mine = sorted((at, held) for at, who, held in changes if who == source)
        assert max(np.cumsum([held for _, held in mine])) <= memory.room


def test_no_cut_at_all_is_a_sentence():
    with pytest.raises(DeccError, match="memory"):
        Load(remembering(3), demand()).policy("decc", 10.0)


def test_pins_and_limits_hold_for_every_choice():
    kept = replace(site().instance, constraints=Constraints(on_edge=frozenset({1}), uplink_bytes=4 * MS))
    here = Site(Analysis(kept))
    load = Load(here, demand())
    for name in load.possible():
        for cut in load.policy(name, 0.5 * here.capacity_hz).menu.cuts:
            assert kept.allows(cut), name
    # Layer a stays on the edge, and its input is too large to be sent.
    assert all(1 in cut for cut in here.menu.cuts)
    assert "cloud-only" in load.not_possible(POLICIES)


def test_what_later_requests_pay_grows_with_the_work_that_is_left():
    here = site()
    gaps = arrivals(Process.POISSON, 0.8 * here.capacity_hz, 2000, seed=1).gaps_ns
    table, reach = here.foresight(FORESEEING[0], gaps, 60 * MS)
    assert reach > 60 * MS
    assert table[0, 0, 0, 0] == 0
    for axis in range(4):
        assert (np.diff(table, axis=axis) >= -1e-6 * 60 * MS).all()


def test_what_is_chosen_is_chosen_on_other_arrivals_than_it_is_judged_on():
    load = Load(site(), demand())
    load.policy("decc", 100.0)
    seen = [more for _, _, more in load._streams]
    assert seen
    assert 0 not in seen
