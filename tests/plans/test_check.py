"""Plans that break a rule are refused by the names of what breaks it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from decc_core.errors import InfeasiblePlan
from decc_core.network.work import Resource, Work
from decc_core.planner.strategies import solve
from decc_core.plans.check import check_plan
from decc_core.plans.plan import Execution, Plan, staged_plan
from decc_core.problem.constraints import Constraints
from tests.builders import diamond, make_graph, make_instance

CUT = frozenset({0, 1, 2})
CHAIN = make_graph({"x": [], "a": ["x"], "b": ["a"], "y": ["b"]})


def plan(instance, execution, cut=CUT) -> Plan:
    found = staged_plan(instance, execution, (cut,) * instance.requests)
    check_plan(instance, found)
    return found


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


def test_frames_keep_one_order_on_all_resources():
    instance = diamond(requests=2)
    good = plan(instance, Execution.FRAME_PIPELINED)
    swapped = tuple(sorted(good.sequences[Resource.CLOUD], key=lambda work: -work.request))
    with pytest.raises(InfeasiblePlan, match="one order, but the cloud takes request 1 before request 0"):
        check_plan(instance, replace(good, sequences={**good.sequences, Resource.CLOUD: swapped}))


def chain(**constraints):
    """The edge takes 10 a layer, the cloud 1; a sends least."""
    instance = make_instance(
        CHAIN, {"a": 10, "b": 10, "y": 10}, {"a": 1, "b": 1, "y": 1}, {"x": 5, "a": 2, "b": 9, "y": 0}
    )
    return replace(instance, constraints=Constraints(**constraints))


def test_the_check_names_the_constraint_that_a_plan_breaks():
    cloud_only = solve(chain(), "cloud-only").plan
    with pytest.raises(InfeasiblePlan, match="'a' must stay on the edge"):
        check_plan(chain(on_edge=frozenset({1})), cloud_only)
    with pytest.raises(InfeasiblePlan, match="sends 5 bytes; the limit is 2 bytes"):
        check_plan(chain(uplink_bytes=2), cloud_only)
    with pytest.raises(InfeasiblePlan, match="'y' must stay in the cloud"):
        check_plan(chain(in_cloud=frozenset({3})), solve(chain(), "edge-only").plan)
    with pytest.raises(InfeasiblePlan, match="needs 4 bytes on the edge; the limit is 3"):
        check_plan(chain(edge_memory_bytes=3), cloud_only)
