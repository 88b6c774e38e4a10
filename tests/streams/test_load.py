"""Policies under load: what is sustained, what is bounded, and who chooses what."""

from __future__ import annotations

import numpy as np
import pytest

from decc_core.errors import InvalidInstance
from decc_core.planner.analysis import Analysis
from decc_core.plans.plan import Execution
from decc_core.streams.arrivals import Process, arrivals, arrivals_at
from decc_core.streams.load import POLICIES, Demand, Load, most_sources, usual_deadline_ns
from decc_core.streams.policies import Policy, Site, Weights, spread_evenly
from decc_core.streams.served import requests_needed
from tests.builders import make_graph, make_instance

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
