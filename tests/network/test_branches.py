"""Waists, segments, branches and lanes: known answers, and properties on random graphs."""

from __future__ import annotations

import random
import time
from itertools import combinations, pairwise

import networkx as nx
import pytest

from decc_core.network.branches import Branch, chains, nested, split_branches
from decc_core.network.graph import LayerGraph
from tests.builders import make_graph, nest_graph, random_graph


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
    return [
        layer
        for inner in nested(branch)
        for layer in (*inner.waists, *(layer for lane in inner.lanes for layer in lane))
    ]


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
        for branch_a, branch_b in combinations(segment.branches, 2):
            assert not any(
                nx.has_path(local, a, b) or nx.has_path(local, b, a) for a in branch_a.layers for b in branch_b.layers
            )
        for inner in segment.branches:
            _check_independent(dag, inner)
    for lane in branch.lanes:
        assert all(dag.has_edge(a, b) for a, b in pairwise(lane))


def _waists_by_removal(graph: LayerGraph, dag: nx.DiGraph) -> set[int]:
    """A waist is a layer without which no output can be reached from any input."""
    outputs = {graph.index[ref.layer] for ref in graph.outputs}
    waists = set()
    for layer in dag:
        rest = dag.copy()
        rest.remove_node(layer)
        reached = set().union(*(nx.descendants(rest, i) | {i} for i in graph.inputs if i in rest), set())
        if not reached & outputs:
            waists.add(layer)
    return waists


def described(branch: Branch) -> tuple:
    """A decomposition as plain tuples; what lies between two waists without a name is (before, after, branches)."""
    segments = [(s.start, s.end, [described(inner) for inner in s.branches]) for s in branch.segments]
    return branch.layers, branch.waists, segments


def by_definition(graph: LayerGraph, dag: nx.DiGraph, layers: list[int]) -> tuple:
    """The same from the definitions: a waist is on all paths from an entry to an exit, branches are components."""
    inside = dag.subgraph(layers)
    outputs = {graph.index[ref.layer] for ref in graph.outputs}
    entries = [i for i in layers if not graph.parents[i] or not set(graph.parents[i]) <= set(layers)]
    exits = [i for i in layers if i in outputs or not set(graph.children[i]) <= set(layers)]
    waists = []
    for layer in layers:
        rest = inside.subgraph(set(layers) - {layer})
        if not any(nx.has_path(rest, a, b) for a in entries if a != layer for b in exits if b != layer):
            waists.append(layer)
    segments = []
    for start, end in pairwise((None, *waists, None)):
        between = [i for i in layers if (start is None or i > start) and (end is None or i < end)]
        parts = sorted(sorted(part) for part in nx.connected_components(dag.subgraph(between).to_undirected()))
        if between and (waists or len(parts) > 1):
            segments.append((start, end, [by_definition(graph, dag, part) for part in parts]))
    return tuple(layers), tuple(waists), segments


def series_parallel(rng: random.Random, n_blocks: int) -> LayerGraph:
    """Forks within forks, some with a shortcut, and a few wires across."""
    edges: dict[str, list[str]] = {"x": []}

    def block(before: str, depth: int) -> str:
        kind = rng.random() if depth else 0
        if kind < 0.3:
            ends = [before]
        elif kind < 0.6:
            return block(block(before, depth - 1), depth - 1)
        else:
            ends = [block(before, depth - 1) for _ in range(rng.randint(2, 3))]
        if kind > 0.8:
            ends.append(rng.choice((before, *edges)))
        edges[f"n{len(edges)}"] = list(dict.fromkeys(ends))
        return f"n{len(edges) - 1}"

    last = "x"
    for _ in range(n_blocks):
        last = block(last, 3)
    return make_graph(edges)


@pytest.mark.parametrize("seed", range(60))
def test_the_nest_is_the_one_that_the_definitions_give(seed):
    rng = random.Random(seed)
    graph = series_parallel(rng, 2) if seed % 3 else random_graph(rng, rng.randint(1, 25))
    dag = nx.DiGraph((parent, child) for child, parents in enumerate(graph.parents) for parent in parents)
    dag.add_nodes_from(range(len(graph)))
    assert described(split_branches(graph)) == by_definition(graph, dag, list(range(len(graph))))


def chain_graph(n: int) -> LayerGraph:
    return make_graph({"n0": []} | {f"n{i}": [f"n{i - 1}"] for i in range(1, n)})


@pytest.mark.parametrize(
    ("graph", "waists", "n_branches"),
    [
        (chain_graph(20_000), 20_000, 1),
        (nest_graph(2_000), 2, 2 * 2_000 - 1),
        (make_graph({"x": []} | {f"n{i}": ["x"] for i in range(500)}), 1, 501),
    ],
    ids=["chain", "nest", "fan"],
)
def test_long_deep_and_wide_networks_are_split_without_recursion(graph, waists, n_branches):
    began = time.process_time()
    top = split_branches(graph)
    assert len(top.waists) == waists
    assert sum(1 for _ in nested(top)) == n_branches
    assert top.layers == tuple(range(len(graph)))
    assert sorted(layer for run in chains(top) for layer in run) == list(range(len(graph)))
    assert len({top, repr(top)}) == 2
    assert time.process_time() - began < 10
