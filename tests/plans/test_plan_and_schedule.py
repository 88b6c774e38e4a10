"""Plans are checked; their timing is what one would draw on paper."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from decc_core.errors import InfeasiblePlan
from decc_core.network.work import Resource, Work
from decc_core.plans.check import check_plan
from decc_core.plans.plan import Execution, Plan, staged_plan
from decc_core.plans.schedule import period_ns, schedule
from tests.builders import make_graph, make_instance

DIAMOND = make_graph({"x": [], "a": ["x"], "b": ["x"], "y": ["a", "b"]})
CUT = frozenset({0, 1, 2})


def diamond(**more):
    """Both branches on the edge (2 and 3 ns), sent in 4 and 5 ns, joined in the cloud in 1 ns, back in 2 ns."""
    return make_instance(DIAMOND, {"a": 2, "b": 3}, {"y": 1}, {"a": 4, "b": 5}, downlink=2, half_rtt_ns=10, **more)


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


def test_a_cloud_layer_may_not_feed_the_edge():
    instance = diamond()
    with pytest.raises(InfeasiblePlan, match=r"a \(cloud\) feeds y \(edge\)"):
        check_plan(instance, staged_plan(instance, Execution.CONSECUTIVE, (frozenset({0, 2, 3}),)))


def test_inputs_must_be_on_the_edge():
    instance = diamond()
    with pytest.raises(InfeasiblePlan, match="Input 'x' must be on the edge"):
        check_plan(instance, staged_plan(instance, Execution.CONSECUTIVE, (frozenset(),)))


def test_missing_surplus_and_doubled_work_is_named():
    instance = diamond()
    good = plan(instance, Execution.BRANCH_PIPELINED)

    def with_uplink(*items: int) -> Plan:
        works = tuple(Work(0, item) for item in items)
        return replace(good, sequences={**good.sequences, Resource.UPLINK: works})

    with pytest.raises(InfeasiblePlan, match="uplink misses 'b' of request 0"):
        check_plan(instance, with_uplink(1))
    with pytest.raises(InfeasiblePlan, match="uplink has no reason for 'x'"):
        check_plan(instance, with_uplink(0, 1, 2))
    with pytest.raises(InfeasiblePlan, match="twice"):
        check_plan(instance, with_uplink(1, 1, 2))


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


def test_frames_keep_one_order_on_all_resources():
    instance = diamond(requests=2)
    good = plan(instance, Execution.FRAME_PIPELINED)
    swapped = tuple(sorted(good.sequences[Resource.CLOUD], key=lambda work: -work.request))
    with pytest.raises(InfeasiblePlan, match="one order, but the cloud takes request 1 before request 0"):
        check_plan(instance, replace(good, sequences={**good.sequences, Resource.CLOUD: swapped}))


def test_groups_are_the_distinct_cuts_with_the_requests_that_take_them():
    instance = diamond(requests=3)
    plan = staged_plan(instance, Execution.FRAME_PIPELINED, [CUT, frozenset({0}), CUT], order=(2, 0, 1))
    assert plan.groups() == {CUT: (0, 2), frozenset({0}): (1,)}
    assert list(plan.groups()) == [CUT, frozenset({0})]


def test_requests_are_told_in_the_order_in_which_a_resource_takes_them():
    instance = diamond(requests=3)
    plan = staged_plan(instance, Execution.FRAME_PIPELINED, [CUT, frozenset(range(4)), CUT], order=(2, 1, 0))
    assert plan.request_order() == (2, 1, 0)
    assert plan.request_order(Resource.UPLINK) == (2, 0)
    local = staged_plan(instance, Execution.FRAME_PIPELINED, [frozenset(range(4))] * 3)
    assert local.request_order(Resource.CLOUD) == ()


def test_sequences_are_kept_as_arrays_and_come_back_as_the_tuples_they_were():
    instance = diamond(requests=2)
    plan = staged_plan(instance, Execution.BRANCH_PIPELINED, [CUT] * 2)
    tuples = dict(plan.sequences)
    assert tuples[Resource.UPLINK] == (Work(0, 1), Work(0, 2), Work(1, 1), Work(1, 2))
    assert all(type(number) is int for works in tuples.values() for work in works for number in work)
    again = Plan(plan.execution, plan.cuts, tuples)
    assert again == plan
    assert hash(again) == hash(plan)
    assert plan.sequences == tuples
    turned = Plan(plan.execution, plan.cuts, {**tuples, Resource.EDGE: tuples[Resource.EDGE][::-1]})
    assert turned != plan
    assert pickle.loads(pickle.dumps(plan)) == plan


def test_a_plan_needs_all_resources_and_numbers_that_a_network_can_have():
    with pytest.raises(InfeasiblePlan, match="no sequence for the downlink"):
        Plan(Execution.CONSECUTIVE, (CUT,), dict.fromkeys(list(Resource)[:3], ()))
    beyond = {resource: (Work(0, 2**64),) for resource in Resource}
    with pytest.raises(InfeasiblePlan, match="edge works on something that no network has"):
        Plan(Execution.CONSECUTIVE, (CUT,), beyond)


def test_schedules_are_equal_where_all_times_are():
    instance = diamond(requests=2)
    timing = schedule(instance, plan(instance, Execution.FRAME_PIPELINED))
    assert timing == schedule(instance, plan(instance, Execution.FRAME_PIPELINED))
    assert timing != schedule(instance, plan(instance, Execution.BRANCH_PIPELINED))
    uplink = timing.spans[Resource.UPLINK]
    assert [span.work for span in uplink] == list(timing.sequences[Resource.UPLINK])
    assert tuple(span.start_ns for span in uplink) == timing.start_ns[Resource.UPLINK]
    assert sum(span.duration_ns for span in uplink) == timing.busy_ns.uplink_ns
