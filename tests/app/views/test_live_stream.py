"""The Live view's streams without a run: controls, limits, and what stands there when one is over."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from app.jobs.live_stream import MOST_REQUESTS, Stream, StreamJob
from app.views.live_stream import JOB
from decc_core.errors import DeccError
from decc_core.models.ref import NetworkRef
from decc_core.network.work import Resource, Span, Work
from decc_core.plans.trace import Trace
from decc_core.problem.scenario import Scenario
from decc_core.runtime.controller.outputs import Distance
from decc_core.runtime.controller.report import Speed
from decc_core.runtime.controller.stream_report import UNFINISHED, StreamReport
from decc_core.streams.arrivals import Process, arrivals
from decc_core.streams.served import Served
from tests.app.server import MAIN
from tests.app.views.test_live import DEADLINE_S, HOSTILE
from tests.builders import make_graph, make_instance

MS = 1_000_000
REQUESTS = 100


def job_of(name: str = "alexnet") -> StreamJob:
    instance = make_instance(make_graph({"x": [], "y": ["x"]}), {"y": 5}, {"y": 1}, {"x": 6}, requests=4)
    stream = Stream(10.0, 10.0, Process.POISSON, 30 * MS)
    return StreamJob(
        Scenario(model=name, requests=4), NetworkRef(name), instance, ("decc", "dads"), Speed.EMULATED, stream=stream
    )


def report_of(policy: str = "decc", finished: int = REQUESTS, **more: object) -> StreamReport:
    """Every request takes 20 ms where 10 were simulated; the last ones are not finished."""
    stream = arrivals(Process.POISSON, 10.0, REQUESTS)
    done = np.arange(REQUESTS) < finished
    cut = np.arange(REQUESTS) % 2
    loads = np.full((REQUESTS, 4), MS)
    spans = {resource: (Span(resource, Work(50, 1), 500 * MS, 510 * MS),) for resource in Resource}
    given = {
        "policy": policy,
        "rate_hz": 10.0,
        "arrivals": stream,
        "deadline_ns": 30 * MS,
        "edge_layers": (1, 2),
        "taken": np.where(done, cut, UNFINISHED),
        "dispatched_ns": stream.times_ns,
        "finish_ns": np.where(done, stream.times_ns + 20 * MS, UNFINISHED),
        "decision_ns": np.full(REQUESTS, 200_000),
        "samples": np.where(done, 0, UNFINISHED),
        "distances": {0: Distance(True, 0.0, True)},
        "busy_ns": dict.fromkeys(Resource, 100 * MS),
        "simulation": Served(stream, cut, stream.times_ns + 10 * MS, loads),
        "capacity_hz": 20.0,
        "speed": Speed.EMULATED,
        "dilation": 1.0,
        "level": {},
        "trace": Trace(spans, {50: 510 * MS}),
        "window": (50, 50),
    }
    return StreamReport(**{**given, **more})


def test_a_machine_that_was_too_slow_is_told_of_and_one_that_kept_up_or_ran_natively_is_not():
    twice = {"planned_ns": {Resource.EDGE: 50 * MS, Resource.CLOUD: 99 * MS}}
    slow = report_of(**twice)
    assert slow.behind == {Resource.EDGE: 2.0}
    assert slow.row()["behind"] == {"edge": 2.0}
    assert "too slow, or busy with something else: the edge 100 % longer" in str(slow)
    # Stretched to twice the time it is as planned; and where requests are under way, nobody can tell.
    for fine in (
        report_of(dilation=2.0, **twice),
        report_of(speed=Speed.NATIVE, **twice),
        report_of(finished=9, **twice),
    ):
        assert not fine.behind
        assert "too slow" not in str(fine)


def test_how_long_the_work_took_beside_the_plan_is_known_at_every_speed():
    planned = {"planned_ns": {Resource.EDGE: 50 * MS, Resource.CLOUD: 0}}
    assert report_of(speed=Speed.NATIVE, **planned).work_level == {Resource.EDGE: 2.0, Resource.CLOUD: 1.0}
    assert report_of(dilation=2.0, **planned).work_level == {Resource.EDGE: 1.0, Resource.CLOUD: 1.0}


def opened(job: StreamJob | None = None, **address: str) -> AppTest:
    page = AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S)
    page._page_hash = calc_hash("live")
    page.query_params.update(address)
    page.session_state["live_kind"] = "stream"
    if job is not None:
        page.session_state[JOB] = job
    page.run()
    assert not page.exception
    return page


def test_the_rate_is_a_share_of_the_capacity_or_requests_per_second():
    page = opened(model="alexnet")
    (told,) = [caption.value for caption in page.caption if "of the capacity of" in caption.value]
    assert "60 % of the" in told
    page.session_state["live_rate_in"] = "requests/s"
    page.run()
    assert not page.exception
    page.number_input(key="live_rate").set_value(2.0).run()
    assert any("60 requests at 2/s" in caption.value for caption in page.caption)
    assert any("--rate 2 " in code.value and "--policy" in code.value for code in page.code)


def test_too_many_requests_for_the_page_are_refused_with_the_remedy():
    with pytest.raises(DeccError, match="choose a shorter time"):
        Stream(1_000.0, 100.0, Process.POISSON, MS)
    assert Stream(MOST_REQUESTS / 100, 100.0, Process.POISSON, MS).requests == MOST_REQUESTS


def test_a_stream_is_planned_from_one_request():
    job = job_of()
    assert (job.scenario.requests, job.instance.requests) == (1, 1)


def test_a_hostile_name_is_text_while_a_stream_goes_on():
    job = job_of(f"own: {HOSTILE}")
    job.doing = f"loading {HOSTILE} on both workers"
    page = opened(job)
    (told,) = [caption.value for caption in page.caption if "Getting ready" in caption.value]
    assert "\\<img" in told
    assert "**bold**" not in told


def test_what_was_measured_stands_beside_the_simulation():
    job = job_of()
    job.streams += [report_of("decc"), report_of("dads")]
    job.over = True
    page = opened(job)
    (table,) = [frame.value for frame in page.dataframe if "policy" in frame.value and "decision" in frame.value]
    assert list(table["policy"]) == ["decc", "dads"]
    assert table["p50 (ms), simulated"][0].startswith("20.0 / 10.0 (")
    assert "662 requests" in table["p99 (ms), simulated"][0]
    assert table["outputs"][0] == "bit-identical"
    (cuts,) = [frame.value for frame in page.dataframe if "layers on the edge" in frame.value]
    assert list(cuts["measured (% of the requests)"]) == [50.0, 50.0]


def test_an_overloaded_stream_says_so_and_shows_what_was_finished():
    job = job_of()
    job.streams.append(report_of(finished=80, failure="They come faster than this policy can serve.", overloaded=True))
    job.over = True
    page = opened(job)
    assert "come faster" in page.error[0].value
    (table,) = [frame.value for frame in page.dataframe if "decision" in frame.value]
    assert table["finished"][0] == "80 of 100"
    assert table["queues"][0] == "grow"


def test_a_wrong_output_is_told():
    wrong = {0: Distance(False, 0.5, False)}
    report = report_of(distances=wrong)
    assert not report.outputs_equal
    assert report.verified == 0
    assert report.outputs_text == "100 of 100 differ, at most by 5.0e-01"


def test_figures_are_of_the_requests_before_the_first_that_is_open():
    report = report_of(finished=70)
    assert report.counted == len(report.measured) == len(report.simulated) == 70
    assert report.measured.percentile_ns(90) == 20 * MS
    assert report.simulated.percentile_ns(90) == 10 * MS
    assert report.same_cut == 1.0
    assert report.requests()[99]["latency_s"] is None
