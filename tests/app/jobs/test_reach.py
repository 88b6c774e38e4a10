"""Looking how far a verdict holds, in the background."""

from __future__ import annotations

import pytest

from app.jobs import reach
from app.jobs.reach import ReachJob
from app.memory import Memory
from decc_core import library
from decc_core.problem.scenario import Scenario
from decc_core.study.reach import advice


@pytest.fixture(autouse=True)
def at_once(nobody_looks_around, monkeypatch):
    monkeypatch.setattr(reach, "QUIET_S", 0.0)


def job(memory: Memory, **more: object) -> ReachJob:
    scenario = Scenario("squeezenet1_1", cloud_speedup=4.0, rtt_ms=10.0, **more)
    graph = library.load_graph("squeezenet1_1")
    edge, cloud = (library.load_profile("squeezenet1_1", device) for device in (scenario.edge, scenario.cloud))
    found = advice(scenario.instance(graph, edge, cloud))
    return ReachJob(scenario, graph, edge, cloud, "split" if found == "both" else found, "key", memory=memory)


def test_what_was_found_is_kept_and_asked_for_once():
    memory = Memory(1_000_000)
    first = job(memory)
    first.start()
    first.wait(60)
    assert first.failure is None
    assert "Mbit/s" in first.found
    assert first.found.endswith("as fast.")
    again = job(memory)
    assert (again.over, again.found) == (True, first.found)


def test_where_it_ends_the_advice_is_another_one():
    found = job(Memory(1_000_000), uplink_mbps=1.0)
    holds = found._holds(lambda rate: Scenario("squeezenet1_1", cloud_speedup=4.0, rtt_ms=10.0, uplink_mbps=rate))
    assert found.advice == "on the edge"
    assert holds(0.5)
    assert not holds(1000.0)


def test_nobody_is_looked_around_for_who_went_away(monkeypatch):
    monkeypatch.setattr(reach, "UNSEEN_S", -1.0)
    left = job(Memory(1_000_000))
    left.start()
    left.wait(60)
    assert (left.over, left.found, left.failure) == (True, "", None)
