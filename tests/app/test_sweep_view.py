"""The Sweep view as a visitor meets it, and the sweep behind it."""

from __future__ import annotations

import csv
import io
import time

import pytest
from streamlit.testing.v1 import AppTest

from app import sweep_job
from app.figures.lines import draw_lines, line_rows
from app.figures.strategy_style import SHORT_NAMES, ink_on, strategy_colour
from app.figures.style import DARK, LIGHT
from app.figures.sweep_map import MapKind, draw_map, map_rows
from app.state import FACTORS, RATES, Scenario
from app.sweep_job import FINE, GRIDS, QUICK, Grid, Memory, SweepJob, SweepTask, spread
from app.views import sweep
from app.views.sweep import csv_text
from decc_core import library
from decc_core.compare import compare
from decc_core.crossover import crossovers
from decc_core.regret import Kept
from decc_core.strategies import STRATEGIES, solve
from decc_core.sweep import Cell

DEADLINE_S = 60
SMALL = Grid("small", (1.0, 10.0, 100.0), (1.0, 5.0))


def task_of(grid: Grid = SMALL, **controls: object) -> SweepTask:
    scenario = Scenario(model="alexnet", cloud_speedup=4.0, **controls)
    graph = library.load_graph(scenario.model)
    edge = library.load_profile(scenario.model, scenario.edge)
    cloud = library.load_profile(scenario.model, scenario.cloud)
    plan = solve(scenario.instance(graph, edge, cloud), "decc")
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
    from app import cached, profiles, widgets
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
