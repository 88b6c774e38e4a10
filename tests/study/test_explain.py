"""Words that fit the plan: a split, a mix, or why nothing helps."""

from __future__ import annotations

from decc_core.problem.instance import CostInstance
from decc_core.study.compare import compare
from decc_core.study.explain import explain
from decc_core.study.verdict import verdict
from decc_core.text import duration
from tests.builders import make_graph, make_instance


def chain(edge: int, cloud: int, send: int, requests: int = 1) -> CostInstance:
    graph = make_graph({"x": [], "a": ["x"], "y": ["a"]})
    times = {"a": edge, "y": edge}
    return make_instance(graph, times, {"a": cloud, "y": cloud}, {"x": send, "a": send // 2}, requests=requests)


def test_a_slow_link_is_named_as_the_reason_to_stay():
    text = explain(compare(chain(edge=1, cloud=1, send=1000)))
    assert text.startswith("No split helps: the whole network takes 2 ns on the edge")
    assert text.endswith("It is proven optimal.")


def test_a_slow_edge_is_named_as_the_reason_to_go():
    text = explain(compare(chain(edge=1000, cloud=1, send=10)))
    assert text.startswith("No split helps: a request takes 10 ns to send as it is and 2 ns in the cloud")


def test_a_split_is_described_by_what_is_sent():
    graph = make_graph({"x": [], "a": ["x"], "y": ["a"]})
    instance = make_instance(graph, {"a": 10, "y": 900}, {"a": 900, "y": 10}, {"x": 500, "a": 10})
    assert "The request is cut after 'a' (10 ns on the edge)." in explain(compare(instance))


def test_the_plan_that_is_described_is_the_one_that_is_recommended():
    # Staying takes 1,000,010 ns; sending what the long layer gives saves 2 of the last 10.
    graph = make_graph({"x": [], "a": ["x"], "y": ["a"]})
    instance = make_instance(graph, {"a": 1_000_000, "y": 10}, {"a": 10**9, "y": 3}, {"x": 10**9, "a": 5})
    found = compare(instance)
    assert verdict(found).recommended.strategy == "edge-only"
    assert explain(found) == (
        "The request stays on the edge. This is the plan of edge-only, which is simpler: decc's own is less than "
        "0.01 % better. It is within 0.01 % of the best possible: the proven bound is 1.00 ms."
    )


def test_of_plans_that_are_as_good_the_recommended_one_is_described():
    # Any number of requests may stay: whoever is recommended, the requests are counted as its plan has them.
    found = compare(chain(edge=5, cloud=0, send=10, requests=4))
    plan, text = verdict(found).recommended.plan, explain(found)
    for cut, requests in plan.groups().items():
        who = f"{len(requests)} requests" if len(requests) > 1 else "1 request"
        assert f"{who} {'stay' if cut == found.instance.all_edge else ''}".strip().lower() in text.lower()


def test_a_mix_is_counted():
    text = explain(compare(chain(edge=5, cloud=0, send=10, requests=4)))
    assert "2 requests" in text


def test_durations_carry_three_digits_and_a_unit():
    assert [duration(t) for t in (0, 12, 1_234, 45_600_000, 2_340_000_000)] == [
        "0 s",
        "12 ns",
        "1.23 µs",
        "45.6 ms",
        "2.34 s",
    ]


def test_where_no_words_are_found_a_note_says_so(monkeypatch):
    found = compare(chain(edge=1, cloud=1, send=10))
    monkeypatch.setattr("decc_core.study.explain._certainty", lambda _: 1 / 0)
    assert explain(found) == "The reason is left out, because no words were found for it: division by zero."


def test_what_is_next_to_nothing_is_not_told_as_zero_per_cent():
    # Edge alone takes 1,000,000 ns; the link is so slow that sending pays only for the last layer, by 10 ns.
    graph = make_graph({"x": [], "a": ["x"], "y": ["a"]})
    instance = make_instance(graph, {"a": 999_900, "y": 100}, {"a": 10**9, "y": 40}, {"x": 10**9, "a": 50})
    text = explain(compare(instance))
    assert "0.00 %" not in text
