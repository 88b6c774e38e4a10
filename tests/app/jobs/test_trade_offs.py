"""The search for plans that no other beats, in the background of a visit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.jobs.trade_offs import TradeOffJob, whole
from app.memory import Memory
from decc_core.problem.constraints import Constraints
from decc_core.problem.instance import Objective
from decc_core.study.pareto import pareto
from tests.builders import make_graph, make_instance

GRAPH = make_graph({"x": [], "a": ["x"], "b": ["a"], "y": ["b"]})
CHAIN = make_instance(
    GRAPH, {"a": 10, "b": 30, "y": 20}, {"a": 2, "b": 4, "y": 3}, {"x": 40, "a": 12, "b": 5}, requests=3
)


def searched(memory: Memory) -> TradeOffJob:
    job = TradeOffJob(CHAIN, "key", None, memory)
    job._run()
    assert (job.over, job.failure) == (True, None)
    return job


def test_it_finds_what_the_command_finds():
    job = searched(Memory(1_000_000))
    assert job.complete
    assert [point.costs for point in job.points] == [point.costs for point in pareto(CHAIN)]


def test_what_was_found_is_known_to_the_next_who_asks():
    memory = Memory(1_000_000)
    found = searched(memory)
    again = TradeOffJob(CHAIN, "key", None, memory)
    assert again.complete
    assert again.points == found.points


def test_one_that_is_stopped_keeps_nothing_for_others():
    memory = Memory(1_000_000)
    job = TradeOffJob(CHAIN, "key", None, memory)
    job.stop()
    job._run()
    assert job.over
    assert not job.complete
    assert memory.get("key") is None


def test_what_is_traded_is_neither_limited_nor_chosen_beforehand():
    limits = Constraints(on_edge=frozenset({1}), uplink_bytes=12)
    asked = replace(CHAIN, objective=Objective.THROUGHPUT, constraints=limits)
    assert whole(asked) == replace(CHAIN, constraints=Constraints(on_edge=frozenset({1})))
    assert whole(whole(asked)) == whole(asked)


@pytest.mark.parametrize("place", [0, -1])
def test_a_plan_keeps_the_limit_that_is_read_off_it(place):
    point = pareto(CHAIN)[place]
    limit = point.most_bytes(CHAIN)
    assert limit >= point.bytes_per_request
    costs = [other.costs for other in pareto(replace(CHAIN, constraints=Constraints(uplink_bytes=limit)))]
    assert point.costs in costs
