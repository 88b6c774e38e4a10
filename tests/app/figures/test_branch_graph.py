"""The branch graph: runs of layers on one side of the cut, and what crosses."""

from __future__ import annotations

import random
from dataclasses import replace

import networkx as nx
import pytest

from app.figures.branch_graph import branch_rows, cut_groups, placed_runs, run_labels
from decc_core import library
from decc_core.network.graph import LayerGraph
from decc_core.network.work import Resource
from decc_core.plans.plan import Execution, staged_plan
from decc_core.problem.instance import CostInstance
from tests.builders import make_graph, make_instance, random_graph


def cut_of(instance: CostInstance, *names: str) -> frozenset[int]:
    return frozenset(instance.graph.index[name] for name in names)


def long_graph(length: int) -> LayerGraph:
    """A chain with a fork in the middle, long enough to be drawn as runs."""
    edges: dict[str, list[str]] = {"x": []}
    before = "x"
    for i in range(length):
        edges[f"c{i}"] = [before]
        before = f"c{i}"
    for side in ("left", "right"):
        edges[f"{side}0"] = [before]
        for i in range(1, length):
            edges[f"{side}{i}"] = [f"{side}{i - 1}"]
    edges["y"] = [f"left{length - 1}", f"right{length - 1}"]
    return make_graph(edges)


def test_a_crossing_tensor_is_marked_on_the_way_to_each_of_its_readers(diamond):
    picture = branch_rows(diamond, cut_of(diamond, "x"))
    marked = {(arrow.source, arrow.target): arrow.tensors for arrow in picture.arrows if arrow.tensors}
    assert set(marked) == {(0, 1), (0, 2)}
    (crossing,) = picture.crossings.values()
    assert (crossing.name, crossing.uplink_ns) == ("x", 5)


def test_nothing_is_marked_when_all_runs_on_the_edge(diamond):
    picture = branch_rows(diamond, diamond.all_edge)
    assert not picture.crossings
    assert not any(arrow.tensors for arrow in picture.arrows)
    assert {node.resource for node in picture.nodes} == {Resource.EDGE}


def test_data_flows_from_left_to_right_and_branches_have_lanes_of_their_own(diamond):
    nodes = branch_rows(diamond, cut_of(diamond, "x", "b")).nodes
    assert [node.x for node in nodes] == [0, 1, 1, 2]
    assert nodes[1].y != nodes[2].y
    assert [node.resource for node in nodes] == [Resource.EDGE, Resource.CLOUD, Resource.EDGE, Resource.CLOUD]


def test_long_chains_are_one_node_on_each_side_of_the_cut():
    graph = long_graph(20)
    cut = frozenset(graph.index[name] for name in graph.index if name.startswith(("x", "c", "left"))) | {
        graph.index[f"right{i}"] for i in range(7)
    }
    runs = placed_runs(graph, cut)
    names = [[graph.layers[layer].name for layer in run] for run in runs]
    assert [(run[0], run[-1]) for run in names] == [
        ("x", "c19"), ("left0", "left19"), ("right0", "right6"), ("right7", "right19"), ("y", "y"),
    ]  # fmt: skip


def test_runs_hold_every_layer_once_on_one_side_and_never_wait_for_each_other():
    rng = random.Random(7)
    for _ in range(60):
        graph = random_graph(rng, 60)
        size = rng.randint(1, 59)
        cut = frozenset(graph.inputs) | frozenset(range(size))
        runs = placed_runs(graph, cut)
        assert sorted(layer for run in runs for layer in run) == list(range(60))
        assert all(len({layer in cut for layer in run}) == 1 for run in runs)
        home = {layer: i for i, run in enumerate(runs) for layer in run}
        flow = nx.DiGraph((home[p], home[c]) for c, parents in enumerate(graph.parents) for p in parents)
        flow.remove_edges_from(list(nx.selfloop_edges(flow)))
        assert nx.is_directed_acyclic_graph(flow)


