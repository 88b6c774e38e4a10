"""Times of layers side by side, alone and in groups."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.figures.profile_bars import MANY_ROWS
from app.state import OPENING
from decc_core import library
from decc_core.network.graph import LayerGraph
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.scenario import DEFAULT_CLOUD
from decc_core.profiling.layer_times import GroupBy, fewest_for_half, layer_times, overall_ratio, usual_ratios
from tests.builders import make_graph, two_profiles

MODEL = OPENING.scenario.model


def shipped(model: str = MODEL, device: str = "cpu-1-thread") -> DeviceProfile:
    return library.load_profile(model, device)


@pytest.fixture
def diamond() -> LayerGraph:
    graph = make_graph({"x": [], "a": ["x"], "b": ["x"], "y": ["a", "b"]})
    paths = {"a": "net.left", "b": "net.right", "y": "net.left", "x": ""}
    return replace(graph, layers=tuple(replace(layer, module_path=paths[layer.name]) for layer in graph.layers))


def test_layers_stand_in_stored_order_with_ratio_and_spread(diamond):
    edge, cloud = two_profiles(diamond, {"a": 6.0, "b": 3.0, "y": 1.0}, {"a": 2.0, "b": 0.0, "y": 2.0})
    rows = layer_times(diamond, edge, cloud)
    assert [(row.title, row.ratio) for row in rows] == [
        ("net.left.op", 3.0),
        ("net.right", None),
        ("net.left.op_2", 0.5),
    ]
    assert [row.edge_spread for row in rows] == [2.0, 2.0, 2.0]
    assert rows[1].cloud_spread is None
    assert overall_ratio(rows) == 10 / 4


def test_groups_add_up_and_have_no_percentiles(diamond):
    edge, cloud = two_profiles(diamond, {"a": 6.0, "b": 3.0, "y": 1.0}, {"a": 2.0, "b": 0.0, "y": 2.0})
    rows = layer_times(diamond, edge, cloud, GroupBy.MODULE)
    assert [(row.title, row.layers, row.edge_s, row.cloud_s) for row in rows] == [
        ("net.left", 2, 7.0, 4.0),
        ("net.right", 1, 3.0, 0.0),
    ]
    assert all(row.edge_p95_s is None and row.edge_spread is None for row in rows)
    (one,) = layer_times(diamond, edge, cloud, GroupBy.OPERATOR)
    assert (one.title, one.layers, one.edge_s) == ("op", 3, 10.0)


def test_half_of_the_time_and_the_usual_ratios():
    assert fewest_for_half([1, 1, 1, 1]) == 2
    assert fewest_for_half([10, 1, 1, 1]) == 1
    assert fewest_for_half([]) == 0
    graph = make_graph({"x": [], **{f"n{i}": ["x" if i == 0 else f"n{i - 1}"] for i in range(11)}})
    times = {f"n{i}": 1.0 + i for i in range(11)}
    assert usual_ratios(layer_times(graph, *two_profiles(graph, times, dict.fromkeys(times, 1.0)))) == (2.0, 10.0)
    assert usual_ratios(layer_times(graph, *two_profiles(graph, times, dict.fromkeys(times, 0.0)))) is None


@pytest.mark.parametrize("model", library.shipped_models())
@pytest.mark.parametrize("by", list(GroupBy))
def test_groups_of_every_shipped_network_lose_no_time(model, by):
    graph, edge, cloud = library.load_graph(model), shipped(model), shipped(model, DEFAULT_CLOUD)
    rows = layer_times(graph, edge, cloud, by)
    assert sum(row.edge_s for row in rows) == pytest.approx(edge.total_s)
    assert sum(row.cloud_s for row in rows) == pytest.approx(cloud.total_s)
    assert sum(row.layers for row in rows) == len(edge.median_s)
    if by is not GroupBy.LAYER:
        assert len(rows) <= MANY_ROWS
