"""The Sweep view as a visitor meets it, and the sweep behind it."""

from __future__ import annotations

import csv
import io
import time

import pytest
from streamlit.testing.v1 import AppTest

from app.figures.lines import draw_lines, line_rows
from app.figures.strategy_style import SHORT_NAMES, ink_on, strategy_colour
from app.figures.style import DARK, LIGHT
from app.figures.sweep_map import MapKind, Tile, contour_rows, draw_map, map_rows
from app.jobs import sweep as sweep_job
from app.jobs.sweep import FINE, GRIDS, QUICK, Grid, Memory, SweepJob, SweepTask, spread
from app.state import FACTORS, RATES, Scenario
from app.views import sweep
from app.views.sweep import csv_text
from decc_core import library
from decc_core.planner.strategies import STRATEGIES, solve
from decc_core.study.compare import compare
from decc_core.study.crossover import crossovers
from decc_core.study.regret import Kept
from decc_core.study.sweep import Cell

DEADLINE_S = 60
SMALL = Grid("small", (1.0, 10.0, 100.0), (1.0, 5.0))


def task_of(grid: Grid = SMALL, **controls: object) -> SweepTask:
    scenario = Scenario(model="alexnet", cloud_speedup=4.0, **controls)
    graph = library.load_graph(scenario.model)
    edge = library.load_profile(scenario.model, scenario.edge)
    cloud = library.load_profile(scenario.model, scenario.cloud)
    plan = solve(scenario.instance(graph, edge, cloud), "decc").plan
    return SweepTask(scenario, graph, edge, cloud, plan, grid, key="alexnet")


def finished(job: SweepJob) -> SweepJob:
    job.start()
    deadline = time.monotonic() + DEADLINE_S
    while not job.over and time.monotonic() < deadline:
        time.sleep(0.02)
    assert job.over
    return job


def made_up(point: tuple[float, float], **objective_ns: int) -> Cell:
    named = {name.replace("_", "-"): value for name, value in objective_ns.items()}
    return Cell(point[0] * 1e6, point[1], named, min(named.values()), {})


def script() -> None:
    from app.shell import cached, profiles, widgets
    from app.views import sweep

    scenario = widgets.sidebar()
    graph = cached.graph_of(scenario.model)
    edge = profiles.profile_of(scenario.model, scenario.edge)
    cloud = profiles.profile_of(scenario.model, scenario.cloud)
    sweep.view(scenario, scenario.instance(graph, edge, cloud))


def opened(monkeypatch: pytest.MonkeyPatch, model: str = "alexnet") -> AppTest:
    """The view on a grid that takes a second, run until the sweep is over."""
    monkeypatch.setattr(sweep, "GRIDS", (SMALL, FINE))
    monkeypatch.setattr(sweep_job, "MEMORY", Memory())
    page = AppTest.from_function(script, default_timeout=DEADLINE_S)
    page.session_state["model"] = model
    page.session_state["requests"] = 1
    return settled(page.run())


def settled(page: AppTest) -> AppTest:
    deadline = time.monotonic() + DEADLINE_S
    while page.session_state["sweep_job"].running and time.monotonic() < deadline:
        time.sleep(0.1)
    return page.run()


def metric_text(page: AppTest) -> str:
    return " ".join(text.value for text in page.markdown)


def test_the_view_plans_a_small_grid_at_once_and_names_the_winner(monkeypatch):
    page = opened(monkeypatch)
    assert not page.exception
    assert not page.error
    job = page.session_state["sweep_job"]
    # 3 x 2 cells and the scenario's own rate; the lines have the rates of the fine grid as well.
    assert len(job.task.map_points) == 4 * 2
    assert not job.missing
    present = job.cells[job.task.present]
    assert f"Best is **{present.winner}**" in metric_text(page)
    assert "This is your scenario" in metric_text(page)


def test_the_present_cell_shows_what_the_plan_view_shows(monkeypatch):
    job = opened(monkeypatch).session_state["sweep_job"]
    outcomes = compare(job.task.instance(job.task.present)).outcomes
    assert job.cells[job.task.present].objective_ns == {one.strategy: one.objective_ns for one in outcomes}


@pytest.mark.parametrize("kind", list(MapKind))
def test_every_map_is_drawn(monkeypatch, kind):
    page = opened(monkeypatch)
    page.segmented_control(key="sweep_map_kind").set_value(kind).run()
    assert not page.exception
    assert not page.error


