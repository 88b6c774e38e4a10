"""A server with the real page, and a browser that notes what the page complains about and whom it asks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from inspect import getclosurevars
from urllib.parse import urlparse

import pytest
from streamlit.runtime.fragment import MemoryFragmentStorage

from app.jobs import reach
from tests.app.server import chromium_path, running_page

DEADLINE_MS = 120_000
"""Loading a page takes seconds, and a minute where other tests take both cores."""
MOST_LETTERS = 4000
WINDOW = {"width": 1440, "height": 900}
SEVERAL = "model=googlenet&requests=8"
"""Beside the opening scenario: a plan with several cuts, which has all that a page may show."""
AT_REST = "document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'"
STILL = """
async () => {
  const look = () => JSON.stringify(%s);
  let [seen, since] = [look(), performance.now()];
  while (performance.now() - since < 250) {
    await new Promise(next => setTimeout(next, 25));
    const now = look();
    if (now !== seen) [seen, since] = [now, performance.now()];
  }
  return JSON.parse(seen);
}
"""


@dataclass
class Visit:
    """An open page with everything it complained about or asked for."""

    page: object
    problems: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)


_opened: list[Visit] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Tell of a test that failed in a browser what its pages showed: what it waited for is seldom the cause."""
    report = yield
    _opened[:] = [visit for visit in _opened if not visit.page.is_closed()]
    if report.failed and item.get_closest_marker("browser"):
        for visit in _opened:
            with suppress(Exception):
                text = " / ".join(visit.page.locator("body").inner_text(timeout=2000).split("\n"))
                report.sections.append((visit.page.url, "\n".join([text[:MOST_LETTERS], *visit.problems])))
    return report


@pytest.fixture(autouse=True, scope="session")
def nobody_looks_around() -> Iterator[None]:
    """A page without a browser has nobody who waits to be told how far a verdict holds.

    For the session, as pages that a whole file shares are opened before what belongs to one test.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reach, "QUIET_S", 600.0)
        yield


@pytest.fixture(autouse=True, scope="session")
def within_others() -> Iterator[list[str]]:
    """The fragments that stand in another one, of all pages that are drawn without a browser."""
    found = []
    register = MemoryFragmentStorage.register

    def noted(storage: MemoryFragmentStorage, key: str, fragment: object, **about: object) -> None:
        if about.get("parent_fragment_id") is not None:
            found.append(getclosurevars(fragment).nonlocals["non_optional_func"].__qualname__)
        register(storage, key, fragment, **about)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryFragmentStorage, "register", noted)
        yield found


@pytest.fixture(autouse=True)
def no_fragment_stands_in_another(within_others) -> Iterator[None]:
    """Of a fragment that is run again Streamlit drops what it has not sent, but for fragments in it: the page ends."""
    yield
    nested, within_others[:] = within_others[:], []
    assert nested == []


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    executable = chromium_path()
    if executable is None:
        if os.environ.get("CI") == "true":
            pytest.fail("No chromium on the PATH, and CI=true forbids to skip this test.")
        pytest.skip("no chromium on the PATH")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with running_page() as url:
        yield url


@pytest.fixture(scope="session")
def regular(browser) -> Iterator[object]:
    """Somebody who was here before: their browser keeps the page's scripts from test to test, which saves seconds."""
    context = browser.new_context(viewport=WINDOW)
    yield context
    context.close()


@pytest.fixture(scope="module")
def stranger(browser) -> Iterator[object]:
    """Somebody who was never here and has nothing in common with other visitors."""
    context = browser.new_context(viewport=WINDOW)
    yield context
    context.close()


def forget(context: object, server: str) -> None:
    """Make somebody a stranger again, but for the page's scripts: a browser takes seconds to compile those."""
    for page in context.pages:
        page.close()
    context.clear_cookies()
    page = context.new_page()
    page.goto(f"{server}/_stcore/health")
    page.evaluate("localStorage.clear()")
    page.close()


@pytest.fixture
def visit(regular, server) -> Iterator[Visit]:
    """The page with a plan of several requests, drawn."""
    found = first_page(regular, server)
    yield found
    found.page.close()


@pytest.fixture(scope="module")
def shared_visit(regular, server) -> Iterator[Visit]:
    """The same page, opened once for all tests of a file that pass wherever its controls stand."""
    found = first_page(regular, server)
    yield found
    found.page.close()


def first_page(somebody: object, server: str) -> Visit:
    found = visited(somebody, f"{server}/?{SEVERAL}")
    found.page.locator("svg.canvas .mark").first.wait_for()
    found.page.locator("svg.gantt .bar").first.wait_for()
    return found


def still(page: object, expression: str) -> object:
    """What a JavaScript expression gives once it has been the same for a quarter of a second."""
    return page.evaluate(STILL % expression)


def visited(somebody: object, address: str) -> Visit:
    """A page of somebody's that opens an address; close it afterwards."""
    page = somebody.new_page()
    page.set_default_timeout(DEADLINE_MS)
    found = Visit(page)
    _opened.append(found)
    page.on("console", lambda message: found.problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: found.problems.append(str(error)))
    page.on("request", lambda request: found.hosts.add(urlparse(request.url).hostname or ""))
    page.goto(address)
    return found
