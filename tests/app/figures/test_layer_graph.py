"""The network's layers as groups: nothing is lost, nothing waits in a circle, and colours mean what they say."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import networkx as nx
import pytest

from app.figures.layer_graph import (
    BRANCH_COLOURS,
    Colouring,
    LayerRows,
    draw_layers,
    layer_rows,
    outermost_branches,
)
from app.figures.layer_tree import GroupKind, groups, layer_id, layer_tree, opening, shown
from app.figures.scene import ROUND, SQUARE, WRAP, as_data
from app.figures.style import DARK, LIGHT
from decc_core import library
from decc_core.network.graph import LayerGraph
from decc_core.network.work import Resource
from decc_core.pictures import COLOURS, TOWER_COLOURS, contrast, tower_colour
from decc_core.problem.instance import CostInstance
from tests.builders import long_graph, make_graph, make_instance, random_graph


@pytest.fixture
def diamond() -> CostInstance:
    """Two branches between x and y: a, then a2; and b alone."""
    graph = make_graph({"x": [], "a": ["x"], "a2": ["a"], "b": ["x"], "y": ["a2", "b"]})
    return make_instance(
        graph, edge={"a": 9, "a2": 16, "b": 4, "y": 0}, cloud={"a": 3, "a2": 4, "b": 1}, uplink={"x": 5, "a": 5, "b": 1}
    )


def all_open(graph: LayerGraph) -> frozenset[str]:
    return frozenset(group.id for group in groups(layer_tree(graph)))


def rows_of(instance: CostInstance, opened: frozenset[str]) -> LayerRows:
    return layer_rows(instance, layer_tree(instance.graph), opened)


def free(graph: LayerGraph) -> CostInstance:
    return make_instance(graph, {}, {}, {})


def check_holds_every_layer_once_without_circles(graph: LayerGraph, opened: frozenset[str]) -> None:
    rows = rows_of(free(graph), opened)
    assert sorted(layer for node in rows.nodes for layer in node.part.layers) == list(range(len(graph)))
    home = {layer: node.part.id for node in rows.nodes for layer in node.part.layers}
    wanted = {(home[p], home[c]) for c, ps in enumerate(graph.parents) for p in ps if home[p] != home[c]}
    assert {(flow.source, flow.target) for flow in rows.flows} == wanted
    assert nx.is_directed_acyclic_graph(nx.DiGraph(wanted))


def test_a_closed_segment_is_one_node_and_an_open_one_shows_its_branches(diamond):
    segment = layer_tree(diamond.graph).parts[1]
    closed = rows_of(diamond, frozenset())
    assert [node.part.layers for node in closed.nodes] == [(0,), (1, 2, 3), (4,)]
    opened = rows_of(diamond, frozenset({segment.id}))
    assert [node.part.layers for node in opened.nodes] == [(0,), (1, 2), (3,), (4,)]
    assert [group.part.id for group in opened.open_groups] == [segment.id]
    ys = {node.part.layers: node.area.centre[1] for node in opened.nodes}
    assert ys[1, 2] < ys[0,] < ys[3,]


def test_facts_of_a_group_are_sums_and_its_output_is_what_leaves_it(diamond):
    rows = rows_of(diamond, frozenset())
    found = rows.nodes[1].facts
    assert (found.edge_ns, found.cloud_ns, found.out_bytes) == (29, 8, 1)


def test_a_chain_is_opened_to_its_layers_and_goes_on_in_rows():
    graph = make_graph({"x": [], **{f"c{i}": [f"c{i - 1}" if i else "x"] for i in range(30)}})
    tree = layer_tree(graph)
    rows = rows_of(free(graph), opening(tree))
    assert len(rows.nodes) == 31
    assert not rows.open_groups
    assert len({node.area.y for node in rows.nodes}) > 1
    assert sum(flow.kind == WRAP for flow in rows.flows) == len({node.area.y for node in rows.nodes}) - 1


def test_long_branches_go_on_in_rows_too_and_every_line_ends_at_its_marks():
    towers = {f"{t}{i}": [f"{t}{i - 1}"] if i else [] for t in "ab" for i in range(24)}
    graph = make_graph({**towers, "y": ["a23", "b23"]})
    rows = rows_of(free(graph), all_open(graph))
    heights = {node.area.y for node in rows.nodes if node.part.layers[0] < 24}
    assert len(heights) > 1
    areas = {node.part.id: node.area for node in rows.nodes}
    for flow in rows.flows:
        source, target = areas[flow.source], areas[flow.target]
        assert flow.points[0] == pytest.approx((source.x + source.width, source.centre[1]))
        assert flow.points[-1] == pytest.approx((target.x, target.centre[1]))


def test_data_that_passes_a_branch_by_takes_a_lane_above_it():
    graph = make_graph({"x": [], "a": ["x"], "b": ["a"], "y": ["x", "b"]})
    rows = rows_of(free(graph), frozenset())
    (skip,) = [flow for flow in rows.flows if (flow.source, flow.target) == (layer_id(0), layer_id(3))]
    (branch,) = [node for node in rows.nodes if node.part.kind is GroupKind.BRANCH]
    assert min(y for _, y in skip.points) < branch.area.y


def test_whatever_is_open_every_layer_is_in_one_node_and_nodes_never_wait_in_a_circle():
    rng = random.Random(5)
    for _ in range(80):
        graph = random_graph(rng, rng.randint(3, 50))
        every = sorted(all_open(graph))
        assert len(every) == len(set(layer_tree(graph).by_id)) - len(graph) - 1
        for opened in (frozenset(), frozenset(every), frozenset(rng.sample(every, len(every) // 2))):
            check_holds_every_layer_once_without_circles(graph, opened)


@pytest.mark.parametrize("model", library.shipped_models())
def test_every_shipped_network_opens_readable_and_unfolds_without_loss(model):
    graph = library.load_graph(model)
    tree = layer_tree(graph)
    assert len(list(shown(tree, opening(tree)))) <= 90
    check_holds_every_layer_once_without_circles(graph, opening(tree))
    check_holds_every_layer_once_without_circles(graph, all_open(graph))


def test_the_towers_of_a_multi_view_network_have_a_name_and_a_colour_each():
    graph = library.load_graph("multiview4")
    found = outermost_branches(layer_tree(graph))
    assert {(place.place, place.many) for place in found.values() if place.many == 4} == {(i, 4) for i in (1, 2, 3, 4)}
    tree = layer_tree(graph)
    rows = layer_rows(free(graph), tree, opening(tree))
    scene = draw_layers(free(graph), rows, Colouring.BRANCH, LIGHT)
    looks = {(mark.caption, mark.fill) for mark in scene.marks if mark.fill in TOWER_COLOURS}
    assert looks == {(f"view {i + 1}", tower_colour(i)) for i in range(4)}
    assert [swatch.label for swatch in scene.legend.swatches][1:] == [f"view {i}" for i in (1, 2, 3, 4)]


def test_a_closed_segment_of_towers_has_their_colours_and_a_closed_tower_its_name():
    edges = {"camera": [], "c": ["camera"], "lidar": [], "l": ["lidar"], "fuse": ["c", "l"], "imu": [], "i": ["imu"]}
    graph = make_graph({**edges, "y": ["fuse", "i"]})
    tree = layer_tree(graph)
    closed = draw_layers(free(graph), rows_of(free(graph), frozenset()), Colouring.BRANCH, LIGHT)
    (segment,) = [mark for mark in closed.marks if mark.mixed]
    # Camera and lidar meet before imu joins: one branch of several inputs, and one that is a tower.
    assert [colour for colour, _ in segment.mixed] == [BRANCH_COLOURS[0], tower_colour(2)]
    assert segment.caption == "2 branches"
    opened = rows_of(free(graph), frozenset({tree.parts[0].id}))
    scene = draw_layers(free(graph), opened, Colouring.BRANCH, LIGHT)
    assert ("imu", "2 layers", tower_colour(2)) in {(mark.title, mark.caption, mark.fill) for mark in scene.marks}
    every = draw_layers(free(graph), rows_of(free(graph), all_open(graph)), Colouring.BRANCH, LIGHT)
    fills = {mark.title: mark.fill for mark in every.marks}
    assert len({fills["c"], fills["l"], fills["i"]}) == 3
    assert [mark.layers for mark in every.marks] == [(i,) for i in range(len(graph))]


def test_branches_are_numbered_over_the_whole_network_and_coloured_within_their_segment():
    edges = {"x": [], "a": ["x"], "b": ["x"], "m": ["a", "b"], "c": ["m"], "d": ["m"], "e": ["m"], "y": ["c", "d", "e"]}
    graph = make_graph(edges)
    scene = draw_layers(free(graph), rows_of(free(graph), all_open(graph)), Colouring.BRANCH, LIGHT)
    captions = {mark.title: (mark.caption, mark.fill) for mark in scene.marks}
    assert [captions[name][0] for name in "abcde"] == [f"branch {i} of 5" for i in (1, 2, 3, 4, 5)]
    assert captions["a"][1] == captions["c"][1] == BRANCH_COLOURS[0]
    assert captions["e"][1] == BRANCH_COLOURS[2]
    assert [swatch.label for swatch in scene.legend.swatches] == [
        "trunk: every path passes it", "1st branch of its segment", "2nd", "3rd",
    ]  # fmt: skip


def test_boxes_are_called_so_that_they_differ_within_their_group():
    edges = {"x": [], "a": ["x"], "a2": ["a"], "b": ["x"], "b2": ["b"], "y": ["a2", "b2"]}
    paths = {"a": "m.0.conv", "a2": "m.0.bn", "b": "m.1.conv", "b2": "m.1.bn", "y": "head"}
    graph = make_graph(edges)
    graph = replace(graph, layers=tuple(replace(one, module_path=paths.get(one.name, "")) for one in graph.layers))
    segment = layer_tree(graph).parts[1]
    opened = rows_of(free(graph), frozenset({segment.id}))
    assert [node.short for node in opened.nodes] == ["x", "m.0", "m.1", "head"]
    every = rows_of(free(graph), all_open(graph))
    assert [node.short for node in every.nodes] == ["x", "conv", "bn", "conv", "bn", "head"]


def test_placement_says_the_same_in_colour_shape_and_words(diamond):
    opened = all_open(diamond.graph)
    rows = rows_of(diamond, opened)
    scene = draw_layers(diamond, rows, Colouring.PLACEMENT, LIGHT, [frozenset({0, 1}), frozenset({0})])
    looks = {mark.id: (mark.fill, mark.shape, mark.caption) for mark in scene.marks}
    assert looks["layer-0"] == (COLOURS[Resource.EDGE], SQUARE, "edge")
    assert looks["layer-4"] == (COLOURS[Resource.CLOUD], ROUND, "cloud")
    (mixed,) = [mark for mark in scene.marks if mark.mixed]
    assert (mixed.id, mixed.caption) == ("layer-1", "50 % edge")
    assert {(line.source, line.target) for line in scene.lines if line.strong} == {
        ("layer-0", "layer-1"), ("layer-0", "layer-3"), ("layer-1", "layer-2"),
    }  # fmt: skip


def test_a_number_that_is_four_times_as_large_stands_twice_as_far_on_the_ramp(diamond):
    scene = draw_layers(diamond, rows_of(diamond, all_open(diamond.graph)), Colouring.EDGE_TIME, LIGHT)
    fills = {mark.id: mark.fill for mark in scene.marks}
    ramp = scene.legend.ramp
    assert fills["layer-2"] == ramp[-1]
    assert len(set(fills.values())) == 4
    assert scene.legend.ticks[0] == (0.0, "0")
    assert scene.legend.ticks[-1][1].endswith("s")


@pytest.mark.parametrize("theme", [LIGHT, DARK])
@pytest.mark.parametrize("colouring", list(Colouring))
def test_text_can_be_read_on_every_colour(diamond, theme, colouring):
    cuts = [diamond.all_edge, diamond.all_cloud]
    scene = draw_layers(diamond, rows_of(diamond, all_open(diamond.graph)), colouring, theme, cuts)
    for mark in scene.marks:
        for fill in [colour for colour, _ in mark.mixed] or [mark.fill]:
            assert contrast(mark.ink, fill) >= 3
    assert json.dumps(as_data(scene))


def test_a_long_network_opens_folded_and_can_be_drawn_layer_by_layer():
    graph = long_graph()
    assert len(list(shown(layer_tree(graph), opening(layer_tree(graph))))) <= 201
    instance = free(graph)
    rows = rows_of(instance, all_open(graph))
    assert json.dumps(as_data(draw_layers(instance, rows, Colouring.BRANCH, LIGHT)))
    assert len(rows.nodes) == len(graph) == 1101


def test_branches_behind_the_join_of_two_towers_are_not_one_with_them():
    edges = {"camera": [], "lidar": [], "f": ["camera", "lidar"], "m": ["f"], "n": ["f"], "j": ["m", "n"], "imu": []}
    graph = make_graph({**edges, "y": ["j", "imu"]})
    scene = draw_layers(free(graph), rows_of(free(graph), all_open(graph)), Colouring.BRANCH, LIGHT)
    captions = {mark.title: mark.caption for mark in scene.marks}
    assert captions == {
        "camera": "camera", "lidar": "lidar", "imu": "imu", "f": "trunk", "j": "trunk", "y": "trunk",
        "m": "branch 3 of 5", "n": "branch 4 of 5",
    }  # fmt: skip
