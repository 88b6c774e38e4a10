"""The rules that every plan keeps, whoever made it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from decc_core.errors import InfeasiblePlan, NotPossible
from decc_core.network.graph import LayerGraph
from decc_core.network.work import Work
from decc_core.plans.memory import edge_memory_bytes
from decc_core.plans.plan import Execution, Plan, item_name, stage_work
from decc_core.plans.schedule import Schedule, schedule
from decc_core.problem.instance import RESOURCES, CostInstance, Cut, uplink_bytes


def check_plan(instance: CostInstance, plan: Plan) -> Schedule:
    """The plan's schedule; raises `InfeasiblePlan`, naming the culprit, unless the plan keeps every rule."""
    if len(plan.cuts) != instance.requests:
        raise InfeasiblePlan(f"The plan has {len(plan.cuts)} cuts for {instance.requests} requests.")
    check_work(instance.graph, plan)
    for cut in set(plan.cuts):
        check_constraints(instance, cut)
    if plan.execution is not Execution.BRANCH_PIPELINED:
        _check_common_order(plan)
    timing = schedule(instance, plan)
    check_memory(instance, plan, timing)
    return timing


def check_work(graph: LayerGraph, plan: Plan) -> None:
    """The rules that need no costs: legal cuts, and sequences that hold all of their work and nothing else."""
    if not plan.cuts:
        raise InfeasiblePlan("The plan has no request.")
    for cut in set(plan.cuts):
        check_cut(graph, cut)
    _check_complete(graph, plan)


def check_memory(instance: CostInstance, plan: Plan, timing: Schedule) -> None:
    """Raise `InfeasiblePlan` where the edge would have to hold more than its limit."""
    limit = instance.constraints.edge_memory_bytes
    if limit is not None:
        needed = edge_memory_bytes(instance, plan, timing)
        if needed > limit:
            raise InfeasiblePlan(f"The plan needs {needed:,} bytes on the edge; the limit is {limit:,} bytes.")


def first_that_fits(instance: CostInstance, plans: Iterable[Plan]) -> Plan:
    """The first plan that the edge has the memory for; raises `NotPossible` if none is."""
    for plan in plans:
        if instance.constraints.edge_memory_bytes is None:
            return plan
        try:
            check_memory(instance, plan, schedule(instance, plan))
        except InfeasiblePlan:
            continue
        return plan
    limit = instance.constraints.edge_memory_bytes
    raise NotPossible(f"No plan of this strategy keeps the edge under {limit:,} bytes.")


def check_constraints(instance: CostInstance, cut: Cut) -> None:
    """Raise `InfeasiblePlan`, naming the culprit, where a cut breaks a pin or the limit on bytes sent."""
    names = instance.graph.layers
    for layer in sorted(instance.on_edge - cut):
        raise InfeasiblePlan(f"'{names[layer].name}' must stay on the edge, but the plan has it in the cloud.")
    for layer in sorted(instance.in_cloud & cut):
        raise InfeasiblePlan(f"'{names[layer].name}' must stay in the cloud, but the plan has it on the edge.")
    limit = instance.constraints.uplink_bytes
    if limit is not None and uplink_bytes(instance, cut) > limit:
        raise InfeasiblePlan(
            f"A request sends {uplink_bytes(instance, cut):,} bytes; the limit is {limit:,} bytes a request."
        )


def check_cut(graph: LayerGraph, cut: Cut) -> None:
    """Raise `InfeasiblePlan`, naming the layers, unless all inputs are on the edge and the cloud never feeds it."""
    unknown = [layer for layer in cut if not 0 <= layer < len(graph.layers)]
    if unknown:
        raise InfeasiblePlan(f"The cut names layer {unknown[0]}; the graph has {len(graph.layers)} layers.")
    for layer in graph.inputs:
        if layer not in cut:
            raise InfeasiblePlan(f"Input '{graph.layers[layer].name}' must be on the edge.")
    for layer in sorted(cut):
        for parent in graph.parents[layer]:
            if parent not in cut:
                raise InfeasiblePlan(f"{graph.layers[parent].name} (cloud) feeds {graph.layers[layer].name} (edge).")


def _check_complete(graph: LayerGraph, plan: Plan) -> None:
    expected = {cut: stage_work(graph, cut) for cut in set(plan.cuts)}
    many = max(len(graph.layers), len(graph.tensors))
    for i, resource in enumerate(RESOURCES):
        items = {cut: np.array(work[resource], np.int64) for cut, work in expected.items()}
        wanted = np.concatenate([request * many + items[cut] for request, cut in enumerate(plan.cuts)])
        of_resource = slice(plan.pieces.first[i], plan.pieces.first[i + 1])
        found = plan.pieces.request[of_resource] * many + plan.pieces.item[of_resource]
        if np.array_equal(np.sort(found), wanted) and _in_range(plan, of_resource, many):
            continue
        needed = {Work(request, item) for request, cut in enumerate(plan.cuts) for item in expected[cut][resource]}
        given = plan.sequences[resource]
        if len(set(given)) != len(given):
            raise InfeasiblePlan(f"The {resource.value} does the same piece of work twice.")
        for culprit in sorted(needed.symmetric_difference(given)):
            trouble = "misses" if culprit in needed else "has no reason for"
            name = item_name(graph, resource, culprit.item)
            raise InfeasiblePlan(f"The {resource.value} {trouble} '{name}' of request {culprit.request}.")


def _in_range(plan: Plan, of_resource: slice, many: int) -> bool:
    """Whether all items are numbers that no two pieces of work can share."""
    items = plan.pieces.item[of_resource]
    return not len(items) or (items.min() >= 0 and items.max() < many)


def _check_common_order(plan: Plan) -> None:
    """Stages are indivisible and all resources serve the requests in one order."""
    pieces = plan.pieces
    edge = pieces.request[: pieces.first[1]]
    position = np.zeros(len(plan.cuts), np.int64)
    for i, request in enumerate(dict.fromkeys(edge.tolist())):
        position[request] = i
    for i, resource in enumerate(RESOURCES):
        places = position[pieces.request[pieces.first[i] : pieces.first[i + 1]]]
        late = np.flatnonzero(places[:-1] > places[1:])
        if len(late):
            before, after = plan.sequences[resource][late[0] : late[0] + 2]
            raise InfeasiblePlan(
                f"A {plan.execution.value} plan serves requests in one order, but the {resource.value} takes "
                f"request {before.request} before request {after.request}."
            )
