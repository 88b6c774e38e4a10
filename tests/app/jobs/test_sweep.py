"""The sweep behind the view: what it plans, keeps and gives up."""

from __future__ import annotations

import time

import pytest

from app.figures.sweep_map import MapKind, map_rows
from app.jobs import sweep as sweep_job
from app.jobs.sweep import GRIDS, QUICK, Grid, SweepJob, SweepTask, spread
from app.memory import Memory
from app.state import FACTORS, RATES
from decc_core import library
from decc_core.planner.strategies import solve
from decc_core.problem.scenario import Scenario

DEADLINE_S = 60
SMALL = Grid("small", (1.0, 10.0, 100.0), (1.0, 5.0), (2.0, 32.0))


def task_of(grid: Grid = SMALL, **controls: object) -> SweepTask:
    scenario = Scenario(model="alexnet", cloud_speedup=4.0, **controls)
    graph = library.load_graph(scenario.model)
    edge = library.load_profile(scenario.model, scenario.edge)
    cloud = library.load_profile(scenario.model, scenario.cloud)
    plan = solve(scenario.instance(graph, edge, cloud), "decc").plan
    return SweepTask(scenario, graph, edge, cloud, plan, grid, key="alexnet")


def finished(job: SweepJob) -> SweepJob:
    job.start()
    return over(job)


def over(job: SweepJob) -> SweepJob:
    """The job once it is over."""
    deadline = time.monotonic() + DEADLINE_S
    while not job.over and time.monotonic() < deadline:
        time.sleep(0.02)
    assert job.over
    return job


@pytest.fixture(scope="module")
def memory() -> Memory:
    return Memory(10**8)


@pytest.fixture(scope="module")
def swept(memory) -> SweepJob:
    """The small grid, planned once."""
    return finished(SweepJob(task_of(), memory=memory))


def test_coming_back_finds_the_cells_without_planning_them_again(memory, swept):
    again = SweepJob(task_of(), memory=memory)
    assert not again.missing
    assert swept.cells
    assert {point: again.cells[point] for point in swept.cells} == swept.cells


def test_a_stopped_sweep_keeps_what_is_there():
    job = SweepJob(task_of(), memory=Memory(10**8))
    job.stop()
    finished(job)
    assert job.missing == list(job.task.points)
    assert not job.failure


def test_a_long_sweep_pauses_after_its_first_cells_until_somebody_asks():
    job = finished(SweepJob(task_of(), budget_s=0.0, memory=Memory(10**8)))
    assert job.paused
    assert len(job.cells) == sweep_job.FIRST_CELLS
    assert job.expected_s > 0
    assert not finished(SweepJob(job.task, cells=dict(job.cells), memory=Memory(10**8))).missing


def test_cells_that_cannot_be_planned_are_noted_and_the_others_go_on(monkeypatch):
    task = task_of(Grid("extreme", (0.1, 100.0), (1.0,)))
    instance = SweepTask.instance

    def refuse_slow(self: SweepTask, point: tuple[float, float]):
        if point[0] < 1:
            raise sweep_job.DeccError("too slow")
        return instance(self, point)

    monkeypatch.setattr(SweepTask, "instance", refuse_slow)
    job = finished(SweepJob(task, memory=Memory(10**8)))
    assert not job.failure
    assert job.refused[(0.1, 1.0)] == "too slow"
    assert (100.0, 1.0) in job.cells
    (tile,) = (t for t in map_rows(MapKind.WINNER, task.map_points, job.cells, {}, job.refused) if t.label == "✕")
    assert "too slow" in tile.hover


def test_the_sweep_knows_the_regret_everywhere_and_none_at_home(swept):
    assert set(swept.kept) >= set(swept.task.map_points)
    points = {*swept.task.map_points, swept.task.present}
    regret = {point: swept.kept[point].regret(swept.cells[point].objective_ns["decc"]) for point in points}
    assert regret[swept.task.present] == 1.0
    assert all(one >= 1.0 for one in regret.values())


def test_crossovers_of_a_sweep_are_known_to_within_one_per_cent(swept):
    assert swept.crossovers
    assert all(one.width <= 0.01 for one in swept.crossovers)


@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: grid.name)
def test_grids_stand_on_the_steps_of_the_sidebar(grid):
    assert set(grid.rates) <= set(RATES)
    assert set(grid.slowdowns) <= set(FACTORS)
    assert f"{len(grid.rates)} × {len(grid.slowdowns)}" in str(grid)


def test_a_grid_off_the_steps_of_the_sidebar_is_refused():
    with pytest.raises(ValueError, match=r"7\.77 is not a step"):
        Grid("odd", (7.77,), (1.0,))


def test_steps_are_spread_evenly_on_a_logarithmic_scale():
    assert spread((1.0, 2.0, 3.0, 10.0, 50.0, 100.0), 3) == (1.0, 10.0, 100.0)
    assert QUICK.rates[0] == 0.1
    assert QUICK.rates[-1] == 1000.0
