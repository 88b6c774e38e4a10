"""Screens from a phone to a large one, in a real browser: nothing stands out, nothing moves while the page comes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.app.conftest import AT_REST, DEADLINE_MS, Visit, forget, still, visited
from tests.app.screens import READY, SCREENS

pytestmark = pytest.mark.browser
SHIFTS = """
window.shifts = [];
new PerformanceObserver(list => {
  for (const entry of list.getEntries()) {
    if (entry.hadRecentInput) continue;
    const sources = (entry.sources || []).map(one => {
      const element = one.node && (one.node.closest ? one.node : one.node.parentElement);
      const rects = [one.previousRect, one.currentRect].map(rect => JSON.stringify(rect)).join(' ');
      return element ? `${element.className} ${rects}` : '';
    });
    shifts.push([entry.value, entry.startTime, sources]);
  }
}).observe({type: 'layout-shift', buffered: true});
"""
STICKS_OUT = """
() => {
  const main = document.querySelector('.stMain');
  const found = document.scrollingElement.scrollWidth > innerWidth ? ['the page'] : [];
  if (main.scrollWidth > main.clientWidth) {
    const edge = main.getBoundingClientRect().left + main.clientWidth;
    for (const one of main.querySelectorAll('*')) {
      const box = one.getBoundingClientRect();
      let around = one.parentElement;
      while (around !== main && getComputedStyle(around).overflowX === 'visible') around = around.parentElement;
      if (around !== main || !box.width || box.right <= edge + 1) continue;
      found.push(`${one.tagName}.${one.className}: ${box.right}`);
    }
    found.push(`the main part: ${main.scrollWidth} in ${main.clientWidth}`);
  }
  return found.slice(-12);
}
"""


@pytest.fixture(scope="module", params=SCREENS, ids=lambda width: f"{width}px")
def screen(browser, request) -> Iterator[object]:
    width = request.param
    context = browser.new_context(viewport={"width": width, "height": SCREENS[width]}, has_touch=width < 1000)
    yield context
    context.close()


@pytest.fixture
def somebody(screen, server) -> object:
    """A stranger with a screen of this width."""
    forget(screen, server)
    return screen


def opened(somebody: object, server: str, view: str) -> Visit:
    found = visited(somebody, f"{server}/{view}")
    found.page.locator(READY[view]).first.wait_for(timeout=DEADLINE_MS)
    found.page.wait_for_function(AT_REST)
    found.page.wait_for_timeout(300)
    return found


@pytest.mark.parametrize("widths", [(390, 820), (1366, 2560)], ids=["controls closed", "controls beside"])
def test_nothing_sticks_out_on_any_screen_and_nothing_complains(browser, server, widths):
    assert {*widths} <= SCREENS.keys()
    context = browser.new_context(
        viewport={"width": widths[0], "height": SCREENS[widths[0]]}, has_touch=widths[0] < 1000
    )
    for view in READY:
        visit = opened(context, server, view)
        # A page takes seconds to come; other screens get the same one.
        for width in widths:
            visit.page.set_viewport_size({"width": width, "height": SCREENS[width]})
            visit.page.wait_for_timeout(300)
            assert still(visit.page, f"({STICKS_OUT})()") == [], (view, width)
        assert visit.problems == [], view
        visit.page.close()
    context.close()


def test_the_controls_are_closed_at_first_where_they_would_take_the_plans_place(somebody, server):
    page = opened(somebody, server, "").page
    width = page.viewport_size["width"]
    controls = page.locator(".stSidebar")
    assert (controls.get_attribute("data-collapsed") == "false") is (width >= 1000)
    if width < 1000:
        links = page.locator(".st-key-views a")
        opener = page.get_by_test_id("stExpandSidebarButton")
        for link in links.all():
            assert not overlap(link.bounding_box(), opener.bounding_box()), link.inner_text()
        opener.click()
        page.get_by_role("slider", name="Uplink").first.wait_for()
    page.close()


def overlap(a: dict[str, float], b: dict[str, float]) -> bool:
    return (
        a["x"] < b["x"] + b["width"]
        and b["x"] < a["x"] + a["width"]
        and a["y"] < b["y"] + b["height"]
        and b["y"] < a["y"] + a["height"]
    )


def test_numbers_and_reason_are_read_in_full(somebody, server):
    page = opened(somebody, server, "").page
    cut = """one => [...one.querySelectorAll('*'), one].some(part => part.scrollWidth > part.clientWidth + 1
      && part.clientWidth && getComputedStyle(part).overflowX !== 'visible')"""
    for value in page.locator("[data-testid=stMetricValue]").all():
        assert not value.evaluate(cut), value.inner_text()
    reason = page.locator(".decc-reason summary")
    if page.viewport_size["width"] < 1000:
        reason.tap()
    else:
        reason.focus()
        page.keyboard.press("Enter")
    assert reason.evaluate("one => one.scrollHeight <= one.clientHeight + 1")
    page.close()


def test_the_first_rows_of_the_schedule_are_seen_on_a_small_laptop(browser, server):
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    page = opened(context, server, "").page
    assert page.locator("svg.gantt .bar").first.bounding_box()["y"] < 768
    context.close()


@pytest.mark.parametrize("width", [820, 1440])
def test_next_to_nothing_moves_while_the_page_comes(browser, server, width):
    context = browser.new_context(viewport={"width": width, "height": 900})
    context.add_init_script(SHIFTS)
    page = opened(context, server, "").page
    page.locator(".st-key-table tbody tr").first.wait_for()
    page.wait_for_timeout(500)
    shifts = page.evaluate("shifts")
    assert sum(value for value, _, _ in shifts) <= 0.1, shifts
    context.close()


def test_the_views_are_within_five_stops_of_the_tab_key(visit):
    page = visit.page
    page.wait_for_function(AT_REST)
    focused = "document.activeElement.closest('.st-key-views a') !== null"
    page.locator("body").press("Tab")
    assert page.evaluate("document.activeElement.className") == "decc-skip"
    page.keyboard.press("Enter")
    page.wait_for_function(focused)
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert outline == "2px"
    page.keyboard.press("Tab")
    assert page.evaluate(focused)


@pytest.mark.parametrize("key", ["Tab", "Shift+Tab"])
def test_a_table_of_streamlit_lets_go_of_the_tab_key(regular, server, key):
    page = visited(regular, f"{server}/profile?tab=Table").page
    page.locator(".stMain [data-testid=stDataFrame]").first.wait_for()
    page.wait_for_function(AT_REST)
    table = page.locator(".stMain [data-testid=stDataFrame]").first
    table.scroll_into_view_if_needed()
    table.locator("canvas[tabindex]").first.wait_for()
    box = table.bounding_box()
    # What scrolls lies above the canvas, and hands the click on.
    page.mouse.click(box["x"] + 150, box["y"] + 60)
    page.keyboard.press("ArrowDown")
    inside = "document.activeElement.closest('[data-testid=stDataFrame] canvas') !== null"
    assert page.evaluate(inside)
    page.keyboard.press(key)
    page.wait_for_timeout(100)
    assert not page.evaluate(inside)
    page.close()


def test_a_strategys_button_says_what_it_does(visit):
    page = visit.page
    page.wait_for_function(AT_REST)
    button = page.locator(".st-key-shown button", has_text="neurosurgeon")
    button.hover()
    assert "ASPLOS 2017" in button.get_attribute("title")