def test_a_cell_is_taken_over_into_the_sidebar(monkeypatch):
    page = opened(monkeypatch)
    page.selectbox(key="sweep_rate").set_value(100.0).run()
    page.selectbox(key="sweep_slowdown").set_value(5.0).run()
    button = page.button(key="sweep_take")
    assert button.label == "Plan at 100 Mbit/s, edge 5× slower"
    settled(button.click().run())
    assert not page.exception
    assert page.session_state["uplink_mbps"] == 100.0
    assert page.session_state["edge_slowdown"] == 5.0
    assert page.session_state["sweep_job"].task.present == (100.0, 5.0)


def test_another_scenario_stops_the_old_sweep(monkeypatch):
    page = opened(monkeypatch)
    old = page.session_state["sweep_job"]
    page.select_slider(key="uplink_mbps").set_value(1.0).run()
    assert old.stopped.is_set()
    assert settled(page).session_state["sweep_job"].task.present == (1.0, 1.0)


def test_two_visitors_sweep_on_their_own(monkeypatch):
    one = opened(monkeypatch)
    other = opened(monkeypatch, model="squeezenet1_1")
    assert one.run().session_state["sweep_job"].task.scenario.model == "alexnet"
    assert other.session_state["sweep_job"].task.scenario.model == "squeezenet1_1"
    assert not one.session_state["sweep_job"].stopped.is_set()


def test_coming_back_finds_the_cells_without_planning_them_again():
    memory = Memory()
    first = finished(SweepJob(task_of(), memory=memory))
    again = SweepJob(task_of(), memory=memory)
    assert not again.missing
    assert {point: again.cells[point] for point in first.cells} == first.cells


def test_a_stopped_sweep_keeps_what_is_there():
    job = SweepJob(task_of(), memory=Memory())
    job.stop()
    finished(job)
    assert job.missing == list(job.task.points)
    assert not job.failure


def test_a_long_sweep_pauses_after_its_first_cells_until_somebody_asks():
    job = finished(SweepJob(task_of(), budget_s=0.0, memory=Memory()))
    assert job.paused
    assert len(job.cells) == sweep_job.FIRST_CELLS
    assert job.expected_s > 0
    assert not finished(SweepJob(job.task, cells=dict(job.cells), memory=Memory())).missing


def test_cells_that_cannot_be_planned_are_noted_and_the_others_go_on(monkeypatch):
    task = task_of(Grid("extreme", (0.1, 100.0), (1.0,)))
    instance = SweepTask.instance

    def refuse_slow(self: SweepTask, point: tuple[float, float]):
        if point[0] < 1:
            raise sweep_job.DeccError("too slow")
        return instance(self, point)

    monkeypatch.setattr(SweepTask, "instance", refuse_slow)
    job = finished(SweepJob(task, memory=Memory()))
    assert not job.failure
    assert job.refused[(0.1, 1.0)] == "too slow"
    assert (100.0, 1.0) in job.cells
    (tile,) = (t for t in map_rows(MapKind.WINNER, task.map_points, job.cells, {}, job.refused) if t.label == "✕")
    assert "too slow" in tile.hover


def test_the_sweep_knows_the_regret_everywhere_and_none_at_home():
    job = finished(SweepJob(task_of(), memory=Memory()))
    assert set(job.kept) >= set(job.task.map_points)
    present = job.task.present
    assert job.kept[present].regret(job.cells[present].objective_ns["decc"]) == 1.0
    assert all(job.kept[point].regret(job.cells[point].objective_ns["decc"]) >= 1.0 for point in job.task.map_points)


def test_crossovers_of_a_sweep_are_known_to_within_one_per_cent():
    job = finished(SweepJob(task_of(), memory=Memory()))
    assert job.crossovers
    assert all(one.width <= 0.01 for one in job.crossovers)


def test_the_file_has_a_row_for_each_cell_and_strategy():
    job = finished(SweepJob(task_of(), memory=Memory()))
    rows = list(csv.DictReader(io.StringIO(csv_text(job))))
    assert len(rows) == len(job.cells) * len(STRATEGIES)
    best = {(row["uplink_mbps"], row["edge_slowdown"]) for row in rows if row["winner"] == "1"}
    assert len(best) == len(job.cells)


@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: grid.name)
def test_grids_stand_on_the_steps_of_the_sidebar(grid):
    assert set(grid.rates) <= set(RATES)
    assert set(grid.slowdowns) <= set(FACTORS)
    assert f"{len(grid.rates)} × {len(grid.slowdowns)}" in grid.name


def test_a_grid_off_the_steps_of_the_sidebar_is_refused():
    with pytest.raises(ValueError, match=r"7\.77 is not a step"):
        Grid("odd", (7.77,), (1.0,))


def test_steps_are_spread_evenly_on_a_logarithmic_scale():
    assert spread((1.0, 2.0, 3.0, 10.0, 50.0, 100.0), 3) == (1.0, 10.0, 100.0)
    assert QUICK.rates[0] == 0.1
    assert QUICK.rates[-1] == 1000.0


