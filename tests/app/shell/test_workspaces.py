"""What visitors have of their own outlasts their visit, for a while and within limits, and belongs to one browser."""

from __future__ import annotations

import gc
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.jobs.upload import OwnModel
from app.memory import MEMORY
from app.shell import visit, workspaces
from app.shell.workspaces import Workspace, Workspaces
from app.state import OPENING
from decc_core import library
from decc_core.errors import InvalidInstance, InvalidProfile
from decc_core.load.kinds.kind import Kind
from decc_core.load.process.loader import LoadedModel
from decc_core.network.graph import LayerGraph
from decc_core.problem.profile import DeviceProfile
from tests.app.own import own
from tests.app.server import MAIN
from tests.builders import make_graph

DEADLINE_S = 60
ONE, OTHER = "a" * 43, "b" * 43
MODEL = OPENING.scenario.model


def chain() -> LayerGraph:
    return make_graph({"x": [], "a": ["x"]})


def network(name: str = "chain", size: int = 10, digest: str = "") -> OwnModel:
    place = tempfile.TemporaryDirectory()
    file = Path(place.name) / "layers"
    file.write_bytes(b"x" * size)
    return OwnModel(LoadedModel(chain(), Kind.PT2, file, file), f"{name}.pt2", place, digest=digest)


def board(name: str = "board") -> DeviceProfile:
    return replace(library.load_profile(MODEL, "cpu-1-thread"), device=name)


@pytest.fixture
def store(monkeypatch) -> Workspaces:
    """A server's, empty."""
    made = Workspaces()
    monkeypatch.setattr(workspaces, "STORE", made)
    monkeypatch.setattr(visit, "STORE", made)
    return made


@pytest.fixture
def browser(monkeypatch, store):
    """Opens pages as a browser with a key does; a page that is opened again is a reload, or another tab."""

    def opened(key: str, **address: str) -> AppTest:
        monkeypatch.setattr(visit, "_key", lambda: key)
        page = AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S)
        page.query_params.update(address)
        page.run()
        assert not page.exception
        return page

    return opened


def test_a_profile_survives_a_reload_and_another_browser_does_not_see_it(browser):
    own(browser(ONE)).add_profile(MODEL, board())
    gc.collect()
    assert "own: board" in browser(ONE).selectbox(key="edge").options
    assert "own: board" not in browser(OTHER).selectbox(key="edge").options


def test_a_network_and_its_files_survive_a_reload(browser):
    page = browser(ONE)
    name = own(page).add_network(network())[0]
    place = Path(own(page).networks[name].place.name)
    del page
    gc.collect()
    assert place.exists()
    assert any("chain" in str(option) for option in browser(ONE).selectbox(key="model").options)


def test_two_tabs_share_what_there_is_and_neither_loses_the_others(browser):
    first, second = browser(ONE), browser(ONE)
    own(first).add_profile(MODEL, board("first"))
    own(second).add_profile(MODEL, board("second"))
    for page in (first, second):
        assert {"own: first", "own: second"} <= set(page.run().selectbox(key="edge").options)


def test_the_bare_address_goes_on_with_what_was_ones_own_and_opens_as_ever_where_nothing_was(browser):
    page = browser(ONE, model=MODEL, uplink_mbps="100")
    own(page).add_profile(MODEL, board())
    page.run()
    assert not browser(ONE).query_params
    page.selectbox(key="edge").set_value("own: board").run()
    again = browser(ONE)
    assert again.session_state["edge"] == "own: board"
    assert again.session_state["uplink_mbps"] == 100.0
    assert again.query_params == {"model": MODEL, "edge": "own: board", "uplink_mbps": "100"}
    assert browser(ONE, requests="2").session_state["edge"] == OPENING.scenario.edge
    assert browser(ONE).session_state["edge"] == OPENING.scenario.edge
    assert browser(OTHER).session_state["edge"] == OPENING.scenario.edge


def test_a_workspace_whose_browser_is_not_seen_for_an_hour_is_gone_with_its_files(store):
    mine, theirs = store.of(ONE), store.of(OTHER)
    name = mine.add_network(network())[0]
    place = Path(mine.networks[name].place.name)
    theirs.add_profile(MODEL, board())
    now_s = time.monotonic()
    mine.here_s, theirs.here_s = now_s, now_s + 1000
    store.look(now_s + workspaces.KEPT_S - 1)
    assert place.exists()
    store.look(now_s + workspaces.KEPT_S + 1)
    assert not place.exists()
    assert not store.of(ONE)
    assert store.of(OTHER)


