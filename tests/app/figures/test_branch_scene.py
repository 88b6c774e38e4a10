"""The branch graph as it is drawn."""

from __future__ import annotations

from app.figures.branch_graph import branch_rows
from app.figures.branch_scene import branch_scene, holding
from app.figures.scene import ROUND, SQUARE
from decc_core.network.work import Resource
from decc_core.pictures import COLOURS
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
