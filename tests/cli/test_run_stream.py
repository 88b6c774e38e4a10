"""What `decc run --rate` prints and writes, without workers."""

from __future__ import annotations

import json

from decc_core.cli import run_stream
from decc_core.cli.run_stream import StreamOptions
from decc_core.streams.arrivals import Process
from tests.app.views.test_live_stream import REQUESTS, report_of
from tests.builders import make_graph, make_instance

ASKED = StreamOptions(10.0, 10.0, Process.POISSON, 3.0, ("decc", "dads"), 30.0, None)


def instance():
    return make_instance(make_graph({"x": [], "y": ["x"]}), {"y": 5}, {"y": 1}, {"x": 6})


def test_the_table_has_what_was_measured_and_what_was_simulated(capsys):
    run_stream.tell(ASKED, instance(), [report_of("decc"), report_of("dads", dilation=2.0)], {}, False, None)
    said = " ".join(capsys.readouterr().out.split())
    assert "20.0 ms (10.0 ms)" in said
    assert "takes 662 requests" in said
    assert "100 of 100" in said
    assert "p50 20.0 ms (2 times as long as simulated)" in said or "2.00 times as long as simulated" in said


def test_json_has_the_stream_and_the_cuts(capsys):
    run_stream.tell(ASKED, instance(), [report_of()], {"instance": {}}, True, None)
    content = json.loads(capsys.readouterr().out)
    assert content["stream"]["requests"] == REQUESTS
    (run,) = content["runs"]
    assert run["p50_measured_s"] == 0.02
    assert run["p50_simulated_s"] == 0.01
    assert run["p99_measured_s"] is None
    assert run["kept_deadline"] == 1.0
    assert [cut["share_measured"] for cut in run["cuts"]] == [0.5, 0.5]


def test_the_trace_and_the_table_of_requests_are_written(tmp_path):
    asked = StreamOptions(10.0, 10.0, Process.POISSON, 3.0, ("decc", "dads"), 30.0, tmp_path / "requests.csv")
    reports = [report_of("decc"), report_of("dads")]
    run_stream.tell(asked, instance(), reports, {}, True, tmp_path / "trace.json")
    assert len((tmp_path / "requests.csv").read_text().splitlines()) == 1 + 2 * REQUESTS
    events = json.loads((tmp_path / "trace-dads.json").read_text())["traceEvents"]
    assert {event["args"].get("request") for event in events if event["ph"] == "X"} == {50}
