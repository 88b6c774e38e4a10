"""The Sweep view as a visitor meets it."""

from __future__ import annotations

import csv
import io

import pytest
from streamlit.testing.v1 import AppTest

from app.figures.sweep_map import MapKind
from app.jobs import sweep as sweep_job
from app.jobs.sweep import FINE
from app.memory import Memory
from app.views import sweep
from app.views.sweep import csv_text
from decc_core import __version__
from decc_core.planner.strategies import STRATEGIES
from decc_core.study.compare import compare
from tests.app.jobs.test_sweep import DEADLINE_S, SMALL, over


def script() -> None:
    from app.shell import cached, profiles, widgets
    from app.views import sweep

    scenario = widgets.sidebar()
    graph = cached.graph_of(scenario.model)
    edge = profiles.profile_of(scenario.model, scenario.edge)
    cloud = profiles.profile_of(scenario.model, scenario.cloud)
    sweep.view(scenario, scenario.instance(graph, edge, cloud))


@pytest.fixture(scope="module", autouse=True)
def small_grid():
    """Grids that take a second, whose cells are planned once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "GRIDS", (SMALL, FINE))
        patch.setattr(sweep_job, "MEMORY", Memory(10**8))
        yield


def opened(model: str = "alexnet") -> AppTest:
    """The view on the small grid, run until the sweep is over."""
    page = AppTest.from_function(script, default_timeout=DEADLINE_S)
    page.session_state["model"] = model
    page.session_state["requests"] = 1
    return settled(page.run())


@pytest.fixture(scope="module")
def page() -> AppTest:
    """The view, for tests that leave the scenario alone."""
    return opened()


def settled(page: AppTest) -> AppTest:
    if page.session_state["sweep_job"].running:
        over(page.session_state["sweep_job"])
    return page.run()


def metric_text(page: AppTest) -> str:
    return " ".join(text.value for text in page.markdown)


def test_the_view_plans_a_small_grid_at_once_and_names_the_winner(page):
    assert not page.exception
    assert not page.error
    job = page.session_state["sweep_job"]
    # 3 x 2 cells and the scenario's own rate; the lines have the rates of the fine grid as well.
    assert len(job.task.map_points) == 4 * 2
    assert not job.missing
    present = job.cells[job.task.present]
    assert f"Best is **{present.winner}**" in metric_text(page)
    assert "This is your scenario" in metric_text(page)


def test_the_present_cell_shows_what_the_plan_view_shows(page):
    job = page.session_state["sweep_job"]
    outcomes = compare(job.task.instance(job.task.present)).outcomes
    assert job.cells[job.task.present].objective_ns == {one.strategy: one.objective_ns for one in outcomes}


@pytest.mark.parametrize("kind", list(MapKind))
def test_every_map_is_drawn(page, kind):
    page.segmented_control(key="sweep_map_kind").set_value(kind).run()
    assert not page.exception
    assert not page.error


def test_a_cell_is_taken_over_into_the_sidebar():
    page = opened()
    page.selectbox(key="sweep_rate").set_value(100.0).run()
    page.selectbox(key="sweep_slowdown").set_value(5.0).run()
    button = page.button(key="sweep_take")
    assert button.label == "Plan at 100 Mbit/s, edge 5× slower"
    settled(button.click().run())
    assert not page.exception
    assert page.session_state["uplink_mbps"] == 100.0
    assert page.session_state["edge_slowdown"] == 5.0
    assert page.session_state["sweep_job"].task.present == (100.0, 5.0)


def test_bits_a_value_are_swept_instead_of_the_edges_speed():
    page = opened()
    settled(page.segmented_control(key="sweep_beside").set_value("bits").run())
    assert not page.exception
    job = page.session_state["sweep_job"]
    assert job.task.present == (page.session_state["uplink_mbps"], 32.0)
    assert {bits for _, bits in job.task.map_points} == {2.0, 32.0}
    few, raw = (job.cells[job.task.present[0], bits] for bits in (2.0, 32.0))
    assert (few.bits, raw.bits, few.edge_slowdown) == (2.0, 32.0, 1.0)
    assert few.objective_ns["decc"] <= raw.objective_ns["decc"]
    assert few.objective_ns["edge-only"] == raw.objective_ns["edge-only"]
    page.selectbox(key="sweep_bits").set_value(2.0).run()
    assert page.button(key="sweep_take").label == "Plan at 18.88 Mbit/s"
    assert "bits_a_value" in csv_text(job).splitlines()[0]


def test_another_scenario_stops_the_old_sweep():
    page = opened()
    old = page.session_state["sweep_job"]
    page.select_slider(key="uplink_mbps").set_value(1.0).run()
    assert old.stopped.is_set()
    assert settled(page).session_state["sweep_job"].task.present == (1.0, 1.0)


def test_two_visitors_sweep_on_their_own():
    one = opened()
    other = opened(model="squeezenet1_1")
    assert one.run().session_state["sweep_job"].task.scenario.model == "alexnet"
    assert other.session_state["sweep_job"].task.scenario.model == "squeezenet1_1"
    assert not one.session_state["sweep_job"].stopped.is_set()


def test_the_file_has_a_row_for_each_cell_and_strategy(page):
    job = page.session_state["sweep_job"]
    rows = list(csv.DictReader(io.StringIO(csv_text(job))))
    assert len(rows) == len(job.cells) * len(STRATEGIES)
    best = {(row["uplink_mbps"], row["edge_slowdown"]) for row in rows if row["winner"] == "1"}
    assert len(best) == len(job.cells)


def test_every_row_of_the_file_says_what_it_is_about(page):
    job = page.session_state["sweep_job"]
    for row in csv.DictReader(io.StringIO(csv_text(job))):
        assert (row["network"], row["requests"], row["decc_version"]) == ("alexnet", "1", __version__)
        assert row["downlink_mbps"] == row["uplink_mbps"]
        assert row["network_fingerprint"] == job.task.graph.fingerprint


def test_map_lines_and_table_can_be_saved(page):
    keys = {button.proto.label for button in page.get("download_button")}
    assert any(key.startswith("Map: ") for key in keys)
    assert "Every strategy over the uplink's rate" in keys
    assert any(key.endswith("cells as CSV") for key in keys)
