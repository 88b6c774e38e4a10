"""How quick the page is in a real headless Chromium: `python -m benchmarks.page [--steps N] [--output FILE]`.

- first plan: from the first visitor's request to a server that just got up, to headline, graph and Gantt chart on the
  screen. The server has imported and planned for itself before it is up (`app/warm_up.py`), and how long it took from
  its command to that point is told as well
- slider to redrawn plan: from the key press on the uplink slider to the last change of anything in the page's main
  part (headline, graph, Gantt chart, table), for GoogLeNet with one request and with eight; every step is a rate that
  was not planned before. The graph draws inside a shadow tree, which is watched, too
- a network of 1,000 layers: from opening the page to the last line drawn, and the time between frames while it is
  zoomed and dragged
- what the page must never do: errors on the console, requests to other hosts, a graph or a Gantt chart that moves when
  the page is run again

Times in the page are what the browser's own clock says; the closing line has medians and 95th percentiles.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.plan_quality import quantile
from tests.app.server import LONG_NETWORK, chromium_path, running_page

WATCH = """
window.decc = {pressed: 0, changed: 0};
document.addEventListener('keydown', () => { decc.pressed = performance.now(); }, true);
// A table's copy for screen readers lies inside its canvas and follows what is seen with a delay of its own.
const seen = one => one && one.closest('[data-testid=stMain]') && !one.closest('canvas');
const outside = one => {
  while (one && one.getRootNode() instanceof ShadowRoot) one = one.getRootNode().host;
  return one && (one.closest ? one : one.parentElement);
};
const watcher = new MutationObserver(found => {
  if (found.some(one => seen(outside(one.target)))) decc.changed = performance.now();
});
const everything = {subtree: true, childList: true, characterData: true, attributes: true};
watcher.observe(document, everything);
// What happens inside a shadow tree, such as the graph's, is not told to those who watch the document.
const attach = Element.prototype.attachShadow;
Element.prototype.attachShadow = function (options) {
  const root = attach.call(this, options);
  watcher.observe(root, everything);
  return root;
};
"""
SETTLED = """quiet_ms => decc.changed > decc.pressed && performance.now() - decc.changed > quiet_ms
  && document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'"""
AT_REST = "document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'"
FRAMES = """() => { window.frames_ms = []; let before = performance.now();
  const note = now => { frames_ms.push(now - before); before = now; if (window.noting) requestAnimationFrame(note); };
  window.noting = true; requestAnimationFrame(note); }"""
QUIET_MS = 400
DEADLINE_MS = 60_000
PLANS = {"plan_1_request": "/?requests=1&cloud_speedup=4", "plan_8_requests": "/"}
GRAPH, GANTT = "svg.canvas", ".js-plotly-plot"


@dataclass
class Findings:
    """Times in milliseconds by what was timed, and everything that must not happen."""

    times_ms: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    other_hosts: set[str] = field(default_factory=set)
    moved_px: float = 0.0

    def note(self, what: str, time_ms: float) -> None:
        self.times_ms.setdefault(what, []).append(time_ms)


