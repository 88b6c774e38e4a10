"""The scenario in the page's address."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from app.shell.address import parameters, scenario_of
from app.state import EXAMPLES, OPENING
from decc_core import library
from decc_core.cli import scenario as command_line
from decc_core.cli.parser import make_parser
from decc_core.problem.scenario import Scenario
from tests.app.server import MAIN
from tests.app.test_main import said

DEADLINE_S = 60
OTHER = Scenario(
    model="alexnet",
    edge="jetson-nano",
    uplink_mbps=5.85,
    downlink_mbps=100.0,
    rtt_ms=20.0,
    edge_slowdown=2.0,
    requests=3,
    wire="fp16",
    objective="throughput",
    overhead_ms=0.25,
    edge_tensor_ms=0.4,
    cloud_mb_ms=2.0,
)
EVERY = Scenario(
    model="alexnet",
    edge="jetson-nano",
    cloud="t4",
    edge_slowdown=2.5,
    cloud_speedup=0.5,
    uplink_mbps=7.3,
    downlink_mbps=104.97,
    rtt_ms=53.1,
    overhead_ms=0.25,
    requests=3,
    wire="fp16",
    objective="throughput",
    results="cloud",
    keep_on_edge="inputs",
    keep_in_cloud=library.load_graph("alexnet").titles[-1],
    edge_memory_mb=640.0,
    uplink_kb=987.5,
    edge_tensor_ms=0.4,
    edge_mb_ms=2.0,
    cloud_tensor_ms=0.3,
    cloud_mb_ms=1.5,
)
"""Nothing stands as a command has it where nothing is said."""


def opened(**found: str) -> AppTest:
    page = AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S)
    page.query_params.update(found)
    return page.run()


@pytest.mark.parametrize(
    "scenario", [OTHER, EVERY, *(example.scenario for example in EXAMPLES)], ids=lambda one: one.model
)
def test_an_address_gives_back_the_scenario_that_made_it(scenario):
    assert scenario_of(parameters(scenario)) == (scenario, ())


def test_whatever_a_command_can_plan_an_address_can_say():
    usual = Scenario("googlenet")
    assert [field.name for field in fields(Scenario) if getattr(EVERY, field.name) == getattr(usual, field.name)] == []
    words = [word for option in EVERY.options().items() for word in option]
    said = command_line.scenario_of(make_parser().parse_args(["compare", EVERY.model, *words]))
    assert scenario_of(parameters(said)) == (EVERY, ())


@pytest.mark.parametrize(
    "limits",
    [
        {"keep_on_edge": "inputs"},
        {"keep_on_edge": "5"},
        {"keep_on_edge": "a, b.c", "keep_in_cloud": "y"},
        {"keep_on_edge": "12,"},
        {"edge_memory_mb": 0.0, "uplink_kb": 1e-3},
    ],
)
def test_limits_survive_an_address(limits):
    scenario = replace(OPENING.scenario, **limits)
    assert scenario_of(parameters(scenario)) == (scenario, ())


def test_names_without_a_name_are_no_limit():
    assert scenario_of({"keep_on_edge": " , ", "keep_in_cloud": ""}) == (OPENING.scenario, ())


def test_the_opening_scenario_has_the_bare_address():
    assert parameters(OPENING.scenario) == {}
    assert scenario_of({}) == (OPENING.scenario, ())


def test_a_downlink_as_the_uplink_differs_from_one_that_is_chosen():
    chosen = replace(OPENING.scenario, downlink_mbps=OPENING.scenario.uplink_mbps)
    assert scenario_of(parameters(chosen)) == (chosen, ())
    assert scenario_of({"downlink_mbps": "same"}) == (OPENING.scenario, ())


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("requests", "many"),
        ("requests", "0"),
        ("requests", "65"),
        ("uplink_mbps", "nan"),
        ("uplink_mbps", "-3"),
        ("rtt_ms", "70000"),
        ("cloud_speedup", "0"),
        ("overhead_ms", "1e9"),
        ("edge_tensor_ms", "-1"),
        ("edge_memory_mb", "-1"),
        ("uplink_kb", "much"),
        ("keep_on_edge", "a," * 20_000),
        ("model", "no-such-network"),
        ("wire", "int3"),
        ("objective", "<b>fame</b>"),
    ],
)
def test_what_an_address_says_wrongly_is_named_and_the_rest_holds(key, text):
    scenario, (sentence,) = scenario_of({key: text, "edge_slowdown": "3"})
    assert f"{key}={text}" in sentence or key in sentence
    assert len(sentence) < 500
    assert scenario == replace(OPENING.scenario, edge_slowdown=3.0)


@pytest.mark.parametrize("scenario", [OTHER, EVERY], ids=["some", "every"])
def test_a_link_opens_the_page_that_it_was_taken_from(scenario):
    page = opened(**parameters(scenario))
    assert not page.exception
    assert not page.error
    assert {key: page.session_state[key] for key in scenario.choices()} == scenario.choices()
    assert not page.warning
    assert page.query_params == parameters(scenario)


def test_the_address_follows_the_controls():
    page = opened()
    assert not page.query_params
    page.select_slider(key="uplink_mbps").set_value(100.0).run()
    assert page.query_params == {"uplink_mbps": "100"}
    page.select_slider(key="uplink_mbps").set_value(OPENING.scenario.uplink_mbps).run()
    assert not page.query_params


def test_the_controls_follow_an_address_that_something_else_changed():
    page = opened()
    page.select_slider(key="uplink_mbps").set_value(100.0).run()
    page.query_params.clear()
    page.query_params["requests"] = "2"
    page.run()
    assert page.session_state["uplink_mbps"] == OPENING.scenario.uplink_mbps
    assert page.session_state["requests"] == 2


def test_the_controls_follow_the_browser_back(monkeypatch):
    page = opened()
    page.select_slider(key="uplink_mbps").set_value(100.0).run()
    page.query_params.clear()
    monkeypatch.setattr("app.shell.address._went_through_history", lambda: True)
    page.run()
    assert page.session_state["uplink_mbps"] == OPENING.scenario.uplink_mbps


def test_an_address_that_a_browser_still_had_undoes_no_change():
    page = opened()
    page.select_slider(key="uplink_mbps").set_value(100.0).run()
    page.query_params.clear()
    page.slider(key="requests").set_value(2).run()
    assert page.session_state["uplink_mbps"] == 100.0
    assert page.query_params == {"uplink_mbps": "100", "requests": "2"}


def test_a_broken_link_opens_the_page_and_says_what_it_could_not_use():
    page = opened(requests="1000", uplink_mbps="100")
    assert not page.exception
    assert page.session_state["uplink_mbps"] == 100.0
    (warning,) = page.warning
    assert "requests" in said(warning)


def test_a_link_to_somebody_elses_profile_says_what_is_missing():
    page = opened(edge="own: a-board")
    assert not page.exception
    assert page.session_state["edge"] == OPENING.scenario.edge
    (warning,) = page.warning
    assert "own: a-board" in said(warning)
    assert "Profile" in said(warning)


def test_the_open_tab_stands_in_the_address_and_outlasts_another_view():
    page = opened(tab="Two plans", uplink_mbps="100")
    assert not page.exception
    assert page.selectbox(key="pair_first")
    page._page_hash = calc_hash("learn")
    page.run()
    assert page.query_params == {"tab": "Two plans", "uplink_mbps": "100"}
    page._page_hash = calc_hash("plan")
    page.run()
    assert page.selectbox(key="pair_first")


def test_the_first_tab_and_one_that_there_is_not_leave_the_address_bare():
    page = opened(tab="<b>x</b>")
    assert not page.exception
    page.run()
    assert not page.query_params
    page.session_state["plan_tab"] = "What if"
    page.run()
    assert page.query_params == {"tab": "What if"}
    page.session_state["plan_tab"] = "All strategies"
    page.run()
    assert not page.query_params
