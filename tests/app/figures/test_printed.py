"""The page's figures for print: whole files in which no text runs into another, at every size."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.figures import printed
from app.figures.layer_graph import Colouring, layer_rows
from app.figures.layer_tree import groups, layer_tree
from app.figures.lines import line_rows
from app.figures.proof import proof_rows
from app.figures.sweep_map import MapKind, map_rows
from app.figures.wire_depth import CutMark
from decc_core import library
from decc_core.network.work import Resource
from decc_core.planner.strategies import STRATEGIES
from decc_core.plans.schedule import schedule
from decc_core.plans.trace import Trace
from decc_core.printed.sheet import SIZES, Picture
from decc_core.problem.link import BPS_PER_MBPS
from decc_core.problem.scenario import Scenario
from decc_core.profiling.layer_times import GroupBy
from decc_core.study.compare import Comparison, compare
from decc_core.study.crossover import crossovers
from decc_core.study.depth import WireLine
from decc_core.study.regret import keep
from decc_core.study.sweep import Cell, GridPoint, sweep
from tests.builders import make_graph, make_instance
from tests.printed.sheets import require_tidy

SEVERAL = Scenario("squeezenet1_1", cloud_speedup=4.0, rtt_ms=10.0, requests=8)
ONE = Scenario("multiview4", cloud_speedup=4.0, rtt_ms=10.0)
RATES, SLOWDOWNS = (0.1, 0.25, 1.0, 1.6, 5.0, 18.88, 50.0, 100.0, 400.0, 1000.0), (0.5, 1.0, 5.0, 20.0)

sizes = pytest.mark.parametrize("size", SIZES)


def compared(scenario: Scenario) -> Comparison:
    edge, cloud = (library.load_profile(scenario.model, device) for device in (scenario.edge, scenario.cloud))
    return compare(scenario.instance(library.load_graph(scenario.model), edge, cloud))


@pytest.fixture(scope="module")
def several() -> Comparison:
    return compared(SEVERAL)


@pytest.fixture(scope="module")
def one() -> Comparison:
    return compared(ONE)


def require(picture: Picture, size: str) -> list[str]:
    assert not picture.too_large
    return require_tidy(picture, size)


@sizes
def test_a_schedule_has_its_rows_requests_bound_and_critical_path(size, several, one):
    texts = require(printed.of_schedule(several, several.of("decc"), critical=True), size)
    assert {"edge", "uplink", "cloud", "downlink", "1", "proven lower bound", "critical path", "idle"} <= {*texts}
    plain = require(printed.of_schedule(one, one.of("dads-dsl"), critical=False), size)
    assert "critical path" not in plain


@sizes
def test_two_plans_stand_on_one_axis_of_time(size, several):
    texts = require(printed.of_two_plans(several, several.of("decc"), several.of("dads-dsl")), size)
    assert any(text.startswith("decc: ") for text in texts)
    assert texts.count("uplink") == 2


@sizes
def test_every_distinct_cut_is_drawn(size, several, one):
    pictures = printed.of_cuts(several.instance, several.of("decc"))
    assert len(pictures) == len({*several.of("decc").plan.cuts})
    assert all("request" in picture.title for picture in pictures)
    for picture in (*pictures, *printed.of_cuts(one.instance, one.of("decc"))):
        texts = require(picture, size)
        assert {"on the edge", "in the cloud", "crossing tensor (uplink)"} <= {*texts}


@sizes
def test_all_strategies_stand_side_by_side(size, several):
    assert {*STRATEGIES} <= {*require(printed.of_strategies(several), size)}


@sizes
@pytest.mark.parametrize(
    ("colouring", "opened"), [(Colouring.BRANCH, False), (Colouring.PLACEMENT, False), (Colouring.EDGE_TIME, True)]
)
def test_layers_are_drawn_as_far_as_groups_are_open(size, colouring, opened, several):
    tree = layer_tree(several.instance.graph)
    rows = layer_rows(several.instance, tree, frozenset(group.id for group in groups(tree) if opened))
    require(printed.of_layers(several.instance, rows, colouring, several.of("decc").plan.cuts), size)


def test_more_boxes_than_a_page_has_room_for_are_refused_with_the_remedy(monkeypatch, several):
    monkeypatch.setattr(printed, "MANY_BOXES", 1)
    rows = layer_rows(several.instance, layer_tree(several.instance.graph), frozenset())
    assert "Collapse all" in printed.of_layers(several.instance, rows, Colouring.BRANCH, ()).too_large


@sizes
@pytest.mark.parametrize(
    ("model", "by", "log"),
    [
        ("squeezenet1_1", GroupBy.LAYER, False),
        ("googlenet", GroupBy.LAYER, True),
        ("googlenet", GroupBy.MODULE, False),
        ("googlenet", GroupBy.OPERATOR, True),
    ],
)
def test_times_of_layers_modules_and_operators(size, model, by, log):
    edge, cloud = (library.load_profile(model, device) for device in (SEVERAL.edge, SEVERAL.cloud))
    texts = require(printed.of_times(library.load_graph(model), edge, cloud, by, log), size)
    assert "edge time over cloud time" in texts


@sizes
def test_a_proof_closes_in(size):
    rows = proof_rows([(1.0, 0.3102, 0.3091), (4.0, 0.3101, 0.31)], 310_300_000, 309_000_000, 6.5)
    assert "best plan found" in require(printed.of_proof(rows, "makespan"), size)


@pytest.fixture(scope="module")
def cells() -> dict[tuple[float, float], Cell]:
    """Two layers over a grid: the winner changes from edge to split to cloud."""
    points = [
        GridPoint(rate * BPS_PER_MBPS, slowdown, replace_times(rate, slowdown))
        for rate in RATES
        for slowdown in SLOWDOWNS
    ]
    rows = sweep(points, tuple(STRATEGIES))
    return {(row.uplink_bps / BPS_PER_MBPS, row.edge_slowdown): Cell.of(row) for row in rows}


def replace_times(rate: float, slowdown: float):
    graph = make_graph({"x": [], "a": ["x"], "y": ["a"]})
    edge = {"a": round(4_000_000 * slowdown), "y": round(80_000_000 * slowdown)}
    sent = {"x": round(400_000_000 / rate), "a": round(40_000_000 / rate)}
    return make_instance(graph, edge, {"a": 1_000_000, "y": 20_000_000}, sent, requests=2)


@sizes
@pytest.mark.parametrize("kind", list(MapKind))
def test_maps_name_the_winner_or_the_ratio_in_their_cells(size, kind, cells):
    plan = compare(replace_times(5.0, 1.0)).of("decc").plan
    kept = {point: keep(replace_times(*point), plan) for point in cells}
    points = [(rate, slowdown) for slowdown in SLOWDOWNS for rate in RATES]
    tiles = map_rows(kind, points, cells, kept, {})
    picture = printed.of_map(kind, lambda: tiles, RATES, SLOWDOWNS, (5.0, 1.0), "the best baseline")
    assert "the scenario itself" in require(picture, size)


@sizes
def test_lines_of_all_strategies_with_their_crossovers(size, cells):
    mine = [cell for (_, slowdown), cell in cells.items() if slowdown == 1.0]
    crossings = crossovers(mine)
    assert crossings
    texts = require(printed.of_lines(lambda: line_rows(mine), lambda: crossings, 5.0, "makespan"), size)
    assert {*STRATEGIES, "the scenario: 5 Mbit/s"} <= {*texts}


@sizes
def test_a_sweep_that_has_not_begun_is_drawn_empty(size):
    require(printed.of_map(MapKind.WINNER, lambda: (), RATES, SLOWDOWNS, (5.0, 1.0), ""), size)
    require(printed.of_lines(lambda: (), lambda: (), 5.0, "makespan"), size)


@sizes
def test_a_run_stands_over_its_plan(size, several):
    outcome = several.of("decc")
    late = schedule(
        replace(several.instance, edge_ns=tuple(2 * time for time in several.instance.edge_ns)), outcome.plan
    )
    measured = Trace(late.spans, dict.fromkeys(range(8), late.makespan_ns))
    for picture in printed.of_run(several.instance, "decc", outcome.schedule, measured):
        assert {resource.value for resource in Resource} <= {*require(picture, size)}


@sizes
def test_names_of_layers_are_text_and_fit_into_their_boxes(size):
    names = ["$x^2$ <b>", "图" * 40, "a" * 300, "%s\n{0}"]
    graph = make_graph({"x": [], **{name: ["x"] for name in names}, "y": names}, name="$net")
    instance = make_instance(graph, dict.fromkeys(names, 5), dict.fromkeys(names, 1), {"x": 2})
    tree = layer_tree(graph)
    rows = layer_rows(instance, tree, frozenset(group.id for group in groups(tree)))
    require(printed.of_layers(instance, rows, Colouring.BRANCH, ()), size)
    comparison = compare(instance)
    for picture in (
        *printed.of_cuts(instance, comparison.best),
        printed.of_schedule(comparison, comparison.best, True),
    ):
        require(picture, size)


@sizes
def test_the_wire_has_formats_bytes_agreement_and_the_cut(size):
    lines = (
        WireLine("raw", (4000.0, 2000.0, 900.0), (1.0, 1.0, 1.0)),
        WireLine("int8-channel", (4000.0, 500.0, 230.0), (1.0, 0.97, 0.99)),
        WireLine("jpeg85", (800.0, None, None), (0.99, None, None)),
    )
    texts = require(printed.of_wire(lines, [CutMark(1, 500, 1, True)], "int8-channel", 0.98), size)
    assert {"raw", "int8-channel", "jpeg85", "where the plan cuts", "asked for"} <= {*texts}
    assert any(text.startswith("agreement") for text in texts)
    bare = tuple(WireLine(line.wire, line.size_bytes, (None, None, None)) for line in lines)
    assert not any(text.startswith("agreement") for text in require(printed.of_wire(bare, [], "raw", None), size))
