"""Places of layers and groups: nothing lies on anything else, and all can be read."""

from __future__ import annotations

import random

import pytest

from app.components.graph import HEIGHT
from app.figures.branch_graph import placed_runs
from app.figures.layer_graph import LayerRows, layer_rows
from app.figures.layer_tree import groups, layer_tree, opening, shown
from app.figures.nested_layout import CANVAS, lay_out
from decc_core import library
from decc_core.network.graph import LayerGraph
from decc_core.problem.instance import CostInstance
from tests.builders import make_graph, make_instance, nest_graph, random_graph


def all_open(graph: LayerGraph) -> frozenset[str]:
    return frozenset(group.id for group in groups(layer_tree(graph)))


def rows_of(instance: CostInstance, opened: frozenset[str]) -> LayerRows:
    return layer_rows(instance, layer_tree(instance.graph), opened)


def free(graph: LayerGraph) -> CostInstance:
    return make_instance(graph, {}, {}, {})


def overlapping(rows) -> list[tuple[str, str]]:
    """Pairs of nodes that lie on each other, found by comparing all."""
    areas = [(node.part.id, node.area) for node in rows.nodes]
    return [
        (one, other)
        for i, (one, a) in enumerate(areas)
        for other, b in areas[i + 1 :]
        if a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height
    ]


def test_no_two_nodes_lie_on_each_other():
    rng = random.Random(6)
    for _ in range(60):
        graph = random_graph(rng, rng.randint(3, 40))
        for opened in (frozenset(), all_open(graph), opening(layer_tree(graph))):
            assert overlapping(rows_of(free(graph), opened)) == []


@pytest.mark.parametrize("model", library.shipped_models())
def test_titles_can_be_read_when_a_network_opens(model):
    graph = library.load_graph(model)
    tree = layer_tree(graph)
    areas = lay_out(graph, tree, opening(tree)).marks.values()
    width = max(area.x + area.width for area in areas) - min(area.x for area in areas)
    height = max(area.y + area.height for area in areas) - min(area.y for area in areas)
    # As in graph.js: titles are 14 px high in full size, and hidden below 6 px.
    assert 14 * min(CANVAS[0] / width, (HEIGHT - 112) / height) > 6


def test_a_network_of_branches_in_branches_hundreds_deep_is_drawn_without_recursion():
    graph = nest_graph(400)
    tree, opened = layer_tree(graph), all_open(graph)
    assert sorted(layer for part in shown(tree, opened) for layer in part.layers) == list(range(len(graph)))
    layout = lay_out(graph, tree, opened)
    assert len(layout.marks) == len(graph)
    assert sorted(layer for run in placed_runs(graph, frozenset(range(5))) for layer in run) == list(range(len(graph)))


def test_a_small_network_that_is_open_fills_the_canvas_and_a_tower_does_not_leave_its_head_a_strip():
    towers = {f"{t}{i}": [f"{t}{i - 1}"] if i else [] for t in "abc" for i in range(12)}
    head = {f"h{i}": [f"h{i - 1}"] if i else ["a11", "b11", "c11"] for i in range(5)}
    graph = make_graph({**towers, **head})
    layout = lay_out(graph, layer_tree(graph), all_open(graph))
    areas = [*layout.marks.values(), *layout.frames.values()]
    width = max(area.x + area.width for area in areas)
    height = max(area.y + area.height for area in areas)
    scale = min(CANVAS[0] / width, CANVAS[1] / height, 1.0)
    assert width * height * scale**2 > 0.6 * CANVAS[0] * CANVAS[1]
