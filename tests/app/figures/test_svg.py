"""A scene as plain SVG."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

from app.figures.branch_graph import branch_rows
from app.figures.branch_scene import branch_scene
from app.figures.scene import BESIDE, Label, as_data
from app.figures.svg import apart, spaced, svg_scene
from decc_core.pictures import tower_colour
from tests.builders import make_graph, make_instance


def test_labels_do_not_run_into_each_other():
    graph = make_graph({"x": [], **{f"layer{i}": [f"layer{i - 1}" if i else "x"] for i in range(45)}})
    scene = branch_scene(branch_rows(make_instance(graph, {}, {}, {}), frozenset(range(46))))
    labels = spaced([(label.x, label.y, label.text) for label in scene.labels])
    assert 5 < len(labels) < 45
    assert all(x + 6 * len(text) / 2 < x2 - 6 * len(text2) / 2 for (x, _, text), (x2, _, text2) in pairwise(labels))


def test_a_scene_as_plain_svg_has_every_mark_line_and_label_and_shows_names_as_they_are():
    graph = make_graph({"x": [], "<b>": ["x"], "y": ["<b>", "x"]})
    instance = make_instance(graph, {"<b>": 2}, {"<b>": 1}, {"x": 4})
    scene = branch_scene(branch_rows(instance, frozenset({0})))
    text = svg_scene(scene, "a title")
    root = ElementTree.fromstring(text)
    assert len(root.findall(".//rect")) == len(scene.marks) == 3
    assert len(root.findall(".//path")) == len(scene.lines) + sum(line.strong for line in scene.lines) == 5
    assert [one.text for one in root.findall("text")] == ["x", "<b>", "y"]
    assert as_data(scene)["labels"][1][2] == "<b>"


def test_names_of_towers_stand_left_of_their_lanes_with_a_stroke_and_marks_are_outlined():
    graph = make_graph({"camera": [], "lidar": [], "a": ["camera"], "b": ["lidar"], "y": ["a", "b"]})
    scene = branch_scene(branch_rows(make_instance(graph, {}, {}, {}), frozenset({0, 1})))
    root = ElementTree.fromstring(svg_scene(scene, "a title"))
    texts = {one.text: one for one in root.findall("text")}
    assert {"camera", "lidar"} <= set(texts)
    assert texts["camera"].get("text-anchor") == "end"
    assert float(texts["camera"].get("x")) > len("camera") * 6
    outlines = [one for one in root.iter("rect") if one.get("fill") == "none"]
    assert sorted({one.get("stroke") for one in outlines}) == sorted([tower_colour(0), tower_colour(1)])


def test_names_that_would_run_into_each_other_are_left_out():
    labels = [Label(0, y, "name", BESIDE, "#000000") for y in (0, 5, 20)]
    assert [label.y for label in apart(labels, 1.0)] == [0, 20]
    assert len(apart(labels, 3.0)) == 3
