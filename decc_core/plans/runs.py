"""What a plan makes each side run in one go: layers back to back, up to a tensor that must leave or wait."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from decc_core.errors import InfeasiblePlan
from decc_core.network.graph import LayerGraph
from decc_core.network.work import Resource, Work
from decc_core.plans.plan import Execution, Plan, item_name
from decc_core.problem.instance import Cut, crossing_tensors
from decc_core.text import counted


@dataclass(frozen=True)
class Run:
    """Layers of one request that one side runs back to back.

    `reads` are the tensors that come from outside the run, `gives` those that somebody outside needs: a later run, the
    link, or whoever asked for the result. A model input is read and given by its own layer.
    """

    request: int
    layers: tuple[int, ...]
    reads: tuple[int, ...]
    gives: tuple[int, ...]

    @property
    def work(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Equal for runs of different requests that do the same."""
        return self.layers, self.reads, self.gives


def runs_of(graph: LayerGraph, plan: Plan, side: Resource) -> tuple[Run, ...]:
    """The runs of the edge or of the cloud, in the order of work."""
    stages = plan.execution is not Execution.BRANCH_PIPELINED
    known: dict[tuple[tuple[int, ...], Cut], tuple[tuple[int, ...], tuple[int, ...]]] = {}
    runs = []
    for request, layers in _stages(plan, side) if stages else _pipelined(graph, plan, side):
        key = (tuple(layers), plan.cuts[request])
        if key not in known:
            known[key] = boundary(graph, key[0])
        runs.append(Run(request, key[0], *known[key]))
    return tuple(runs)


def _stages(plan: Plan, side: Resource) -> Iterable[tuple[int, list[int]]]:
    """One indivisible stage for each request, in the plan's order."""
    stages: dict[int, list[int]] = {}
    for request, layer in plan.sequences[side]:
        stages.setdefault(request, []).append(layer)
    return stages.items()


def _pipelined(graph: LayerGraph, plan: Plan, side: Resource) -> Iterable[tuple[int, list[int]]]:
    """Layers up to where the request changes, a tensor must leave, or one must first arrive."""
    sent = {cut: frozenset(crossing_tensors(graph, cut)) for cut in set(plan.cuts)}
    arrived: set[Work] = set()
    runs: list[tuple[int, list[int]]] = []
    closed = True
    for request, layer in plan.sequences[side]:
        crossing = sent[plan.cuts[request]]
        awaited = {Work(request, tensor) for tensor in _reads(graph, layer) if tensor in crossing}
        waits = side is Resource.CLOUD and not awaited <= arrived
        if closed or waits or runs[-1][0] != request:
            runs.append((request, []))
        runs[-1][1].append(layer)
        arrived |= awaited
        made = graph.tensors_of[layer]
        leaves = side is Resource.EDGE and not crossing.isdisjoint(made)
        closed = leaves or any(graph.tensors[tensor].is_output for tensor in made)
    return runs


def _reads(graph: LayerGraph, layer: int) -> tuple[int, ...]:
    return tuple(graph.tensor_index[ref] for ref in dict.fromkeys(graph.layers[layer].inputs))


def boundary(graph: LayerGraph, layers: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Which tensors enter and leave a run of layers."""
    inside = set(layers)
    inputs = [graph.tensors_of[layer][0] for layer in layers if graph.layers[layer].is_input]
    read = [tensor for layer in layers for tensor in _reads(graph, layer)]
    outside = [tensor for tensor in read if graph.tensors[tensor].producer not in inside]
    made = [tensor for layer in layers for tensor in graph.tensors_of[layer]]
    needed = [
        tensor
        for tensor in made
        if graph.tensors[tensor].is_output or not inside.issuperset(graph.tensors[tensor].consumers)
    ]
    return tuple(dict.fromkeys(inputs + outside)), tuple(needed)


def check_names(graph: LayerGraph, plan: Plan) -> None:
    """Refuse a plan that names a layer, tensor or request which is not there; other rules need the costs."""
    for resource, sequence in plan.sequences.items():
        many = len(graph.layers) if resource.computes else len(graph.tensors)
        for request, item in sequence:
            if not (0 <= request < len(plan.cuts) and 0 <= item < many):
                raise InfeasiblePlan(
                    f"The {resource.value} works on {item_name(graph, resource, item)} of request {request}, "
                    f"which '{graph.name}' with {counted(len(plan.cuts), 'request')} does not have."
                )
