"""A plan keeps its work as arrays, and tells it as tuples, groups and orders."""

from __future__ import annotations

import pickle

import pytest

from decc_core.errors import InfeasiblePlan
from decc_core.network.work import Resource, Work
from decc_core.plans.check import check_plan
from decc_core.plans.plan import Execution, Plan, staged_plan
from tests.builders import diamond

CUT = frozenset({0, 1, 2})


def plan(instance, execution, cut=CUT) -> Plan:
    found = staged_plan(instance, execution, (cut,) * instance.requests)
    check_plan(instance, found)
    return found


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
