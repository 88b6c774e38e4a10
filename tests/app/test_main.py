"""The page as a visitor meets it, without a browser."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from app.state import EXAMPLES, NETWORK_PRESETS, OPENING
from decc_core import library
from decc_core.problem.profile import DeviceProfile
from tests.app.networks import networks
from tests.app.own import own
from tests.app.server import MAIN
from tests.app.tables import STRATEGIES, rows_of

DEADLINE_S = 60


def opened(**address: str) -> AppTest:
    page = AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S)
    page.query_params.update(address)
    return page.run()


def numbers(page: AppTest) -> list[str]:
    return [metric.value for metric in page.metric]


def headline(page: AppTest) -> str:
    return " ".join(text.proto.body for text in page.get("html"))


def without_planning_time(rows: list[dict]) -> list[dict]:
    return [{title: cell for title, cell in row.items() if title != "planned in (ms)"} for row in rows]


def check_shows_a_plan(page: AppTest) -> None:
    assert not page.exception
    assert not page.error
    assert len(page.metric) == 5
    assert len(rows_of(page, STRATEGIES)) == 9


def said(message: object) -> str:
    """A message as it is read, without the marks that keep it from being taken for markup."""
    return message.value.replace("\\", "")


def with_own(page: AppTest, found: DeviceProfile) -> AppTest:
    """The page of a visitor who has loaded a profile; the Profile view's tests hold how that is done."""
    own(page).profiles[OPENING.scenario.model] = {f"own: {found.device}": found}
    return page.run()


def test_the_page_opens_on_a_scenario_in_which_there_is_something_to_see():
    page = opened()
    _, over_dads, over_single_cut, *_ = numbers(page)
    assert "multiview4, one request, 18.88 Mbit/s up" in headline(page)
    assert "Split: 1." in headline(page)
    assert float(over_dads.rstrip("×")) > 1.1
    assert float(over_single_cut.rstrip("×")) > 1.1


@pytest.mark.parametrize("model", networks("alexnet", "densenet121", "multiview12", "vit_b_16"))
def test_every_shipped_network_is_planned(model):
    check_shows_a_plan(opened(model=model))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.label)
def test_an_example_sets_all_controls(example):
    page = opened()
    page.selectbox(key="example").set_value(example).run()
    check_shows_a_plan(page)
    assert {key: page.session_state[key] for key in example.scenario.choices()} == example.scenario.choices()
    assert any(example.note in caption.value for caption in page.caption)


def test_an_example_in_which_nothing_helps_says_so():
    page = opened()
    page.selectbox(key="example").set_value(EXAMPLES[-1]).run()
    assert numbers(page)[3] == "1.00×"
    assert any("No split helps" in text.proto.body for text in page.get("html"))


def test_a_slider_changes_the_numbers():
    page = opened()
    before = numbers(page)
    page.select_slider(key="uplink_mbps").set_value(100.0).run()
    check_shows_a_plan(page)
    assert numbers(page) != before


def test_the_box_of_examples_follows_the_controls():
    page = opened()
    page.select_slider(key="uplink_mbps").set_value(100.0).run()
    assert page.session_state["example"] not in EXAMPLES
    page.select_slider(key="uplink_mbps").set_value(OPENING.scenario.uplink_mbps).run()
    assert page.session_state["example"] == OPENING


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("slider", "requests", 3),
        ("select_slider", "edge_slowdown", 8.0),
        ("select_slider", "cloud_speedup", 10.0),
        ("selectbox", "wire", "fp16"),
        ("selectbox", "downlink_mbps", 0.1),
        ("select_slider", "rtt_ms", 100.0),
        ("number_input", "overhead_ms", 5.0),
        ("number_input", "requests_exactly", 3),
        ("number_input", "edge_slowdown_exactly", 8.25),
        ("number_input", "cloud_speedup_exactly", 12.5),
        ("number_input", "downlink_mbps_exactly", 0.15),
        ("number_input", "rtt_ms_exactly", 35.5),
        ("number_input", "uplink_mbps_exactly", 7.3),
    ],
)
def test_every_control_reaches_the_plan(kind, key, value):
    page = opened()
    page.session_state["more_part"] = True
    page.run()
    before = without_planning_time(rows_of(page, STRATEGIES))
    getattr(page, kind)(key=key).set_value(value).run()
    check_shows_a_plan(page)
    assert before != without_planning_time(rows_of(page, STRATEGIES))


def test_a_scenario_that_leaves_63_bits_is_refused_in_a_sentence():
    page = opened()
    slow = library.load_profile(OPENING.scenario.model, "cpu-1-thread")
    with_own(page, replace(slow, device="slow").scaled(9e8 / slow.whole_s, "a test"))
    page.session_state["requests"] = 64
    page.selectbox(key="edge").set_value("own: slow").run()
    assert not page.exception
    (error,) = page.error
    assert "63 bits" in said(error)
    page.selectbox(key="edge").set_value("cpu-1-thread").run()
    check_shows_a_plan(page)


def test_throughput_can_be_planned_for():
    page = opened()
    page.session_state["objective"] = "throughput"
    page.run()
    check_shows_a_plan(page)
    assert "requests/s" in page.metric[0].label


def test_a_loaded_profile_can_be_chosen_as_a_device():
    page = opened()
    shipped = library.load_profile(OPENING.scenario.model, "cpu-1-thread")
    with_own(page, replace(shipped, device="mine").scaled(3.0, "a test"))
    assert not page.error
    before = numbers(page)
    page.selectbox(key="edge").set_value("own: mine").run()
    check_shows_a_plan(page)
    assert numbers(page) != before
    page.selectbox(key="model").set_value("alexnet").run()
    check_shows_a_plan(page)


