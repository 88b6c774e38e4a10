"""What stands below the pictures of the Plan view: each tab answers its question, in every kind of scenario."""

from __future__ import annotations

import json
import time

import pytest
from streamlit.testing.v1 import AppTest

from app.jobs import reach
from app.jobs.proof import ProofJob
from app.memory import Memory
from app.views.plan import REACH, TABS
from decc_core import library
from decc_core.plans.plan import Execution, staged_plan
from decc_core.plans.schedule import schedule
from decc_core.plans.trace import chrome_trace
from decc_core.study.compare import compare
from tests.app.networks import networks
from tests.app.server import MAIN
from tests.app.tables import STRATEGIES, rows_of
from tests.builders import make_graph, make_instance

DEADLINE_S = 60
FEW = {"model": "multiview4", "requests": "1", "cloud_speedup": "4"}
SEVERAL = {"model": "squeezenet1_1", "requests": "3", "cloud_speedup": "4"}


def opened(tab: str, scenario: dict[str, str] = FEW) -> AppTest:
    page = AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S)
    for key, value in scenario.items():
        page.query_params[key] = value
    page.query_params["tab"] = tab
    page.run()
    assert not page.exception
    return page


def texts(page: AppTest) -> str:
    kinds = (page.markdown, page.caption, page.info, page.success, page.error)
    return "\n".join(element.value for kind in kinds for element in kind)


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize(
    "scenario",
    [FEW, SEVERAL, pytest.param({**SEVERAL, "objective": "throughput"}, marks=pytest.mark.slow)],
    ids=lambda s: "-".join(s.values()),
)
def test_every_tab_opens(tab, scenario):
    page = opened(tab, scenario)
    assert len(page.metric) >= 5
    assert not page.error


@pytest.mark.parametrize("model", networks("alexnet", "googlenet", "multiview4"))
def test_every_network_can_be_asked_why(model):
    page = opened("Why this cut", {"model": model, "requests": "1"})
    assert "No single move helps" in texts(page) or "would gain" in texts(page) or "nothing to move" in texts(page)


def test_how_far_a_verdict_holds_is_looked_up_again_where_that_was_given_up(monkeypatch):
    # Another page may have found it, and what was found is kept.
    monkeypatch.setattr(reach, "MEMORY", Memory(1_000_000))
    page = opened("All strategies")
    given_up = page.session_state[REACH]
    given_up.stop()
    given_up.wait(DEADLINE_S)
    page.run()
    again = page.session_state[REACH]
    assert again is not given_up
    assert not again.over
    again.stop()


def test_gains_in_the_table_are_over_the_pinned_strategy():
    page = opened("All strategies")
    page.selectbox(key="pinned").set_value("jps").run()
    table = rows_of(page, STRATEGIES)
    gains = {row["strategy"]: row["gain (×)"] for row in table}
    makespans = {row["strategy"]: row["makespan (ms)"] for row in table}
    assert gains["jps"] == 1
    assert gains["decc"] == pytest.approx(makespans["jps"] / makespans["decc"])


def test_the_critical_path_is_told_in_words_and_can_be_switched_off():
    page = opened("All strategies")
    assert "The critical path (outlined) takes" in texts(page)
    page.toggle(key="critical").set_value(False).run()
    assert not page.exception
    assert "The critical path" not in texts(page)


def test_moves_can_be_priced_for_one_request_or_for_all_with_its_cut():
    page = opened("Why this cut", {**SEVERAL, "uplink_mbps": "0.1"})
    one = rows_of(page, "cuts here")
    page.segmented_control(key="why_all").set_value(True).run()
    assert not page.exception
    assert rows_of(page, "cuts here") != one


def test_a_row_of_a_move_stands_for_its_layer():
    page = opened("Why this cut", FEW)
    graph = library.load_graph("multiview4")
    rows = rows_of(page, "cuts here")
    assert rows
    assert [graph.titles[row["layers"][0]] for row in rows] == [row["layer"] for row in rows]


