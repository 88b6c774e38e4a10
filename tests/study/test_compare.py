"""Strategies side by side under one bound."""

from __future__ import annotations

from decc_core.errors import SolverFailed
from decc_core.planner.strategies import judged, solve_exact
from decc_core.plans.schedule import objective_ns, schedule
from decc_core.problem.instance import CostInstance
from decc_core.study.compare import compare, outcome_of, with_exact
from tests.builders import make_graph, make_instance

DIAMOND = make_graph({"x": [], "a": ["x"], "b": ["x"], "y": ["a", "b"]})
X, A, B, Y = range(4)


def diamond(**more) -> CostInstance:
    """Both branches on the edge (2 and 3 ns), sent in 4 and 5 ns, joined in the cloud in 1 ns, back in 2 ns."""
    cloud = {"a": 1, "b": 1, "y": 1}
    return make_instance(DIAMOND, {"a": 2, "b": 3, "y": 9}, cloud, {"x": 6, "a": 4, "b": 5}, downlink=2, **more)


def value(instance: CostInstance, plan) -> int:
    return objective_ns(instance, plan, schedule(instance, plan))


def test_the_exact_row_joins_a_comparison_and_raises_the_bound_of_all_rows():
    instance = diamond(requests=2)
    comparison = compare(instance)
    found = solve_exact(instance, comparison.of("decc").plan, 20.0)
    joined = with_exact(comparison, found, 1.5)
    assert [one.strategy for one in joined.outcomes] == [*(one.strategy for one in comparison.outcomes), "exact"]
    assert {one.lower_bound_ns for one in joined.outcomes} == {joined.lower_bound_ns}
    assert joined.of("exact").gap == 0
    assert joined.of("exact").plan_s == 1.5
    assert with_exact(joined, found, 2.0).outcomes[-1].plan_s == 2.0
    last = outcome_of(instance, "exact", judged(instance, found.plan), joined.lower_bound_ns)
    assert last.objective_ns == joined.of("exact").objective_ns


def test_a_proof_that_fails_costs_its_own_row_and_no_other(monkeypatch):
    def fail(*_, **__):
        raise SolverFailed("The exact solver ended with MODEL_INVALID.")

    monkeypatch.setattr("decc_core.study.compare.solve_exact", fail)
    found = compare(diamond(), ("edge-only", "decc"), exact_limit_s=1)
    assert [outcome.strategy for outcome in found.outcomes] == ["edge-only", "decc"]
    assert found.not_possible == {"exact": "The exact solver ended with MODEL_INVALID."}
