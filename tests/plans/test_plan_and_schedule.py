"""Plans are checked; their timing is what one would draw on paper."""

from __future__ import annotations

from dataclasses import replace

import pytest

from decc_core.errors import InfeasiblePlan, InvalidSchedule
from decc_core.network.work import Resource, Work
from decc_core.plans.check import check_plan
from decc_core.plans.judge import check_schedule
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


@pytest.mark.parametrize("execution", list(Execution))
def test_every_schedule_passes_the_independent_check(execution):
    instance = diamond(requests=2)
    found = plan(instance, execution)
    check_schedule(instance, found, schedule(instance, found))


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


def test_the_independent_check_catches_tampered_schedules():
    instance = diamond()
    found = plan(instance, Execution.BRANCH_PIPELINED)
    timing = schedule(instance, found)

    def shifted(resource: Resource, by_ns: int):
        start, end = (
            {**times, resource: tuple(time + by_ns for time in times[resource])}
            for times in (timing.start_ns, timing.end_ns)
        )
        return replace(timing, start_ns=start, end_ns=end)

    with pytest.raises(InvalidSchedule, match="before it arrives"):
        check_schedule(instance, found, shifted(Resource.CLOUD, -1))
    with pytest.raises(InvalidSchedule, match="before it is made"):
        check_schedule(instance, found, shifted(Resource.UPLINK, -1))
    with pytest.raises(InvalidSchedule, match="returns 'y' too early"):
        check_schedule(instance, found, shifted(Resource.DOWNLINK, -1))
    with pytest.raises(InvalidSchedule, match="claims its result"):
        check_schedule(instance, found, replace(timing, result_ns=(1,)))
    without = replace(
        timing,
        **{field: {**getattr(timing, field), Resource.UPLINK: ()} for field in ("sequences", "start_ns", "end_ns")},
    )
    with pytest.raises(InvalidSchedule, match="does not follow the plan"):
        check_schedule(instance, found, without)