def test_a_layer_moved_by_hand_costs_time_and_is_undone():
    page = opened("What if")
    last = page.selectbox(key=next(box.key for box in page.selectbox if box.key and "what_if_layer" in box.key))
    last.select_index(len(last.options) - 1).run()
    assert "Nothing was moved yet" in texts(page)
    page.button(key="what_if_edge").click().run()
    assert not page.exception
    assert "Your cuts take" in texts(page)
    assert page.button(key="what_if_edge").disabled
    page.button(key="what_if_undo").click().run()
    assert "Nothing was moved yet" in texts(page)


def test_a_whole_branch_moves_and_the_hand_made_plan_stands_beside_another():
    page = opened("What if", SEVERAL)
    page.segmented_control(key="what_if_kind").set_value(True).run()
    side = "edge" if not page.button(key="what_if_edge").disabled else "cloud"
    page.button(key=f"what_if_{side}").click().run()
    assert "Your cuts take" in texts(page)
    page.session_state["plan_tab"] = "Two plans"
    page.run()
    assert not page.exception
    assert page.selectbox(key="pair_second").value == "hand-made"


def test_hand_made_cuts_outlast_a_slider_and_give_way_to_another_network():
    page = opened("What if")
    side = "edge" if not page.button(key="what_if_edge").disabled else "cloud"
    page.button(key=f"what_if_{side}").click().run()
    page.select_slider(key="uplink_mbps").set_value(50.0).run()
    assert "Your cuts take" in texts(page)
    page.selectbox(key="model").set_value("two_tower").run()
    assert not page.exception
    assert "Nothing was moved yet" in texts(page)
    assert page.button(key="what_if_undo").disabled


def test_two_plans_are_chosen_and_compared():
    page = opened("Two plans")
    page.selectbox(key="pair_second").set_value("cloud-only").run()
    assert not page.exception
    loads = page.dataframe[0].value
    assert list(loads["time busy"]) == ["edge", "uplink", "cloud", "downlink"]
    assert loads["difference (ms)"].iloc[0] <= 0
    page.selectbox(key="pair_second").set_value(page.selectbox(key="pair_first").value).run()
    assert "same plan twice" in texts(page)


def test_the_first_of_two_plans_is_the_one_shown_until_the_visitor_chooses_another():
    page = opened("Two plans")
    page.segmented_control(key="shown").set_value("jps").run()
    assert page.selectbox(key="pair_first").value == "jps"
    page.selectbox(key="pair_first").set_value("cloud-only").run()
    page.segmented_control(key="shown").set_value("decc").run()
    assert page.selectbox(key="pair_first").value == "cloud-only"


def test_what_is_sent_up_and_back_adds_up_to_the_links_busy_times():
    page = opened("What is sent", SEVERAL)
    sent = rows_of(page, "sends")
    assert {row["way"] for row in sent} == {"up", "back"}
    assert "come back, occupying the downlink" in texts(page)
    page.session_state["plan_tab"] = "All strategies"
    page.run()
    best = min(rows_of(page, STRATEGIES), key=lambda row: row["makespan (ms)"])
    for way, link in (("up", "uplink"), ("back", "downlink")):
        assert sum(row["all (ms)"] for row in sent if row["way"] == way) == pytest.approx(
            best[f"{link} (ms)"], abs=0.01
        )


def test_a_plan_that_sends_nothing_says_so():
    page = opened("What is sent", SEVERAL)
    page.segmented_control(key="shown").set_value("edge-only").run()
    assert "every request stays on the edge" in texts(page)


def test_lanes_of_a_network_of_several_inputs_start_with_their_names():
    page = opened("All strategies", FEW)
    found = [json.loads(one.proto.mixed.json or one.proto.json) for one in page.get("bidi_component")]
    (scene,) = [one["scene"] for one in found if "scene" in one]
    assert {label[2] for label in scene["labels"]} >= {"view 1", "view 2", "view 3", "view 4"}
    assert sorted(layer for mark in scene["marks"] for layer in mark["layers"]) == list(
        range(len(library.load_graph("multiview4")))
    )


