"""Pins and limits: what they say, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from decc_core.errors import ImpossibleConstraints, InvalidInstance, UnknownName
from decc_core.planner.strategies import solve
from decc_core.problem.constraints import Constraints, first_layers, named_layers, readers_of_inputs
from decc_core.study.compare import compare
from tests.builders import make_graph, make_instance

CHAIN = make_graph({"x": [], "a": ["x"], "b": ["a"], "y": ["b"]})


def chain(**constraints):
    """The edge takes 10 a layer, the cloud 1; a sends least."""
    instance = make_instance(
        CHAIN, {"a": 10, "b": 10, "y": 10}, {"a": 1, "b": 1, "y": 1}, {"x": 5, "a": 2, "b": 9, "y": 0}
    )
    return replace(instance, constraints=Constraints(**constraints))


def test_raw_inputs_stay_on_the_edge_when_their_readers_do():
    assert readers_of_inputs(CHAIN) == named_layers(CHAIN, ["a"]) == first_layers(CHAIN, 1) == {1}
    plan = solve(chain(on_edge=readers_of_inputs(CHAIN)), "decc").plan
    assert plan.cuts == (frozenset({0, 1}),)
    assert solve(chain(), "decc").plan.cuts == (frozenset({0}),)


def test_layers_kept_in_the_cloud_take_all_that_need_them_along():
    instance = chain(in_cloud=frozenset({2}))
    assert instance.in_cloud == {2, 3}
    assert instance.most_edge == {0, 1}
    assert "edge-only" in compare(instance).not_possible


def test_contradicting_pins_are_refused_by_name():
    with pytest.raises(ImpossibleConstraints, match="Keeping 'a' in the cloud is impossible, because a layer kept on"):
        chain(on_edge=frozenset({2}), in_cloud=frozenset({1}))
    with pytest.raises(ImpossibleConstraints, match="'x' in the cloud is impossible, because it is a model input"):
        chain(in_cloud=frozenset({0}))
    with pytest.raises(
        ImpossibleConstraints, match="'a' in the cloud is impossible, because it is kept on the edge, too"
    ):
        chain(on_edge=frozenset({1}), in_cloud=frozenset({1}))


def test_nonsense_is_refused():
    with pytest.raises(InvalidInstance, match="edge memory limit is -1 bytes"):
        Constraints(edge_memory_bytes=-1)
    with pytest.raises(InvalidInstance, match="names layer 9"):
        chain(on_edge=frozenset({9}))
    with pytest.raises(InvalidInstance, match="4 layers cannot be kept on the edge; 'g' has 3"):
        first_layers(CHAIN, 4)
    with pytest.raises(UnknownName, match="has no layer 'c'"):
        named_layers(CHAIN, ["c"])
