"""Plans with cuts that are given, against planning from scratch and against brute force."""

from __future__ import annotations

import random

import pytest

from decc_core.errors import InfeasiblePlan
from decc_core.planner.analysis import Analysis
from decc_core.planner.replan import replan
from decc_core.plans.check import check_plan
from decc_core.problem.instance import Objective
from decc_core.study.compare import compare
from tests.brute_force import all_cuts, best_makespan_of
from tests.builders import random_graph, random_instance
from tests.study.networks import B, X, Y, diamond, value


def test_replanning_two_requests_is_never_better_than_brute_force_and_often_as_good():
    optimal = 0
    for seed in range(40):
        rng = random.Random(seed)
        instance = random_instance(rng, random_graph(rng, rng.randint(2, 5)), 2)
        cuts = tuple(rng.choice(all_cuts(instance)) for _ in range(2))
        plan = replan(Analysis(instance), cuts)
        check_plan(instance, plan)
        assert plan.cuts == cuts
        best = best_makespan_of(instance, cuts)
        assert value(instance, plan) >= best
        optimal += value(instance, plan) == best
    assert optimal >= 34


@pytest.mark.parametrize("objective", list(Objective))
def test_replanning_a_plans_own_cuts_is_never_worse_than_the_plan(objective):
    for seed in range(30):
        rng = random.Random(seed)
        instance = random_instance(rng, random_graph(rng, rng.randint(1, 14)), rng.randint(1, 5), objective)
        for outcome in compare(instance).outcomes:
            again = replan(Analysis(instance), outcome.plan.cuts, outcome.plan, outcome.execution)
            check_plan(instance, again)
            assert value(instance, again) <= outcome.objective_ns
            assert again.cuts == outcome.plan.cuts


def test_illegal_hand_made_cuts_are_refused_by_the_names_of_the_layers():
    with pytest.raises(InfeasiblePlan, match=r"a \(cloud\) feeds y \(edge\)"):
        replan(Analysis(diamond()), [frozenset({X, B, Y})])
    with pytest.raises(InfeasiblePlan, match="1 cuts for 2 requests"):
        replan(Analysis(diamond(requests=2)), [frozenset({X})])
