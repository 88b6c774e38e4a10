"""The page in a real browser: it draws, it answers, and it asks nobody else for anything."""

from __future__ import annotations

from dataclasses import replace

import pytest

from decc_core import library, store
from tests.app.conftest import AT_REST, still

pytestmark = pytest.mark.browser
GRAPH = "svg.canvas"
GANTT = "svg.gantt"
AXIS = (
    "[...document.querySelectorAll('div[data-testid=stBidiComponentIsolated]')]"
    ".map(one => one.shadowRoot.querySelector('svg.gantt .axis')?.textContent).join('')"
)


def makespan(page) -> str:
    return page.locator("[data-testid=stMetricValue]").first.inner_text()


def wait_for_another(page, before: str) -> None:
    page.wait_for_function(
        "before => document.querySelector('[data-testid=stMetricValue]')?.innerText !== before", arg=before
    )


def test_the_headline_and_the_whole_branch_graph_are_seen_without_scrolling(shared_visit):
    # Their code is loaded apart from the charts'.
    shared_visit.page.locator("[data-testid=stMetricValue]").nth(4).wait_for()
    shared_visit.page.wait_for_function(AT_REST)
    box = shared_visit.page.locator(GRAPH).bounding_box()
    assert box["y"] + box["height"] <= 900
    assert shared_visit.page.locator("[data-testid=stMetricValue]").count() == 5


def test_a_zoom_survives_a_rerun_that_leaves_the_figure_as_it_was(shared_visit):
    page = shared_visit.page
    whole = still(page, AXIS)
    box = page.locator(GANTT).bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, box["y"] + 40, steps=5)
    page.mouse.up()
    zoomed = still(page, AXIS)
    # The recommended plan is jps', so that choosing jps by name reruns the page and changes no figure.
    page.get_by_role("radio", name="jps", exact=True).or_(
        page.get_by_role("button", name="jps", exact=True)
    ).first.click()
    page.wait_for_timeout(300)
    page.wait_for_function(AT_REST)
    assert zoomed != whole
    assert still(page, AXIS) == zoomed
    page.get_by_role("button", name="Show the whole schedule").click()
    assert still(page, AXIS) == whole


def test_the_graphs_zoom_outlasts_another_plan_and_the_wheel_belongs_to_the_page(shared_visit):
    page = shared_visit.page
    host = "document.querySelector('.st-key-branches div[data-testid=stBidiComponentIsolated]')"
    view = f"{host}.shadowRoot.querySelector('.world').getAttribute('transform')"
    fitted = still(page, view)
    page.locator(GRAPH).hover()
    page.mouse.wheel(0, 60)
    assert still(page, view) == fitted
    page.locator(".tools").get_by_role("button", name="Zoom in", exact=True).click()
    zoomed = still(page, view)
    assert zoomed != fitted
    # Cut after its input the network has a mark that begins with the second layer; all on the edge it has none.
    assert page.locator("svg.canvas .mark[data-id=from-1]").count() == 1
    handle = page.get_by_role("slider", name="Uplink")
    handle.focus()
    handle.press("Home")
    page.locator(".decc-asked", has_text="0.1 Mbit/s up").first.wait_for()
    page.locator("svg.canvas .mark[data-id=from-1]").wait_for(state="detached")
    page.wait_for_function(AT_REST)
    assert page.evaluate(view) == zoomed


@pytest.mark.parametrize("width", [1440, pytest.param(1000, marks=pytest.mark.slow)])
def test_graph_and_gantt_chart_stay_where_they_are_whatever_is_planned(visit, width):
    page = visit.page
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_timeout(300)

    def places() -> list[dict[str, float]]:
        return [page.locator(one).first.bounding_box() for one in (GRAPH, GANTT)]

    def press(slider: str, key: str, title: str) -> None:
        handle = page.get_by_role("slider", name=slider)
        handle.focus()
        handle.press(key)
        page.locator(".decc-asked", has_text=title).first.wait_for()
        page.wait_for_function(AT_REST)

    # While the first plan is made, what says so takes place.
    page.wait_for_function(AT_REST)
    first = places()
    reasons = {page.locator(".decc-reason").inner_text()}
    for slider, key, title in (
        ("Uplink", "ArrowRight", "20 Mbit/s up"),
        ("Uplink", "Home", "0.1 Mbit/s up"),
        ("Uplink", "End", "1000 Mbit/s up"),
        ("Requests in flight", "Home", "one request, 1000"),
        ("Uplink", "Home", "one request, 0.1 Mbit/s up"),
        ("Uplink", "ArrowRight", "one request, 0.125 Mbit/s up"),
        ("Requests in flight", "PageUp", "requests, 0.125 Mbit/s up"),
        ("Requests in flight", "Home", "one request, 0.125 Mbit/s up"),
    ):
        press(slider, key, title)
        assert places() == first, title
        reasons.add(page.locator(".decc-reason").inner_text())
    assert len(reasons) > 3
    assert visit.problems == []