def test_a_proof_joins_the_table():
    page = opened("Bound and proof", {"model": "alexnet", "requests": "2", "cloud_speedup": "4", "uplink_mbps": "8"})
    if page.button(key="prove").disabled:
        pytest.skip("already proven by its bound")
    page.segmented_control(key="proof_limit").set_value(10).run()
    page.button(key="prove").click().run()
    (job,) = page.session_state["proofs"].values()
    deadline = time.monotonic() + DEADLINE_S
    while not job.over and time.monotonic() < deadline:
        time.sleep(0.1)
    assert job.failure is None
    page.run()
    page.session_state["plan_tab"] = "All strategies"
    page.run()
    assert not page.exception
    assert rows_of(page, STRATEGIES)[-1]["strategy"] == "exact"
    page.segmented_control(key="shown").set_value("exact").run()
    page.selectbox(key="pinned").set_value("exact").run()
    assert "Schedule of exact" in texts(page)
    page.select_slider(key="uplink_mbps").set_value(50.0).run()
    assert not page.exception
    assert "exact" not in [row["strategy"] for row in rows_of(page, STRATEGIES)]


def test_a_proof_in_the_background_ends_with_a_bound_and_can_be_stopped():
    graph = make_graph({"x": [], "a": ["x"], "b": ["x"], "y": ["a", "b"]})
    instance = make_instance(
        graph, {"a": 5, "b": 7, "y": 4}, {"a": 1, "b": 1, "y": 1}, {"x": 6, "a": 2, "b": 3}, requests=3
    )
    job = ProofJob(instance, compare(instance).of("decc").plan, 20.0)
    job._run()
    assert (job.over, job.failure) == (True, None)
    assert job.result.optimal
    stopped = ProofJob(instance, compare(instance).of("decc").plan, 20.0)
    stopped.stop()
    stopped._run()
    assert stopped.over
    assert stopped.result is None


def test_a_planned_schedule_exports_without_a_measurement():
    graph = make_graph({"x": [], "y": ["x"]})
    instance = make_instance(graph, {"y": 5}, {"y": 1}, {"x": 6})
    plan = staged_plan(instance, Execution.CONSECUTIVE, [instance.all_cloud])
    found = json.loads(json.dumps(chrome_trace(instance, schedule(instance, plan), None, {})))
    assert {event["args"]["name"] for event in found["traceEvents"] if event["name"] == "process_name"} == {"planned"}


def searched(page: AppTest) -> AppTest:
    """The page after its search for trade-offs is over."""
    page.session_state["trade_off_job"].wait(DEADLINE_S)
    page.run()
    assert not page.exception
    return page


def test_a_trade_off_that_is_clicked_is_shown_and_kept_to():
    page = searched(opened("Trade-offs", SEVERAL))
    table = page.dataframe[0].value
    assert len(table) > 1
    assert list(table["latency (ms)"]) == sorted(table["latency (ms)"])
    job = page.session_state["trade_off_job"]
    # As a click on the mark does it.
    thrifty = min(range(len(job.points)), key=lambda place: job.points[place].bytes_per_request)
    page.session_state["trade_off_chosen"] = (job.key, thrifty)
    page.run()
    assert page.dataframe[0].value["strategy"][thrifty] in texts(page)
    page.button(key="trade_off_keep").click().run()
    assert not page.exception
    limit_kb = job.points[thrifty].most_bytes(job.instance) / 1e3
    assert page.session_state["uplink_kb"] == limit_kb
    assert f"at most {limit_kb:g} kB up per request" in texts(page).replace("\\", "")
    # What was found holds for the limited scenario, too: bytes are what is traded.
    assert page.session_state["trade_off_job"] is job
    assert page.button(key="trade_off_keep").disabled


def test_trade_offs_are_looked_for_anew_in_another_scenario_and_the_search_can_be_stopped():
    page = searched(opened("Trade-offs"))
    job = page.session_state["trade_off_job"]
    page.select_slider(key="uplink_mbps").set_value(50.0).run()
    other = page.session_state["trade_off_job"]
    assert other is not job
    other.stop()
    other.wait(DEADLINE_S)
    page.run()
    assert not page.exception
    if not other.complete:
        page.button(key="trade_off_again").click().run()
        assert searched(page).session_state["trade_off_job"].complete
