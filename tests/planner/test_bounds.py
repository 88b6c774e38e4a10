"""Lower bounds hold for what a constraint solver proves optimal."""

from __future__ import annotations

import random

import pytest

from decc_core.planner.analysis import Analysis
from decc_core.planner.strategies import solve
from decc_core.planner.strategies.exact import exact
from decc_core.plans.schedule import objective_ns, schedule
from decc_core.problem.instance import Objective
from tests.builders import random_graph, random_instance

BATCH, BATCHES, QUICK = 20, 15, 7
"""Random graphs in one test, such tests, and how many of these are ordinary ones."""


@pytest.mark.parametrize(
    "batch", [*range(QUICK), *(pytest.param(batch, marks=pytest.mark.slow) for batch in range(QUICK, BATCHES))]
)
def test_every_bound_holds_for_the_optimum_that_the_exact_solver_proves(batch):
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        rng = random.Random(5000 + seed)
        graph = random_graph(rng, rng.randint(2, 7))
        objective = Objective.MAKESPAN if seed % 5 else Objective.THROUGHPUT
        instance = random_instance(rng, graph, rng.randint(1, 3), objective)
        # Told no bound, the solver proves its own; otherwise a wrong bound would pass as its optimum.
        result = exact(instance, solve(instance, "cloud-only").plan, limit_s=20, known_bound_ns=0)
        timing = schedule(instance, result.plan)
        assert result.optimal, seed
        assert Analysis(instance).bound_ns <= objective_ns(instance, result.plan, timing), seed
