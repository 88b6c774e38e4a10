"""Measured spans beside predicted ones, on a chain whose times are round numbers."""

from __future__ import annotations

from decc_core.network.work import Resource, Span
from decc_core.plans.plan import Execution, staged_plan
from decc_core.plans.schedule import schedule
from decc_core.plans.trace import Trace, chrome_trace, furthest_off, items, spans_of, stages, totals
from decc_core.problem.instance import RESOURCES
from tests.runtime.networks import instance, split_plan


def measured(one, plan, factor):
    """Everything on time, but the cloud's work takes `factor` times as long."""
    timing = schedule(one, plan)
    spans = {resource: timing.spans[resource] for resource in RESOURCES}
    spans[Resource.CLOUD] = tuple(
        Span(s.resource, s.work, s.start_ns, s.start_ns + factor * (s.end_ns - s.start_ns))
        for s in timing.spans[Resource.CLOUD]
    )
    return timing, Trace(spans, dict(enumerate(timing.result_ns)))


def test_a_run_as_planned_has_ratio_one_everywhere():
    one = instance(requests=2)
    timing, trace = measured(one, split_plan(one), 1)
    assert {deviation.ratio for deviation in stages(trace, timing) + items(trace, timing, one.graph)} == {1.0}
    assert trace.makespan_ns == timing.makespan_ns
    assert trace.busy_ns == timing.busy_ns


def test_the_stage_that_is_off_is_named_with_its_ratio():
    one = instance(requests=2)
    timing, trace = measured(one, split_plan(one), 3)
    worst = furthest_off(trace, timing)
    assert (worst.name, worst.ratio) == ("cloud", 3.0)
    assert {d.ratio for d in stages(trace, timing) if d.resource is Resource.CLOUD} == {3.0}
    assert {d.ratio for d in items(trace, timing, one.graph) if d.resource is Resource.EDGE} == {1.0}


def test_a_run_that_broke_off_is_compared_over_what_was_done():
    one = instance(requests=2)
    timing, trace = measured(one, split_plan(one), 1)
    part = Trace({**trace.spans, Resource.CLOUD: trace.spans[Resource.CLOUD][:3]}, {0: timing.result_ns[0]})
    assert {deviation.ratio for deviation in totals(part, timing)} == {1.0}


def test_throughput_is_by_the_busiest_resource_or_the_whole_run():
    one = instance(requests=4)
    plan = staged_plan(one, Execution.CONSECUTIVE, [one.all_edge] * 4)
    _, trace = measured(one, plan, 1)
    assert trace.throughput_rps(Execution.CONSECUTIVE) == trace.throughput_rps(Execution.BRANCH_PIPELINED)


def test_rows_on_a_foreign_clock_become_spans_of_the_run():
    (span,) = spans_of(Resource.EDGE, [(1, 2, 1_000, 1_600)], zero_ns=1_000, per_ns=3.0)
    assert (span.start_ns, span.end_ns, span.work) == (0, 200, (1, 2))


def test_the_chrome_trace_has_planned_and_measured_as_two_processes():
    one = instance()
    timing, trace = measured(one, split_plan(one), 2)
    events = chrome_trace(one, timing, trace, {})["traceEvents"]
    names = {event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert names == {"planned", "measured"}
    complete = [event for event in events if event["ph"] == "X"]
    assert len(complete) == 2 * sum(map(len, timing.sequences.values()))
    assert all(event["dur"] >= 0 and event["ts"] >= 0 for event in complete)
