"""The data behind the figures, on instances small enough to draw by hand."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import networkx as nx
import pytest

from app.figures.bars import bar_rows, draw_bars
from app.figures.branch_graph import branch_rows, cut_groups, placed_runs, run_title
from app.figures.branch_scene import branch_scene, holding
from app.figures.gantt import Marking, draw_gantt, gantt_rows, gap_rows, jump_rows
from app.figures.overlay import draw_overlay
from app.figures.proof import draw_proof, proof_rows
from app.figures.scene import ROUND, SQUARE, as_data
from app.figures.style import COLOURS, DARK, LIGHT
from app.figures.svg import spaced, svg_scene
from app.units import bytes_text, gap_text, ns_text, ranges_text, time_text
from decc_core import library
from decc_core.network.graph import LayerGraph
from decc_core.network.work import Resource, Work
from decc_core.plans.plan import Execution, staged_plan
from decc_core.plans.schedule import schedule
from decc_core.plans.trace import Trace
from decc_core.problem.instance import CostInstance
from decc_core.study.compare import compare
from decc_core.study.critical import critical_path, idle_times
from tests.builders import make_graph, make_instance, random_graph


@pytest.fixture
def diamond() -> CostInstance:
    """Two branches between x and y; a is dear on the edge, b costs nothing there."""
    graph = make_graph({"x": [], "a": ["x"], "b": ["x"], "y": ["a", "b"]})
    return make_instance(
        graph,
        edge={"a": 10, "b": 2, "y": 4},
        cloud={"a": 3, "b": 1, "y": 1},
        uplink={"x": 5, "a": 5, "b": 1, "y": 1},
        downlink=1,
        requests=2,
    )


def cut_of(instance: CostInstance, *names: str) -> frozenset[int]:
    return frozenset(instance.graph.index[name] for name in names)


def long_graph(length: int) -> LayerGraph:
    """A chain with a fork in the middle, long enough to be drawn as runs."""
    edges: dict[str, list[str]] = {"x": []}
    before = "x"
    for i in range(length):
        edges[f"c{i}"] = [before]
        before = f"c{i}"
    for side in ("left", "right"):
        edges[f"{side}0"] = [before]
        for i in range(1, length):
            edges[f"{side}{i}"] = [f"{side}{i - 1}"]
    edges["y"] = [f"left{length - 1}", f"right{length - 1}"]
    return make_graph(edges)


def test_a_crossing_tensor_is_marked_on_the_way_to_each_of_its_readers(diamond):
    picture = branch_rows(diamond, cut_of(diamond, "x"))
    marked = {(arrow.source, arrow.target): arrow.tensors for arrow in picture.arrows if arrow.tensors}
    assert set(marked) == {(0, 1), (0, 2)}
    (crossing,) = picture.crossings.values()
    assert (crossing.name, crossing.uplink_ns) == ("x", 5)


def test_nothing_is_marked_when_all_runs_on_the_edge(diamond):
    picture = branch_rows(diamond, diamond.all_edge)
    assert not picture.crossings
    assert not any(arrow.tensors for arrow in picture.arrows)
    assert {node.resource for node in picture.nodes} == {Resource.EDGE}


def test_data_flows_from_left_to_right_and_branches_have_lanes_of_their_own(diamond):
    nodes = branch_rows(diamond, cut_of(diamond, "x", "b")).nodes
    assert [node.x for node in nodes] == [0, 1, 1, 2]
    assert nodes[1].y != nodes[2].y
    assert [node.resource for node in nodes] == [Resource.EDGE, Resource.CLOUD, Resource.EDGE, Resource.CLOUD]


def test_long_chains_are_one_node_on_each_side_of_the_cut():
    graph = long_graph(20)
    cut = frozenset(graph.index[name] for name in graph.index if name.startswith(("x", "c", "left"))) | {
        graph.index[f"right{i}"] for i in range(7)
    }
    runs = placed_runs(graph, cut)
    names = [[graph.layers[layer].name for layer in run] for run in runs]
    assert [(run[0], run[-1]) for run in names] == [
        ("x", "c19"), ("left0", "left19"), ("right0", "right6"), ("right7", "right19"), ("y", "y"),
    ]  # fmt: skip


def test_runs_hold_every_layer_once_on_one_side_and_never_wait_for_each_other():
    rng = random.Random(7)
    for _ in range(60):
        graph = random_graph(rng, 60)
        size = rng.randint(1, 59)
        cut = frozenset(graph.inputs) | frozenset(range(size))
        runs = placed_runs(graph, cut)
        assert sorted(layer for run in runs for layer in run) == list(range(60))
        assert all(len({layer in cut for layer in run}) == 1 for run in runs)
        home = {layer: i for i, run in enumerate(runs) for layer in run}
        flow = nx.DiGraph((home[p], home[c]) for c, parents in enumerate(graph.parents) for p in parents)
        flow.remove_edges_from(list(nx.selfloop_edges(flow)))
        assert nx.is_directed_acyclic_graph(flow)


@pytest.mark.parametrize("model", library.shipped_models())
def test_every_shipped_network_fits_on_a_page(model):
    graph = library.load_graph(model)
    nothing = [0] * len(graph.tensors)
    times = tuple(0 if layer.is_input else 1 for layer in graph.layers)
    instance = CostInstance(graph, times, times, tuple(nothing), tuple(nothing), tuple(nothing))
    for cut in (instance.all_edge, instance.all_cloud):
        picture = branch_rows(instance, cut)
        assert len({(node.x, node.y) for node in picture.nodes}) == len(picture.nodes)
        assert max(node.x for node in picture.nodes) < 50
        assert max(node.y for node in picture.nodes) - min(node.y for node in picture.nodes) < 25


def test_labels_do_not_run_into_each_other():
    graph = make_graph({"x": [], **{f"layer{i}": [f"layer{i - 1}" if i else "x"] for i in range(45)}})
    scene = branch_scene(branch_rows(make_instance(graph, {}, {}, {}), frozenset(range(46))))
    labels = spaced([(label.x, label.y, label.text) for label in scene.labels])
    assert 5 < len(labels) < 45
    assert all(x + 6 * len(text) / 2 < x2 - 6 * len(text2) / 2 for (x, _, text), (x2, _, text2) in pairwise(labels))


def test_requests_with_the_same_cut_are_one_group(diamond):
    cuts = [diamond.all_edge, diamond.all_cloud]
    plan = staged_plan(diamond, Execution.FRAME_PIPELINED, cuts)
    assert [group.requests for group in cut_groups(plan)] == [(0,), (1,)]
    plan = staged_plan(diamond, Execution.FRAME_PIPELINED, [diamond.all_edge] * 2)
    assert [group.requests for group in cut_groups(plan)] == [(0, 1)]


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


def test_spans_with_a_pause_between_them_stay_apart():
    graph = make_graph({"x": [], "u": [], "a": ["x"], "b": ["u"], "y": ["a", "b"]})
    instance = make_instance(graph, {}, {"a": 1, "b": 1, "y": 1}, {"x": 5, "u": 5})
    plan = staged_plan(instance, Execution.BRANCH_PIPELINED, [instance.all_cloud])
    cloud = [bar for bar in gantt_rows(instance, schedule(instance, plan), many=0) if bar.resource is Resource.CLOUD]
    assert [(bar.start_ns, bar.end_ns, bar.items) for bar in cloud] == [(5, 6, 1), (10, 12, 2)]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_all_four_resources_have_a_row_even_if_idle(diamond, theme):
    timing = schedule(diamond, staged_plan(diamond, Execution.CONSECUTIVE, [diamond.all_edge] * 2))
    figure = draw_gantt(gantt_rows(diamond, timing), timing.makespan_ns, 10, theme)
    assert {trace.y[0] for trace in figure.data} == {"edge", "uplink", "cloud", "downlink"}


def test_measured_and_planned_charts_share_a_time_axis(diamond):
    timing = schedule(diamond, staged_plan(diamond, Execution.BRANCH_PIPELINED, [diamond.all_edge]))
    late = Trace(timing.spans, {0: 2 * timing.makespan_ns})
    until = late.makespan_ns
    charts = [
        draw_gantt(gantt_rows(diamond, one), one.makespan_ns, None, LIGHT, until_ns=until) for one in (late, timing)
    ]
    first, second = (chart.layout.xaxis for chart in charts)
    assert first.range == second.range
    assert first.title.text == second.title.text


def test_the_best_strategy_stands_out_and_every_strategy_has_a_bar(diamond):
    comparison = compare(diamond)
    rows = bar_rows(comparison)
    assert [row.strategy for row in rows] == [outcome.strategy for outcome in comparison.outcomes]
    assert [row.strategy for row in rows if row.is_best] == [comparison.best.strategy]
    drawn = draw_bars(rows, comparison.lower_bound_ns, "makespan", LIGHT)
    assert drawn.count(COLOURS[Resource.EDGE]) == 1
    assert all(f">{row.strategy}</div>" in drawn and ns_text(row.objective_ns) in drawn for row in rows)
    assert f"proven lower bound: {ns_text(comparison.lower_bound_ns)}" in drawn


def test_a_network_of_one_input_and_one_layer_can_be_drawn():
    graph = make_graph({"x": [], "y": ["x"]})
    instance = make_instance(graph, {"y": 1}, {"y": 1}, {"x": 1})
    assert branch_scene(branch_rows(instance, instance.all_cloud)).marks


def test_numbers_read_well():
    assert [time_text(t) for t in (12.34, 0.0123, 0.000_001_5)] == ["12.3 s", "12.3 ms", "1.50 µs"]
    assert [bytes_text(b) for b in (12, 1500, 2_000_000)] == ["12 B", "1.50 kB", "2.00 MB"]
    assert [gap_text(gap) for gap in (0, 1e-6, 0.031, 0.25)] == ["0 %", "< 0.01 %", "3.10 %", "25.0 %"]
    assert ranges_text((1, 2, 3, 5, 7, 8)) == "1–3, 5, 7–8"


def test_marked_work_stands_in_bars_of_its_own_and_is_outlined(diamond):
    plan = staged_plan(diamond, Execution.CONSECUTIVE, [diamond.all_edge] * 2)
    timing = schedule(diamond, plan)
    b = diamond.graph.index["b"]
    bars = gantt_rows(diamond, timing, many=5, marked={(Resource.EDGE, Work(0, b))})
    assert [(bar.request, bar.start_ns, bar.end_ns, bar.marked) for bar in bars] == [
        (0, 0, 10, False), (0, 10, 12, True), (0, 12, 16, False), (1, 16, 32, False),
    ]  # fmt: skip
    edge = draw_gantt(bars, 32, None, DARK, marking=Marking.CRITICAL).data[0]
    assert edge.marker.line.color == (DARK.page, DARK.text, DARK.page, DARK.page)
    faded = draw_gantt(bars, 32, None, DARK, marking=Marking.DIFFERENT).data[0]
    assert faded.marker.opacity[1] > faded.marker.opacity[0]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_idle_time_and_the_way_of_the_critical_path_are_drawn(diamond, theme):
    plan = staged_plan(diamond, Execution.BRANCH_PIPELINED, [diamond.all_cloud] * 2)
    timing = schedule(diamond, plan)
    path = critical_path(diamond, plan, timing)
    gaps, jumps = gap_rows(idle_times(timing)), jump_rows(path)
    assert all(gap.end_ns > gap.start_ns for gap in gaps)
    # Both inputs are sent, then the second request is computed and comes back.
    assert [(jump.source, jump.target) for jump in jumps] == [
        (Resource.UPLINK, Resource.CLOUD), (Resource.CLOUD, Resource.DOWNLINK),
    ]  # fmt: skip
    figure = draw_gantt(gantt_rows(diamond, timing), timing.makespan_ns, 1, theme, gaps=gaps, jumps=jumps)
    assert len(figure.data) == 6


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
        f"{name}: 5 B, {ns_text(5)} on the uplink" for name in "ax"
    ]  # fmt: skip
    by_name = {mark.lines[0][0]: mark for mark in scene.marks}
    assert by_name["a"].width == max(mark.width for mark in scene.marks)
    assert by_name["a"].x == by_name["b"].x > by_name["x"].x


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


def test_a_proof_closes_in_from_both_sides():
    rows = proof_rows([(1.0, 9e-9, 5e-9), (2.0, 9.5e-9, 4e-9)], 10, 3, 4.0)
    assert [round(1e9 * row.best_s, 6) for row in rows] == [10, 9, 9, 9]
    assert [round(1e9 * row.bound_s, 6) for row in rows] == [3, 5, 5, 5]
    assert rows[-1].elapsed_s == 4.0
    assert len(draw_proof(rows, "makespan", LIGHT).data) == 2


def test_names_of_layers_in_charts_are_text_and_not_tags():
    hostile = "<a href='https://host.invalid'>press me</a>"
    graph = make_graph({"x": [], hostile: ["x"]})
    instance = make_instance(graph, edge={hostile: 10}, cloud={hostile: 1}, uplink={"x": 5})
    timing = schedule(instance, staged_plan(instance, Execution.CONSECUTIVE, [instance.all_edge]))
    bars = gantt_rows(instance, timing)
    figures = (
        draw_gantt(bars, timing.makespan_ns, None, LIGHT, named=True),
        draw_overlay(bars, bars, timing.makespan_ns, LIGHT),
    )
    for figure in figures:
        texts = [text for trace in figure.data for text in (*trace.customdata, *trace.text)]
        assert any("&lt;a href" in text for text in texts)
        assert not any("<a" in text for text in texts)


def test_only_the_module_that_wraps_a_network_is_left_out_of_titles():
    graph = make_graph({"x": [], "a": ["x"], "b": ["a"]})
    for paths, title in (
        (("network.stem.conv", "network.head"), "stem.conv … head"),
        (("networks.stem", "network2.head"), "networks.stem … network2.head"),
        (("network.stem.conv", "network.stem.bn"), "stem"),
    ):
        layers = [replace(layer, module_path=path) for layer, path in zip(graph.layers[1:], paths, strict=True)]
        assert run_title(replace(graph, layers=(graph.layers[0], *layers)), (1, 2)) == title
