"""How quick the page is in a real headless Chromium: `python -m benchmarks.page [--runs N] [--output FILE]`.

Each run has a server of its own, and visitors whose browsers have never seen the page:

- first visit: from the first visitor's request to a server that just got up, to headline, graph and Gantt chart on the
  screen. The server has imported and planned for itself before it is up (`app/warm_up.py`), and how long it took from
  its command to that point is told as well
- first plan: the same for every later visitor, and how much moves on their screens meanwhile (CLS, the browser's own
  cumulative layout shift)
- bare page: in turn with those, another server's page that shows one number and nothing else. It is what Streamlit
  takes in the browser on the same machine in the same minutes, which no page of it can be quicker than
- slider to redrawn plan: from the key press on the uplink slider to the last change of anything in the page's main
  part (headline, graph, Gantt chart, table), for GoogLeNet with one request and with eight; every step is a rate that
  was not planned before. Graph and chart draw inside shadow trees, which are watched, too
- upload: from a `.pt2` file of 15 MB dropped on the page to its plan, the last change of the page's main part
- load curve: from the click on *Load* to the first word of how far it is, to the whole curve (twelve rates, all
  policies), and to the rates that these sustain, each for a network that was not simulated before
- what the page must never do: errors on the console, requests to other hosts, a graph or a Gantt chart that moves when
  the page is run again

Once, a network of 1,000 layers: from opening the page to the last line drawn, and the time between frames while it is
zoomed and dragged.

Times in the page are what the browser's own clock says. There is a line for each run, and a closing line with the worst
of the runs' medians and 95th percentiles.
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
from tempfile import TemporaryDirectory
from urllib.parse import urlparse

from playwright.sync_api import Browser, Page, sync_playwright

from decc_core.study.findings import quantile
from tests.app.server import LONG_NETWORK, chromium_path, running_page

WATCH = """
window.decc = {pressed: 0, changed: 0, shift: 0};
document.addEventListener('keydown', () => { decc.pressed = performance.now(); }, true);
new PerformanceObserver(list => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) decc.shift += entry.value;
}).observe({type: 'layout-shift', buffered: true});
const seen = one => one && one.closest('[data-testid=stMain]');
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
CURVE_DRAWN = """() => document.querySelector('.st-key-load_latencies')
  || document.querySelector('[data-testid=stProgress]')?.innerText.includes('sustains')"""
SUSTAINED = """() => document.querySelector('.st-key-load_latencies')
  && !document.querySelector('[data-testid=stProgress]')"""
LOADS = ("alexnet", "squeezenet1_1", "mobilenet_v2", "resnet18", "two_tower")
QUIET_MS = 400
DEADLINE_MS = 60_000
PLANS = {"plan_1_request": "/?requests=1&cloud_speedup=4", "plan_8_requests": "/"}
GRAPH, GANTT = "svg.canvas", "svg.gantt"
FILE_BYTES = 15_000_000
STAYS_S = 1.5
"""So long a visitor stays on the first page, for what moves late."""
WINDOW_OPENS_S = 2.5
"""So long a new window of Chromium is busy with its own address bar; visitors have one already."""
BARE = "import streamlit\n\nstreamlit.metric('One', 1)\n"


@dataclass
class Findings:
    """What was found in a run by what it is of, each a name with its unit, and everything that must not happen."""

    figures: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    other_hosts: set[str] = field(default_factory=set)
    moved_px: float = 0.0

    def note(self, what: str, figure: float) -> None:
        self.figures.setdefault(what, []).append(figure)