def test_an_open_page_keeps_its_workspace(store):
    tab = visit.Visit(ONE)
    tab.workspace.add_profile(MODEL, board())
    now_s = time.monotonic()
    for minutes in range(0, 180, 10):
        tab.look(True, now_s + 60 * minutes)
        store.look(now_s + 60 * minutes)
    assert store.of(ONE)


def test_without_a_key_everything_ends_with_the_visit(store):
    page = AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S).run()
    name = own(page).add_network(network())[0]
    place = Path(own(page).networks[name].place.name)
    del page
    gc.collect()
    assert not place.exists()


def test_the_store_knows_no_key(store):
    store.of(ONE)
    assert ONE not in repr(vars(store))


def test_forgetting_deletes_files_answers_and_jobs_and_plans_the_opening_scenario(browser):
    page = browser(ONE)
    mine = own(page)
    name = mine.add_network(network())[0]
    place, token = Path(mine.networks[name].place.name), mine.token
    mine.add_profile(MODEL, board())
    MEMORY.put("answer", 1, token)
    page.run()
    page.selectbox(key="edge").set_value("own: board").run()
    page.button(key="workspace_forget").click().run()
    assert not page.exception
    assert not own(page)
    assert not place.exists()
    assert page.session_state["edge"] == OPENING.scenario.edge
    deadline = time.monotonic() + 10
    while MEMORY.get("answer") is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert MEMORY.get("answer") is None


def test_of_too_many_networks_the_one_that_was_not_used_for_longest_gives_way(monkeypatch):
    monkeypatch.setattr(workspaces, "NETWORKS", 2)
    mine = Workspace()
    first, second = (mine.add_network(network(name))[0] for name in ("first", "second"))
    mine.add_profile(second, board())
    mine.use(first)
    assert mine.add_network(network("third")) == ("own: third", (second,))
    assert list(mine.networks) == [first, "own: third"]
    assert mine.all_profiles() == []


def test_of_too_many_bytes_older_networks_give_way_and_one_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setenv(workspaces.VARIABLE, "2000000")
    mine = Workspace()
    mine.add_network(network("first", 600_000))
    assert mine.add_network(network("second", 600_000))[1] == ("own: first",)
    with pytest.raises(InvalidInstance, match=f"'third.pt2' takes 2.00 MB, more than .* {workspaces.VARIABLE}"):
        mine.add_network(network("third", 2_000_000))
    assert list(mine.networks) == ["own: second"]


def test_where_all_take_too_much_whoever_did_nothing_for_longest_gives_way(store, monkeypatch):
    monkeypatch.setenv(workspaces.VARIABLE, "2000000")
    spaces = [store.of(key * 43) for key in "abc"]
    for i, mine in enumerate(spaces):
        mine.add_network(network(size=800_000))
        mine.used_s = float(i)
    store.make_room(spaces[0])
    assert [bool(mine) for mine in spaces] == [True, False, True]


def test_profiles_beyond_the_limit_are_refused_with_what_to_do(monkeypatch):
    monkeypatch.setattr(workspaces, "PROFILES", 1)
    mine = Workspace()
    mine.add_profile(MODEL, board())
    assert mine.add_profile(MODEL, board()) == "own: board"
    with pytest.raises(InvalidProfile, match=r"You have 1 profile of your own already, .* remove one first"):
        mine.add_profile(MODEL, board("other"))


def test_the_number_of_workspaces_is_limited_and_empty_ones_go_first(monkeypatch):
    monkeypatch.setattr(workspaces, "WORKSPACES", 3)
    store = Workspaces()
    store.of("full").add_profile(MODEL, board())
    for visitor in range(10):
        store.of(f"visitor {visitor}")
    assert len(store) == 3
    assert store.of("full")


@pytest.mark.parametrize("text", ["0", "-1", "much"])
def test_a_budget_that_is_no_number_is_refused(monkeypatch, text):
    monkeypatch.setenv(workspaces.VARIABLE, text)
    with pytest.raises(InvalidInstance, match=workspaces.VARIABLE):
        workspaces.file_bytes()