@contextmanager
def opened(browser: Browser, address: str, findings: Findings) -> Iterator[Page]:
    """A visitor of their own at an address."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(DEADLINE_MS)
    page.add_init_script(WATCH)
    page.on("console", lambda message: findings.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: findings.errors.append(str(error)))
    page.on("request", lambda request: findings.other_hosts.add(urlparse(request.url).hostname or "127.0.0.1"))
    page.goto(address)
    yield page
    page.close()


def first_plan(browser: Browser, findings: Findings) -> None:
    """A server that nobody has visited yet."""
    started = time.perf_counter()
    with running_page() as url:
        findings.note("server_up", 1e3 * (time.perf_counter() - started))
        _visit_first(browser, url, findings)


def _visit_first(browser: Browser, url: str, findings: Findings) -> None:
    with opened(browser, url, findings) as page:
        page.locator("[data-testid=stMetricValue]").first.wait_for()
        page.locator(f"{GRAPH} .mark").first.wait_for()
        page.locator(GANTT).first.wait_for()
        # The browser's clock starts with its request for the page.
        findings.note("first_plan", page.evaluate("performance.now()"))


def slider(browser: Browser, url: str, steps: int, findings: Findings) -> None:
    for what, address in PLANS.items():
        with opened(browser, url + address, findings) as page:
            page.locator(f"{GRAPH} .mark").first.wait_for()
            page.locator(GANTT).first.wait_for()
            page.wait_for_function(SETTLED, arg=QUIET_MS)
            handle = page.get_by_role("slider", name="Uplink")
            handle.focus()
            for step in range(steps):
                before = _places(page)
                # Out from the present rate on both sides, so that every rate is a new one.
                handle.press("Home" if step == steps // 2 else "ArrowRight")
                page.wait_for_function(SETTLED, arg=QUIET_MS)
                findings.note(what, page.evaluate("decc.changed - decc.pressed"))
                moved = (abs(now - then) for now, then in zip(_places(page), before, strict=True))
                findings.moved_px = max(findings.moved_px, *moved)


def _places(page: Page) -> list[float]:
    """Where graph and Gantt chart begin, from the top of the page."""
    boxes = [page.locator(one).first.bounding_box() for one in (GRAPH, GANTT)]
    return [float(box["y"]) for box in boxes if box is not None]


def long_network(browser: Browser, findings: Findings) -> None:
    """A network of 1,000 layers on the Network view's own component."""
    with running_page(LONG_NETWORK) as url:
        # The server has shown something before, as one that is up has: what is timed is the drawing, not its imports.
        with opened(browser, url, findings) as page:
            page.locator("svg.canvas .mark").last.wait_for()
        with opened(browser, url, findings) as page:
            _drawn_and_moved(page, findings)


def _drawn_and_moved(page: Page, findings: Findings) -> None:
    graph = page.locator("svg.canvas")
    graph.locator(".mark").last.wait_for()
    page.wait_for_function(AT_REST)
    findings.note("long_network_drawn", page.evaluate("performance.now()"))
    box = graph.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.evaluate(FRAMES)
    for turn in range(30):
        page.mouse.wheel(0, -120 if turn % 10 < 7 else 200)
    page.mouse.down()
    for step in range(60):
        page.mouse.move(x + 4 * step - 120, y + 2 * step - 60)
    page.mouse.up()
    for time_ms in page.evaluate("() => { window.noting = false; return frames_ms; }"):
        findings.note("long_network_frame", time_ms)


def closing_line(findings: Findings) -> str:
    figures = {}
    for what, times in findings.times_ms.items():
        figures[f"{what}_median_ms"] = f"{statistics.median(times):.0f}"
        figures[f"{what}_p95_ms"] = f"{quantile(times, 0.95):.0f}"
    figures["console_errors"] = str(len(findings.errors))
    figures["outside_requests"] = str(len(findings.other_hosts - {"127.0.0.1", "localhost"}))
    figures["graph_moved_px"] = f"{findings.moved_px:.0f}"
    return " ".join(f"{name}={value}" for name, value in figures.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=16, help="moves of the slider for each number of requests")
    parser.add_argument("--output", type=Path, help="JSON file for all times")
    options = parser.parse_args()
    executable = chromium_path()
    if executable is None:
        raise SystemExit("No chromium found on the PATH; install one and try again.")
    findings = Findings()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        for _ in range(3):
            first_plan(browser, findings)
        with running_page() as url:
            slider(browser, url, options.steps, findings)
        long_network(browser, findings)
        browser.close()
    for error in findings.errors:
        print("console:", error)
    if options.output:
        found: dict[str, Any] = {**findings.times_ms, "errors": findings.errors}
        options.output.write_text(json.dumps(found, indent=1))
    print(closing_line(findings))


if __name__ == "__main__":
    main()
