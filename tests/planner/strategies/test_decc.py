"""DECC is optimal where brute force can tell, and monotone where conditions get better."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from decc_core import library
from decc_core.errors import InvalidInstance
from decc_core.network.work import Resource
from decc_core.planner.analysis import Analysis
from decc_core.planner.strategies import solve
from decc_core.plans.schedule import period_ns, schedule
from decc_core.problem.instance import CostInstance, Objective
from decc_core.problem.link import Link
from decc_core.problem.scenario import DEFAULT_CLOUD
from decc_core.study.sweep import GridPoint, sweep
from tests.brute_force import best_makespan
from tests.builders import make_graph, make_instance, random_graph, random_instance
from tests.planner.strategies.test_optimality import makespan, small_instance

BATCH = 20


@pytest.mark.parametrize("batch", range(200 // BATCH))
def test_one_request_is_as_good_as_all_cuts_and_all_sequences(batch):
    for seed in range(2000 + batch * BATCH, 2000 + (batch + 1) * BATCH):
        instance = small_instance(seed, requests=1)
        best = best_makespan(instance)
        assert Analysis(instance).one_request.bound_ns <= best, seed
        assert makespan(instance, "decc") == best, seed


def shipped(model: str, uplink_mbps: float, requests: int, slowdown: float = 5.0, **more) -> CostInstance:
    cloud = library.load_profile(model, DEFAULT_CLOUD)
    link = Link(uplink_mbps * 1e6, uplink_mbps * 1e6, 0.02)
    return CostInstance.build(
        library.load_graph(model), cloud.scaled(slowdown, "slower"), cloud, link, requests, **more
    )


@pytest.mark.parametrize("model", ["googlenet", "two_tower"])
def test_an_old_plan_takes_no_longer_on_a_faster_link_or_cloud(model):
    old = shipped(model, 5.85, 3)
    plan = solve(old, "decc").plan
    before = schedule(old, plan).makespan_ns
    assert schedule(shipped(model, 50.0, 3), plan).makespan_ns <= before
    faster_cloud = replace(old, cloud_ns=tuple(time // 2 for time in old.cloud_ns))
    assert schedule(faster_cloud, plan).makespan_ns <= before


@pytest.mark.parametrize("requests", [1, 4])
def test_in_a_sweep_decc_never_gets_worse_when_conditions_get_better(requests):
    rates, slowdowns = (1.1, 4.0, 18.88, 20.0, 400.0), (2.0, 5.0, 20.0)
    points = [
        GridPoint(rate, slowdown, shipped("googlenet", rate, requests, slowdown))
        for slowdown in slowdowns
        for rate in rates
    ]
    rows = sweep(points, ("decc",))
    assert [(row.uplink_bps, row.edge_slowdown) for row in rows] == [(p.uplink_bps, p.edge_slowdown) for p in points]
    value = {(row.uplink_bps, row.edge_slowdown): row.comparison.of("decc").objective_ns for row in rows}
    for slowdown in slowdowns:
        of_rates = [value[rate, slowdown] for rate in rates]
        assert of_rates == sorted(of_rates, reverse=True)
    for rate in rates:
        assert [value[rate, slowdown] for slowdown in slowdowns] == sorted(value[rate, s] for s in slowdowns)


@pytest.mark.parametrize("model", ["googlenet", "resnet18", "multiview4", "swin_t"])
def test_a_long_stream_repeats_within_one_percent_of_the_best_rate(model):
    instance = shipped(model, 18.88, 128, objective=Objective.THROUGHPUT)
    assert period_ns(instance, solve(instance, "decc").plan) <= 1.01 * Analysis(instance).bound_ns


def two_ways(send_ms: int) -> CostInstance:
    """All on the edge in 100 ms, or sent in some ms, with 4,000 bytes."""
    graph = make_graph({"x": [], "y": ["x"]})
    one = make_instance(graph, {"y": 100_000_000}, {"y": 0}, {"x": send_ms * 1_000_000})
    return replace(one, wire_bytes=(4_000, 4_000))


def test_of_plans_that_differ_by_less_than_predictions_are_off_the_one_that_sends_less_is_taken():
    analysis = Analysis(two_ways(97), prediction_error=0.05)
    found = solve(analysis, "decc")
    assert found.schedule.makespan_ns == 100_000_000
    assert not found.plan.sequences[Resource.UPLINK]
    # Sent: the input and the layer on the two sides, and the tensor between them; there is no way back to wait for.
    assert analysis.simpler is not None
    assert (analysis.simpler.better_ns, analysis.simpler.taken_ns) == (97_000_000, 100_000_000)
    assert (analysis.simpler.better_bytes, analysis.simpler.taken_bytes) == (4_000, 0)
    assert analysis.simpler.taken_pieces < analysis.simpler.better_pieces
    assert "as good within the error of prediction, and simpler" in str(analysis.simpler)


@pytest.mark.parametrize(("send_ms", "error"), [(97, 0.0), (97, 0.03), (90, 0.05)])
def test_a_plan_that_is_better_by_more_is_taken_whatever_it_sends(send_ms, error):
    analysis = Analysis(two_ways(send_ms), prediction_error=error)
    assert solve(analysis, "decc").schedule.makespan_ns == send_ms * 1_000_000
    assert analysis.simpler is None


@pytest.mark.parametrize("seed", range(40))
def test_a_simpler_plan_is_never_worse_than_the_error_of_prediction(seed):
    rng = random.Random(seed)
    instance = random_instance(rng, random_graph(rng, rng.randint(3, 9)), rng.randint(1, 3))
    best = makespan(instance, "decc")
    analysis = Analysis(instance, prediction_error=0.1)
    taken = solve(analysis, "decc")
    assert best <= taken.schedule.makespan_ns <= 1.1 * best
    if analysis.simpler:
        assert analysis.simpler.taken_ns == taken.schedule.makespan_ns
        assert analysis.simpler.better_ns == best


@pytest.mark.parametrize("error", [-0.1, 1.1, float("nan")])
def test_an_impossible_error_of_prediction_is_refused(error):
    with pytest.raises(InvalidInstance, match="error of prediction"):
        Analysis(two_ways(97), error)
