"""A scene as plain SVG."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

from app.figures.branch_graph import branch_rows
from app.figures.branch_scene import branch_scene
from app.figures.scene import as_data
from app.figures.svg import spaced, svg_scene
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
