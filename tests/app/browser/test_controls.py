"""The controls at the side and the trade-offs, in a real browser: typed, dragged and clicked."""

from __future__ import annotations

import pytest

from tests.app.conftest import AT_REST, DEADLINE_MS, WINDOW, still, visited

pytestmark = pytest.mark.browser
SIDEBAR = "[data-testid=stSidebar]"


@pytest.fixture
def page(regular, server):
    """The page of a small network, at rest."""
    found = visited(regular, f"{server}/?model=squeezenet1_1&requests=2")
    asked(found.page, "squeezenet1_1")
    found.page.wait_for_function(AT_REST)
    yield found.page
    assert found.problems == []
    found.page.close()


def asked(page, part: str) -> None:
    page.locator(".decc-asked", has_text=part).first.wait_for()


def box(page, label: str):
    return page.get_by_role("spinbutton", name=label, exact=True)


def test_a_number_that_is_typed_reaches_plan_slider_and_address(page):
    box(page, "Uplink (Mbit/s), exact number").fill("7.3")
    box(page, "Uplink (Mbit/s), exact number").press("Enter")
    asked(page, "7.3 Mbit/s up")
    page.wait_for_url(lambda url: "uplink_mbps=7.3" in url)
    slider = page.get_by_role("slider", name="Uplink")
    slider.focus()
    slider.press("ArrowRight")
    asked(page, "8 Mbit/s up")
    assert box(page, "Uplink (Mbit/s), exact number").input_value() == "8"
    box(page, "Number of requests").fill("5")
    box(page, "Number of requests").press("Enter")
    asked(page, "5 requests")


def test_a_link_by_name_sets_all_three_and_is_let_go_when_one_changes(page):
    chip = (
        page.locator(SIDEBAR)
        .get_by_role("radio", name="Fibre", exact=True)
        .or_(page.locator(SIDEBAR).get_by_role("button", name="Fibre", exact=True))
    )
    chip.first.click()
    asked(page, "112.36 Mbit/s up")
    page.wait_for_url(lambda url: "downlink_mbps=171.01" in url and "rtt_ms=8" in url)
    page.get_by_text("Ookla, Speedtest results for the United States, June 2022").first.wait_for()
    box(page, "Round trip (ms), exact number").fill("9")
    box(page, "Round trip (ms), exact number").press("Enter")
    page.get_by_text("No preset: your own link.").first.wait_for()


def test_nothing_at_the_side_is_wider_than_the_side(page):
    page.get_by_text("Limits on plans").click()
    page.get_by_role("spinbutton", name="Up, each request (kB)").first.wait_for()
    page.wait_for_function(AT_REST)
    too_wide = page.evaluate(
        f"""() => {{
          const side = document.querySelector('{SIDEBAR}').getBoundingClientRect();
          return [...document.querySelectorAll('{SIDEBAR} input, {SIDEBAR} [role=slider], {SIDEBAR} button')]
            .map(one => [one.ariaLabel || one.innerText, one.getBoundingClientRect()])
            .filter(([, box]) => box.width && (box.right > side.right + 1 || box.left < side.left - 1))
            .map(([name]) => name);
        }}"""
    )
    assert too_wide == []


def test_a_mark_of_the_trade_offs_is_clicked_and_kept_to(page):
    page.get_by_role("tab", name="Trade-offs").click()
    mark = page.locator(".st-key-trade_off_chart .scatterlayer path.point").first
    mark.first.wait_for()
    # Marks come one by one, and the axes with them.
    still(page, "document.querySelector('.st-key-trade_off_chart .scatterlayer')?.innerHTML")
    mark.scroll_into_view_if_needed()
    where = mark.bounding_box()
    page.mouse.move(where["x"] + where["width"] / 2, where["y"] + where["height"] / 2)
    page.mouse.click(where["x"] + where["width"] / 2, where["y"] + where["height"] / 2)
    keep = page.get_by_role("button", name="Keep to at most")
    keep.first.wait_for()
    page.locator(".st-key-trade_off_gantt svg.gantt").first.wait_for()
    if keep.is_enabled():
        keep.click()
        page.get_by_text("up per request.", exact=False).first.wait_for()
        page.wait_for_url(lambda url: "uplink_kb=" in url)


def test_controls_stand_where_the_scenario_has_them_however_late_their_scripts_come(browser, server):
    context = browser.new_context(viewport=WINDOW)
    page, held = context.new_page(), []
    page.set_default_timeout(DEADLINE_MS)
    page.route("**/js/NumberInput.*.js", lambda route: held.append(route))
    page.goto(f"{server}/sweep?cell_mbps=100")
    page.locator("[data-testid=stPlotlyChart]").first.wait_for()
    page.wait_for_timeout(1500)  # for a timer of the page, which draws its map again and again
    assert held
    for script in held:
        script.continue_()
    boxes = page.locator(".stSidebar input[type=number]")
    boxes.first.wait_for()
    page.wait_for_timeout(1000)
    page.wait_for_function(AT_REST)
    assert [boxes.nth(i).input_value() for i in range(3)] == ["1", "4", "18.88"]
    context.close()


def test_what_a_visitor_does_before_all_controls_are_there_leaves_them_where_they_stand(browser, server):
    context = browser.new_context(viewport=WINDOW)
    page, held = context.new_page(), []
    page.set_default_timeout(DEADLINE_MS)
    for script in ("NumberInput", "ButtonGroup"):
        page.route(f"**/js/{script}.*.js", lambda route: held.append(route))
    page.goto(server)
    page.locator("svg.gantt .bar").first.wait_for()
    page.wait_for_function(AT_REST)
    page.get_by_role("link", name="Network", exact=True).click()
    page.wait_for_url(lambda url: "network" in url)
    page.wait_for_function(AT_REST)
    page.wait_for_timeout(1000)
    for script in held:
        script.continue_()
    page.unroute_all()
    boxes = page.locator(".stSidebar input[type=number]")
    boxes.first.wait_for()
    assert [boxes.nth(i).input_value() for i in range(3)] == ["1", "4", "18.88"]
    page.get_by_role("radio", name="makespan", checked=True).first.wait_for()
    page.get_by_role("link", name="Plan", exact=True).click()
    page.locator("svg.gantt .bar").first.wait_for()
    context.close()


def test_what_is_chosen_in_a_folded_part_of_the_controls_holds_and_stands_there_when_it_unfolds(regular, server):
    page = visited(regular, f"{server}/?overhead_ms=0.25").page
    part, overhead = page.locator(SIDEBAR).get_by_text("More: results, overheads"), "Overhead per tensor (ms)"
    assert box(page, overhead).count() == 0
    part.click()
    box(page, overhead).wait_for()
    assert float(box(page, overhead).input_value()) == 0.25
    box(page, overhead).fill("0.5")
    box(page, overhead).press("Enter")
    page.wait_for_url(lambda url: "overhead_ms=0.5" in url)
    page.wait_for_function(AT_REST)
    part.click()
    box(page, overhead).wait_for(state="detached")
    box(page, "Uplink (Mbit/s), exact number").fill("7.3")
    box(page, "Uplink (Mbit/s), exact number").press("Enter")
    asked(page, "7.3 Mbit/s up")
    page.wait_for_function(AT_REST)
    assert "overhead_ms=0.5" in page.url
    part.click()
    box(page, overhead).wait_for()
    assert float(box(page, overhead).input_value()) == 0.5
    page.close()
