"""Every view opens, and for every family of networks one does, in the page as it is."""

from __future__ import annotations

import re
import tempfile
import tomllib
from itertools import cycle, product

import pytest
import streamlit as st
from streamlit import config
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.forward_msg_cache import populate_hash_if_needed
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from app.shell import choices, widgets
from app.shell.frame import VIEWS
from decc_core.errors import DeccError
from tests.app.networks import FAMILIES
from tests.app.server import MAIN

DEADLINE_S = 60
HEADINGS = {
    "network": "",
    "profile": "time of every layer",
    "sweep": "Sweep: where the answer changes",
    "studies": "Studies: many networks",
    "live": "Live run: the plan on real processes",
    "learn": "Learn: what a plan may do",
}


def test_what_runs_before_streamlit_knows_every_view():
    told = re.search(
        r"const VIEWS = \[(.*?)\]", MAIN.with_name("shell").joinpath("page.js").read_text(encoding="utf-8")
    )
    assert told is not None
    assert set(re.findall(r'"(\w+)"', told[1])) == {name for name, _, _ in VIEWS}


EVERY = tuple(product(HEADINGS, FAMILIES))
ORDINARY = set(zip(cycle(HEADINGS), FAMILIES, strict=False))


@pytest.mark.parametrize(
    ("name", "model"), [pytest.param(*pair, marks=() if pair in ORDINARY else pytest.mark.slow) for pair in EVERY]
)
def test_every_view_opens_for_every_family(name, model):
    page = AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S)
    page._page_hash = calc_hash(name)
    page.query_params.update(model=model, requests="1")
    page.run()
    assert not page.exception
    assert not page.error
    assert any(HEADINGS[name] in heading.value for heading in page.subheader) or not HEADINGS[name]
    assert page.session_state["model"] == model


def test_a_run_that_was_given_up_does_not_take_the_visitor_back(monkeypatch):
    page = AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S)
    page._page_hash = calc_hash("learn")
    first = st.Page

    def disturbed(*args, **kwargs):
        # What Streamlit does where another run of the same visit begins just now.
        get_script_run_ctx().pages_manager.set_script_intent(calc_hash("sweep"), "")
        return first(*args, **kwargs)

    monkeypatch.setattr("app.shell.frame.st.Page", disturbed)
    page.run()
    assert any(HEADINGS["learn"] in heading.value for heading in page.subheader)


@pytest.fixture
def failing_view(monkeypatch):
    """Lets the Learn view do something else, such as fail; returns the page that opens it."""

    def opened(happening) -> AppTest:
        monkeypatch.setattr("app.views.learn.view", happening)
        page = AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S)
        page._page_hash = calc_hash("learn")
        return page.run()

    return opened


def test_a_large_message_is_sent_whole_each_time(monkeypatch):
    """What stands for one that a browser has would outlive, in the server's queue, what it belongs to."""
    settings = tomllib.loads((MAIN.parent / ".streamlit" / "config.toml").read_text())
    usual = config.get_option
    monkeypatch.setattr(
        config, "get_option", lambda key: settings["global"].get(key.removeprefix("global."), usual(key))
    )
    message = ForwardMsg()
    message.delta.new_element.html.body = "x" * 1_000_000
    populate_hash_if_needed(message)
    assert message.hash
    assert not message.metadata.cacheable


def test_a_view_that_fails_says_one_sentence_and_where_the_details_are(failing_view, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    page = failing_view(lambda *_: {}["missing"])
    assert not page.exception
    [log] = tmp_path.glob("decc-*.log")
    assert "KeyError: 'missing'" in log.read_text()
    [told] = page.error
    assert told.value.startswith("Something failed that DECC did not foresee")
    # The controls stand, and the next click is heard.
    assert page.sidebar.selectbox


def test_a_view_that_stops_or_runs_again_has_not_failed(failing_view):
    runs = []

    def again(*_):
        runs.append(1)
        if len(runs) == 1:
            st.rerun()
        st.stop()

    page = failing_view(again)
    assert len(runs) == 2
    assert not page.exception
    assert not page.error


def test_the_server_hears_of_what_fails_outside_of_the_views(monkeypatch):
    from app import main

    shown = []
    monkeypatch.setattr("app.shell.frame.st.error", shown.append)
    assert main.app._on_script_error(DeccError("That is known.")) is True
    assert shown == ["That is known."]


def test_a_choice_that_cannot_be_drawn_can_be_taken_back(monkeypatch):
    page = AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S).run()
    before = page.session_state["uplink_mbps"]

    def refuse() -> None:
        if st.session_state["uplink_mbps"] != before:
            raise DeccError("Not this one.")
        link()

    link = widgets._link
    monkeypatch.setattr(widgets, "_link", refuse)
    with monkeypatch.context() as chosen:
        # As a button of a view does it, before the controls are drawn.
        chosen.setattr("app.shell.address.take", lambda *_: choices.choose({"uplink_mbps": 100.0}))
        page.run()
    assert "Not this one" in page.error[0].value
    page.session_state["uplink_mbps"] = before
    page.run()
    assert not page.error
    assert page.session_state["uplink_mbps"] == before