def test_a_preset_changes_the_plan_and_nothing_complains_or_leaves_the_machine(shared_visit):
    before = makespan(shared_visit.page)
    shared_visit.page.get_by_role("radio", name="4G", exact=True).or_(
        shared_visit.page.get_by_role("button", name="4G", exact=True)
    ).first.click()
    wait_for_another(shared_visit.page, before)
    assert shared_visit.page.get_by_text("5.85 Mbit/s up").is_visible()
    assert shared_visit.problems == []
    assert shared_visit.hosts <= {"127.0.0.1", ""}


def test_a_slider_moved_by_keyboard_changes_the_plan(shared_visit):
    before = makespan(shared_visit.page)
    handle = shared_visit.page.get_by_role("slider", name="Requests in flight")
    handle.focus()
    handle.press("ArrowRight")
    wait_for_another(shared_visit.page, before)
    assert "9 requests" in shared_visit.page.locator(".decc-asked").first.inner_text()
    assert shared_visit.problems == []


def test_a_plan_a_table_and_a_report_are_taken_along(shared_visit):
    page = shared_visit.page
    page.get_by_role("tab", name="Take along").click()
    drawn = page.locator(".st-key-gantt_title strong").inner_text().removeprefix("Schedule of ")
    for name, ending in (
        ("Report", f"-report-{drawn}.html"),
        (f"Plan of {drawn}", f"-plan-{drawn}.json"),
        ("Table", "-strategies.csv"),
    ):
        with page.expect_download() as download:
            page.get_by_role("button", name=name).click()
        assert download.value.suggested_filename.endswith(ending)
        assert download.value.path().stat().st_size > 500
    assert shared_visit.problems == []


def test_a_figure_for_a_paper_is_taken_along_under_a_name_that_says_what_it_is(shared_visit):
    page = shared_visit.page
    page.get_by_role("tab", name="Take along").click()
    drawn = page.locator(".st-key-gantt_title strong").inner_text().removeprefix("Schedule of ")
    for place, ending, begin in ((0, "pdf", b"%PDF-"), (1, "svg", b"<?xml")):
        page.locator(".st-key-print_form button").nth(place).click()
        # What an earlier run offered is gone as soon as the next one begins.
        page.wait_for_timeout(300)
        page.wait_for_function(AT_REST)
        button = page.locator(f".st-key-print_gantt-{drawn} button")
        button.first.wait_for()
        with page.expect_download() as download:
            button.click()
        name = download.value.suggested_filename
        assert name.startswith("googlenet-")
        assert name.endswith(f"-mbps-gantt-{drawn}.{ending}")
        assert download.value.path().read_bytes().startswith(begin)
    assert shared_visit.problems == []


def test_a_profile_is_uploaded_and_put_to_use_and_a_broken_one_is_refused(shared_visit, tmp_path):
    page = shared_visit.page
    page.get_by_role("link", name="Profile").click()
    page.get_by_role("tab", name="Measure, load, scale").click()
    upload = page.locator(".stMain input[type=file]").first
    broken = tmp_path / "broken.json"
    broken.write_text("{not json")
    upload.set_input_files(broken)
    page.get_by_text("broken.json").first.wait_for()
    page.get_by_text("is not JSON").first.wait_for()
    page.wait_for_function(AT_REST)
    good = tmp_path / "slow.json"
    shipped = library.load_profile("googlenet", "cpu-1-thread")
    good.write_bytes(store.to_json(replace(shipped, device="slow-board").scaled(3.0, "a test")))
    upload.set_input_files(good)
    # The box may be read in the background; its note moves what stands below.
    page.get_by_text("can now be chosen").first.wait_for()
    page.wait_for_function(AT_REST)
    page.get_by_role("button", name="Use as edge device").first.click()
    page.get_by_role("button", name="Use as edge device").first.wait_for(state="detached")
    page.get_by_role("link", name="Plan").click()
    page.wait_for_url(lambda url: "slow-board" in url)
    page.locator(".stSidebar").get_by_text("scaled").first.wait_for()
    assert shared_visit.problems == []
