"""The rules that every plan keeps, whoever made it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from decc_core.errors import InfeasiblePlan, NotPossible
from decc_core.network.arrays import Ints, as_mask, topology
from decc_core.network.graph import LayerGraph
from decc_core.network.work import Work
from decc_core.plans.memory import edge_memory_bytes
from decc_core.plans.plan import Execution, Plan, item_name, pick_works, stage_work
from decc_core.plans.schedule import Schedule, schedule
from decc_core.problem.instance import RESOURCES, CostInstance, Cut, uplink_bytes


def check_plan(instance: CostInstance, plan: Plan) -> Schedule:
    """The plan's schedule; raises `InfeasiblePlan`, naming the culprit, unless the plan keeps every rule."""
    if len(plan.cuts) != instance.requests:
        raise InfeasiblePlan(f"The plan has {len(plan.cuts)} cuts for {instance.requests} requests.")
    check_work(instance.graph, plan)
    for cut in plan.groups():
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
    for cut in plan.groups():
        check_cut(graph, cut)
    _check_complete(graph, plan)


def plan_fits(instance: CostInstance, plan: Plan, timing: Schedule) -> bool:
    """Whether the edge has the memory for a plan."""
    limit = instance.constraints.edge_memory_bytes
    return limit is None or edge_memory_bytes(instance, plan, timing) <= limit


def check_memory(instance: CostInstance, plan: Plan, timing: Schedule) -> None:
    """Raise `InfeasiblePlan` where the edge would have to hold more than its limit."""
    if not plan_fits(instance, plan, timing):
        needed, limit = edge_memory_bytes(instance, plan, timing), instance.constraints.edge_memory_bytes
        raise InfeasiblePlan(f"The plan needs {needed:,} bytes on the edge; the limit is {limit:,} bytes.")


def first_that_fits(instance: CostInstance, plans: Iterable[Plan]) -> Plan:
    """The first plan that the edge has the memory for; raises `NotPossible` if none is."""
    limit = instance.constraints.edge_memory_bytes
    for plan in plans:
        if limit is None or plan_fits(instance, plan, schedule(instance, plan)):
            return plan
    raise NotPossible(f"No plan of this strategy keeps the edge under {limit:,} bytes.")


def check_constraints(instance: CostInstance, cut: Cut) -> None:
    """Raise `InfeasiblePlan`, naming the culprit, where a cut breaks a pin or the limit on bytes sent."""
    titles = instance.graph.titles
    for layer in sorted(instance.on_edge - cut):
        raise InfeasiblePlan(f"'{titles[layer]}' must stay on the edge, but the plan has it in the cloud.")
    for layer in sorted(instance.in_cloud & cut):
        raise InfeasiblePlan(f"'{titles[layer]}' must stay in the cloud, but the plan has it on the edge.")
    limit = instance.constraints.uplink_bytes
    if limit is not None and uplink_bytes(instance, cut) > limit:
        raise InfeasiblePlan(
            f"A request sends {uplink_bytes(instance, cut):,} bytes; the limit is {limit:,} bytes a request."
        )


def check_cut(graph: LayerGraph, cut: Cut) -> None:
    """Raise `InfeasiblePlan`, naming the layers, unless all inputs are on the edge and the cloud never feeds it."""
    layers = graph.layers
    for layer in (min(cut), max(cut)) if cut else ():
        if not 0 <= layer < len(layers):
            raise InfeasiblePlan(f"The cut names layer {layer}; the graph has {len(layers)} layers.")
    for layer in graph.inputs:
        if layer not in cut:
            raise InfeasiblePlan(f"Input '{graph.titles[layer]}' must be on the edge.")
    arrays = topology(graph)
    on_edge = as_mask(arrays.n_layers, cut)
    child = np.repeat(np.arange(arrays.n_layers), np.diff(arrays.parent_first))
    for i in np.flatnonzero(on_edge[child] & ~on_edge[arrays.parents])[:1]:
        raise InfeasiblePlan(f"{graph.titles[arrays.parents[i]]} (cloud) feeds {graph.titles[child[i]]} (edge).")


def _check_complete(graph: LayerGraph, plan: Plan) -> None:
    wanted = {cut: stage_work(graph, cut) for cut in plan.groups()}
    for resource, part in zip(RESOURCES, plan.work.parts, strict=True):
        needed = pick_works((request, wanted[cut][resource]) for request, cut in enumerate(plan.cuts))
        shape = (len(plan.cuts), len(graph.layers if resource.computes else graph.tensors))
        if _same_work(plan.work.request[part], plan.work.item[part], needed, shape):
            continue
        expected, given = set(map(Work._make, needed.tolist())), plan.sequences[resource]
        if len(set(given)) != len(given):
            raise InfeasiblePlan(f"The {resource.value} does the same piece of work twice.")
        for culprit in sorted(expected.symmetric_difference(given)):
            trouble = "misses" if culprit in expected else "has no reason for"
            name = item_name(graph, resource, culprit.item)
            raise InfeasiblePlan(f"The {resource.value} {trouble} '{name}' of request {culprit.request}.")


def _same_work(request: Ints, item: Ints, needed: Ints, shape: tuple[int, int]) -> bool:
    """Whether the work is what is needed, in any order; `shape` is how many requests and items there are."""
    if len(request) != len(needed):
        return False
    for numbers, many in zip((request, item), shape, strict=True):
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < many:
            return False
    done = np.zeros(shape, np.bool_)
    done[request, item] = True
    return bool(done[needed[:, 0], needed[:, 1]].all())


def _check_common_order(plan: Plan) -> None:
    """Stages are indivisible and all resources serve the requests in one order."""
    position = np.zeros(len(plan.cuts), np.int64)
    position[list(plan.request_order())] = np.arange(len(plan.cuts))
    for resource, part in zip(RESOURCES, plan.work.parts, strict=True):
        requests = plan.work.request[part]
        places = position[requests]
        for i in np.flatnonzero(places[:-1] > places[1:])[:1]:
            raise InfeasiblePlan(
                f"A {plan.execution.value} plan serves requests in one order, but the {resource.value} takes "
                f"request {requests[i]} before request {requests[i + 1]}."
            )
