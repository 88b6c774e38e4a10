"""Addresses, the browser's back and forward, and several visitors at once, in a real browser."""

from __future__ import annotations

from urllib.parse import parse_qs, urlparse

import pytest

from tests.app.conftest import AT_REST, visited

pytestmark = pytest.mark.browser
FOUR_CAMERAS = {"model": "multiview4"}


def wait_for_address(page, path: str, **wanted: str) -> None:
    def matches(url: str) -> bool:
        found = urlparse(url)
        return found.path == path and parse_qs(found.query) == {key: [text] for key, text in wanted.items()}

    page.wait_for_url(matches)


def title(page) -> str:
    return page.locator(".decc-asked").first.inner_text()


@pytest.fixture
def visit(shared_visit):
    """The first page as it was opened, by way of the browser's history: to load it again takes ten times as long."""
    page = shared_visit.page
    page.evaluate("() => { history.pushState({}, '', '/'); dispatchEvent(new PopStateEvent('popstate')); }")
    wait_for_title(page, "multiview4, one request, 18.88 Mbit/s up")
    page.wait_for_function(AT_REST)
    return shared_visit


def wait_for_title(page, part: str) -> None:
    page.locator(".decc-asked", has_text=part).first.wait_for()


def one_more_request(page) -> None:
    handle = page.get_by_role("slider", name="Requests in flight")
    handle.focus()
    handle.press("ArrowRight")


def preset(page, name: str) -> None:
    page.get_by_role("radio", name=name, exact=True).or_(
        page.get_by_role("button", name=name, exact=True)
    ).first.click()


def test_back_and_forward_move_through_scenarios(visit):
    page = visit.page
    one_more_request(page)
    wait_for_address(page, "/", **FOUR_CAMERAS, requests="2")
    preset(page, "4G")
    wait_for_address(page, "/", **FOUR_CAMERAS, requests="2", uplink_mbps="5.85")
    wait_for_title(page, "5.85 Mbit/s up")
    page.go_back()
    wait_for_title(page, "2 requests, 18.88 Mbit/s up")
    page.go_back()
    wait_for_title(page, "one request, 18.88 Mbit/s up")
    page.go_forward()
    wait_for_title(page, "2 requests, 18.88 Mbit/s up")
    assert visit.problems == []


def test_views_keep_the_scenario_and_back_returns_to_the_view_before(visit):
    page = visit.page
    one_more_request(page)
    wait_for_address(page, "/", **FOUR_CAMERAS, requests="2")
    page.get_by_role("link", name="Live run").click()
    wait_for_address(page, "/live", **FOUR_CAMERAS, requests="2")
    page.get_by_text("Nothing was run yet").first.wait_for()
    page.go_back()
    wait_for_title(page, "2 requests")
    wait_for_address(page, "/", **FOUR_CAMERAS, requests="2")
    assert visit.problems == []


def test_back_leads_to_the_view_before_from_one_that_an_old_link_opened(visit):
    visit.page.evaluate(
        """() => {
          const push = history.pushState;
          history.pushState = (...address) => {
            push.apply(history, address);
            history.pushState = push;
            // The address knows the choice, the links are of before.
            const link = [...document.querySelectorAll('a')].find(one => one.innerText.endsWith('Live run'));
            queueMicrotask(() => link.click());
          };
        }"""
    )
    one_more_request(visit.page)
    wait_for_address(visit.page, "/live", **FOUR_CAMERAS, requests="2")
    visit.page.get_by_text("Nothing was run yet").first.wait_for()
    visit.page.go_back()
    wait_for_title(visit.page, "2 requests")
    wait_for_address(visit.page, "/", **FOUR_CAMERAS, requests="2")
    assert visit.problems == []


def test_an_address_given_to_somebody_else_shows_them_the_same_page(stranger, visit):
    preset(visit.page, "3G")
    wait_for_title(visit.page, "1.1 Mbit/s up")
    other = visited(stranger, visit.page.url)
    wait_for_title(other.page, "1.1 Mbit/s up")
    makespan = "[data-testid=stMetricValue]"
    assert other.page.locator(makespan).first.inner_text() == visit.page.locator(makespan).first.inner_text()


def test_two_visitors_do_not_see_each_other(stranger, server, visit):
    other = visited(stranger, f"{server}/?model=alexnet&requests=1")
    wait_for_title(other.page, "alexnet")
    one_more_request(visit.page)
    wait_for_title(visit.page, "2 requests")
    assert "alexnet, one request" in title(other.page)
    preset(other.page, "3G")
    wait_for_title(other.page, "1.1 Mbit/s up")
    assert "multiview4, 2 requests, 18.88 Mbit/s" in title(visit.page)
    assert visit.problems == other.problems == []


def test_steps_faster_than_the_page_answers_all_count(visit):
    keyboard = visit.page.keyboard
    visit.page.get_by_role("slider", name="Uplink").focus()
    keyboard.press("Home")
    # The opening scenario says something below its name, other settings do not: the slider keeps the focus.
    wait_for_title(visit.page, "0.1 Mbit/s up")
    visit.page.wait_for_function(AT_REST)
    for _ in range(10):
        keyboard.press("ArrowRight")
    wait_for_title(visit.page, "0.8 Mbit/s up")
    wait_for_address(visit.page, "/", **FOUR_CAMERAS, requests="1", uplink_mbps="0.8")


@pytest.mark.parametrize("between_ms", [20, 150])
def test_another_view_a_moment_after_a_preset_keeps_the_preset(visit, between_ms):
    visit.page.evaluate(
        """async between => {
          const named = (tag, name) => [...document.querySelectorAll(tag)].find(one => one.innerText.endsWith(name));
          named('button', '3G').click();
          await new Promise(next => setTimeout(next, between));
          named('a', 'Learn').click();
        }""",
        between_ms,
    )
    wait_for_address(visit.page, "/learn", **FOUR_CAMERAS, requests="1", uplink_mbps="1.1")
    visit.page.get_by_text("A made-up network").first.wait_for()
    visit.page.get_by_role("link", name="Plan").click()
    wait_for_title(visit.page, "1.1 Mbit/s up")
