"""The Pareto front keeps what nobody beats, and nothing else."""

from __future__ import annotations

import random

import pytest

from decc_core.problem.instance import Objective
from decc_core.study.compare import compare
from decc_core.study.pareto import pareto
from tests.builders import random_graph, random_instance


@pytest.mark.parametrize("seed", range(6))
def test_no_point_beats_another_and_every_strategy_is_covered(seed):
    rng = random.Random(seed)
    instance = random_instance(rng, random_graph(rng, rng.randint(3, 14)), rng.randint(1, 3))
    points = [point.costs for point in pareto(instance)]
    for a in points:
        assert not any(b != a and all(x <= y for x, y in zip(b, a, strict=True)) for b in points)
    assert len(set(points)) == len(points)
    for outcome in compare(instance).outcomes:
        own = (outcome.makespan_s, -outcome.throughput_rps, outcome.uplink_bytes / instance.requests)
        assert any(all(x <= y for x, y in zip(point, own, strict=True)) for point in points)


def test_the_front_spans_both_objectives():
    rng = random.Random(3)
    instance = random_instance(rng, random_graph(rng, 14), 3)
    points = pareto(instance)
    assert points[0].makespan_s == compare(instance).of("decc").makespan_s
    assert {point.objective for point in points} <= set(Objective)
