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
    page.number_input(key="load_cameras").set_value(2).run()
    assert page.session_state["load_job"] is not job
    assert job.stopped.is_set()
    page.session_state["load_job"].stop()


EVERY = {
    "arrivals": "gamma",
    "variation": "2.5",
    "deadline": "4",
    "percentile": "95",
    "cameras": "3",
    "servers": "2",
    "simulated": "1500",
    "share": "35",
    "policy": "jps",
}


def test_a_link_opens_the_load_that_it_was_taken_from_and_the_address_follows_the_controls():
    page = simulated(opened(**EVERY))
    demand = page.session_state["load_job"].task.asked.demand
    assert (demand.process, demand.cv, demand.percentile, demand.requests) == ("gamma", 2.5, 95.0, 1500)
    assert page.session_state["load_job"].task.asked.sources == 3
    assert page.session_state["load_job"].task.asked.servers == 2
    assert page.slider(key="load_share").value == 35
    assert page.segmented_control(key="load_policy").value == "jps"
    assert {key: page.query_params[key] for key in EVERY} == EVERY
    page.slider(key="load_share").set_value(60).run()
    assert "share" not in page.query_params
    page.number_input(key="load_cameras").set_value(1).run()
    assert "cameras" not in page.query_params
    assert page.query_params["variation"] == "2.5"
    page.session_state["load_job"].stop()


def test_what_a_link_says_wrongly_of_the_load_is_told_until_something_else_is_chosen():
    page = opened(cameras="many", deadline="0.5", arrivals="<b>x</b>", share="50")
    told = [warning.value for warning in page.warning]
    assert len(told) == 3
    assert "cameras=many, which is not a whole number from 1 to 64. Here it is 1." in told[2]
    assert "one of constant, poisson, gamma" in told[0]
    assert "<b>" not in told[0]
    assert page.query_params["share"] == "50"
    assert not {"cameras", "deadline", "arrivals"} & set(page.query_params)
    page.number_input(key="load_servers").set_value(2).run()
    assert not page.warning
    page.session_state["load_job"].stop()
