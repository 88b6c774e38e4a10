"""Optimal algorithms against brute force on graphs small enough for it."""

from __future__ import annotations

import random

import pytest

from decc_core.planner.analysis import Analysis
from decc_core.planner.strategies import BASELINES, solve, solve_exact
from decc_core.plans.judge import check_schedule
from decc_core.plans.schedule import objective_ns, schedule
from decc_core.problem.instance import CostInstance
from decc_core.study.compare import compare
from tests.brute_force import all_cuts, best_makespan, sequential_cost
from tests.builders import make_graph, make_instance, random_graph, random_instance


def small_instance(seed: int, requests: int, layers: int = 9) -> CostInstance:
    rng = random.Random(seed)
    return random_instance(rng, random_graph(rng, rng.randint(2, layers), max_width=4), requests)


def makespan(instance: CostInstance, strategy: str) -> int:
    return schedule(instance, solve(instance, strategy).plan).makespan_ns


@pytest.mark.parametrize("seed", range(120))
def test_dads_and_qdmp_find_the_cheapest_of_all_cuts(seed):
    instance = small_instance(seed, requests=1)
    best = min(sequential_cost(instance, cut) for cut in all_cuts(instance))
    assert makespan(instance, "dads-dsl") == best
    assert makespan(instance, "qdmp") == best


@pytest.mark.parametrize("seed", [*range(50), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(50, 100))])
def test_exact_is_the_best_of_all_cuts_and_sequences(seed):
    instance = small_instance(seed, requests=1)
    best = best_makespan(instance)
    result = solve_exact(instance, solve(instance, "dads-dsl").plan, limit_s=30)
    check_schedule(instance, result.plan, schedule(instance, result.plan))
    assert result.optimal
    assert schedule(instance, result.plan).makespan_ns == result.lower_bound_ns == best
    assert Analysis(instance).bound_ns <= best <= makespan(instance, "decc")
    assert makespan(instance, "decc") <= min(makespan(instance, name) for name in BASELINES)


@pytest.mark.parametrize("seed", range(20))
def test_exact_is_optimal_for_two_requests(seed):
    instance = small_instance(1000 + seed, requests=2, layers=6)
    result = solve_exact(instance, solve(instance, "decc").plan, limit_s=30)
    assert result.optimal
    assert result.lower_bound_ns == best_makespan(instance)


def test_two_equal_branches_overlap_sending_and_computing():
    # Each branch: 4 ns on the edge, 4 ns to send, 4 ns in the cloud. One after the other 24; pipelined 16.
    graph = make_graph({"x": [], "a": ["x"], "c": ["a"], "b": ["x"], "d": ["b"], "y": ["c", "d"]})
    slow = 100
    instance = make_instance(
        graph,
        {"a": 4, "b": 4, "c": slow, "d": slow},
        {"a": slow, "b": slow, "c": 4, "d": 4},
        {"a": 4, "b": 4, "x": slow, "c": slow, "d": slow},
    )
    assert makespan(instance, "dads-dsl") == 24
    assert makespan(instance, "decc") == 16 == best_makespan(instance)


def test_jps_mixes_two_cuts_where_one_is_not_enough():
    # Edge-only takes 10 a request; cloud-only sends for 10: half of the requests each way keeps both busy.
    instance = make_instance(make_graph({"x": [], "y": ["x"]}), {"y": 10}, {"y": 0}, {"x": 10}, requests=4)
    assert makespan(instance, "single-cut") == 40
    assert makespan(instance, "jps") == 20
    assert makespan(instance, "decc") == 20


def value(instance: CostInstance, plan) -> int:
    return objective_ns(instance, plan, schedule(instance, plan))


def test_the_exact_search_can_be_stopped_from_outside():
    instance = random_instance(random.Random(5), random_graph(random.Random(5), 40), 6)
    stops = []
    found = solve_exact(
        instance,
        compare(instance).of("decc").plan,
        30.0,
        progress=lambda best, bound: stops[0](),
        stoppable=stops.append,
    )
    assert found.lower_bound_ns <= value(instance, found.plan)
