"""One contract for every strategy, on random graphs and on everything that is shipped."""

from __future__ import annotations

import random

import pytest

from decc_core import library
from decc_core.planner.strategies import BASELINES, STRATEGIES
from decc_core.plans.judge import check_schedule
from decc_core.problem.instance import CostInstance, Objective
from decc_core.problem.link import Link
from decc_core.problem.scenario import DEFAULT_CLOUD, DEFAULT_EDGE
from decc_core.study.compare import Comparison, compare
from tests.builders import random_graph, random_instance

BATCH, BATCHES, QUICK = 25, 20, 5
"""Random graphs in one test, such tests, and how many of these are ordinary ones."""


def check_contract(comparison: Comparison) -> None:
    """Legal schedules, one valid bound for all, decc never worse than any baseline, qdmp as good as dads-dsl."""
    instance = comparison.instance
    assert [outcome.strategy for outcome in comparison.outcomes] == list(STRATEGIES)
    for outcome in comparison.outcomes:
        check_schedule(instance, outcome.plan, outcome.schedule)
        assert outcome.lower_bound_ns == comparison.lower_bound_ns <= outcome.objective_ns
    decc = comparison.of("decc").objective_ns
    for name in BASELINES:
        assert decc <= comparison.of(name).objective_ns, name
    assert comparison.of("qdmp").schedule.makespan_ns == comparison.of("dads-dsl").schedule.makespan_ns


@pytest.mark.parametrize(
    "batch", [*range(QUICK), *(pytest.param(batch, marks=pytest.mark.slow) for batch in range(QUICK, BATCHES))]
)
def test_the_contract_holds_on_random_graphs(batch):
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        rng = random.Random(seed)
        graph = random_graph(rng, rng.randint(1, 24))
        objective = Objective.MAKESPAN if seed % 4 else Objective.THROUGHPUT
        check_contract(compare(random_instance(rng, graph, rng.randint(1, 4), objective)))


@pytest.mark.parametrize("model", library.shipped_models())
def test_the_contract_holds_on_shipped_networks(model):
    graph = library.load_graph(model)
    edge, cloud = (library.load_profile(model, device) for device in (DEFAULT_EDGE, DEFAULT_CLOUD))
    for slowdown, mbps, rtt_s, requests in ((1, 18.88, 0.0, 1), (4, 100.0, 0.02, 4)):
        link = Link(mbps * 1e6, mbps * 1e6, rtt_s)
        check_contract(compare(CostInstance.build(graph, edge.scaled(slowdown, "slower"), cloud, link, requests)))


def test_strategies_are_deterministic():
    instance = random_instance(random.Random(7), random_graph(random.Random(7), 30), 3)
    assert [o.plan for o in compare(instance).outcomes] == [o.plan for o in compare(instance).outcomes]
