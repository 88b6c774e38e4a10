"""The Live view without a run: what it says while one goes on, and when one was stopped."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from app.jobs.live import LiveJob
from app.views.live import JOB
from decc_core.models.ref import NetworkRef
from decc_core.problem.scenario import Scenario
from decc_core.runtime.controller.report import Speed
from tests.app.server import MAIN
from tests.builders import make_graph, make_instance

DEADLINE_S = 60
HOSTILE = "<img src=x> **bold** :red[x] [a](b)"


def job_of(name: str) -> LiveJob:
    instance = make_instance(make_graph({"x": [], "y": ["x"]}), {"y": 5}, {"y": 1}, {"x": 6})
    return LiveJob(Scenario(model=name), NetworkRef(name), instance, ("decc",), Speed.EMULATED)


def opened(job: LiveJob) -> AppTest:
    page = AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S)
    page._page_hash = calc_hash("live")
    page.session_state[JOB] = job
    page.run()
    assert not page.exception
    return page


def test_a_network_with_a_hostile_name_is_text_while_it_is_loaded():
    job = job_of(f"own: {HOSTILE}")
    job.doing = f"loading {HOSTILE} on both workers"
    page = opened(job)
    (told,) = [caption.value for caption in page.caption if "Getting ready" in caption.value]
    assert "\\<img" in told
    assert "**bold**" not in told
    job.running = "decc"
    (progress,) = page.run().get("progress")
    assert "\\<img" in progress.proto.text


def test_a_run_that_was_stopped_before_its_first_result_says_so():
    job = job_of("alexnet")
    job.stop()
    job.over = True
    assert "stopped" in opened(job).info[0].value


def test_a_run_that_is_being_stopped_says_what_it_still_does():
    job = job_of("alexnet")
    job.doing = "loading alexnet on both workers"
    job.stop()
    assert "Stopping: loading alexnet on both workers." in [caption.value for caption in opened(job).caption]
