"""A plan: the cut of every request and the complete sequence of work on every resource."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from enum import Enum
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from decc_core.cost import RESOURCES, CostInstance, Cut, crossing_tensors, returned_tensors
from decc_core.errors import InfeasiblePlan
from decc_core.graph import LayerGraph
from decc_core.span import Resource, Work


class Execution(str, Enum):
    """How much of a plan may overlap."""

    CONSECUTIVE = "consecutive"
    FRAME_PIPELINED = "frame-pipelined"
    BRANCH_PIPELINED = "branch-pipelined"


@dataclass(frozen=True)
class Plan:
    """For every request the cut, and for every resource the complete sequence of its work."""

    strategy: str
    execution: Execution
    cuts: tuple[Cut, ...]
    sequences: dict[Resource, tuple[Work, ...]]

    def __post_init__(self) -> None:
        missing = [resource.value for resource in RESOURCES if resource not in self.sequences]
        if missing:
            raise InfeasiblePlan(f"The plan has no sequence for the {missing[0]}.")


def staged_plan(
    instance: CostInstance,
    strategy: str,
    execution: Execution,
    cuts: Sequence[Cut],
    order: Iterable[int] | None = None,
) -> Plan:
    """A plan whose requests follow each other in `order` on every resource, layers and tensors in stored order."""
    order = tuple(range(len(cuts)) if order is None else order)
    work = {cut: stage_work(instance.graph, cut) for cut in set(cuts)}
    sequences = {
        resource: tuple(Work(request, item) for request in order for item in work[cuts[request]][resource])
        for resource in RESOURCES
    }
    return Plan(strategy, execution, tuple(cuts), sequences)


def stage_work(graph: LayerGraph, cut: Set[int]) -> dict[Resource, tuple[int, ...]]:
    """What one request with this cut puts on each resource: layer or tensor indices, in stored order."""
    return {
        Resource.EDGE: tuple(sorted(cut)),
        Resource.UPLINK: crossing_tensors(graph, cut),
        Resource.CLOUD: tuple(layer for layer in range(len(graph.layers)) if layer not in cut),
        Resource.DOWNLINK: returned_tensors(graph, cut),
    }


def check_plan(instance: CostInstance, plan: Plan) -> None:
    """Raise `InfeasiblePlan`, naming the culprit, unless the plan keeps every rule of its execution."""
    if len(plan.cuts) != instance.requests:
        raise InfeasiblePlan(f"The plan has {len(plan.cuts)} cuts for {instance.requests} requests.")
    for cut in set(plan.cuts):
        _check_cut(instance.graph, cut)
    _check_complete(instance.graph, plan)
    if plan.execution is not Execution.BRANCH_PIPELINED:
        _check_common_order(plan)
    _check_no_contradiction(instance.graph, plan)


def _check_cut(graph: LayerGraph, cut: Cut) -> None:
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
    for resource in RESOURCES:
        needed = {Work(request, item) for request, cut in enumerate(plan.cuts) for item in expected[cut][resource]}
        given = plan.sequences[resource]
        if len(set(given)) != len(given):
            raise InfeasiblePlan(f"The {resource.value} does the same piece of work twice.")
        for culprit in sorted(needed.symmetric_difference(given)):
            trouble = "misses" if culprit in needed else "has no reason for"
            name = item_name(graph, resource, culprit.item)
            raise InfeasiblePlan(f"The {resource.value} {trouble} '{name}' of request {culprit.request}.")


def _check_common_order(plan: Plan) -> None:
    """Stages are indivisible and all resources serve the requests in one order."""
    position = {request: i for i, request in enumerate(dict.fromkeys(w.request for w in plan.sequences[Resource.EDGE]))}
    for resource in RESOURCES:
        for before, after in pairwise(plan.sequences[resource]):
            if position[before.request] > position[after.request]:
                raise InfeasiblePlan(
                    f"A {plan.execution.value} plan serves requests in one order, but the {resource.value} takes "
                    f"request {before.request} before request {after.request}."
                )


def _check_no_contradiction(graph: LayerGraph, plan: Plan) -> None:
    """Sequences and data flow together must leave some order in which everything can be done."""
    sorter: TopologicalSorter[tuple[Resource, Work]] = TopologicalSorter()
    for resource in RESOURCES:
        for before, after in pairwise(plan.sequences[resource]):
            sorter.add((resource, after), (resource, before))
    for request, cut in enumerate(plan.cuts):
        side = [Resource.EDGE if layer in cut else Resource.CLOUD for layer in range(len(graph.layers))]
        for i, tensor in enumerate(graph.tensors):
            producer = (side[tensor.producer], Work(request, tensor.producer))
            for consumer in tensor.consumers:
                node = (side[consumer], Work(request, consumer))
                if side[consumer] is side[tensor.producer]:
                    sorter.add(node, producer)
                else:
                    sorter.add((Resource.UPLINK, Work(request, i)), producer)
                    sorter.add(node, (Resource.UPLINK, Work(request, i)))
            if tensor.is_output and side[tensor.producer] is Resource.CLOUD:
                sorter.add((Resource.DOWNLINK, Work(request, i)), producer)
    try:
        sorter.prepare()
    except CycleError as error:
        resource, work = error.args[1][0]
        raise InfeasiblePlan(
            f"The sequences contradict each other around '{item_name(graph, resource, work.item)}' "
            f"of request {work.request} on the {resource.value}."
        ) from None


def item_name(graph: LayerGraph, resource: Resource, item: int) -> str:
    """The name of a layer or tensor, for messages and figures."""
    if not 0 <= item < len(graph.layers if resource.computes else graph.tensors):
        return f"#{item}"
    return graph.layers[item].name if resource.computes else graph.tensor_name(item)
