"""The Load view: a curve that fills in the background, what is sustained, and one policy looked at closely."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from tests.app.server import MAIN

DEADLINE_S = 120


def opened(**address: str) -> AppTest:
    page = AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S)
    page._page_hash = calc_hash("load")
    page.query_params.update({"model": "squeezenet1_1", "cloud_speedup": "4", **address})
    page.run()
    assert not page.exception
    return page


def simulated(page: AppTest) -> AppTest:
    page.session_state["load_job"].wait(DEADLINE_S)
    page.run()
    assert not page.exception
    assert not page.error
    return page


def texts(page: AppTest) -> str:
    return "\n".join(element.value for kind in (page.markdown, page.caption) for element in kind)


def test_the_curve_ends_with_what_every_policy_sustains_and_the_winner_in_words():
    page = simulated(opened())
    job = page.session_state["load_job"]
    assert job.over
    assert len(job.rows) == 12 * len(job.limits.policies)
    table = page.dataframe[0].value
    assert set(table["policy"]) == set(job.limits.policies)
    assert table["of the capacity (%)"].max() <= 100
    assert "decc sustains" in texts(page)


def test_one_policy_is_looked_at_closely_and_another_number_of_cameras_is_another_simulation():
    page = simulated(opened())
    job = page.session_state["load_job"]
    shares = page.dataframe[1].value["taken by (% of the requests)"]
    assert 99 <= shares.sum() <= 101
    page.number_input(key="load_sources").set_value(2).run()
    assert page.session_state["load_job"] is not job
    assert job.stopped.is_set()
    page.session_state["load_job"].stop()
