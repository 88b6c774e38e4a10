"""The branch graph as it is drawn."""

from __future__ import annotations

from app.figures.branch_graph import branch_rows
from app.figures.branch_scene import branch_scene, holding
from app.figures.scene import ABOVE, BELOW, BESIDE, ROUND, SQUARE
from decc_core.network.work import Resource
from decc_core.pictures import COLOURS, tower_colour
from decc_core.problem.instance import CostInstance
from decc_core.text import duration
from tests.builders import make_graph, make_instance


def cut_of(instance: CostInstance, *names: str) -> frozenset[int]:
    return frozenset(instance.graph.index[name] for name in names)


def test_a_network_of_one_input_and_one_layer_can_be_drawn():
    graph = make_graph({"x": [], "y": ["x"]})
    instance = make_instance(graph, {"y": 1}, {"y": 1}, {"x": 1})
    assert branch_scene(branch_rows(instance, instance.all_cloud)).marks


def test_marked_layers_stand_out_in_the_branch_graph(diamond):
    picture = branch_rows(diamond, diamond.all_edge)
    (found,) = holding(picture, {diamond.graph.index["a"]})
    (mark,) = [mark for mark in branch_scene(picture).marks if mark.id == found]
    assert mark.lines[0] == "a on the edge"


def test_the_branch_graph_says_in_shape_and_colour_what_runs_where_and_what_crosses(diamond):
    scene = branch_scene(branch_rows(diamond, cut_of(diamond, "x", "a")))
    looks = {mark.lines[0]: (mark.shape, mark.fill) for mark in scene.marks}
    edge, cloud = (SQUARE, COLOURS[Resource.EDGE]), (ROUND, COLOURS[Resource.CLOUD])
    assert looks == {
        "x on the edge": edge, "a on the edge": edge, "b in the cloud": cloud, "y in the cloud": cloud,
    }  # fmt: skip
    assert sorted(line.label for line in scene.lines if line.strong) == [
        f"{name}: 5 B, {duration(5)} on the uplink" for name in "ax"
    ]  # fmt: skip
    by_name = {mark.lines[0][0]: mark for mark in scene.marks}
    assert by_name["a"].width == max(mark.width for mark in scene.marks)
    assert by_name["a"].x == by_name["b"].x > by_name["x"].x


def fusion() -> CostInstance:
    """Camera and lidar with a tower each, joined in y."""
    graph = make_graph({"camera": [], "lidar": [], "a": ["camera"], "b": ["lidar"], "y": ["a", "b"]})
    return make_instance(graph, {"a": 2, "b": 1, "y": 1}, {"a": 1, "y": 1}, {"a": 4, "lidar": 5})


def test_lanes_start_with_the_names_of_their_towers_which_have_a_colour_each():
    instance = fusion()
    scene = branch_scene(branch_rows(instance, cut_of(instance, "camera", "lidar", "a")))
    names = {label.text: label for label in scene.labels if label.side == BESIDE}
    assert {text: label.colour for text, label in names.items()} == {
        "camera": tower_colour(0), "lidar": tower_colour(1),
    }  # fmt: skip
    marks = {mark.layers: mark for mark in scene.marks}
    assert names["camera"].y == marks[0,].y
    assert names["camera"].x < marks[0,].x - marks[0,].width / 2
    accents = [marks[layer,].accent for layer in range(5)]
    assert accents == [tower_colour(0), tower_colour(1), tower_colour(0), tower_colour(1), ""]
    # The colours of the placement stay.
    assert marks[0,].fill == COLOURS[Resource.EDGE]
    assert marks[3,].fill == COLOURS[Resource.CLOUD]
    assert "only camera reaches it" in marks[2,].lines
    assert "outlined" in scene.legend.title


def test_lines_are_coloured_within_a_tower_and_crossing_ones_know_who_makes_their_tensors():
    instance = fusion()
    scene = branch_scene(branch_rows(instance, cut_of(instance, "camera", "lidar", "a")))
    lines = {(line.source, line.target): line for line in scene.lines}
    assert lines["from-0", "from-2"].colour == tower_colour(0)
    assert lines["from-3", "from-4"].colour == ""
    assert {line.layers for line in scene.lines if line.strong} == {(1,), (2,)}


def test_a_network_of_one_input_has_neither_names_nor_accents(diamond):
    scene = branch_scene(branch_rows(diamond, diamond.all_edge))
    assert {label.side for label in scene.labels} == {BELOW}
    assert {mark.accent for mark in scene.marks} == {""}
    assert "outlined" not in scene.legend.title


def test_the_name_of_an_input_that_joins_late_stands_above_its_mark_and_colours_repeat_after_eight():
    edges = {"u": [], "a": ["u"], "b": ["a"], "late": [], "y": ["b", "late"], "z": ["y"]}
    instance = make_instance(make_graph(edges), {}, {}, {})
    scene = branch_scene(branch_rows(instance, instance.all_edge))
    assert {label.text for label in scene.labels if label.side in (BESIDE, ABOVE)} == {"u", "late"}
    assert tower_colour(8) == tower_colour(0)
    assert len({tower_colour(i) for i in range(8)}) == 8
