"""Is a split worth it? One sentence, on instances that are solved on paper."""

from __future__ import annotations

from dataclasses import replace

import pytest

from decc_core import library
from decc_core.problem.constraints import Constraints
from decc_core.problem.instance import CostInstance, Objective
from decc_core.study.compare import compare
from decc_core.study.verdict import doubt, extremes, verdict
from tests.builders import make_graph, make_instance


def chain(edge: tuple[int, int], cloud: tuple[int, int], send: tuple[int, int], **more: object) -> CostInstance:
    """Input x, layers a and y; `send` is what it takes to send x, and what a gives."""
    graph = make_graph({"x": [], "a": ["x"], "y": ["a"]})
    times = [dict(zip("ay", pair, strict=True)) for pair in (edge, cloud)]
    return make_instance(graph, *times, dict(zip("xa", send, strict=True)), **more)


def test_a_split_is_told_with_its_gain_over_one_device_and_with_what_it_sends():
    # Edge alone 910, cloud alone 500 + 910; a on the edge, y in the cloud: 10 + 10 + 10.
    found = verdict(compare(chain((10, 900), (900, 10), (500, 10))))
    assert found.splits
    assert str(found).startswith("Split: 30.3× faster than the edge alone, ")
    assert str(found).endswith(" B up per request.")


def test_a_device_that_nothing_beats_keeps_everything():
    found = verdict(compare(chain((1, 1), (1, 1), (1000, 500))))
    assert (found.splits, found.gain) == (False, 1.0)
    assert str(found) == "Do not split: no plan is better than everything on the edge."
    assert str(verdict(compare(chain((1000, 1000), (1, 1), (10, 10))))) == (
        "Do not split: no plan is better than everything in the cloud."
    )


def test_a_gain_that_nobody_would_notice_is_no_reason_to_split():
    # Edge alone 10,000; a on the edge, y in the cloud: 8,000 + 1,900 + 80 = 9,980, 0.2 % better.
    comparison = compare(chain((8000, 2000), (9000, 80), (90000, 1900)))
    assert comparison.best.objective_ns == 9980
    found = verdict(comparison)
    assert found.recommended.strategy == "edge-only"
    assert str(found) == "Do not split: everything on the edge is within 0.2 % of the best plan."


def test_one_device_that_computes_while_inputs_still_arrive_is_told_with_what_that_gains():
    # All of it sent, then computed: 200 + 210. While z is sent, a is computed: 100 + 100 + 100 + 10.
    graph = make_graph({"x": [], "z": [], "a": ["x"], "b": ["z"], "y": ["a", "b"]})
    slow, fast = dict.fromkeys("aby", 9000), {"a": 100, "b": 100, "y": 10}
    found = verdict(compare(make_instance(graph, slow, fast, {"x": 100, "z": 100, "a": 900, "b": 900})))
    assert found.recommended.objective_ns == 310
    assert str(found) == (
        "Do not split: no plan is better than everything in the cloud, 1.32× faster than cloud-only by overlapping."
    )


def test_requests_that_are_shared_are_not_called_split():
    # Four requests: 10 each on the edge, 10 each to send and nothing to compute in the cloud: two and two.
    comparison = compare(chain((5, 5), (0, 0), (10, 10), requests=4))
    found = verdict(comparison)
    assert not found.splits
    assert str(found).startswith("Share the requests: 2.00× faster than the ")


def test_in_steady_state_requests_per_second_are_compared():
    found = verdict(compare(chain((10, 900), (900, 10), (500, 10), objective=Objective.THROUGHPUT)))
    assert "× the requests per second of the edge alone" in str(found)


def test_where_no_device_may_do_everything_that_is_said():
    graph = make_graph({"x": [], "a": ["x"], "y": ["a"]})
    kept = Constraints(frozenset({1}), frozenset({2}))
    times = {"a": 1, "y": 1}
    instance = make_instance(graph, times, times, {"x": 5, "a": 5})
    found = verdict(compare(replace(instance, constraints=kept)))
    assert found.alone is None
    assert str(found).startswith("Split: neither device may do everything, ")


def test_estimated_times_are_tried_at_both_ends_of_their_ranges():
    graph = library.load_graph("squeezenet1_1")
    measured = library.load_profile("squeezenet1_1", "cpu-1-thread")
    guessed = replace(measured.scaled(2, "guessed"), error=0.25)
    assert extremes(measured, measured) == ()
    pairs = extremes(guessed, measured)
    assert [edge.whole_s / measured.whole_s for edge, _ in pairs] == pytest.approx([2.5, 1.6])
    assert all(cloud is measured for _, cloud in pairs)
    assert len(extremes(guessed, guessed)) == 4
    guessed.require_graph(graph)


def test_a_verdict_that_turns_inside_the_range_is_doubted():
    split = verdict(compare(chain((10, 900), (900, 10), (500, 10))))
    stay = verdict(compare(chain((1, 1), (1, 1), (1000, 500))))
    assert doubt(split, [split, split]) == "The times are estimated; this holds at both ends of their ranges."
    assert "everything on the edge is better: measure" in doubt(split, [split, stay])
    assert "splitting pays: measure" in doubt(stay, [split])


def test_the_wire_format_is_named_with_how_much_smaller_it_makes_what_goes_up():
    fast = chain((10, 900), (900, 10), (500, 10))
    sizes = tuple(tensor.spec.size_bytes for tensor in fast.graph.tensors)
    coded = replace(fast, formats=("raw", "int8", "raw"), wire_bytes=(sizes[0], sizes[1] // 4, sizes[2]))
    assert str(verdict(compare(coded))).endswith(" B up per request (int8 on the wire, 4.00× smaller).")
    assert "on the wire" not in str(verdict(compare(fast)))
