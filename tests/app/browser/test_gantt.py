"""The Gantt chart in a real browser: there before any chart library, and used with pointer, wheel and keys."""

from __future__ import annotations

import pytest

from tests.app.conftest import AT_REST, still

pytestmark = pytest.mark.browser
GANTT = "svg.gantt"
BAR = "svg.gantt .bar"
SHADOW = (
    "[...document.querySelectorAll('div[data-testid=stBidiComponentIsolated]')]"
    ".map(one => one.shadowRoot).find(root => root.querySelector('svg.gantt'))"
)
AXIS = f"{SHADOW}.querySelector('.axis').textContent"
FOCUSED = f"{SHADOW}.activeElement?.getAttribute('aria-label')"
PIECES = "performance.getEntriesByType('resource').filter(one => one.name.includes('PlotlyChart')).length"
HEAR = "() => { window.heard = []; addEventListener('decc:point', event => heard.push(event.detail)); }"


@pytest.fixture(scope="module")
def page(shared_visit):
    shared_visit.page.wait_for_function(AT_REST)
    shared_visit.page.locator(GANTT).scroll_into_view_if_needed()
    yield shared_visit.page
    assert shared_visit.problems == []


def test_the_first_plan_needs_no_chart_library(page):
    assert page.locator(BAR).count() > 10
    assert page.evaluate(PIECES) == 0


def test_it_says_what_it_shows_and_how_it_ends(page):
    label = page.locator(GANTT).get_attribute("aria-label")
    assert label.startswith("Gantt chart: work on edge, uplink, cloud and downlink against time")
    makespan = page.locator("[data-testid=stMetricValue]").first.inner_text()
    texts = page.locator("svg.gantt text").all_text_contents()
    assert {"edge", "uplink", "cloud", "downlink", "time (ms)", "proven lower bound", makespan} <= set(texts)
    # Critical path and idle time are asked for at first.
    assert "critical path" in texts
    assert page.locator("svg.gantt .gaps rect").count() > 0


def test_no_text_stands_across_the_line_of_the_bound(page):
    line = page.locator("svg.gantt .bound path").bounding_box()
    for text in page.locator("svg.gantt .texts text").all():
        box = text.bounding_box()
        assert box["x"] > line["x"] or box["x"] + box["width"] < line["x"] + line["width"], text.text_content()


def test_the_buttons_cover_nothing_of_the_schedule(page):
    tools = page.locator(".tools", has=page.get_by_role("button", name="Zoom into the schedule")).bounding_box()
    for text in page.locator("svg.gantt text").all():
        box = text.bounding_box()
        assert box["y"] + box["height"] <= tools["y"] + 4 or box["x"] + box["width"] <= tools["x"], text.text_content()


def test_a_bar_under_the_pointer_tells_the_page_its_layers(page):
    page.evaluate(HEAR)
    page.locator(BAR).first.hover()
    page.locator(".tip", has_text="edge, request").first.wait_for()
    page.mouse.move(5, 5)
    page.locator(".tip", has_text="edge, request").wait_for(state="hidden")
    over, left = page.evaluate("heard.slice(0, 1).concat(heard.slice(-1))")
    assert over["source"] == left["source"] == "gantt"
    assert over["layers"] == sorted(over["layers"])
    assert len(over["requests"]) == 1
    assert left["layers"] == []


def test_layers_that_another_picture_points_at_are_marked(page):
    tell = "layers => dispatchEvent(new CustomEvent('decc:point', {detail: {source: 'graph', layers, requests: []}}))"
    page.evaluate(tell, [1])
    pointed = page.locator("svg.gantt.pointing .bar.pointed").count()
    assert 0 < pointed < page.locator(BAR).count()
    page.evaluate(tell, [])
    assert page.locator("svg.gantt.pointing").count() == 0
    assert page.locator("svg.gantt .bar.pointed").count() == 0


def test_keys_walk_along_the_bars_zoom_and_show_everything_again(page):
    whole = still(page, AXIS)
    page.locator("svg.gantt .bar[tabindex='0']").focus()
    first = page.evaluate(FOCUSED)
    page.keyboard.press("ArrowRight")
    second = page.evaluate(FOCUSED)
    page.keyboard.press("ArrowDown")
    below = page.evaluate(FOCUSED)
    assert first.startswith("edge")
    assert second.startswith("edge")
    assert second != first
    assert below.startswith("uplink")
    page.keyboard.press("+")
    assert still(page, AXIS) != whole
    page.keyboard.press("0")
    assert still(page, AXIS) == whole
    assert page.locator("svg.gantt .bar[tabindex='0']").count() == 1


def test_the_wheel_zooms_with_control_and_belongs_to_the_page_without(page):
    whole = still(page, AXIS)
    page.locator(BAR).first.hover()
    page.mouse.wheel(0, -60)
    assert still(page, AXIS) == whole
    page.locator(GANTT).scroll_into_view_if_needed()
    page.locator(BAR).first.hover()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    assert still(page, AXIS) != whole
    page.locator(GANTT).dblclick(position={"x": 300, "y": 8})
    assert still(page, AXIS) == whole


def test_it_is_saved_as_a_picture_that_stands_alone(page):
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the schedule as SVG").click()
    assert download.value.suggested_filename == "googlenet-jps-schedule.svg"
    text = download.value.path().read_text(encoding="utf-8")
    assert text.startswith("<svg")
    assert "proven lower bound" in text
    assert "var(" not in text