def test_a_device_that_the_next_network_lacks_gives_way_to_one_it_has():
    page = opened()
    page.selectbox(key="model").set_value("alexnet").run()
    page.selectbox(key="edge").set_value("jetson-nano").run()
    check_shows_a_plan(page)
    page.selectbox(key="model").set_value("googlenet").run()
    check_shows_a_plan(page)


def test_the_first_plan_is_shown_without_importing_torch():
    script = (
        "import sys; from streamlit.testing.v1 import AppTest; "
        f"page = AppTest.from_file({str(MAIN)!r}, default_timeout={DEADLINE_S}).run(); "
        "assert not page.exception and len(page.metric) == 5; sys.exit('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=DEADLINE_S, check=False)
    assert found.returncode == 0, found.stderr.decode()


def test_a_device_that_is_chosen_has_its_own_speed_and_not_a_factor_meant_for_another():
    page = opened(edge_slowdown="5")
    assert page.session_state["edge_slowdown"] == 5
    assert any(" → " in caption.value and "a request" in caption.value for caption in page.caption)
    page.selectbox(key="edge").set_value("raspberry-pi-5-ncnn").run()
    assert not page.exception
    assert page.session_state["edge_slowdown"] == 1
    assert any("a request, estimated within" in caption.value for caption in page.caption)


def test_a_verdict_on_estimated_devices_says_whether_it_holds_in_their_ranges():
    page = opened(edge="raspberry-pi-4-ncnn", cloud="t4", cloud_speedup="1")
    assert not page.exception
    assert "The times are estimated" in headline(page)
    assert "The times are estimated" not in headline(opened())


def test_any_number_may_be_typed_or_stand_in_an_address():
    page = opened(uplink_mbps="7.3", rtt_ms="35", cloud_speedup="12.5")
    assert not page.exception
    assert not page.warning
    assert [page.session_state[key] for key in ("uplink_mbps", "rtt_ms", "cloud_speedup")] == [7.3, 35, 12.5]
    page.number_input(key="uplink_mbps_exactly").set_value(42.5).run()
    assert not page.exception
    assert page.session_state["uplink_mbps"] == 42.5
    assert dict(page.query_params)["uplink_mbps"] in ("42.5", ["42.5"])
    page.select_slider(key="uplink_mbps").set_value(7.3).run()
    assert page.number_input(key="uplink_mbps_exactly").value == 7.3


@pytest.mark.parametrize(
    ("key", "kind", "step", "number"),
    [
        ("uplink_mbps", "select_slider", 100.0, 42.5),
        ("rtt_ms", "select_slider", 50.0, 47.25),
        ("edge_slowdown", "select_slider", 8.0, 3.3),
        ("cloud_speedup", "select_slider", 10.0, 12.5),
        ("requests", "slider", 3, 5),
    ],
)
def test_a_slider_and_its_box_follow_each_other(key, kind, step, number):
    page = opened()
    getattr(page, kind)(key=key).set_value(step).run()
    assert page.number_input(key=f"{key}_exactly").value == step
    page.number_input(key=f"{key}_exactly").set_value(number).run()
    assert not page.exception
    assert getattr(page, kind)(key=key).value == page.session_state[key] == number
    getattr(page, kind)(key=key).set_value(step).run()
    assert page.number_input(key=f"{key}_exactly").value == page.session_state[key] == step


def test_an_empty_box_for_the_downlink_means_as_the_uplink():
    page = opened()
    assert page.number_input(key="downlink_mbps_exactly").value is None
    page.number_input(key="downlink_mbps_exactly").set_value(33.0).run()
    assert page.session_state["downlink_mbps"] == page.selectbox(key="downlink_mbps").value == 33
    page.number_input(key="downlink_mbps_exactly").set_value(None).run()
    assert page.session_state["downlink_mbps"] is None


@pytest.mark.parametrize("preset", NETWORK_PRESETS, ids=lambda preset: preset.name)
def test_a_preset_sets_up_down_and_round_trip_and_is_shown_only_while_they_stand(preset):
    key = "preset" if preset.measured else "paper_preset"
    page = opened(rtt_ms="35", downlink_mbps="3")
    page.pills(key=key).set_value(preset).run()
    assert not page.exception
    link = {name: page.session_state[name] for name in preset.choices}
    assert link == preset.choices
    assert page.session_state["rtt_ms"] == (preset.rtt_ms if preset.measured else 35)
    assert page.pills(key=key).value == preset
    assert any(preset.source in said(caption) for caption in page.sidebar.caption)
    page.number_input(key="downlink_mbps_exactly").set_value(77.0).run()
    assert page.pills(key=key).value is None
    assert any("your own link" in said(caption) for caption in page.sidebar.caption)


def test_what_is_chosen_in_a_folded_part_of_the_controls_is_planned_and_outlasts_it():
    page = opened(overhead_ms="0.25", results="cloud")
    for _ in range(3):
        page.run()
    assert not [box for box in page.number_input if box.key == "overhead_ms"]
    assert (page.session_state["overhead_ms"], page.session_state["results"]) == (0.25, "cloud")
    page.session_state["more_part"] = True
    page.run()
    assert page.number_input(key="overhead_ms").value == 0.25
    page.number_input(key="overhead_ms").set_value(0.5).run()
    page.session_state["more_part"] = False
    page.run()
    page.slider(key="requests").set_value(3).run()
    assert page.query_params["overhead_ms"] == "0.5"
    page.session_state["more_part"] = True
    page.run()
    assert (page.number_input(key="overhead_ms").value, page.selectbox(key="results").value) == (0.5, "cloud")
    check_shows_a_plan(page)
