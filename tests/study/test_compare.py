"""Strategies side by side under one bound."""

from __future__ import annotations

from decc_core.errors import SolverFailed
from decc_core.planner.strategies import judged, solve_exact
from decc_core.study.compare import compare, outcome_of, with_exact
from tests.study.networks import diamond


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
