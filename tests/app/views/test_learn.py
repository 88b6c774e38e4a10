"""The Learn view: every number that it shows was worked out on paper."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app.figures.diamond import diamond_rows, draw_diamond
from app.figures.style import DARK, LIGHT
from app.views import learn
from decc_core.network.work import Resource
from decc_core.planner.analysis import Analysis
from decc_core.plans.check import check_plan
from decc_core.plans.plan import Execution
from decc_core.problem.instance import loads
from decc_core.study.lesson import all_cuts, cut_of, lesson
from tests.brute_force import all_cuts as brute_force_cuts

MS = 1_000_000


def script() -> None:
    from app.views import learn
    from decc_core.problem.scenario import Scenario
    from decc_core.study.lesson import lesson

    learn.view(Scenario("googlenet"), lesson())


def opened(step: str = "network") -> AppTest:
    page = AppTest.from_function(script, default_timeout=60)
    page.session_state["learn_step"] = step
    return page.run()


def said(page: AppTest) -> str:
    return " ".join(text.value for text in page.markdown)


@pytest.mark.parametrize(
    ("step", "on_paper"),
    [
        # Edge 30 + 30 + 30 + 20; cloud 10 + 20 + 30 + 10; 40 ms to send the input, 10 ms for the result.
        ("network", ["needs 110 ms", "only 70 ms", "120 ms in all", "40 kB"]),
        ("cut", ["60 (edge) + 20 (uplink) + 40 (cloud) + 10 (downlink) = **130 ms**", "with 110 ms", "6 cuts"]),
        ("consecutive", ["**130 ms**", "idles for 80 ms"]),
        # The second request's edge work begins at 60 instead of 130: 120, then 20 + 40 + 10.
        ("frames", ["take 260 ms", "190 ms", "1.37×"]),
        # a until 30, b until 60; up a until 40, b until 70; cloud c until 70, d until 80; back at 90.
        ("branches", ["takes 90 ms instead of 130 ms", "1.22×", "edge-only, 110 ms"]),
        ("mixing", ["takes 270 ms", "takes 200 ms", "1.35×", "stages: 220 ms"]),
        ("bound", ["90 ms and 90 ms: a gap of 0 %", "takes 200 ms", "10.0 %"]),
        ("no split", ["No split helps", "110 ms", "proven optimal"]),
        # Each waits 10 ms longer than the one before; 1000 / 110. Of the LP's mixes see the next test.
        ("queue", ["takes 110 ms", "busy 92 %", "first takes 110 ms", "tenth 200 ms", "40th 500 ms", "9.1 requests"]),
        ("load", ["everything on the edge** is the best", "the best cut depends on the load", "90 %"]),
    ],
)
def test_a_step_says_the_numbers_on_paper(step, on_paper):
    page = opened(step)
    assert not page.exception
    for text in on_paper:
        assert text in said(page)


def test_the_capacity_of_the_lesson_is_that_of_the_best_mix_of_cuts():
    # For all weights on the resources, the cheapest cut bounds the period of every mix.
    instance = lesson(slower_link=learn.STREAM_LINK)
    site = learn.streaming().site
    work = [loads(instance, cut) for cut in all_cuts(instance.graph)]
    period_ns = 1e9 / site.capacity_hz
    best_of = [min(max(part) for part in work)]
    assert period_ns <= best_of[0]
    for weights in ((0.5, 0, 0.5, 0), (0.4, 0.2, 0.4, 0), (0.25, 0.25, 0.25, 0.25)):
        cheapest = min(sum(w * part for w, part in zip(weights, load, strict=True)) for load in work)
        assert period_ns >= cheapest * (1 - 1e-6)


def test_at_a_low_rate_the_fastest_cut_is_the_best_and_at_a_high_rate_another_one():
    page = opened("load")
    table = page.dataframe[0].value
    assert table["best fixed cut"].iloc[0] == "everything on the edge"
    assert table["best fixed cut"].iloc[-1] != "everything on the edge"
    assert table["everything on the edge (ms)"].iloc[-1] == "grows"
    assert (table["decc (ms)"].astype(float) <= 1.02 * table["the best fixed cut (ms)"].astype(float)).all()


def test_the_stepper_goes_on_and_back_and_stops_at_both_ends():
    page = opened()
    assert page.button(key="learn_back").disabled
    for step in learn.STEPS[1:]:
        page.button(key="learn_next").click().run()
        assert not page.exception
        assert page.session_state["learn_step"] == step.name
        assert step.title in said(page)
    assert page.button(key="learn_next").disabled
    page.button(key="learn_back").click().run()
    assert page.session_state["learn_step"] == learn.STEPS[-2].name


def test_another_cut_can_be_tried():
    page = opened("cut")
    page.segmented_control(key="learn_cut").set_value("nothing on the edge").run()
    assert "0 (edge) + 40 (uplink) + 70 (cloud) + 10 (downlink) = **120 ms**" in said(page)
    page.segmented_control(key="learn_cut").set_value("everything on the edge").run()
    assert "Nothing crosses." in said(page)


def test_the_paper_and_the_words_are_on_every_step():
    page = opened("bound")
    assert {expander.label for expander in page.expander} >= {
        "The words",
        "What is from the paper, and what is ours",
    }
    assert "Only its abstract is public" in said(page)


def test_the_cuts_of_the_lesson_are_all_there_are():
    assert set(all_cuts(lesson().graph)) == set(brute_force_cuts(lesson()))


def test_the_plans_of_the_lesson_keep_every_rule():
    for requests in (1, 2, 4):
        instance = lesson(requests)
        plans = [
            learn.staged(Execution.CONSECUTIVE, requests),
            learn.staged(Execution.FRAME_PIPELINED, requests),
            learn.overlapped(requests),
            learn.uniform(requests),
        ]
        for plan in plans:
            assert check_plan(instance, plan).makespan_ns >= Analysis(instance).bound_ns


def test_the_branch_pipelined_schedule_is_the_one_on_paper():
    timing = check_plan(lesson(), learn.overlapped(1))
    spans = {
        resource: [(span.start_ns // MS, span.end_ns // MS) for span in timing.spans[resource] if span.end_ns]
        for resource in Resource
    }
    assert spans[Resource.EDGE][-2:] == [(0, 30), (30, 60)]
    assert spans[Resource.UPLINK] == [(30, 40), (60, 70)]
    assert spans[Resource.CLOUD] == [(40, 70), (70, 80)]
    assert spans[Resource.DOWNLINK] == [(80, 90)]


def test_the_drawing_says_what_crosses():
    instance = lesson()
    picture = diamond_rows(instance, cut_of(instance.graph, "a"))
    up = [(way.source, way.target, way.text) for way in picture.ways if way.link is Resource.UPLINK]
    # One tensor with two readers: drawn to both, and the text of the step says that it is sent once.
    assert up == [("a", "b", "10 kB, 10 ms"), ("a", "c", "10 kB, 10 ms")]
    assert [way.link for way in picture.ways if way.target == "result"] == [Resource.DOWNLINK]
    places = {box.name: box.resource for box in picture.boxes}
    assert [places[name] for name in "abcd"] == [Resource.EDGE, *[Resource.CLOUD] * 3]


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_the_drawing_has_a_box_for_every_layer(theme):
    instance = lesson()
    figure = draw_diamond(diamond_rows(instance, instance.all_edge), theme)
    assert len(figure.layout.shapes) == len(instance.graph.layers) + 1
