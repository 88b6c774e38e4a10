"""The times of layers as bars and lines."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from app.figures.profile_bars import draw_times, time_rows
from app.figures.style import DARK, LIGHT
from decc_core.network.graph import LayerGraph
from decc_core.profiling.layer_times import GroupBy
from tests.builders import make_graph, random_graph, two_profiles


@pytest.fixture
def diamond() -> LayerGraph:
    graph = make_graph({"x": [], "a": ["x"], "b": ["x"], "y": ["a", "b"]})
    paths = {"a": "net.left", "b": "net.right", "y": "net.left", "x": ""}
    return replace(graph, layers=tuple(replace(layer, module_path=paths[layer.name]) for layer in graph.layers))


@pytest.mark.parametrize("theme", [LIGHT, DARK])
@pytest.mark.parametrize("log", [False, True])
def test_a_thousand_layers_are_drawn_as_lines(theme, log):
    graph = random_graph(random.Random(1), 1000)
    times = {layer.name: 1e-3 for layer in graph.layers if not layer.is_input}
    edge, cloud = two_profiles(graph, times, times)
    figure = draw_times(time_rows(graph, edge, cloud, GroupBy.LAYER), log, theme)
    assert {trace.type for trace in figure.data} == {"scatter"}
    assert len(figure.data[0].x) == len(times)


def test_whiskers_reach_from_the_median_to_the_95th_percentile(diamond):
    edge, cloud = two_profiles(diamond, {"a": 6.0, "b": 3.0, "y": 1.0}, {"a": 2.0, "b": 1.0, "y": 2.0})
    bars = draw_times(time_rows(diamond, edge, cloud, GroupBy.LAYER), False, LIGHT).data
    assert list(bars[0].y) == list(bars[0].error_y.array) == [6.0, 3.0, 1.0]
    assert list(bars[2].y) == [3.0, 3.0, 0.5]


def test_names_in_the_figure_are_text_and_not_tags():
    graph = make_graph({"x": [], "<b>bold</b>": ["x"]})
    times = {"<b>bold</b>": 1.0}
    figure = draw_times(time_rows(graph, *two_profiles(graph, times, times), GroupBy.LAYER), False, LIGHT)
    assert "<b>bold" not in figure.to_json().replace("\\u003c", "<").replace("<b>&lt;", "")
