"""The report is one file that asks nobody for anything, shows names as they are, and says how to get there again."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from app.figures.gantt import gantt_rows
from app.shell.report import command_line, html_report, strategies_csv
from app.state import EXAMPLES
from decc_core import __version__, library
from decc_core.cli.parser import make_parser
from decc_core.cli.scenario import scenario_of
from decc_core.network.graph import INPUT, Layer, LayerGraph, TensorRef, TensorSpec
from decc_core.pictures import LEFT, RIGHT, WIDTH, svg_gantt
from decc_core.planner.strategies import STRATEGIES
from decc_core.problem.instance import CostInstance
from decc_core.problem.link import Link
from decc_core.problem.profile import DeviceProfile, Provenance, ProvenanceKind
from decc_core.problem.scenario import Scenario
from decc_core.study.compare import Comparison, compare

HOSTILE = "<script>alert('x')</script>\"&--><img src=x onerror=alert(1)>"
NOW = datetime(2026, 11, 27, 18, 5, tzinfo=UTC)
KEPT_SMALL_BYTES = 200_000
VOID = {"meta", "rect", "line", "circle", "path", "br", "img", "link"}


class Reader(HTMLParser):
    """Collects tags, what they load, and text; refuses tags that are not closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.loads, self.open, self.words = set(), [], [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.loads += [
            value for name, value in attrs if name in ("src", "href", "srcset", "data", "action", "xlink:href")
        ]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def report(scenario: Scenario, shown: str = "decc") -> tuple[str, Comparison]:
    edge, cloud = (library.load_profile(scenario.model, name) for name in (scenario.edge, scenario.cloud))
    comparison = compare(scenario.instance(library.load_graph(scenario.model), edge, cloud))
    return html_report(scenario, comparison, shown, edge, cloud, NOW), comparison


def hostile() -> tuple[Scenario, Comparison, DeviceProfile]:
    """A network, layers and a device whose names try to become part of the page."""
    spec = (TensorSpec((1, 8), "float32"),)
    names = [f"{i}{HOSTILE}" for i in range(4)]
    layers = tuple(
        Layer(name, INPUT if i == 0 else HOSTILE, (TensorRef(names[i - 1]),) if i else (), spec, module_path=HOSTILE)
        for i, name in enumerate(names)
    )
    graph = LayerGraph(HOSTILE, layers, (TensorRef(names[-1]),))
    times = dict.fromkeys(names[1:], 1.0)
    made = Provenance(ProvenanceKind.MEASURED, HOSTILE, {HOSTILE: HOSTILE}, {HOSTILE: HOSTILE})
    edge = DeviceProfile(HOSTILE, HOSTILE, graph.fingerprint, times, times, 3.0, made)
    cloud = edge.scaled(0.1, HOSTILE)
    instance = CostInstance.build(graph, edge, cloud, Link(1e6, 1e6), requests=3)
    scenario = Scenario(model=HOSTILE, edge=f"own: {HOSTILE}", cloud=HOSTILE, requests=3)
    return scenario, compare(instance), edge


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.label)
def test_a_report_is_small_whole_and_asks_nobody_for_anything(example):
    page, _ = report(example.scenario)
    read = Reader(page)
    assert read.loads == []
    assert not read.tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    assert not re.search(r"https?:|//|url\(|@import", page)
    assert len(page.encode()) < KEPT_SMALL_BYTES


def test_a_report_says_what_the_comparison_says():
    page, comparison = report(next(example.scenario for example in EXAMPLES if example.scenario.requests == 8))
    words = " ".join(Reader(page).words)
    assert all(name in words for name in STRATEGIES)
    for said in (
        "18.88 Mbit/s up",
        "8, all there at time 0",
        "measured layer by layer",
        "proven lower bound",
        "310 ms",
    ):
        assert said in words
    assert comparison.instance.graph.fingerprint in words
    assert "prefers-color-scheme:dark" in page
    assert "@media print" in page


@pytest.mark.parametrize("shown", ["edge-only", "jps"])
def test_a_report_shows_the_plan_of_the_strategy_asked_for(shown):
    page, _ = report(EXAMPLES[0].scenario, shown)
    assert f"Schedule of {shown}" in page


def test_names_that_try_to_become_part_of_the_page_stay_text():
    scenario, comparison, edge = hostile()
    page = html_report(scenario, comparison, "decc", edge, edge, NOW)
    read = Reader(page)
    assert not read.tags & {"script", "img"}
    assert HOSTILE in "".join(read.words)
    assert "<script" not in page


def test_a_report_tells_limits_as_they_were_set():
    page, _ = report(Scenario("two_tower", keep_on_edge="inputs", uplink_kb=500.0))
    assert "raw inputs never leave the edge; at most 500 kB up per request" in " ".join(Reader(page).words)


