"""Towers: what only one input reaches, and what it is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from decc_core import library
from decc_core.network.graph import LayerGraph
from decc_core.network.towers import UNNAMED, Tower, common_tower, only_inputs, tower_of, towers
from tests.builders import make_graph


def graph_of(edges: Mapping[str, Sequence[str]], modules: Mapping[str, str] | None = None) -> LayerGraph:
    """A graph whose layers were made by these modules."""
    graph, made = make_graph(edges), modules or {}
    return replace(graph, layers=tuple(replace(one, module_path=made.get(one.name, "")) for one in graph.layers))


FUSION = {
    "camera": [], "lidar": [], "c1": ["camera"], "c2": ["c1"], "l1": ["lidar"], "fuse": ["c2", "l1"], "imu": [],
    "head": ["fuse", "imu"],
}  # fmt: skip


def test_a_tower_is_what_only_its_input_reaches_and_has_the_inputs_name():
    graph = graph_of(FUSION)
    assert towers(graph) == (Tower("camera", (0, 2, 3)), Tower("lidar", (1, 4)), Tower("imu", (6,)))
    assert only_inputs(graph) == (0, 1, 0, 0, 1, None, 6, None)
    assert tower_of(graph) == (0, 1, 0, 0, 1, None, 2, None)
    assert common_tower(graph, (2, 3)) == 0
    assert common_tower(graph, (3, 4)) is None
    assert common_tower(graph, (3, 5)) is None
    assert common_tower(graph, ()) is None


def test_a_network_of_one_input_has_no_towers():
    graph = make_graph({"camera": [], "a": ["camera"], "y": ["a"]})
    assert towers(graph) == ()
    assert tower_of(graph) == (None, None, None)


def test_branches_that_fork_and_join_within_a_tower_belong_to_it():
    graph = make_graph({"left": [], "right": [], "p": ["left"], "q": ["left"], "r": ["p", "q"], "y": ["r", "right"]})
    assert [tower.layers for tower in towers(graph)] == [(0, 2, 3, 4), (1,)]


def test_inputs_without_names_are_called_after_the_modules_of_their_layers():
    edges = {"x": [], "args_1": [], "a": ["x"], "b": ["a"], "c": ["args_1"], "y": ["b", "c"]}
    modules = {"a": "network.image_tower.0.conv", "b": "network.image_tower.1", "c": "network.sound_tower.blocks.0"}
    assert [tower.name for tower in towers(graph_of(edges, modules))] == ["image_tower", "sound_tower"]


def test_modules_of_one_outer_module_are_told_apart_by_the_inner_ones():
    edges = {"x": [], "x_1": [], "a": ["x"], "b": ["x_1"], "y": ["a", "b"]}
    modules = {"a": "backbone.camera.conv", "b": "backbone.lidar.conv"}
    assert [tower.name for tower in towers(graph_of(edges, modules))] == ["camera", "lidar"]


def test_towers_that_share_their_weights_are_numbered_as_views():
    edges = {"x_0": [], "x_1": [], "x_2": [], "a": ["x_0"], "b": ["x_1"], "c": ["x_2"], "y": ["a", "b", "c"]}
    shared = graph_of(edges, dict.fromkeys("abc", "features.conv"))
    assert [tower.name for tower in towers(shared)] == ["view 1", "view 2", "view 3"]
    two = graph_of(edges, {"a": "camera.conv", "b": "camera.conv", "c": "lidar.conv"})
    assert [tower.name for tower in towers(two)] == ["camera 1", "camera 2", "lidar"]


def test_names_that_people_gave_count_more_than_modules():
    edges = {"front": [], "rear": [], "a": ["front"], "b": ["rear"], "y": ["a", "b"]}
    assert [tower.name for tower in towers(graph_of(edges, dict.fromkeys("ab", "features.conv")))] == ["front", "rear"]


def test_without_names_and_modules_the_inputs_names_remain_and_no_two_towers_have_the_same():
    assert [tower.name for tower in towers(make_graph({"x": [], "u": [], "y": ["x", "u"]}))] == ["x", "u"]
    edges = {"x": [], "lidar": [], "a": ["x"], "b": ["lidar"], "y": ["a", "b"]}
    assert [tower.name for tower in towers(graph_of(edges, {"a": "lidar.conv"}))] == ["x", "lidar"]


@pytest.mark.parametrize(
    "name", ["x", "x_1", "args_0", "arg0_1", "input.1", "inputs_3", "l_x_", "onnx::input_0", "data"]
)
def test_names_that_tools_make_up_say_nothing(name):
    assert UNNAMED.fullmatch(name)


@pytest.mark.parametrize("name", ["camera", "input_ids", "image", "tokens", "data_left", "xyz", "imu_0", "ids"])
def test_names_that_people_give_say_something(name):
    assert not UNNAMED.fullmatch(name)


def test_a_long_name_keeps_its_beginning_and_its_end():
    long = "a_very_long_name_of_the_front_camera_of_the_left_side"
    (first, _) = towers(make_graph({long: [], "u": [], "y": [long, "u"]}))
    assert len(first.name) <= 24
    assert first.name.startswith("a_very")
    assert first.name.endswith("side")


def test_the_built_in_networks_of_several_inputs_have_named_towers():
    assert [tower.name for tower in towers(library.load_graph("two_tower"))] == ["image_tower", "sound_tower"]
    assert [tower.name for tower in towers(library.load_graph("siamese"))] == ["view 1", "view 2"]
    graph = library.load_graph("multiview4")
    assert [tower.name for tower in towers(graph)] == [f"view {i}" for i in (1, 2, 3, 4)]
    assert len({len(tower.layers) for tower in towers(graph)}) == 1
