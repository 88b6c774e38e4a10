"""The bars of a schedule, and how they are drawn."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from app.figures.gantt import (
    MOST_BARS,
    Chart,
    Marking,
    as_data,
    gantt,
    gantt_rows,
    gap_rows,
    in_words,
    jump_rows,
    request_numbers,
    runs,
)
from app.figures.overlay import draw_overlay
from app.figures.style import DARK, LIGHT
from decc_core.network.work import Resource, Span, Work
from decc_core.pictures import FINE, Bar, contrast
from decc_core.plans.plan import Execution, staged_plan
from decc_core.plans.schedule import schedule
from decc_core.plans.trace import Trace
from decc_core.problem.instance import RESOURCES, CostInstance
from decc_core.study.critical import Cause, CriticalPath, Idle, Step, critical_path, idle_times
from decc_core.text import duration
from tests.builders import make_graph, make_instance


def test_bars_follow_the_schedule_and_leave_out_what_takes_no_time(diamond):
    plan = staged_plan(diamond, Execution.CONSECUTIVE, [diamond.all_cloud] * 2)
    bars = gantt_rows(diamond, schedule(diamond, plan))
    uplink = [(bar.request, bar.start_ns, bar.end_ns, bar.first) for bar in bars if bar.resource is Resource.UPLINK]
    assert uplink == [(0, 0, 5, "x"), (1, 11, 16, "x")]
    assert not any(bar.resource is Resource.EDGE for bar in bars)


def test_spans_of_one_request_without_a_pause_merge_when_there_are_many(diamond):
    plan = staged_plan(diamond, Execution.CONSECUTIVE, [diamond.all_edge] * 2)
    timing = schedule(diamond, plan)
    assert len(gantt_rows(diamond, timing, many=6)) == 6
    merged = gantt_rows(diamond, timing, many=5)
    assert [(bar.request, bar.start_ns, bar.end_ns, bar.items) for bar in merged] == [(0, 0, 16, 3), (1, 16, 32, 3)]
    assert (merged[0].first, merged[0].last) == ("a", "y")


def test_bars_know_and_say_when_tensors_are_coded(diamond):
    n_tensors = len(diamond.graph.tensors)
    coded = replace(diamond, send_ns=(2,) * n_tensors, encode_ns=(2,) * n_tensors, formats=("int8",) * n_tensors)
    plan = staged_plan(coded, Execution.CONSECUTIVE, [frozenset({0, 1, 2})] * 2)
    chart = gantt(coded, schedule(coded, plan))
    edge = [bar for bar in chart.bars if bar.resource is Resource.EDGE]
    found = [(bar.start_ns, bar.end_ns, bar.coding) for bar in edge]
    assert found[:2] == [(0, 12, ((10, 12),)), (12, 16, ((14, 16),))]
    assert edge[0].lines[2].endswith("12 ns, 2 ns of it encoding")
    assert [bar["coding"] for bar in as_data(chart, LIGHT)["bars"]][:2] == [[[10, 12]], [[14, 16]]]
    assert not any(bar.coding for bar in chart.bars if bar.resource is not Resource.EDGE)


def test_spans_with_a_pause_between_them_stay_apart():
    graph = make_graph({"x": [], "u": [], "a": ["x"], "b": ["u"], "y": ["a", "b"]})
    instance = make_instance(graph, {}, {"a": 1, "b": 1, "y": 1}, {"x": 5, "u": 5})
    plan = staged_plan(instance, Execution.BRANCH_PIPELINED, [instance.all_cloud])
    cloud = [bar for bar in gantt_rows(instance, schedule(instance, plan), many=0) if bar.resource is Resource.CLOUD]
    # The last two have no pause between them, but only one of them lies in a tower.
    assert [(bar.start_ns, bar.end_ns, bar.items) for bar in cloud] == [(5, 6, 1), (10, 11, 1), (11, 12, 1)]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_all_four_resources_have_a_row_even_if_idle(diamond, theme):
    timing = schedule(diamond, staged_plan(diamond, Execution.CONSECUTIVE, [diamond.all_edge] * 2))
    data = as_data(gantt(diamond, timing), theme)
    assert [row["name"] for row in data["rows"]] == ["edge", "uplink", "cloud", "downlink"]
    assert {bar["row"] for bar in data["bars"]} == {0}
    for row in data["rows"]:
        assert all(contrast(fill, ink) >= 4.5 for fill, ink in zip(row["fills"], row["inks"], strict=True))


def test_the_chart_reaches_to_its_last_bar_to_the_bound_and_to_what_is_asked(diamond):
    timing = schedule(diamond, staged_plan(diamond, Execution.BRANCH_PIPELINED, [diamond.all_edge]))
    end = timing.makespan_ns
    assert gantt(diamond, timing).until_ns == end
    assert gantt(diamond, timing, bound_ns=end + 5).until_ns == end + 5
    assert gantt(diamond, timing, until_ns=3 * end).until_ns == 3 * end
    assert as_data(gantt(diamond, timing, until_ns=3 * end), LIGHT)["end"] == duration(3 * end)
    with pytest.raises(ValueError, match="before its last bar"):
        Chart(gantt_rows(diamond, timing), end - 1)


def test_marked_work_stands_in_bars_of_its_own_and_what_plans_share_is_faint(diamond):
    plan = staged_plan(diamond, Execution.CONSECUTIVE, [diamond.all_edge] * 2)
    timing = schedule(diamond, plan)
    b = diamond.graph.index["b"]
    bars = gantt_rows(diamond, timing, many=5, marked={(Resource.EDGE, Work(0, b))})
    assert [(bar.request, bar.start_ns, bar.end_ns, bar.marked) for bar in bars] == [
        (0, 0, 10, False), (0, 10, 12, True), (0, 12, 16, False), (1, 16, 32, False),
    ]  # fmt: skip
    told = {
        marking: [bar["strength"] for bar in as_data(Chart(bars, 32, marking=marking), LIGHT)["bars"]]
        for marking in Marking
    }
    assert told == {Marking.CRITICAL: [0, 0, 0, 1], Marking.DIFFERENT: [2, 0, 2, 2]}


def test_bars_say_which_layers_they_hold_and_tensors_who_made_them(diamond):
    index = diamond.graph.index
    plan = staged_plan(diamond, Execution.CONSECUTIVE, [diamond.all_cloud] * 2)
    chart = gantt(diamond, schedule(diamond, plan))
    sent = next(bar for bar in chart.bars if bar.resource is Resource.UPLINK)
    assert sent.layers == (index["x"],)
    data = as_data(chart, LIGHT)
    held = {(bar["row"], bar["number"]): data["layers"][bar["layers"]] for bar in data["bars"]}
    assert held[1, "1"] == held[1, "2"] == [index["x"], index["x"]]
    assert len(data["layers"]) == len({tuple(layers) for layers in data["layers"]})


def test_runs_are_first_and_last_of_numbers_that_follow_each_other():
    assert runs(()) == ()
    assert runs((3,)) == (3, 3)
    assert runs((0, 1, 2, 5, 7, 8)) == (0, 2, 5, 5, 7, 8)


def test_of_very_many_runs_of_layers_the_browser_is_told_some(monkeypatch):
    monkeypatch.setattr("app.figures.gantt.MOST_RUNS", 2)
    bars = tuple(
        Bar(Resource.EDGE, (0,), 10 * i, 10 * i + 10, layers=layers)
        for i, layers in enumerate([(1,), (3, 5), (1,), (7,)])
    )
    data = as_data(Chart(bars, 40), LIGHT)
    assert [bar["layers"] for bar in data["bars"]] == [0, -1, 0, -1]
    assert data["layers"] == [[1, 1]]


def test_idle_time_and_the_way_of_the_critical_path_are_told(diamond):
    plan = staged_plan(diamond, Execution.BRANCH_PIPELINED, [diamond.all_cloud] * 2)
    timing = schedule(diamond, plan)
    path = critical_path(diamond, plan, timing)
    gaps, jumps = gap_rows(idle_times(timing)), jump_rows(path)
    assert all(gap.end_ns > gap.start_ns for gap in gaps)
    # Both inputs are sent, then the second request is computed and comes back.
    assert [(jump.source, jump.target) for jump in jumps] == [
        (Resource.UPLINK, Resource.CLOUD), (Resource.CLOUD, Resource.DOWNLINK),
    ]  # fmt: skip
    data = as_data(gantt(diamond, timing, path=path, bound_ns=1), LIGHT)
    assert data["marking"] == "critical"
    assert len(data["gaps"]) == len(gaps)
    assert [(row, other) for row, _, other, _ in data["jumps"]] == [(1, 2), (2, 3)]
    assert data["bound"] == 1


def test_a_chart_is_told_in_words():
    assert in_words(Chart((), 2_000_000, bound_ns=1_000_000)) == (
        "Gantt chart: work on edge, uplink, cloud and downlink against time, 2.00 ms in all, over a proven lower bound "
        "of 1.00 ms."
    )


def test_names_of_layers_in_charts_are_text_and_not_tags():
    hostile = "<a href='https://host.invalid'>press me</a>"
    graph = make_graph({"x": [], hostile: ["x"]})
    instance = make_instance(graph, edge={hostile: 10}, cloud={hostile: 1}, uplink={"x": 5})
    timing = schedule(instance, staged_plan(instance, Execution.CONSECUTIVE, [instance.all_edge]))
    bars = gantt_rows(instance, timing)
    figure = draw_overlay(bars, bars, timing.makespan_ns, LIGHT)
    texts = [text for trace in figure.data for text in (*trace.customdata, *trace.text)]
    assert any("&lt;a href" in text for text in texts)
    assert not any("<a" in text for text in texts)
    # The component writes all text as text: it is told names as they are.
    named = as_data(gantt(instance, timing, named=True), LIGHT)["bars"][0]
    assert named["label"] == hostile


def test_thousands_of_spans_too_thin_to_be_seen_share_bars_whatever_their_requests(diamond):
    spans = tuple(Span(Resource.EDGE, Work(i % 2, 1), 3 * i, 3 * i + 1) for i in range(5000))
    late = Trace({resource: spans if resource is Resource.EDGE else () for resource in RESOURCES}, {0: 15_000})
    bars = gantt_rows(diamond, late, marked={(Resource.EDGE, Work(0, 1))})
    assert MOST_BARS < len(bars) <= 2 * FINE
    assert sum(bar.items for bar in bars) == 5000
    assert bars[0].requests == (0, 1)
    assert bars[0].lines[:2] == ("edge, requests 1–2", "5 layers: a")
    assert bars[0].marked
    assert all(before.end_ns < after.start_ns for before, after in pairwise(bars))


def test_of_thousands_of_gaps_and_jumps_those_are_drawn_that_can_be_told_apart():
    short = [(10 * i, 10 * i + 1) for i in range(4000)]
    gaps = gap_rows({Resource.CLOUD: Idle((*short, (50_000, 60_000)), 60_000)})
    assert [gap.start_ns for gap in gaps] == [50_000]
    steps = tuple(
        Step(Span((Resource.EDGE, Resource.UPLINK)[i % 2], Work(0, 1), 10 * i, 10 * i + 10), Cause.DATA, 0)
        for i in range(4000)
    )
    assert len(jump_rows(CriticalPath(steps, 0, 40_000))) <= 2 * FINE


def towers_of_two() -> CostInstance:
    """Camera and lidar with two layers each, joined in y; everything takes 4 ns."""
    edges = {
        "camera": [],
        "c1": ["camera"],
        "c2": ["c1"],
        "lidar": [],
        "l1": ["lidar"],
        "l2": ["l1"],
        "y": ["c2", "l2"],
    }
    graph = make_graph(edges)
    paths = {"c1": "front.conv", "c2": "front.bn", "l1": "sweep.conv", "l2": "sweep.bn"}
    graph = replace(graph, layers=tuple(replace(one, module_path=paths.get(one.name, "")) for one in graph.layers))
    times = dict.fromkeys(("c1", "c2", "l1", "l2", "y"), 4)
    return make_instance(graph, times, times, {"c2": 4, "l2": 4}, requests=2)


def test_bars_of_two_towers_stay_apart_and_know_their_layers_their_tower_and_their_module():
    instance = towers_of_two()
    timing = schedule(instance, staged_plan(instance, Execution.CONSECUTIVE, [instance.all_edge] * 2))
    bars = [bar for bar in gantt_rows(instance, timing, many=0) if bar.request == 0]
    assert [(bar.layers, bar.tower, bar.module) for bar in bars] == [
        ((1, 2), "camera", "front"), ((4, 5), "lidar", "sweep"), ((6,), "", ""),
    ]  # fmt: skip
    assert bars[0].lines[:2] == ("edge, request 1, camera", "2 layers: front")


def test_a_bar_on_a_link_stands_for_the_layers_that_make_its_tensors():
    instance = towers_of_two()
    cut = frozenset(range(6))
    timing = schedule(instance, staged_plan(instance, Execution.CONSECUTIVE, [cut] * 2))
    up = [bar for bar in gantt_rows(instance, timing) if bar.resource is Resource.UPLINK and bar.request == 0]
    assert [(bar.layers, bar.tower) for bar in up] == [((2,), "camera"), ((5,), "lidar")]
    assert up[0].lines[1] == "tensor front.bn, 4 B"


def test_the_name_of_a_tower_stands_in_a_bar_that_has_room_for_it():
    instance = towers_of_two()
    timing = schedule(instance, staged_plan(instance, Execution.CONSECUTIVE, [instance.all_edge] * 2))
    bars = gantt_rows(instance, timing, many=0)
    assert list(request_numbers(bars, timing.makespan_ns).values())[:3] == ["camera · 1", "lidar · 1", "1"]
    # A hundred times as long an axis leaves no room.
    assert set(request_numbers(bars, 100 * timing.makespan_ns).values()) == {""}


def test_a_bar_of_an_unknown_layer_stands_for_none(diamond):
    late = Trace({one: (Span(one, Work(0, 99), 0, 5),) if one is Resource.EDGE else () for one in RESOURCES}, {0: 5})
    (bar,) = gantt_rows(diamond, late)
    assert (bar.layers, bar.tower, bar.first) == ((), "", "#99")