@pytest.mark.parametrize("model", library.shipped_models())
def test_every_shipped_network_fits_on_a_page(model):
    graph = library.load_graph(model)
    nothing = [0] * len(graph.tensors)
    times = tuple(0 if layer.is_input else 1 for layer in graph.layers)
    instance = CostInstance(graph, times, times, tuple(nothing), tuple(nothing), tuple(nothing))
    for cut in (instance.all_edge, instance.all_cloud):
        picture = branch_rows(instance, cut)
        assert len({(node.x, node.y) for node in picture.nodes}) == len(picture.nodes)
        assert max(node.x for node in picture.nodes) < 50
        assert max(node.y for node in picture.nodes) - min(node.y for node in picture.nodes) < 25


def test_requests_with_the_same_cut_are_one_group(diamond):
    cuts = [diamond.all_edge, diamond.all_cloud]
    plan = staged_plan(diamond, Execution.FRAME_PIPELINED, cuts)
    assert [group.requests for group in cut_groups(plan)] == [(0,), (1,)]
    plan = staged_plan(diamond, Execution.FRAME_PIPELINED, [diamond.all_edge] * 2)
    assert [group.requests for group in cut_groups(plan)] == [(0, 1)]


def test_only_the_module_that_wraps_a_network_is_left_out_of_titles():
    graph = make_graph({"x": [], "a": ["x"], "b": ["a"]})
    for paths, title in (
        (("network.stem.conv", "network.head"), "stem.conv … head"),
        (("networks.stem", "network2.head"), "networks.stem … network2.head"),
        (("network.stem.conv", "network.stem.bn"), "stem"),
    ):
        assert with_modules(graph, dict(zip("ab", paths, strict=True))).run_title((1, 2)) == title


def with_modules(graph: LayerGraph, modules: dict[str, str]) -> LayerGraph:
    return replace(graph, layers=tuple(replace(one, module_path=modules.get(one.name, "")) for one in graph.layers))


def test_labels_of_runs_that_share_a_module_are_those_of_their_first_layers():
    graph = make_graph({"x": [], "a": ["x"], "b": ["a"], "c": ["b"], "d": ["c"], "e": ["d"]})
    graph = with_modules(graph, {"a": "stem.0.conv", "b": "stem.0.bn", "c": "stem.1.conv", "d": "stem.1.bn", "e": "fc"})
    assert run_labels(graph, [(0,), (1, 2), (3, 4), (5,)], 16) == ("x", "stem.0", "stem.1", "fc")
    # Cut in the middle of a module: both runs lie in it.
    assert run_labels(graph, [(0,), (1, 2, 3), (4,), (5,)], 16) == ("x", "stem", "bn", "fc")
    assert run_labels(graph, [(1, 3), (2, 4)], 16) == ("conv", "bn")


def test_nodes_know_their_tower_and_crossing_tensors_their_producer():
    graph = make_graph({"camera": [], "lidar": [], "a": ["camera"], "b": ["lidar"], "y": ["a", "b"]})
    instance = make_instance(graph, {"a": 2}, {"y": 1}, {"a": 4, "lidar": 5})
    picture = branch_rows(instance, cut_of(instance, "camera", "lidar", "a"))
    assert [node.tower for node in picture.nodes] == [0, 1, 0, 1, None]
    assert [tower.name for tower in picture.towers] == ["camera", "lidar"]
    assert {crossing.name: crossing.producer for crossing in picture.crossings.values()} == {"a": 2, "lidar": 1}


def test_the_lanes_of_towers_stand_in_the_order_of_their_inputs():
    edges = {name: [] for name in "abcd"} | {f"{name}1": [name] for name in "abcd"}
    graph = make_graph({**edges, "y": [f"{name}1" for name in "dbca"]})
    nodes = branch_rows(make_instance(graph, {}, {}, {}), frozenset(range(9))).nodes
    heights = [node.y for node in nodes if node.tower is not None]
    assert heights[:4] == heights[4:] == sorted(heights[:4], reverse=True)
    assert len(set(heights[:4])) == 4
    for cut in (1, 3, 5):
        picture = branch_rows(make_instance(library.load_graph("multiview4"), {}, {}, {}), frozenset(range(4 * cut)))
        starts = [next(node.y for node in picture.nodes if tower.layers[0] in node.layers) for tower in picture.towers]
        assert starts == sorted(starts, reverse=True)
        assert len({(node.x, node.y) for node in picture.nodes}) == len(picture.nodes)
