"""Live runs on the page, in a real browser: started, watched, stopped, and taken along."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.app.conftest import Visit, visited

pytestmark = pytest.mark.browser
GRAPH = "svg.canvas"


@pytest.fixture
def live(regular, server) -> Iterator[Visit]:
    """The Live view of a small network."""
    found = visited(regular, f"{server}/?model=squeezenet1_1&requests=2")
    found.page.get_by_role("link", name="Live run").click()
    found.page.get_by_text("Nothing was run yet").first.wait_for()
    yield found
    found.page.close()


def test_a_live_run_can_be_stopped_and_started_again(live):
    page = live.page
    page.get_by_role("button", name="Start", exact=True).click()
    # While a script runs, Streamlit's own header has a button of that name, too.
    page.locator(".stMain").get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("button", name="Start", exact=True).first.wait_for(timeout=120_000)
    assert live.problems == []


def test_from_a_network_over_sliders_and_a_comparison_to_a_live_run_that_stays_and_its_trace(visit):
    page = visit.page
    page.get_by_role("combobox", name="Neural network").click()
    page.get_by_role("option", name="squeezenet1_1").click()
    page.locator(".decc-asked", has_text="squeezenet1_1").first.wait_for()
    for slider, keys in (("Requests in flight", ("Home", "ArrowRight")), ("Uplink", ("ArrowRight",))):
        handle = page.get_by_role("slider", name=slider)
        handle.focus()
        for key in keys:
            handle.press(key)
    page.locator(".decc-asked", has_text="2 requests, 20 Mbit/s up").first.wait_for()
    page.get_by_role("tab", name="Two plans").click()
    page.get_by_role("combobox", name="Second plan").first.wait_for()
    page.locator("svg.gantt").nth(2).wait_for()
    page.locator(GRAPH).nth(2).wait_for()
    page.get_by_role("link", name="Live run").click()
    page.get_by_role("button", name="Start", exact=True).click()
    page.locator(".stMain").get_by_role("button", name="Stop", exact=True).first.wait_for()
    page.get_by_text("All runs").first.wait_for(timeout=240_000)
    assert page.locator("[data-testid=stMetricValue]").first.inner_text() == "bit-identical"
    page.locator(".js-plotly-plot").nth(1).wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Trace for Perfetto").click()
    assert download.value.suggested_filename == "squeezenet1_1-2-requests-20-mbps-trace-decc.json"
    page.get_by_role("link", name="Plan").click()
    page.locator(GRAPH).first.wait_for()
    page.get_by_role("link", name="Live run").click()
    page.get_by_text("All runs").first.wait_for()
    assert visit.problems == []
    assert visit.hosts <= {"127.0.0.1", ""}
