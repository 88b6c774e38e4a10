"""The graph viewer in a real browser: it draws, zooms, selects and opens groups, and keeps all that through reruns."""

from __future__ import annotations

import pytest

from tests.app.conftest import AT_REST, Visit, still

pytestmark = pytest.mark.browser
TRANSFORM = (
    "document.querySelector('.st-key-network_graph div[data-testid=stBidiComponentIsolated]').shadowRoot"
    ".querySelector('.world').getAttribute('transform')"
)


@pytest.fixture
def visitor(visit) -> Visit:
    """Somebody who has opened the Network view."""
    return at_the_graph(visit)


@pytest.fixture(scope="module")
def shared_visitor(shared_visit) -> Visit:
    """Somebody who has opened the Network view, for tests that leave the groups as they were."""
    return at_the_graph(shared_visit)


def at_the_graph(visit: Visit) -> Visit:
    visit.page.get_by_role("link", name="Network").click()
    visit.page.locator("svg.canvas .mark[data-id^=branch]").first.wait_for()
    visit.page.locator("svg.canvas .mark[data-id^=from]").first.wait_for(state="detached")
    settled(visit.page)
    return visit


def settled(page) -> str:
    """The transform of the picture once it stands still."""
    page.wait_for_function(AT_REST)
    return still(page, TRANSFORM)


def test_zoom_selection_and_opened_groups_survive_reruns_and_a_change_of_view(visitor):
    page = visitor.page
    marks = page.locator("svg.canvas .mark")
    count = marks.count()
    fitted = settled(page)
    box = page.locator("svg.canvas").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 120)
    page.mouse.wheel(0, -300)
    zoomed = settled(page)
    assert zoomed != fitted

    chosen = page.locator("svg.canvas .mark[data-id^=branch]").first
    name = chosen.get_attribute("data-id")
    chosen.locator(".body").click()
    page.get_by_text("Open this branch").first.wait_for()
    assert settled(page) == zoomed
    assert "selected" in page.locator(f"[data-id={name}]").get_attribute("class")

    page.get_by_role("button", name="Open this branch").click()
    page.locator(f".frame[data-id={name}]").first.wait_for()
    opened = marks.count()
    assert opened > count
    before = settled(page)

    handle = page.get_by_role("slider", name="Uplink")
    handle.focus()
    handle.press("ArrowRight")
    page.wait_for_url(lambda url: "uplink_mbps=20" in url)
    assert settled(page) == before
    assert marks.count() == opened
    assert "selected" in page.locator(f".frame[data-id={name}]").get_attribute("class")

    page.get_by_role("link", name="Profile").click()
    page.locator("svg.canvas").wait_for(state="detached")
    page.get_by_role("link", name="Network").click()
    page.locator("svg.canvas .mark").first.wait_for()
    assert settled(page) == before
    assert marks.count() == opened
    assert visitor.problems == []
    assert visitor.hosts <= {"127.0.0.1", ""}


def test_keys_pan_zoom_fit_and_walk_along_the_graph(shared_visitor):
    page = shared_visitor.page
    page.locator("svg.canvas").focus()
    seen = [settled(page)]
    for key in ("ArrowRight", "+", "0"):
        page.keyboard.press(key)
        seen.append(settled(page))
    assert len(set(seen)) == 3
    assert seen[-1] == seen[0]
    page.keyboard.press("Tab")
    focused = (
        "() => document.querySelector('.st-key-network_graph div[data-testid=stBidiComponentIsolated]')"
        ".shadowRoot.activeElement.dataset.id"
    )
    first = page.evaluate(focused)
    page.keyboard.press("ArrowRight")
    second = page.evaluate(focused)
    assert first != second
    page.keyboard.press("Enter")
    page.locator(f".mark.selected[data-id={second}]").first.wait_for()
    assert shared_visitor.problems == []


def test_the_drawing_is_saved_with_its_colours(shared_visitor):
    page = shared_visitor.page
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the drawing as SVG").click()
    assert download.value.suggested_filename == "googlenet-branch.svg"
    text = download.value.path().read_text(encoding="utf-8")
    assert text.startswith("<svg")
    assert "rgb(136, 204, 238)" in text
    assert "trunk: every path passes it" in text
    assert "var(" not in text
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the drawing as PNG").click()
    assert download.value.path().read_bytes().startswith(b"\x89PNG")
    assert shared_visitor.problems == []


def test_a_double_click_opens_a_group_whose_corner_stays_and_its_handle_closes_it(shared_visitor):
    page = shared_visitor.page
    group = page.locator("svg.canvas .mark[data-id^=run]").first
    name = group.get_attribute("data-id")
    # A picture that was never moved goes on to fit its frame; one that was stays where the shared_visitor put it.
    page.locator("svg.canvas").focus()
    page.keyboard.press("ArrowRight")
    settled(page)
    at = group.locator(".body").bounding_box()
    group.locator(".body").dblclick()
    frame = page.locator(f".frame[data-id={name}]")
    frame.first.wait_for()
    settled(page)
    now = frame.locator(".outline").bounding_box()
    assert (now["x"], now["y"]) == pytest.approx((at["x"], at["y"]), abs=2)
    frame.locator(".handle").click()
    page.locator(f".mark[data-id={name}]").first.wait_for()
    assert shared_visitor.problems == []
