"""The page for those who see, hear or move otherwise: axe-core finds nothing serious in any view and either theme."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.app.conftest import AT_REST, DEADLINE_MS, WINDOW, visited
from tests.app.screens import READY

pytestmark = pytest.mark.browser
GRAVE = ("serious", "critical")
COUNT_RUNS = """
() => {
  window.runs = 0;
  const app = document.querySelector('[data-testid=stApp]');
  new MutationObserver(() => runs++).observe(app, {attributeFilter: ['data-test-script-state']});
}
"""
STREAMLITS_OWN: dict[str, tuple[str, ...]] = {}
"""Rules that Streamlit's own markup breaks, where nothing of ours can mend it: selectors by rule."""


@pytest.fixture(scope="module", params=["light", "dark"])
def reader(browser, request) -> Iterator[object]:
    context = browser.new_context(viewport=WINDOW, color_scheme=request.param)
    yield context
    context.close()


@pytest.mark.parametrize("view", READY)
def test_axe_finds_nothing_serious(reader, server, view):
    page = visited(reader, f"{server}/{view}").page
    page.locator(READY[view]).first.wait_for(timeout=DEADLINE_MS)
    page.locator(".st-key-preset button").first.wait_for()
    page.evaluate(COUNT_RUNS)
    deadline_s, runs, found = time.monotonic() + DEADLINE_MS / 1000, -1, None
    # Streamlit pales what a run has not shown again yet: a page that ran while it was looked at is looked at again.
    while page.evaluate("runs") != runs and time.monotonic() < deadline_s:
        page.wait_for_function(AT_REST)
        page.wait_for_timeout(600)
        runs = page.evaluate("runs")
        found = Axe().run(page)
    grave = [rule for rule in found.response["violations"] if rule["impact"] in GRAVE]
    assert told(grave) == []
    page.close()


def told(rules: list[dict[str, Any]]) -> list[str]:
    """Each broken rule with where it is broken, but for what is Streamlit's own."""
    found = []
    for rule in rules:
        own = STREAMLITS_OWN.get(rule["id"], ())
        for node in rule["nodes"]:
            place = " ".join(str(part) for part in node["target"])
            if not any(selector in place or selector in node["html"] for selector in own):
                found.append(f"{rule['id']} ({rule['impact']}): {place}: {node['html'][:200]}")
    return found
