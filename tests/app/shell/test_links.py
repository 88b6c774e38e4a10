"""A link that asks for something that there is not: it stops, says so once, and leaves the address alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from app.shell import profiles
from app.shell.links import troubles
from app.state import LEFT_OUT, OPENING
from decc_core import library, store
from tests.app.own import own
from tests.app.server import MAIN
from tests.app.test_main import said

DEADLINE_S = 60


def opened(**found: str) -> AppTest:
    page = AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S)
    page.query_params.update(found)
    return page.run()


def told(page: AppTest) -> str:
    return " ".join(said(text) for text in (*page.main.markdown, *page.main.caption))


def check_stops(page: AppTest, *words: str) -> None:
    assert not page.exception
    assert not page.metric
    assert page.main.subheader[0].value == "This link asks for something that is not here"
    for word in words:
        assert word in told(page)


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ({"model": "googelnet"}, ["'googelnet'", "none of that name"]),
        ({"model": "own: chain"}, ["'chain'", "Your own model", "workspace file"]),
        (
            {"model": "googlenet", "edge": "jetson-nano"},
            ["edge device is 'jetson-nano'", "googlenet has no times of it", "alexnet"],
        ),
        ({"cloud": "own: a-board"}, ["'a-board'", "Profile", "workspace file"]),
        ({"uplink_mbps": "fast"}, ["uplink_mbps=fast", "not a number"]),
        ({"requests": "1000", "uplink_mbps": "100"}, ["requests=1000"]),
        ({"uplnk_mbps": "7"}, ["uplnk_mbps=7", "no setting is called so"]),
        ({"wire": "<b>int3</b>"}, ["wire=<b>int3</b>"]),
    ],
)
def test_what_there_is_not_is_named_nothing_is_planned_and_the_address_stays(link, words):
    page = opened(**link)
    check_stops(page, *words)
    assert page.query_params == link
    page.run()
    check_stops(page)
    assert page.query_params == link


def test_the_links_to_the_views_keep_a_link_that_stopped():
    page = opened(model="googelnet")
    assert all("model=googelnet" in link.proto.query_string for link in page.main.get("page_link"))


def test_a_mistyped_network_and_what_was_meant_are_one_click_apart():
    page = opened(model="googelnet", uplink_mbps="100")
    page.button(key="meant_0_0").click().run()
    assert not page.exception
    assert page.metric
    assert page.session_state["model"] == "googlenet"
    assert page.query_params == {"uplink_mbps": "100"}


def test_the_beginning_of_a_devices_name_is_enough_to_be_understood():
    page = opened(edge="jetson-nano")
    assert "Jetson Nano" in page.button(key="meant_0_0").label
    page.button(key="meant_0_0").click().run()
    assert page.session_state["edge"] == "jetson-nano-ncnn"
    assert page.query_params == {"edge": "jetson-nano-ncnn"}


def test_of_two_mistakes_the_second_stands_when_the_first_is_mended():
    page = opened(model="alexnett", edge="jetson-nanno")
    page.button(key="meant_0_0").click().run()
    check_stops(page, "'jetson-nanno'")
    page.button(key="meant_0_0").click().run()
    assert page.metric
    assert page.session_state["model"] == "alexnet"


def test_a_misspelt_setting_is_taken_for_the_one_that_was_meant():
    page = opened(uplnk_mbps="7")
    page.button(key="meant_0_0").click().run()
    assert page.metric
    assert page.session_state["uplink_mbps"] == 7.0
    assert page.query_params == {"uplink_mbps": "7"}


def test_what_others_add_to_an_address_stops_nothing():
    assert troubles({"utm_source": "mail", "fbclid": "x", "embed": "true"}) == ()
    assert opened(utm_source="mail").metric


def test_any_control_ends_the_stop_and_the_address_follows():
    page = opened(requests="1000", uplink_mbps="100")
    page.slider(key="requests").set_value(2).run()
    assert not page.exception
    assert page.metric
    assert page.query_params == {"requests": "2", "uplink_mbps": "100"}


def test_the_rest_of_a_link_can_be_planned_with_the_usual_values():
    page = opened(requests="1000", uplink_mbps="100")
    page.button(key="link_go_on").click().run()
    assert page.metric
    assert page.query_params == {"uplink_mbps": "100"}


def test_a_link_goes_on_by_itself_when_what_it_asks_for_has_come():
    page = opened(edge="own: board", uplink_mbps="100")
    check_stops(page)
    shipped = library.load_profile(LEFT_OUT.model, "cpu-1-thread")
    own(page).add_profile(LEFT_OUT.model, replace(shipped, device="board"))
    page.run()
    assert page.metric
    assert page.session_state["edge"] == "own: board"
    assert page.session_state["uplink_mbps"] == 100.0
    assert page.query_params == {"edge": "own: board", "uplink_mbps": "100"}


def test_a_renamed_profile_is_found_under_its_old_name():
    page = opened()
    shipped = library.load_profile(OPENING.scenario.model, "cpu-1-thread")
    label = own(page).add_profile(OPENING.scenario.model, replace(shipped, device="board"))
    page.run()
    page.selectbox(key="edge").set_value(label).run()
    own(page).rename_profile(OPENING.scenario.model, label, "better")
    page.run()
    assert not page.warning
    assert page.session_state["edge"] == "own: better"


def test_a_missing_profile_can_be_loaded_where_profiles_are_loaded():
    page = AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S)
    page._page_hash = calc_hash("profile")
    page.query_params["edge"] = "own: board"
    page.run()
    check_stops(page)
    shipped = library.load_profile(LEFT_OUT.model, "cpu-1-thread")
    data = store.to_json(replace(shipped, device="board"))
    page.file_uploader[0].upload("board.json", data, "application/json").run()
    if profiles.READING in page.session_state:
        page.session_state[profiles.READING].wait(DEADLINE_S)
        page.run()
    assert not page.exception
    assert page.session_state["edge"] == "own: board"
    assert page.query_params == {"edge": "own: board"}
