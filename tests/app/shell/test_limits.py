"""Limits on the page: chosen by its controls, told above every plan, and let go with the network that they are of."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app.shell.limits import CLOUD_NAMES, EDGE_NAMES, FIRST, KIND, joined
from decc_core import library
from decc_core.problem.constraints import named_layers
from decc_core.problem.scenario import Scenario, layer_names
from tests.app.server import MAIN
from tests.app.tables import STRATEGIES, rows_of
from tests.app.test_main import said
from tests.builders import make_graph

DEADLINE_S = 60
LAST = library.load_graph("alexnet").titles[-1]


def opened(**address: str) -> AppTest:
    page = AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S)
    page.query_params.update({"model": "alexnet", "requests": "1", **address})
    page.session_state["limits_part"] = True
    page.run()
    assert not page.exception
    return page


def told(page: AppTest) -> str:
    return " ".join(said(message) for message in page.info)


def errors(page: AppTest) -> str:
    return " ".join(said(message) for message in page.error)


def test_what_is_kept_is_chosen_told_planned_and_said_by_the_address():
    page = opened()
    assert "edge" not in told(page)
    page.selectbox(key=KIND).set_value("inputs").run()
    page.number_input(key="uplink_kb").set_value(500.0).run()
    assert not page.exception
    assert not page.error
    assert "Limits: raw inputs never leave the edge; at most 500 kB up per request." in told(page)
    assert page.query_params == {
        "model": "alexnet", "requests": "1", "keep_on_edge": "inputs", "uplink_kb": "500"
    }  # fmt: skip
    # Everything in the cloud would send the input.
    assert "cloud-only" not in [row["strategy"] for row in rows_of(page, STRATEGIES)]
    assert any("cloud-only: not possible" in said(caption) for caption in page.caption)
    page.number_input(key="uplink_kb").set_value(None).run()
    page.selectbox(key=KIND).set_value("none").run()
    assert page.query_params == {"model": "alexnet", "requests": "1"}
    assert "edge" not in told(page)


def test_the_first_layers_and_layers_by_name_are_kept():
    page = opened()
    page.selectbox(key=KIND).set_value("first").run()
    assert page.session_state["keep_on_edge"] == "1"
    page.number_input(key=FIRST).set_value(4).run()
    assert page.session_state["keep_on_edge"] == "4"
    assert "Limits: the first 4 layers stay on the edge." in told(page)
    page.selectbox(key=KIND).set_value("named").run()
    assert page.session_state["keep_on_edge"] is None
    page.multiselect(key=EDGE_NAMES).set_value([page.multiselect(key=EDGE_NAMES).options[3]]).run()
    page.multiselect(key=CLOUD_NAMES).set_value([LAST]).run()
    assert not page.exception
    assert not page.error
    assert f"'{LAST}' stays in the cloud" in told(page)
    assert page.query_params["keep_in_cloud"] in (LAST, [LAST])


def test_an_address_sets_the_controls():
    page = opened(keep_on_edge="3", keep_in_cloud=LAST, edge_memory_mb="640", uplink_kb="700.5")
    assert not page.error
    assert page.selectbox(key=KIND).value == "first"
    assert page.number_input(key=FIRST).value == 3
    assert page.multiselect(key=CLOUD_NAMES).value == [LAST]
    assert (page.number_input(key="edge_memory_mb").value, page.number_input(key="uplink_kb").value) == (640, 700.5)


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"edge_memory_mb": "0.001"}, "The edge memory limit of 1,000 bytes is too low"),
        ({"keep_in_cloud": LAST, "uplink_kb": "0.001"}, "The uplink limit of 1 bytes a request is too low"),
        ({"keep_on_edge": LAST, "keep_in_cloud": LAST}, LAST),
        ({"keep_on_edge": "no.such.layer"}, "'alexnet' has no layer 'no.such.layer'"),
        ({"keep_on_edge": "4000"}, "4000 layers cannot be kept on the edge"),
    ],
)
def test_limits_that_nothing_keeps_say_so_and_can_be_taken_away(limits, sentence):
    page = opened(**limits)
    assert sentence in errors(page)
    assert told(page)
    for key in limits:
        if key.startswith("keep"):
            page.session_state[key] = None
        else:
            page.number_input(key=key).set_value(None)
    page.run()
    assert not page.error


def test_every_tab_opens_where_baselines_have_no_plan():
    page = opened(keep_on_edge="inputs", keep_in_cloud=LAST, tab="Bound and proof")
    assert not page.error
    assert len(page.metric) >= 5
    for tab in ("Two plans", "Mix or overlap", "Why this cut", "What if"):
        page.session_state["plan_tab"] = tab
        page.run()
        assert not page.exception, tab
        assert not page.error, tab


def test_another_network_lets_go_of_layers_that_it_lacks_and_says_so():
    page = opened(keep_on_edge=LAST, uplink_kb="500")
    page.selectbox(key="model").set_value("squeezenet1_1").run()
    assert not page.exception
    assert not page.error
    assert page.session_state["keep_on_edge"] is None
    assert page.session_state["uplink_kb"] == 500
    (warning,) = page.main.warning
    assert "has no layer called" in said(warning)
    page.number_input(key="uplink_kb").set_value(400.0).run()
    page.selectbox(key="model").set_value("alexnet").run()
    assert not page.main.warning


@pytest.mark.parametrize("names", [["inputs"], ["12"], ["a", "b.c"], [" a "]])
def test_names_that_mean_something_else_alone_stay_names(names):
    graph = make_graph({"x": [], "inputs": ["x"], "12": ["inputs"], "a": ["12"], "b.c": ["a"]})
    text = joined(names)
    assert layer_names(text) == [name.strip() for name in names]
    pinned = Scenario("g", keep_on_edge=text).constraints(graph).on_edge
    assert pinned == named_layers(graph, layer_names(text))
