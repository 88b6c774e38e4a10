"""Waists, segments, branches and lanes: known answers, and properties on random graphs."""

from __future__ import annotations

import random
from itertools import combinations, pairwise

import networkx as nx
import pytest

from decc_core.network.branches import Branch, chains, split_branches
from decc_core.network.graph import LayerGraph
from tests.builders import make_graph, random_graph


def names(graph: LayerGraph, layers) -> list[str]:
    return [graph.layers[layer].name for layer in layers]


def test_a_chain_is_all_waists():
    branch = split_branches(make_graph({"x": [], "a": ["x"], "y": ["a"]}))
    assert branch.waists == (0, 1, 2)
    assert branch.segments == ()
    assert branch.is_chain


def test_a_diamond_has_two_branches_between_its_waists():
    graph = make_graph({"x": [], "a": ["x"], "a2": ["a"], "b": ["x"], "y": ["a2", "b"]})
    branch = split_branches(graph)
    assert names(graph, branch.waists) == ["x", "y"]
    (segment,) = branch.segments
    assert [names(graph, inner.layers) for inner in segment.branches] == [["a", "a2"], ["b"]]


def test_a_skip_connection_leaves_one_branch():
    graph = make_graph({"x": [], "a": ["x"], "b": ["a"], "y": ["b", "x"]})
    branch = split_branches(graph)
    assert names(graph, branch.waists) == ["x", "y"]
    assert [names(graph, inner.waists) for inner in branch.segments[0].branches] == [["a", "b"]]


def test_nested_forks_are_nested_branches():
    graph = make_graph({"x": [], "a": ["x"], "p": ["a"], "q": ["a"], "m": ["p", "q"], "b": ["x"], "y": ["m", "b"]})
    first, second = split_branches(graph).segments[0].branches
    assert names(graph, first.waists) == ["a", "m"]
    assert [names(graph, inner.layers) for inner in first.segments[0].branches] == [["p"], ["q"]]
    assert names(graph, second.layers) == ["b"]


def test_a_dense_block_becomes_lanes():
    graph = make_graph(
        {"x": [], "a": ["x"], "b": ["x", "a"], "c": ["x", "a", "b"], "d": ["a", "b", "x"], "y": ["c", "d", "a", "b"]}
    )
    branch = split_branches(graph)
    (inner,) = branch.segments[0].branches
    assert names(graph, inner.waists) in ([], ["a"], ["a", "b"])
    assert sorted(layer for chain in chains(branch) for layer in chain) == list(range(6))


def test_a_layer_inside_that_is_itself_an_output_is_no_waist():
    graph = make_graph({"x": [], "a": ["x"], "y": ["a"]}, outputs=["a", "y"])
    assert names(graph, split_branches(graph).waists) == ["x", "a"]


def test_the_towers_of_a_network_with_several_inputs_are_branches():
    graph = make_graph({"x1": [], "a": ["x1"], "x2": [], "b": ["x2"], "y": ["a", "b"], "z": ["y"]})
    branch = split_branches(graph)
    assert names(graph, branch.waists) == ["y", "z"]
    assert branch.segments[0].start is None
    assert [names(graph, inner.layers) for inner in branch.segments[0].branches] == [["x1", "a"], ["x2", "b"]]


def places(branch: Branch) -> list[int]:
    """Every layer as often as the decomposition names it."""
    inner = [layer for segment in branch.segments for one in segment.branches for layer in places(one)]
    return [*branch.waists, *(layer for lane in branch.lanes for layer in lane), *inner]


@pytest.mark.parametrize("seed", range(60))
def test_each_layer_has_one_place_and_branches_have_no_path_between_them(seed):
    rng = random.Random(seed)
    graph = random_graph(rng, rng.randint(1, 40))
    dag = nx.DiGraph()
    dag.add_nodes_from(range(len(graph)))
    dag.add_edges_from((parent, child) for child, parents in enumerate(graph.parents) for parent in parents)
    top = split_branches(graph)
    assert sorted(places(top)) == list(range(len(graph)))
    assert sorted(layer for chain in chains(top) for layer in chain) == list(range(len(graph)))
    _check_independent(dag, top)
    assert set(top.waists) == _waists_by_removal(graph, dag)


def _check_independent(dag: nx.DiGraph, branch: Branch) -> None:
    for segment in branch.segments:
        outside = {layer for inner in segment.branches for layer in inner.layers}
        local = dag.subgraph(outside)
        for one, other in combinations(segment.branches, 2):
            assert not any(
                nx.has_path(local, a, b) or nx.has_path(local, b, a) for a in one.layers for b in other.layers
            )
        for inner in segment.branches:
            _check_independent(dag, inner)
    for lane in branch.lanes:
        assert all(dag.has_edge(a, b) for a, b in pairwise(lane))


def _waists_by_removal(graph: LayerGraph, dag: nx.DiGraph) -> set[int]:
    """A waist is a layer without which no output can be reached from any input."""
    outputs = {graph.index[ref.layer] for ref in graph.outputs}
    found = set()
    for layer in dag:
        rest = dag.copy()
        rest.remove_node(layer)
        reached = set().union(*(nx.descendants(rest, i) | {i} for i in graph.inputs if i in rest), set())
        if not reached & outputs:
            found.add(layer)
    return found
