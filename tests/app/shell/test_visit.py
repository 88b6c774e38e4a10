"""What a visit has begun ends with it."""

from __future__ import annotations

import gc
import time
from pathlib import Path

from streamlit.testing.v1 import AppTest

from app.memory import MEMORY
from app.shell.visit import Visit
from tests.app.jobs.test_job import LOCK, Waiting, ended

APP = Path(__file__).resolve().parents[3] / "app"


def test_jobs_that_go_on_are_stopped_when_the_visit_ends():
    visit, over, waiting, late = Visit(), Waiting(), Waiting(), Waiting()
    visit.begin(over)
    ended(over)
    with LOCK:
        visit.begin(waiting)
        visit.begin(late)
        assert not waiting.over
        del visit
        assert [ended(one).worked for one in (waiting, late)] == [[False], [False]]
    assert not over.stopped.is_set()


def test_streamlit_ends_the_jobs_of_a_session_that_it_drops():
    def script() -> None:
        import streamlit as st

        from app.shell import visit
        from tests.app.jobs.test_job import Waiting

        if "job" not in st.session_state:
            st.session_state["job"] = Waiting()
            visit.begin(st.session_state["job"])

    with LOCK:
        page = AppTest.from_function(script).run().run()
        assert not page.exception
        job = page.session_state["job"]
        assert not job.over
        del page
        gc.collect()
        assert ended(job).worked == [False]


def test_whatever_a_visitor_starts_is_begun_by_the_visit():
    direct = {path.name for path in APP.rglob("*.py") if "job.start()" in path.read_text(encoding="utf-8")}
    assert direct == {"visit.py"}


def test_answers_about_a_network_of_ones_own_end_with_the_visit_and_others_stay():
    def script() -> None:
        import streamlit as st

        from app.shell import cached, visit
        from tests.builders import make_graph, make_instance

        cached.graph_of("alexnet")
        cached.compared(make_instance(make_graph({"x": [], "a": ["x"]}), {"a": 5}, {"a": 1}, {"x": 1}))
        st.session_state["owner"] = visit.token()

    page = AppTest.from_function(script, default_timeout=60).run()
    assert not page.exception
    owner = page.session_state["owner"]
    assert [key[0] for key, entry in MEMORY._entries.items() if entry.owner == owner] == ["comparison"]
    del page
    gc.collect()
    deadline = time.monotonic() + 10
    while any(entry.owner == owner for entry in [*MEMORY._entries.values()]) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(entry.owner == owner for entry in MEMORY._entries.values())
    assert MEMORY.get(("graph", "alexnet")) is not None


def test_the_jobs_of_a_page_that_was_closed_end_soon_and_those_of_one_that_comes_back_go_on():
    gone, back = Visit(), Visit()
    jobs = [Waiting(), Waiting()]
    with LOCK:
        for visit, job in zip((gone, back), jobs, strict=True):
            visit.begin(job)
        now_s = time.monotonic()
        for second in range(0, 30, 2):
            gone.look(False, now_s + second)
            back.look(second % 8 == 0, now_s + second)
        ended(jobs[0])
        assert not jobs[1].stopped.is_set()
    assert ended(jobs[1]).worked == [True]