def test_a_throughput_scenario_has_no_bound_in_its_schedule():
    scenario = replace(EXAMPLES[1].scenario, requests=2, objective="throughput")
    page, _ = report(scenario)
    assert "proven lower bound" not in page
    assert "requests/s" in page


def test_bars_of_the_schedule_stand_at_their_times():
    _, comparison = report(EXAMPLES[1].scenario)
    schedule = comparison.of("decc").schedule
    bars = gantt_rows(comparison.instance, schedule)
    picture = svg_gantt(bars, schedule.makespan_ns, None)
    found = [
        (float(x), float(width)) for x, width in re.findall(r'class="bar" x="([\d.]+)".*?width="([\d.]+)"', picture)
    ]
    assert len(found) == len(bars)
    for bar, (x, width) in zip(bars, found, strict=True):
        assert x == pytest.approx(LEFT + (WIDTH - LEFT - RIGHT) * bar.start_ns / schedule.makespan_ns, abs=0.02)
        assert x + width <= WIDTH - RIGHT + 0.5


@pytest.mark.parametrize(
    "scenario",
    [
        EXAMPLES[0].scenario,
        Scenario(
            model="two_tower", uplink_mbps=6.3, downlink_mbps=1.0, rtt_ms=50.0, edge_slowdown=1.5, requests=3,
            wire="fp16", objective="throughput", overhead_ms=0.25,
        ),
    ],
)  # fmt: skip
def test_the_command_line_makes_the_same_scenario(scenario):
    assert scenario_of(make_parser().parse_args(shlex.split(command_line(scenario))[1:])) == scenario


def test_a_command_for_an_uploaded_model_names_no_device_that_the_command_line_lacks():
    quick = Scenario(model="own: mine", edge="this machine, 1 thread, quick", cloud="own: board")
    words = shlex.split(command_line(quick))
    assert words[:3] == ["decc", "compare", "MODEL-FILE"]
    assert "--edge" not in words
    assert words[words.index("--cloud") + 1] == "my-cloud-profile.json"
    assert "--edge" in shlex.split(command_line(replace(quick, edge="cpu-1-thread")))


def test_a_command_line_quotes_names_and_puts_own_profiles_into_files():
    scenario, _, _ = hostile()
    words = shlex.split(command_line(scenario))
    assert words[2] == HOSTILE
    assert words[words.index("--edge") + 1] == "my-edge-profile.json"
    assert words[words.index("--cloud") + 1] == HOSTILE


def test_a_long_command_is_broken_so_that_a_shell_still_takes_it():
    page, _ = report(EXAMPLES[1].scenario)
    (shown,) = re.findall(r"<pre>(decc .*?)</pre>", page, re.DOTALL)
    assert shlex.split(shown.replace("\\\n", "")) == shlex.split(command_line(EXAMPLES[1].scenario))


def test_the_table_as_csv_has_a_row_for_each_strategy_with_units_in_its_head():
    _, comparison = report(EXAMPLES[1].scenario)
    head, *rows = strategies_csv(comparison, {"decc_version": __version__}).splitlines()
    assert {"makespan_ms", "requests_per_s", "sent_up_kb", "gap_percent", "decc_version"} <= {*head.split(",")}
    assert [row.split(",")[0] for row in rows] == list(STRATEGIES)
    assert float(rows[-1].split(",")[2]) == pytest.approx(comparison.of("decc").makespan_s * 1e3, rel=1e-5)
    assert all(row.endswith(f",{__version__}") for row in rows)
    assert all(len(cell.replace(".", "").lstrip("0")) <= 7 for row in rows for cell in row.split(",")[2:-1])


def test_a_report_says_what_made_it_and_when():
    page, _ = report(EXAMPLES[1].scenario)
    assert f"Made by DECC {__version__} on 2026-11-27, 18:05 UTC." in page
    assert f'<meta name="generator" content="DECC {__version__}">' in page


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.label)
def test_numbers_of_a_report_are_rounded_as_a_person_would(example):
    page, _ = report(example.scenario)
    words = " ".join(Reader(page).words)
    assert "0.00 %" not in words
    assert "0 ns" not in words.split("How to reproduce")[0].replace("10 ns", "")
    rows = re.findall(r"<tr.*?</tr>", page.split("All strategies</h2>")[1].split("</table>")[0], re.DOTALL)
    cells = [cell for row in rows for cell in re.findall(r"<td>(.*?)</td>", row)[2:]]
    assert cells
    assert all(re.fullmatch(r"∞|< 0\.0001|0|[\d,]+|\d\d\.\d|\d\.\d\d|0\.0\d+", cell) for cell in cells), cells
