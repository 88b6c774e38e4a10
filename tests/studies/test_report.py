"""A report of results: what it tells, and that it is one page that asks nobody else, whatever the names in it are."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest

from decc_core.errors import UnreadableFile
from decc_core.studies import columns
from decc_core.studies.columns import FAILED, NOT_POSSIBLE, PLANNED
from decc_core.studies.report import LATENCY, MOST_STRATEGIES, SUSTAINED, TIME, html_page, report_of
from decc_core.study.findings import BEST_BASELINE

STUDY = 'networks = ["net"]\n# 50 % & </pre><script src="https://host.invalid/x.js"></script>\n'
HOSTILE = "</td><script>alert(1)</script><img src='https://host.invalid/a.png'>"


def row(point: int, strategy: str, **more: object) -> columns.Row:
    return {
        "study": "s", "point": point, "strategy": strategy, "status": PLANNED, "network": "net",
        "network_fingerprint": "f", "edge": "e", "cloud": "c", "edge_slowdown": 1.0, "uplink_mbps": 10.0,
        "downlink_mbps": 10.0, "rtt_ms": 0.0, **more,
    }  # fmt: skip


def plans(
    point: int, uplink: float, requests: int, edge: int, cloud: int, decc: int, **more: object
) -> list[columns.Row]:
    return [
        row(
            point, name, uplink_mbps=uplink, downlink_mbps=uplink, requests=requests, objective_ns=ns,
            lower_bound_ns=decc, **more,
        )
        for name, ns in (("edge-only", edge), ("cloud-only", cloud), ("decc", decc))
    ]  # fmt: skip


PLANS = [
    *plans(0, 1.0, 1, 200, 400, 100),
    *plans(1, 5.0, 1, 200, 100, 100),
    *plans(2, 5.0, 8, 1600, 100, 100, network="other"),
    row(2, "exact", status=FAILED, error="no plan in 10 s", network="other", requests=8),
    row(2, "jps", status=NOT_POSSIBLE, error="it cannot", network="other", requests=8),
]


def stream(point: int, policy: str, rate: float, **more: object) -> columns.Row:
    return row(point, policy, rate_rps=rate, percentile=99.0, deadline_s=0.5, capacity_rps=20.0, **more)


STREAMS = [
    *(stream(0, name, rate, sustained_rps=rate) for name, rate in (("dads", 4.0), ("decc", 6.0))),
    stream(1, "dads", 2.0, p99_s=0.2, grows=False),
    stream(1, "decc", 2.0, p99_s=0.1, grows=False),
    stream(2, "dads", 5.0, p99_s=0.9, grows=True),
    stream(2, "decc", 5.0, p99_s=0.3, grows=False),
]


def test_points_are_what_their_rows_say_and_contested_is_the_quotient_of_both_ends():
    found = report_of(columns.table(PLANS), STUDY).findings
    assert found.measure == TIME
    assert [(one.network, one.uplink_mbps, one.requests, one.contested) for one in found.points] == [
        ("net", 1.0, 1, True), ("net", 5.0, 1, True), ("other", 5.0, 8, False)
    ]  # fmt: skip
    assert [one.gain("decc", BEST_BASELINE) for one in found.points] == [2, 1, 1]
    assert [one.gap("decc") for one in found.points] == [0, 0, 0]
    assert found.points[0].where == "uplink 1 Mbit/s"
    assert [(one.strategy, one.status, one.reason) for one in found.failures] == [
        ("exact", FAILED, "no plan in 10 s"), ("jps", NOT_POSSIBLE, "it cannot")
    ]  # fmt: skip


def test_of_streams_the_sustained_rates_are_compared_and_the_latencies_drawn():
    report = report_of(columns.table(STREAMS), STUDY)
    assert report.findings.measure == SUSTAINED
    (point,) = report.findings.points
    assert point.gain("decc", "dads") == 1.5
    (curve,) = report.curves
    # What grows has no latency, and one rate is no line.
    assert [(line.name, line.xs, line.ys) for line in curve.lines] == [("decc", (2.0, 5.0), (0.1, 0.3))]
    assert (curve.deadline_s, curve.capacity_rps) == (0.5, 20.0)


def test_of_streams_at_given_rates_latencies_are_compared_and_queues_that_grow_are_endless():
    found = report_of(columns.table(STREAMS[2:]), STUDY).findings
    assert found.measure == LATENCY
    assert [point.gain("decc", "dads") for point in found.points] == [2, float("inf")]
    assert [point.winner for point in found.points] == ["decc", "decc"]
    assert found.points[1].where == "rate 5 requests/s"


def test_networks_that_are_called_alike_are_told_apart():
    rows = [*plans(0, 1.0, 1, 2, 2, 1), *plans(1, 1.0, 1, 2, 2, 1, network_fingerprint="g1234567890")]
    found = report_of(columns.table(rows), STUDY).findings
    assert found.networks == ("net (f)", "net (g1234567)")


def test_facts_list_the_conditions_with_their_units():
    facts = dict(report_of(columns.table(PLANS), STUDY).facts)
    assert facts["points"] == "3"
    assert facts["rows"] == "11"
    assert facts["uplink (Mbit/s)"] == "1, 5, 10"
    assert facts["downlink (Mbit/s)"] == "as the uplink"
    assert facts["requests"] == "1, 8"


class Page(HTMLParser):
    """Collects what a page would ask for, and checks that its tags are closed in their order."""

    EMPTY = frozenset({"meta", "br", "img", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.asked: list[str] = []
        self.kinds: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.kinds.add(tag)
        self.asked += [value for name, value in attrs if name in ("src", "href", "xlink:href") and value]
        self.asked += [place for _, value in attrs for place in re.findall(r"url\(([^)]*)\)", value or "")]
        if tag not in self.EMPTY:
            self.opened.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.EMPTY:
            self.opened.pop()

    def handle_endtag(self, tag):
        assert self.opened.pop() == tag


@pytest.mark.parametrize("rows", [PLANS, STREAMS], ids=["plans", "streams"])
def test_the_page_is_one_file_that_asks_nobody(rows):
    hostile = [one | {"network": HOSTILE, "edge": HOSTILE, "study": HOSTILE} for one in rows]
    text = html_page(report_of(columns.table(hostile), STUDY))
    page = Page()
    page.feed(text)
    assert page.opened == []
    assert not page.kinds & {"script", "img", "link", "iframe", "object"}
    outside = [place for place in page.asked if not place.startswith(("#", "data:text/plain;"))]
    assert outside == []
    assert "prefers-color-scheme:dark" in text
    assert "color-scheme:light dark" in text


def test_the_studys_file_comes_out_of_the_page_as_it_went_in():
    text = html_page(report_of(columns.table(PLANS), STUDY))
    (content,) = re.findall(r'href="data:text/plain;charset=utf-8;base64,([^"]*)"', text)
    assert base64.b64decode(content).decode() == STUDY


def test_parts_of_drawings_in_one_page_have_names_of_their_own():
    text = html_page(report_of(columns.table(PLANS), STUDY))
    names = re.findall(r'\bid="([^"]*)"', text)
    assert len(names) == len(set(names)) > 2
    for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        mine = {element.get("id") for element in ElementTree.fromstring(svg).iter()}
        assert {place[1:] for place in re.findall(r'href="(#[^"]*)"', svg)} <= mine


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([PLANS[0] | {"network": None}], "no 'network' that means something"),
        ([PLANS[0] | {"uplink_mbps": float("nan")}], "no 'uplink_mbps' that means something"),
        ([PLANS[0] | {"uplink_mbps": -1.0}], "no 'uplink_mbps' that means something"),
        ([PLANS[0] | {"strategy": f"s{i}"} for i in range(MOST_STRATEGIES + 1)], "more than 64 strategies"),
    ],
)
def test_what_no_study_has_written_is_refused_in_one_sentence(rows, sentence):
    with pytest.raises(UnreadableFile, match=re.escape(sentence)):
        report_of(columns.table(rows), STUDY)


def test_numbers_that_mean_nothing_are_left_out_and_the_rest_is_told():
    rows = [stream(0, "dads", 4.0, sustained_rps=float("nan")), stream(0, "decc", 6.0, sustained_rps=-1.0)]
    html_page(report_of(columns.table(rows), STUDY))
    rows = [stream(i, "decc", rate, p99_s=0.0) for i, rate in enumerate((float("nan"), -1.0, 2.0))]
    html_page(report_of(columns.table(rows), STUDY))