POINTS = ((1.0, 1.0), (10.0, 1.0))


def test_a_map_of_winners_marks_near_ties():
    cells = {
        POINTS[0]: made_up(POINTS[0], edge_only=1000, decc=999),
        POINTS[1]: made_up(POINTS[1], edge_only=2000, decc=1000),
    }
    near, clear = map_rows(MapKind.WINNER, POINTS, cells, {}, {})
    assert (near.label, clear.label) == ("DECC ≈", "DECC")
    assert "edge-only is less than 0.5 % behind" in near.hover
    assert "1 Mbit/s up" in near.hover
    assert "1.00 µs" in near.hover


def test_maps_of_gain_and_regret_hold_ratios():
    cells = {POINTS[0]: made_up(POINTS[0], edge_only=300, jps=150, decc=100)}
    kept = {POINTS[0]: Kept(170)}
    (best,) = map_rows(MapKind.GAIN, POINTS, cells, kept, {})
    (over,) = map_rows(MapKind.GAIN, POINTS, cells, kept, {}, over="edge-only")
    (regret,) = map_rows(MapKind.REGRET, POINTS, cells, kept, {})
    assert [best.ratio, over.ratio, regret.ratio] == [1.5, 3.0, 1.7]
    assert [best.label, over.label, regret.label] == ["1.50", "3.00", "1.70"]


def test_a_kept_plan_that_is_not_possible_is_crossed_out_with_the_reason():
    cells = {POINTS[0]: made_up(POINTS[0], edge_only=300, decc=100)}
    (tile,) = map_rows(MapKind.REGRET, POINTS, cells, {POINTS[0]: Kept(None, "too <b>big</b>")}, {})
    assert tile.ratio is None
    assert tile.label == "✕"
    assert "too &lt;b&gt;big&lt;/b&gt;" in tile.hover


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("kind", list(MapKind))
def test_maps_draw_one_mark_to_click_per_known_cell(kind, theme):
    cells = {POINTS[0]: made_up(POINTS[0], edge_only=300, decc=100)}
    tiles = map_rows(kind, POINTS, cells, {POINTS[0]: Kept(120)}, {})
    figure = draw_map(kind, tiles, (1.0, 10.0), (1.0,), POINTS[1], POINTS[0], theme)
    (targets,) = (trace for trace in figure.data if trace.type == "scatter" and trace.customdata is not None)
    assert [list(one[:2]) for one in targets.customdata] == [[1.0, 1.0]]
    assert len(figure.layout.shapes) == 4


def test_lines_have_a_point_per_cell_and_a_diamond_per_crossover():
    cells = [
        made_up((1.0, 1.0), edge_only=100, cloud_only=900),
        made_up((4.0, 1.0), edge_only=100, cloud_only=225),
        made_up((16.0, 1.0), edge_only=100, cloud_only=56),
    ]
    lines = line_rows(reversed(cells))
    assert [line.strategy for line in lines] == ["edge-only", "cloud-only"]
    assert lines[1].rates_mbps == (1.0, 4.0, 16.0)
    assert lines[1].objective_ns == (900, 225, 56)
    figure = draw_lines(lines, crossovers(cells), 4.0, "makespan", LIGHT)
    (diamond,) = (trace for trace in figure.data if trace.name == "crossover")
    assert list(diamond.x) == [8.0]
    assert diamond.customdata[0] == "8 Mbit/s: edge-only → cloud-only"


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_every_strategy_has_a_colour_and_a_short_name_of_its_own(theme):
    colours = {strategy_colour(strategy, theme) for strategy in STRATEGIES}
    assert len(colours) == len(STRATEGIES)
    assert len({SHORT_NAMES[strategy] for strategy in STRATEGIES}) == len(STRATEGIES)
    assert ink_on("#000000") == "#FFFFFF"
    assert ink_on("#FFFFFF") != "#FFFFFF"


def test_the_contour_runs_between_cells_on_both_sides_of_it():
    def tile(ratio: float | None) -> Tile:
        return Tile((1.0, 1.0), "", "", ratio=ratio)

    # Two rows of three: below 1.00 1.10 unknown, above 1.00 1.00 1.20.
    rows = [[1.0, 1.1, None], [1.0, 1.0, 1.2]]
    found = {(j, i): tile(ratio) for j, row in enumerate(rows) for i, ratio in enumerate(row)}
    assert sorted(contour_rows(found)) == [
        ((0.5, -0.5), (0.5, 0.5)),
        ((0.5, 0.5), (1.5, 0.5)),
        ((1.5, 0.5), (1.5, 1.5)),
    ]
