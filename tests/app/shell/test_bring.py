"""A workspace on the page: saved, opened by somebody else, refused, and removed piece by piece."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.shell import bring
from app.state import OPENING
from decc_core import library
from tests.app.own import own
from tests.app.server import MAIN
from tests.app.shell.test_uploads import dropped
from tests.app.test_main import said
from tests.load import hostile_onnx

DEADLINE_S = 60


def opened(**address: str) -> AppTest:
    page = AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S)
    page.query_params.update(address)
    return page.run()


def brought(page: AppTest, name: str, content: bytes, box: str = "Open workspace") -> AppTest:
    """The page after a workspace was dropped into the box that opens them, and its reading has ended."""
    next(one for one in page.file_uploader if one.label == box).upload(name, content, "application/zip").run()
    job, deadline = page.session_state[bring.JOB], time.monotonic() + DEADLINE_S
    while not job.over and time.monotonic() < deadline:
        time.sleep(0.05)
    assert job.over
    page.run()
    assert not page.exception
    return page


@pytest.fixture(scope="module")
def theirs() -> AppTest:
    """Somebody's page with a network of two files, a profile of it, and one of a built-in network."""
    weights = np.ones(4, np.float32).tobytes()
    page = opened()
    page.file_uploader[0].upload("net.onnx.data", weights, "application/octet-stream")
    page = dropped(page, "net.onnx", hostile_onnx.external("net.onnx.data").SerializeToString())
    mine = own(page)
    (network,) = mine.networks.values()
    mine.add_profile("own: net", replace(network.loaded.edge, device="board"))
    shipped = library.load_profile(OPENING.scenario.model, "cpu-1-thread")
    mine.add_profile(OPENING.scenario.model, replace(shipped, device="mine"))
    page.run()
    page.selectbox(key="edge").set_value("own: board").run()
    page.slider(key="requests").set_value(3).run()
    assert not page.exception
    return page


@pytest.fixture(scope="module")
def saved(theirs) -> bytes:
    return bring._packed(own(theirs), dict(theirs.query_params))


def test_a_colleague_who_opens_a_workspace_sees_the_same_plan(theirs, saved):
    page = brought(opened(), "decc-workspace.zip", saved)
    assert not page.error
    # On a busy machine there may be a doubt about quick times, which comes along.
    assert [said(warning) for warning in page.warning] == [said(warning) for warning in theirs.warning]
    assert list(own(page).networks) == ["own: net"]
    assert [(model, label) for model, label, _ in own(page).all_profiles()] == [
        ("own: net", "own: board"), (OPENING.scenario.model, "own: mine")
    ]  # fmt: skip
    assert page.query_params == theirs.query_params
    assert [metric.value for metric in page.metric] == [metric.value for metric in theirs.metric]
    assert any("1 network and 2 profiles" in said(message) for message in page.success)


def test_a_link_that_waits_for_a_workspace_goes_on_when_it_is_opened(saved):
    page = opened(model="own: net", edge="own: board", requests="5")
    assert not page.metric
    brought(page, "decc-workspace.zip", saved)
    assert page.metric
    assert (page.session_state["model"], page.session_state["edge"]) == ("own: net", "own: board")
    assert page.session_state["requests"] == 5


def test_what_is_there_already_stays_and_what_comes_gets_another_name(saved):
    page = opened()
    shipped = library.load_profile(OPENING.scenario.model, "cpu-2-threads-channels-last")
    own(page).add_profile(OPENING.scenario.model, replace(shipped, device="mine"))
    brought(page, "decc-workspace.zip", saved)
    assert list(own(page).profiles[OPENING.scenario.model]) == ["own: mine", "own: mine (2)"]
    brought(page, "decc-workspace.zip", saved)
    assert list(own(page).networks) == ["own: net"]
    assert list(own(page).profiles["own: net"]) == ["own: board"]


def test_a_workspace_may_be_dropped_where_models_are(saved):
    page = brought(opened(), "their.zip", saved, box="Model file")
    assert not page.error
    assert list(own(page).networks) == ["own: net"]


def test_a_file_that_is_no_workspace_is_refused_in_a_sentence():
    page = brought(opened(), "<b>x</b>.zip", b"GIF89a")
    (error,) = page.error
    assert "is not opened: it is no zip archive" in said(error)
    assert "<b>" not in error.value.replace("\\<", "")
    assert not own(page)


def test_a_network_can_be_removed_with_its_files(saved):
    page = brought(opened(), "decc-workspace.zip", saved)
    place = Path(own(page).networks["own: net"].place.name)
    page.button(key="workspace_remove_own: net").click().run()
    assert not page.exception
    assert page.session_state["model"] == OPENING.scenario.model
    assert not own(page).networks
    assert not own(page).profiles.get("own: net")
    assert not place.exists()
