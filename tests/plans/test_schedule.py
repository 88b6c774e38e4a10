"""The timing of a plan is what one would draw on paper."""

from __future__ import annotations

from dataclasses import replace

import pytest

from decc_core.errors import InfeasiblePlan
from decc_core.network.work import Resource, Work
from decc_core.plans.check import check_plan
from decc_core.plans.judge import check_schedule
from decc_core.plans.plan import Execution, Plan, staged_plan
from decc_core.plans.schedule import coding_stretches, period_ns, schedule, total_loads
from decc_core.problem.instance import loads
from tests.builders import diamond, make_graph, make_instance

CUT = frozenset({0, 1, 2})


def plan(instance, execution, cut=CUT) -> Plan:
    found = staged_plan(instance, execution, (cut,) * instance.requests)
    check_plan(instance, found)
    return found


def test_stages_of_one_request_follow_each_other():
    instance = diamond()
    timing = schedule(instance, plan(instance, Execution.FRAME_PIPELINED))
    assert timing.makespan_ns == (2 + 3) + (4 + 5) + 10 + 1 + 2 + 10


def test_branches_overlap_computing_and_sending():
    instance = diamond()
    timing = schedule(instance, plan(instance, Execution.BRANCH_PIPELINED))
    # a is sent from 2 to 6 while b is computed until 5; b is sent from 6 to 11.
    assert timing.makespan_ns == 11 + 10 + 1 + 2 + 10


def test_consecutive_requests_wait_for_the_result_before():
    instance = diamond(requests=3)
    timing = schedule(instance, plan(instance, Execution.CONSECUTIVE))
    assert timing.result_ns == (37, 74, 111)
    assert period_ns(instance, plan(instance, Execution.CONSECUTIVE)) == 111


def test_frames_overlap_and_then_come_at_the_pace_of_the_longest_stage():
    instance = diamond(requests=3)
    timing = schedule(instance, plan(instance, Execution.FRAME_PIPELINED))
    assert timing.result_ns == (37, 37 + 9, 37 + 18)
    assert period_ns(instance, plan(instance, Execution.FRAME_PIPELINED)) == 27


def test_a_request_that_stays_on_the_edge_pays_no_round_trip():
    instance = diamond()
    found = plan(instance, Execution.CONSECUTIVE, frozenset(range(4)))
    assert schedule(instance, found).makespan_ns == 5


def test_contradicting_sequences_are_refused():
    instance = make_instance(
        make_graph({"x": [], "a": ["x"], "b": ["a"], "y": ["b"]}), {"a": 1, "b": 1}, {"y": 1}, {"b": 1}
    )
    good = staged_plan(instance, Execution.BRANCH_PIPELINED, (frozenset({0, 1, 2}),))
    turned = replace(good, sequences={**good.sequences, Resource.EDGE: good.sequences[Resource.EDGE][::-1]})
    with pytest.raises(InfeasiblePlan, match="contradict each other"):
        check_plan(instance, turned)
    with pytest.raises(InfeasiblePlan, match="waits for ever"):
        schedule(instance, turned)


def test_schedules_are_equal_where_all_times_are():
    instance = diamond(requests=2)
    timing = schedule(instance, plan(instance, Execution.FRAME_PIPELINED))
    assert timing == schedule(instance, plan(instance, Execution.FRAME_PIPELINED))
    assert timing != schedule(instance, plan(instance, Execution.BRANCH_PIPELINED))
    uplink = timing.spans[Resource.UPLINK]
    assert [span.work for span in uplink] == list(timing.sequences[Resource.UPLINK])
    assert tuple(span.start_ns for span in uplink) == timing.start_ns[Resource.UPLINK]
    assert sum(span.duration_ns for span in uplink) == timing.busy_ns.uplink_ns


CHARGED = replace(diamond(requests=1), send_ns=(9, 3, 1, 7), receive_ns=(9, 2, 6, 7))
"""Sending a and b takes the edge 3 and 1 more, receiving them takes y, their only reader, 2 + 6 more."""


def test_who_makes_a_crossing_tensor_and_who_first_reads_it_take_longer():
    timing = schedule(CHARGED, plan(CHARGED, Execution.BRANCH_PIPELINED))
    # a until 2 + 3, b until 5 + 3 + 1; a is sent from 5 to 9, b from 9 to 14; y takes 1 + 8, and comes back in 2.
    assert timing.end_ns[Resource.EDGE] == (0, 5, 9)
    assert timing.end_ns[Resource.UPLINK] == (9, 14)
    assert timing.makespan_ns == 14 + 10 + 9 + 2 + 10
    assert timing.busy_ns == loads(CHARGED, frozenset({0, 1, 2})) == (9, 9, 9, 2)


def test_coding_is_the_end_of_work_on_the_edge_and_the_start_of_it_in_the_cloud():
    coded = replace(CHARGED, encode_ns=(9, 2, 1, 7), decode_ns=(0, 2, 5, 0), formats=("int8",) * 4)
    timing = schedule(coded, plan(coded, Execution.BRANCH_PIPELINED))
    # Of a's 3 to send 2 are encoding; y begins when b is there, at 14 + 10, and decodes both.
    assert coding_stretches(coded, timing) == {
        (Resource.EDGE, Work(0, 1)): (3, 5),
        (Resource.EDGE, Work(0, 2)): (8, 9),
        (Resource.CLOUD, Work(0, 3)): (24, 31),
    }
    assert coding_stretches(CHARGED, timing) == {}


def test_coding_takes_no_longer_than_the_work_that_it_is_part_of():
    # A rehearsal on a quicker machine: the whole of b took 4, where 9 was expected for coding alone.
    coded = replace(CHARGED, encode_ns=(9, 2, 9, 7), send_ns=(9, 3, 9, 7), formats=("int8",) * 4)
    timing = schedule(CHARGED, plan(CHARGED, Execution.BRANCH_PIPELINED))
    assert coding_stretches(coded, timing)[Resource.EDGE, Work(0, 2)] == (5, 9)


def test_what_does_not_cross_costs_no_work():
    found = plan(CHARGED, Execution.CONSECUTIVE, frozenset(range(4)))
    assert schedule(CHARGED, found).makespan_ns == 5


def test_an_input_that_crosses_takes_the_edge_as_long_as_sending_it():
    found = plan(CHARGED, Execution.BRANCH_PIPELINED, frozenset({0}))
    # x is sent until 9, and no time over the link; a, the first of its two readers, receives it in 9.
    assert schedule(CHARGED, found).makespan_ns == 9 + 10 + 9 + 1 + 2 + 10


def test_requests_that_are_cut_differently_take_their_own_times():
    both = replace(CHARGED, requests=2)
    cuts = (frozenset({0, 1, 2}), frozenset({0}))
    found = staged_plan(both, Execution.FRAME_PIPELINED, cuts)
    timing = schedule(both, found)
    check_schedule(both, found, timing)
    assert timing.end_ns[Resource.EDGE] == (0, 5, 9, 18)
    assert total_loads(both, found) == tuple(map(sum, zip(*(loads(both, cut) for cut in cuts), strict=True)))
