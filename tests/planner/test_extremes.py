"""Extreme inputs give a valid plan or a clear refusal, in bounded time."""

from __future__ import annotations

import pytest

from decc_core import library
from decc_core.errors import InvalidInstance
from decc_core.network.graph import INPUT, Layer, LayerGraph, TensorRef, TensorSpec
from decc_core.problem.instance import CostInstance, Objective
from decc_core.problem.link import Link
from decc_core.problem.scenario import DEFAULT_CLOUD, DEFAULT_EDGE
from decc_core.study.compare import compare
from decc_core.study.explain import explain
from tests.builders import diamond, make_graph, make_instance
from tests.planner.strategies.test_contract import check_contract


def shipped(model: str, requests: int, uplink_bps: float) -> CostInstance:
    edge, cloud = (library.load_profile(model, device) for device in (DEFAULT_EDGE, DEFAULT_CLOUD))
    return CostInstance.build(library.load_graph(model), edge, cloud, Link(uplink_bps, uplink_bps), requests)


@pytest.mark.parametrize("uplink_bps", [1.0, 1e12])
def test_extreme_rates_are_planned(uplink_bps):
    found = compare(shipped("alexnet", 1, uplink_bps))
    check_contract(found)
    assert explain(found)


def test_a_rate_that_overflows_is_refused_with_the_cause():
    with pytest.raises(InvalidInstance, match="63 bits of nanoseconds; mostly uplink times"):
        shipped("googlenet", 64, 1e-3)


def test_sixty_four_requests_are_planned():
    check_contract(compare(shipped("googlenet", 64, 18.88e6)))


def test_one_layer_is_a_network():
    graph = LayerGraph("one", (Layer("x", INPUT, (), (TensorSpec((1,), "float32"),)),), (TensorRef("x"),))
    for requests in (1, 3):
        found = compare(make_instance(graph, {}, {}, {}, requests=requests))
        check_contract(found)
        assert found.of("decc").gap == 0


def test_tensors_and_layers_of_nothing_take_no_time():
    graph = make_graph({"x": [], "a": ["x"], "y": ["a"]})
    found = compare(make_instance(graph, {}, {}, {}, requests=2))
    check_contract(found)
    assert found.of("decc").makespan_s == 0
    assert found.gain("edge-only") == 1
    assert explain(found)


def test_a_wide_fork_is_planned():
    width = 60
    branches = {f"b{i}": ["x"] for i in range(width)}
    graph = make_graph({"x": [], **branches, "y": list(branches)})
    times = {name: 5 + i % 7 for i, name in enumerate(branches)}
    found = compare(make_instance(graph, times, times, {**times, "x": 400}, requests=2))
    check_contract(found)


@pytest.mark.parametrize("objective", list(Objective))
def test_very_unequal_times_are_planned(objective):
    names = [f"b{i}" for i in range(5)]
    graph = make_graph({"x": [], **{name: ["x"] for name in names}, "y": names})
    edge = dict(zip([*names, "y"], (1, 10**12, 0, 10**6, 1, 10**6), strict=True))
    cloud = dict(zip([*names, "y"], (10**12, 1, 10**6, 0, 10**6, 1), strict=True))
    uplink = dict(zip([*names, "x"], (10**6, 1, 0, 10**12, 1, 10**12), strict=True))
    found = compare(make_instance(graph, edge, cloud, uplink, requests=8, objective=objective))
    check_contract(found)
    assert explain(found)


def test_a_solver_that_gives_up_costs_the_bound_and_not_the_plan(monkeypatch):
    monkeypatch.setattr("decc_core.planner.mixes._Master.solve", lambda _: None)
    check_contract(compare(diamond(requests=3)))
