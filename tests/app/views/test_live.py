"""The Live view without a run: what it says while one goes on, and when one was stopped."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from app.jobs import live
from app.jobs.inputs import Recording
from app.jobs.live import Conditions, Crowd, LiveJob
from app.views.live import JOB
from decc_core.models.ref import NetworkRef
from decc_core.network.work import Resource, Span, Work
from decc_core.plans.plan import Execution, staged_plan
from decc_core.plans.schedule import schedule
from decc_core.plans.trace import Trace
from decc_core.problem.scenario import Scenario
from decc_core.runtime.controller.outputs import Distance
from decc_core.runtime.controller.report import RunReport, Speed
from decc_core.runtime.wire.pacing import Rate
from tests.app.server import MAIN
from tests.app.test_main import said
from tests.builders import make_graph, make_instance

DEADLINE_S = 60
HOSTILE = "<img src=x> **bold** :red[x] [a](b)"


def job_of(name: str) -> LiveJob:
    instance = make_instance(make_graph({"x": [], "y": ["x"]}), {"y": 5}, {"y": 1}, {"x": 6})
    return LiveJob(Scenario(model=name), NetworkRef(name), instance, ("decc",), Speed.EMULATED)


def opened(job: LiveJob | None = None, **address: str) -> AppTest:
    page = AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S)
    page._page_hash = calc_hash("live")
    page.query_params.update(address)
    if job is not None:
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


def test_results_that_may_stay_in_the_cloud_are_brought_back_all_the_same_which_is_said():
    page = opened(results="cloud")
    assert "Results may stay in the cloud, but a run brings them back" in texts(page)


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


def finished(speed: Speed = Speed.EMULATED, **told: object) -> LiveJob:
    """A job whose only run went exactly as planned."""
    job = job_of("alexnet")
    job.speed = speed
    plan = staged_plan(job.instance, Execution.CONSECUTIVE, [job.instance.all_cloud])
    timing = schedule(job.instance, plan)
    measured = Trace(dict(timing.spans.items()), {0: timing.makespan_ns})
    level = dict.fromkeys((Resource.EDGE, Resource.CLOUD), 1.0)
    report = RunReport(
        "decc", plan, speed, 1.0, timing, level, timing, measured, {}, {0: Distance(True, 0.0, True)}, {}
    )
    job.reports.append(replace(report, **told))
    job.over = True
    return job


def texts(page: AppTest) -> str:
    kinds = (page.markdown, page.caption, page.info, page.warning, page.error)
    return "\n".join(said(element) for kind in kinds for element in kind)


def test_an_emulated_run_says_what_it_does_not_test():
    page = opened(finished())
    assert any(metric.value == "0 %" for metric in page.metric)
    assert "Emulated workers wait for profiled times, so the compute part cannot differ" in texts(page)
    assert not page.main.warning


def test_a_run_with_coded_tensors_tells_its_verdict_its_bytes_and_how_long_both_coded():
    job = finished()
    job.instance = replace(job.instance, formats=("int8", "int8"))
    spans = {side: (Span(side, Work(0, 0), 0, 2),) for side in (Resource.EDGE, Resource.CLOUD)}
    off = Distance(False, 0.25, True)
    job.reports[0] = replace(
        job.reports[0],
        trace=replace(job.reports[0].trace, coding=spans),
        differences={0: off},
        from_formats={0: replace(off, equal=True, explained=True)},
        formats={0: "int8"},
        lossy=True,
        sizes={0: (4000, 1009)},
        classifies=True,
    )
    page = opened(job)
    assert "within tolerance" in [metric.value for metric in page.metric]
    told = texts(page)
    assert "Outputs within tolerance, max diff 2.5e-01, top-1 1 of 1." in told
    assert "1.01 kB went up as int8 where raw tensors have 4.00 kB." in told
    assert "The edge encodes for 2 ns" in told
    assert "The cloud decodes for 2 ns" in told


def test_a_run_that_was_stretched_or_fell_back_warns():
    page = opened(finished(dilation=4.2, fallen_back=(0,)))
    warnings = " ".join(said(warning) for warning in page.main.warning)
    assert "Run 4.2 times slower than shown" in warnings
    assert "because the cloud was lost: requests 1." in warnings
    # Much slower is told once, above all runs.
    warnings = [said(warning) for warning in opened(finished(dilation=42.0)).main.warning]
    assert [warning for warning in warnings if "slower" in warning] == warnings[:1]
    assert "everything went 42 times slower" in warnings[0]


def test_a_native_run_on_a_busy_machine_says_so(monkeypatch):
    job = finished(Speed.NATIVE)
    job.crowd = Crowd(3.2, 2)
    page = opened(job)
    assert "This machine is busy: on average 3.2 processes wanted its 2 cores" in texts(page)
    assert "Emulated workers wait" not in texts(page)
    job.crowd = Crowd(0.4, 2)
    assert "is busy" not in texts(opened(job))
    monkeypatch.setattr("app.views.live.crowd", lambda: Crowd(7.0, 1))
    page = opened()
    assert "is busy" not in texts(page)
    page.segmented_control(key="live_speed").set_value(Speed.NATIVE).run()
    assert "7.0 processes wanted its only core" in texts(page)


def test_a_machine_that_does_not_say_how_busy_it_is_is_not(monkeypatch):
    monkeypatch.delattr(live.os, "getloadavg")
    assert not live.crowd().busy


def test_a_run_over_a_recorded_uplink_says_what_plans_do_not_know():
    job = finished()
    job.conditions = Conditions(recording=Recording("<b>train</b>.csv", Rate((1e6,))))
    page = opened(job)
    assert "The uplink followed <b>train</b>.csv." in texts(page)
    assert any("\\<b\\>" in message.value for message in page.main.info)


def test_the_command_says_all_that_is_chosen():
    page = opened(model="squeezenet1_1", requests="2", keep_on_edge="inputs")
    (command,) = [code.value for code in page.code]
    assert command.startswith("decc run squeezenet1_1 --edge cpu-1-thread")
    for part in ("--requests 2", "--keep-on-edge inputs", "--strategy decc", "--compare dads-dsl"):
        assert part in command
    page.number_input(key="live_jitter").set_value(2.5).run()
    page.toggle(key="live_fallback").set_value(True).run()
    page.segmented_control(key="live_speed").set_value(Speed.NATIVE).run()
    (command,) = [code.value for code in page.code]
    assert "--edge " not in command
    assert all(part in command for part in ("--jitter-ms 2.5", "--fallback edge", "--native"))


def sent_to(page: AppTest, what: str) -> object:
    return next(box for box in page.file_uploader if box.key and box.key.startswith(what))


def test_a_recording_and_images_are_taken_and_can_be_taken_away():
    page = opened(model="squeezenet1_1", requests="1")
    sent_to(page, "live_recording").upload("train.csv", b"0, 18.88\n2.5, 0\n4, 7.5\n", "text/csv").run()
    assert not page.exception
    assert "train.csv: 3 rates over 4 s" in texts(page)
    content = io.BytesIO()
    Image.new("RGB", (20, 10), (200, 10, 10)).save(content, "PNG")
    sent_to(page, "live_images").upload("red.png", content.getvalue(), "image/png").run()
    page.session_state["live_images"].wait(DEADLINE_S)
    page.run()
    assert not page.exception
    assert "1 image, taken in turn" in texts(page)
    (command,) = [code.value for code in page.code]
    assert "--bandwidth-trace train.csv --images FOLDER-OF-IMAGES" in command.replace(" \\\n    ", " ")
    page.button(key="live_recording_remove").click().run()
    page.button(key="live_images_remove").click().run()
    (command,) = [code.value for code in page.code]
    assert "trace" not in command
    assert "images" not in command


@pytest.mark.parametrize(
    ("what", "name", "content", "why"),
    [
        ("live_recording", "train.csv", b"0, fast\n", "Line 1 of train.csv"),
        ("live_images", "notes.png", b"PNG, or so it says", "'notes.png' is no readable image"),
    ],
)
def test_a_file_that_is_refused_says_why(what, name, content, why):
    page = opened(model="squeezenet1_1", requests="1")
    sent_to(page, what).upload(name, content, "text/csv").run()
    page.session_state[what].wait(DEADLINE_S)
    page.run()
    assert not page.exception
    (error,) = page.main.error
    assert why in said(error)
