"""The desk: everything on it is found once, and shared by all strategies."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from decc_core.errors import NotPossible
from decc_core.planner.analysis import Analysis
from decc_core.planner.strategies import BASELINES, STRATEGIES, solve
from decc_core.problem.constraints import Constraints
from decc_core.study.compare import compare
from tests.builders import make_graph, make_instance, random_graph, random_instance

CHAIN = make_graph({"x": [], "y": ["x"]})
PARTS = ("network", "delays", "mixes", "candidates", "chains", "segments", "one_request", "bound_ns")


def some_analysis() -> Analysis:
    rng = random.Random(4)
    return Analysis(random_instance(rng, random_graph(rng, 9), 2))


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_made_when_it_is_asked_for_and_then_kept(part):
    analysis = some_analysis()
    assert part not in vars(analysis)
    assert getattr(analysis, part) is getattr(analysis, part)


def test_what_a_strategy_found_is_not_searched_for_again():
    analysis = some_analysis()
    first = solve(analysis, "jps")
    assert solve(analysis, "jps") is first
    assert list(analysis.solutions) == ["jps"]


def test_decc_puts_all_baselines_on_the_desk_and_starts_from_them():
    analysis = some_analysis()
    best = solve(analysis, "decc")
    assert set(analysis.solutions) == set(STRATEGIES)
    assert all(best.schedule.makespan_ns <= analysis.solutions[name].schedule.makespan_ns for name in BASELINES)


def test_why_a_strategy_has_no_plan_is_kept_too():
    instance = make_instance(CHAIN, {"y": 1}, {"y": 1}, {"x": 1})
    analysis = Analysis(replace(instance, constraints=Constraints(on_edge=frozenset({1}))))
    with pytest.raises(NotPossible):
        solve(analysis, "cloud-only")
    reason = analysis.not_possible["cloud-only"]
    with pytest.raises(NotPossible, match="do not allow the only cut"):
        solve(analysis, "cloud-only")
    assert analysis.not_possible == {"cloud-only": reason}


def test_a_comparison_shows_what_is_on_the_desk():
    analysis = some_analysis()
    found = compare(analysis.instance)
    assert found.lower_bound_ns == analysis.bound_ns
    for outcome in found.outcomes:
        assert outcome.plan == solve(analysis, outcome.strategy).plan
