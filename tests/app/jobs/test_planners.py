"""What processes plan for the page is what the server would plan itself, whatever becomes of a process."""

from __future__ import annotations

import gc
import os
import threading
import time
from dataclasses import replace

import pytest

from app.jobs import planners
from app.jobs.planners import KEPT_GRAPHS, Planners
from app.memory import Memory
from app.shell import cached
from decc_core.errors import DeccError, NotPossible
from decc_core.planner.strategies import solve
from decc_core.study.ablation import ablate
from decc_core.study.compare import compare
from tests.builders import make_graph, make_instance

START_S = 60


def chain(name: str = "chain", requests: int = 2):
    graph = replace(make_graph({"x": [], "a": ["x"], "b": ["a"]}), name=name)
    return make_instance(graph, {"a": 5, "b": 7}, {"a": 1, "b": 1}, {"x": 9, "a": 2, "b": 1}, requests=requests)


@pytest.fixture(scope="module")
def pool():
    before, planners.PROCESSES = planners.PROCESSES, 1
    found = Planners()
    found.start()
    assert found.ready.wait(START_S)
    yield found
    found.end()
    planners.PROCESSES = before


def pids(pool: Planners) -> set[int]:
    return {process.process.pid for process in pool._all}


def test_an_answer_is_that_of_the_server_and_about_the_same_objects(pool):
    instance = chain()
    here, there = compare(instance), pool.ask(instance, compare, instance)
    assert [outcome.plan for outcome in there.outcomes] == [outcome.plan for outcome in here.outcomes]
    assert there.lower_bound_ns == here.lower_bound_ns
    assert there.instance is instance
    assert pool.ask(instance, ablate, there) == ablate(here)


def test_a_chart_is_the_one_that_the_server_would_draw(pool, monkeypatch):
    instance = chain()
    found = compare(instance)
    here, said = cached.chart(found, found.best, True)
    monkeypatch.setattr(cached, "MUCH_WORK", 0)
    monkeypatch.setattr(cached, "PLANNERS", pool)
    monkeypatch.setattr(cached, "MEMORY", Memory(0))
    monkeypatch.setattr(cached, "owner_of", lambda graph: None)
    there, says = cached.chart(found, found.best, True)
    assert there == here
    assert says == said
    assert "critical path" in said


def test_more_networks_than_a_process_keeps_are_planned_in_any_order(pool):
    instances = [chain(f"chain{i}", 1 + i % 3) for i in range(KEPT_GRAPHS + 3)]
    for instance in (*instances, *reversed(instances), *instances[::2]):
        assert pool.ask(instance, compare, instance).instance.graph is instance.graph
    ours, theirs = pool._keys, next(iter(pool._all)).holds
    assert len(theirs) == KEPT_GRAPHS
    del instances, instance
    gc.collect()
    pool.ask(last := chain("last"), compare, last)
    assert len(ours) > len(pool._keys), "networks that are gone are forgotten"


def test_what_a_question_raises_is_raised_and_the_process_goes_on(pool):
    before, instance = pids(pool), chain()
    with pytest.raises(DeccError, match="no strategy"):
        pool.ask(instance, solve, instance, "no strategy")
    assert pool.ask(instance, compare, instance).instance is instance
    assert pids(pool) == before


def test_an_answer_that_cannot_be_sent_is_an_error_and_the_process_goes_on(pool):
    before, instance = pids(pool), chain()
    with pytest.raises(RuntimeError, match="pickle"):
        pool.ask(instance, open, os.devnull)
    assert pool.ask(instance, compare, instance).instance is instance
    assert pids(pool) == before


def test_a_process_that_dies_is_told_in_a_sentence_and_another_takes_its_place(pool):
    before, instance = pids(pool), chain()
    with pytest.raises(NotPossible, match="choose fewer requests"):
        pool.ask(instance, os.abort)
    assert pool.ask(instance, compare, instance).instance is instance, "the server plans by itself meanwhile"
    assert pool.ready.wait(START_S)
    assert pool.ask(instance, compare, instance).instance is instance
    assert pids(pool).isdisjoint(before)


def test_where_all_are_busy_the_server_plans_by_itself(pool, monkeypatch):
    assert pool.ready.wait(START_S)
    monkeypatch.setattr(planners, "WAIT_S", 0.1)
    instance = chain()
    long = threading.Thread(target=pool.ask, args=(instance, time.sleep, 3))
    long.start()
    while not pool._free.empty():
        time.sleep(0.01)
    assert pool.ask(instance, os.getpid) == os.getpid()
    assert long.is_alive()
    long.join()
    assert pool.ask(instance, os.getpid) in pids(pool)


def test_an_answer_that_cannot_be_read_costs_the_process_and_not_the_next_answer(pool, monkeypatch):
    assert pool.ready.wait(START_S)
    before, instance = pids(pool), chain()
    with monkeypatch.context() as broken:
        broken.setattr(planners._Receiver, "persistent_load", lambda *_: 1 / 0)
        with pytest.raises(NotPossible):
            pool.ask(instance, compare, instance)
    assert pool.ready.wait(START_S)
    assert pool.ask(instance, compare, instance).instance is instance
    assert pids(pool).isdisjoint(before)


def test_a_question_that_takes_too_long_is_given_up(pool, monkeypatch):
    assert pool.ready.wait(START_S)
    monkeypatch.setattr(planners, "LONGEST_S", 0.5)
    start_s = time.monotonic()
    with pytest.raises(NotPossible, match="took more than"):
        pool.ask(chain(), time.sleep, 60)
    assert time.monotonic() - start_s < 30


def test_another_process_starts_when_all_are_busy_and_no_more_than_there_may_be(pool, monkeypatch):
    assert pool.ready.wait(START_S)
    while not pool._free.qsize():
        time.sleep(0.01)
    [first] = pids(pool)
    monkeypatch.setattr(planners, "PROCESSES", 2)
    monkeypatch.setattr(planners, "WAIT_S", START_S)
    instance = chain()
    long = threading.Thread(target=pool.ask, args=(instance, time.sleep, 3))
    long.start()
    while not pool._free.empty():
        time.sleep(0.01)
    several = [threading.Thread(target=pool.ask, args=(instance, compare, instance)) for _ in range(3)]
    for one in several:
        one.start()
    for one in (*several, long):
        one.join()
    assert len(pids(pool) - {first}) == 1


def test_a_process_steps_back_only_while_it_gets_ready(pool):
    assert pool.ready.wait(START_S)
    assert pool.ask(chain(), os.getpriority, os.PRIO_PROCESS, 0) == os.getpriority(os.PRIO_PROCESS, 0)


def test_nothing_is_left_of_planners_that_were_ended(pool):
    assert pool.ready.wait(START_S)
    processes = list(pool._all)
    pool.end()
    assert all(process.process.poll() is not None for process in processes)
    instance = chain()
    assert pool.ask(instance, compare, instance).instance is instance, "the server plans by itself"
