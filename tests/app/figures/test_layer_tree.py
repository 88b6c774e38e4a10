"""The network as groups that open."""

from __future__ import annotations

import pytest

from app.figures.layer_tree import Arrangement, GroupKind, around, layer_id, layer_tree, shown_as
from decc_core.problem.instance import CostInstance
from tests.builders import make_graph, make_instance


@pytest.fixture
def diamond() -> CostInstance:
    """Two branches between x and y: a, then a2; and b alone."""
    graph = make_graph({"x": [], "a": ["x"], "a2": ["a"], "b": ["x"], "y": ["a2", "b"]})
    return make_instance(
        graph, edge={"a": 9, "a2": 16, "b": 4, "y": 0}, cloud={"a": 3, "a2": 4, "b": 1}, uplink={"x": 5, "a": 5, "b": 1}
    )


def test_a_diamond_is_a_segment_of_two_branches_between_two_layers(diamond):
    tree = layer_tree(diamond.graph)
    assert [part.kind for part in tree.parts] == [GroupKind.LAYER, GroupKind.SEGMENT, GroupKind.LAYER]
    long, short = tree.parts[1].parts
    assert tree.parts[1].arrangement is Arrangement.PARALLEL
    assert (long.kind, long.layers, long.place) == (GroupKind.BRANCH, (1, 2), (1, 2))
    assert (short.kind, short.layers, short.place) == (GroupKind.LAYER, (3,), (2, 2))


def test_a_layer_in_a_closed_group_is_seen_as_the_group():
    graph = make_graph({"x": [], "a": ["x"], "a2": ["a"], "b": ["x"], "y": ["a2", "b"]})
    tree = layer_tree(graph)
    segment, branch = tree.parts[1].id, tree.parts[1].parts[0].id
    assert around(tree, {2}) == [segment, branch]
    assert shown_as(tree, frozenset(), layer_id(2)) == segment
    assert shown_as(tree, {segment}, layer_id(2)) == branch
    assert shown_as(tree, {segment, branch}, layer_id(2)) == layer_id(2)
    assert shown_as(tree, frozenset(), "nothing") is None