@contextmanager
def opened(browser: Browser, address: str, findings: Findings) -> Iterator[Page]:
    """A visitor of their own at an address."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(DEADLINE_MS)
    page.add_init_script(WATCH)
    page.on("console", lambda message: findings.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: findings.errors.append(str(error)))
    page.on("request", lambda request: findings.other_hosts.add(urlparse(request.url).hostname or "127.0.0.1"))
    page.wait_for_timeout(1e3 * WINDOW_OPENS_S)
    try:
        page.goto(address)
        yield page
    finally:
        page.close()


def one_run(browser: Browser, file: Path, bare: Path, visits: int, steps: int) -> Findings:
    """A server from its command to the last visitor."""
    findings = Findings()
    started = time.perf_counter()
    with running_page() as url:
        findings.note("server_up_ms", 1e3 * (time.perf_counter() - started))
        first_plan(browser, url, "first_visit", findings)
        with running_page(bare) as bare_url:
            for _ in range(visits):
                first_plan(browser, url, "first_plan", findings)
                bare_page(browser, bare_url, findings)
        slider(browser, url, steps, findings)
        upload(browser, url, file, findings)
        for model in LOADS:
            load_curve(browser, f"{url}/?model={model}", findings)
    return findings


def first_plan(browser: Browser, url: str, what: str, findings: Findings) -> None:
    with opened(browser, url, findings) as page:
        _drawn(page)
        # The browser's clock starts with its request for the page.
        findings.note(f"{what}_ms", page.evaluate("performance.now()"))
        page.wait_for_function(SETTLED, arg=QUIET_MS)
        page.wait_for_timeout(1e3 * STAYS_S)
        findings.note(f"{what}_cls", page.evaluate("decc.shift"))


def bare_page(browser: Browser, url: str, findings: Findings) -> None:
    with opened(browser, url, findings) as page:
        page.locator("[data-testid=stMetricValue]").wait_for()
        findings.note("bare_page_ms", page.evaluate("performance.now()"))


def _drawn(page: Page) -> None:
    """Headline, graph and Gantt chart are there."""
    page.locator("[data-testid=stMetricValue]").first.wait_for()
    page.locator(f"{GRAPH} .mark").first.wait_for()
    page.locator(f"{GANTT} .bar").first.wait_for()


def slider(browser: Browser, url: str, steps: int, findings: Findings) -> None:
    for what, address in PLANS.items():
        with opened(browser, url + address, findings) as page:
            _drawn(page)
            page.wait_for_function(SETTLED, arg=QUIET_MS)
            handle = page.get_by_role("slider", name="Uplink")
            handle.focus()
            for step in range(steps):
                before = _places(page)
                # Out from the present rate on both sides, so that every rate is a new one.
                handle.press("Home" if step == steps // 2 else "ArrowRight")
                page.wait_for_function(SETTLED, arg=QUIET_MS)
                findings.note(f"{what}_ms", page.evaluate("decc.changed - decc.pressed"))
                moved = (abs(now - then) for now, then in zip(_places(page), before, strict=True))
                findings.moved_px = max(findings.moved_px, *moved)


def _places(page: Page) -> list[float]:
    """Where graph and Gantt chart begin, from the top of the page."""
    boxes = [page.locator(one).first.bounding_box() for one in (GRAPH, GANTT)]
    return [float(box["y"]) for box in boxes if box is not None]


def upload(browser: Browser, url: str, file: Path, findings: Findings) -> None:
    """A visitor with a network of their own."""
    with opened(browser, url, findings) as page:
        _drawn(page)
        page.wait_for_function(SETTLED, arg=QUIET_MS)
        page.get_by_text("Your own model").click()
        page.evaluate("decc.pressed = performance.now()")
        page.locator(".stSidebar input[type=file]").first.set_input_files(file)
        page.locator(".decc-asked", has_text=f"{file.stem} (your model)").first.wait_for()
        _drawn(page)
        page.wait_for_function(SETTLED, arg=QUIET_MS)
        findings.note("upload_ms", page.evaluate("decc.changed - decc.pressed"))


def load_curve(browser: Browser, address: str, findings: Findings) -> None:
    with opened(browser, address, findings) as page:
        _drawn(page)
        page.wait_for_function(SETTLED, arg=QUIET_MS)
        clicked_ms = page.evaluate("performance.now()")
        page.get_by_role("link", name="Load", exact=True).click()
        for what, shown in {
            "load_progress_ms": "() => document.querySelector('[data-testid=stProgress]')",
            "load_curve_ms": CURVE_DRAWN,
            "load_sustained_ms": SUSTAINED,
        }.items():
            page.wait_for_function(shown)
            findings.note(what, page.evaluate("performance.now()") - clicked_ms)


def exported(folder: Path) -> Path:
    """A network of convolutions whose weights make a file of 15 MB."""
    import torch

    torch.manual_seed(0)
    channels = round((FILE_BYTES / 4 / 9 / 6) ** 0.5)
    layers: list[torch.nn.Module] = [torch.nn.Conv2d(3, channels, 3, stride=4)]
    for _ in range(6):
        layers += [torch.nn.ReLU(), torch.nn.Conv2d(channels, channels, 3, stride=1, padding=1)]
    module = torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()).eval()
    torch.export.save(torch.export.export(module, (torch.randn(1, 3, 112, 112),)), folder / "convolutions.pt2")
    return folder / "convolutions.pt2"


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
    findings.note("long_network_drawn_ms", page.evaluate("performance.now()"))
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
        findings.note("long_network_frame_ms", time_ms)


def line(runs: list[Findings]) -> str:
    """Medians and 95th percentiles, of several runs the worst."""
    figures = {}
    for what in dict.fromkeys(what for run in runs for what in run.figures):
        name, unit = what.rsplit("_", 1)
        digits = 3 if unit == "cls" else 0
        found = [run.figures[what] for run in runs if what in run.figures]
        figures[f"{name}_median_{unit}"] = f"{max(statistics.median(times) for times in found):.{digits}f}"
        figures[f"{name}_p95_{unit}"] = f"{max(quantile(times, 0.95) for times in found):.{digits}f}"
    figures["console_errors"] = str(sum(len(run.errors) for run in runs))
    hosts = set().union(*(run.other_hosts for run in runs))
    figures["outside_requests"] = str(len(hosts - {"127.0.0.1", "localhost"}))
    figures["graph_moved_px"] = f"{max(run.moved_px for run in runs):.0f}"
    return " ".join(f"{name}={value}" for name, value in figures.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=3, help="servers, one after the other; the worst counts")
    parser.add_argument("--visits", type=int, default=10, help="visitors of a warm server, each with a new browser")
    parser.add_argument("--steps", type=int, default=16, help="moves of the slider for each number of requests")
    parser.add_argument("--output", type=Path, help="JSON file for all figures")
    options = parser.parse_args()
    executable = chromium_path()
    if executable is None:
        raise SystemExit("No chromium found on the PATH; install one and try again.")
    runs: list[Findings] = []
    with TemporaryDirectory() as place, sync_playwright() as playwright:
        file, bare = exported(Path(place)), Path(place) / "bare.py"
        bare.write_text(BARE)
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        for number in range(options.runs):
            runs.append(one_run(browser, file, bare, options.visits, options.steps))
            print(f"run {number + 1}:", line(runs[-1:]), flush=True)
        long = Findings()
        long_network(browser, long)
        browser.close()
    for error in (error for run in (*runs, long) for error in run.errors):
        print("console:", error)
    if options.output:
        found = [{**run.figures, "errors": run.errors} for run in (*runs, long)]
        options.output.write_text(json.dumps(found, indent=1))
    print(line([*runs, long]))


if __name__ == "__main__":
    main()
