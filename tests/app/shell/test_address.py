"""The scenario in the page's address."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from app.shell.address import parameters, scenario_of
from app.state import EXAMPLES, LEFT_OUT, OPENING
from decc_core import library
from decc_core.cli import scenario as command_line
from decc_core.cli.parser import make_parser
from decc_core.problem.scenario import Scenario
from tests.app.server import MAIN

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
    input_wire="raw",
    wire_percentile=95,
)
"""Nothing stands as a command has it where nothing is said."""
BY_A_FILE = ("wire_profile", "min_agreement", "measured")
"""A command names a file where an address names what the page has; without either nothing is asked of formats."""


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
    usually = [one.name for one in fields(Scenario) if getattr(EVERY, one.name) == getattr(usual, one.name)]
    assert set(usually) == set(BY_A_FILE)
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
    assert scenario_of({"keep_on_edge": " , ", "keep_in_cloud": ""}) == (LEFT_OUT, ())


def test_the_opening_scenario_has_the_bare_address():
    assert parameters(OPENING.scenario) == {}
    assert scenario_of({}) == (OPENING.scenario, ())


def test_a_downlink_as_the_uplink_differs_from_one_that_is_chosen():
    chosen = replace(OPENING.scenario, downlink_mbps=OPENING.scenario.uplink_mbps)
    assert scenario_of(parameters(chosen)) == (chosen, ())
    assert scenario_of({"downlink_mbps": "same"}) == (LEFT_OUT, ())


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
    assert scenario == replace(LEFT_OUT, edge_slowdown=3.0)


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
    assert page.query_params == {"model": "multiview4", "requests": "1", "uplink_mbps": "100"}
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
    assert page.query_params == {"model": "multiview4", "uplink_mbps": "100", "requests": "2"}


def links(page: AppTest) -> dict[str, str]:
    """The links to the views: their parameters by the view's path."""
    return {link.proto.page: link.proto.query_string for link in page.main.get("page_link")}


def test_the_open_tab_stands_in_the_address_of_its_view_alone_and_in_the_link_that_leads_back():
    page = opened(tab="Two plans", uplink_mbps="100")
    assert not page.exception
    assert page.selectbox(key="pair_first")
    page._page_hash = calc_hash("learn")
    page.run()
    assert page.query_params == {"uplink_mbps": "100"}
    assert "tab=Two+plans" in links(page)[""]
    page._page_hash = calc_hash("plan")
    page.query_params["tab"] = "Two plans"
    page.run()
    assert page.selectbox(key="pair_first")
    assert page.query_params == {"tab": "Two plans", "uplink_mbps": "100"}


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


def of_view(name: str, **found: str) -> AppTest:
    page = AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S)
    page._page_hash = calc_hash(name)
    page.query_params.update(found)
    page.run()
    assert not page.exception
    return page


def test_the_strategy_whose_plan_is_shown_stands_in_the_address():
    page = opened(shown="jps")
    assert page.session_state["shown"] == "jps"
    assert page.query_params == {"shown": "jps"}
    page.segmented_control(key="shown").set_value("recommended").run()
    assert not page.query_params
    page.segmented_control(key="shown").set_value("dads-dsl").run()
    assert page.query_params == {"shown": "dads-dsl"}


def test_a_strategy_that_there_is_not_shows_the_best_plan():
    page = opened(shown="<b>x</b>")
    assert not page.exception
    assert page.session_state["shown"] == "recommended"
    assert not page.query_params


def test_the_selected_layer_the_search_and_the_colours_stand_in_the_address():
    layer = "inception3a.branch2.1.conv"
    page = of_view("network", model="googlenet", layer=layer, search="pool", colour="edge time")
    assert any(layer in text.value for text in page.markdown)
    assert page.text_input(key="network_search").value == "pool"
    assert page.query_params == {"model": "googlenet", "layer": layer, "search": "pool", "colour": "edge time"}
    page.text_input(key="network_search").set_value("").run()
    assert page.query_params == {"model": "googlenet", "layer": layer, "colour": "edge time"}


def test_a_layer_that_the_network_lacks_is_not_selected_and_another_network_has_none():
    assert not of_view("network", layer="no-such-layer").query_params
    page = of_view("network", model="googlenet", layer="conv1.conv")
    assert page.query_params == {"model": "googlenet", "layer": "conv1.conv"}
    page.selectbox(key="model").set_value("alexnet").run()
    assert page.query_params == {"model": "alexnet"}


def test_the_step_of_the_lesson_stands_in_the_address_and_back_leads_to_the_one_before(monkeypatch):
    assert not of_view("learn", step="<b>x</b>").query_params
    page = of_view("learn", step="mixing")
    assert page.session_state["learn_step"] == "mixing"
    page.button(key="learn_next").click().run()
    assert page.query_params == {"step": "bound"}
    page.query_params["step"] = "mixing"
    monkeypatch.setattr("app.shell.address._went_through_history", lambda: True)
    page.run()
    assert page.session_state["learn_step"] == "mixing"


def test_the_map_and_the_cell_of_a_sweep_stand_in_the_address(monkeypatch):
    monkeypatch.setattr("app.views.sweep.AT_ONCE_S", 0.0)
    page = of_view("sweep", model="alexnet", requests="1", map="regret", cell_mbps="100", cell_slower="2")
    assert page.session_state["sweep_map_kind"] == "regret"
    assert (page.selectbox(key="sweep_rate").value, page.selectbox(key="sweep_slowdown").value) == (100.0, 2.0)
    assert {key: page.query_params[key] for key in ("map", "cell_mbps", "cell_slower")} == {
        "map": "regret", "cell_mbps": "100", "cell_slower": "2"
    }  # fmt: skip
    page.session_state["sweep_job"].stop()
    page = of_view("sweep", model="alexnet", requests="1", map="<b>x</b>", grid="huge", cell_mbps="nan")
    assert "map" not in page.query_params
    assert not {"grid", "cell_mbps"} & set(page.query_params)
    page.session_state["sweep_job"].stop()
