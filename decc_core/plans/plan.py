"""A plan: the cut of every request and the complete sequence of work on every resource."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache
from itertools import chain
from typing import NamedTuple

import numpy as np

from decc_core.errors import InfeasiblePlan
from decc_core.network.arrays import Ints, Mask, as_mask
from decc_core.network.graph import LayerGraph
from decc_core.network.work import Resource, Work, works
from decc_core.problem.instance import RESOURCES, CostInstance, Cut, crossing_tensors, returned_tensors


class Execution(str, Enum):
    """How much of a plan may overlap."""

    CONSECUTIVE = "consecutive"
    FRAME_PIPELINED = "frame-pipelined"
    BRANCH_PIPELINED = "branch-pipelined"


class Pieces(NamedTuple):
    """All work of a plan, resource after resource: those of resource i are `first[i]` up to `first[i + 1]`."""

    request: Ints
    item: Ints
    first: Ints


@dataclass(frozen=True)
class Plan:
    """For every request the cut, and for every resource the complete sequence of its work."""

    execution: Execution
    cuts: tuple[Cut, ...]
    sequences: dict[Resource, tuple[Work, ...]]

    def __post_init__(self) -> None:
        missing = [resource.value for resource in RESOURCES if resource not in self.sequences]
        if missing:
            raise InfeasiblePlan(f"The plan has no sequence for the {missing[0]}.")

    def __repr__(self) -> str:
        cuts = len(set(self.cuts))
        return f"<{self.execution.value} plan: {len(self.cuts)} request(s), {cuts} kind(s) of cut>"

    @cached_property
    def pieces(self) -> Pieces:
        """The sequences as arrays."""
        sequences = [self.sequences[resource] for resource in RESOURCES]
        total = sum(map(len, sequences))
        flat = np.fromiter(chain.from_iterable(chain.from_iterable(sequences)), np.int64, 2 * total).reshape(-1, 2)
        first = np.cumsum([0, *map(len, sequences)], dtype=np.int64)
        return Pieces(np.ascontiguousarray(flat[:, 0]), np.ascontiguousarray(flat[:, 1]), first)

    def masks(self, n_layers: int) -> Mask:
        """Which layers run on the edge, one row for each request."""
        known = {cut: as_mask(n_layers, cut) for cut in set(self.cuts)}
        return np.stack([known[cut] for cut in self.cuts])


def staged_plan(
    instance: CostInstance,
    execution: Execution,
    cuts: Sequence[Cut],
    order: Iterable[int] | None = None,
) -> Plan:
    """A plan whose requests follow each other in `order` on every resource, layers and tensors in stored order."""
    order = tuple(range(len(cuts)) if order is None else order)
    work = {cut: stage_work(instance.graph, cut) for cut in set(cuts)}
    sequences = {
        resource: pick_works(instance.graph, ((request, work[cuts[request]][resource]) for request in order))
        for resource in RESOURCES
    }
    return Plan(execution, tuple(cuts), sequences)


def pick_works(graph: LayerGraph, parts: Iterable[tuple[int, Iterable[int]]]) -> tuple[Work, ...]:
    """The pieces of work of several requests' items, one after the other."""
    many = max(len(graph.layers), len(graph.tensors))
    return tuple(chain.from_iterable(map(works(request, many).__getitem__, items) for request, items in parts))


@lru_cache(maxsize=1024)
def stage_work(graph: LayerGraph, cut: Cut) -> dict[Resource, tuple[int, ...]]:
    """What one request with this cut puts on each resource: layer or tensor indices, in stored order."""
    return {
        Resource.EDGE: tuple(sorted(cut)),
        Resource.UPLINK: crossing_tensors(graph, cut),
        Resource.CLOUD: tuple(layer for layer in range(len(graph.layers)) if layer not in cut),
        Resource.DOWNLINK: returned_tensors(graph, cut),
    }


def item_name(graph: LayerGraph, resource: Resource, item: int) -> str:
    """The name of a layer or tensor, for messages and figures."""
    if not 0 <= item < len(graph.layers if resource.computes else graph.tensors):
        return f"#{item}"
    return graph.layers[item].name if resource.computes else graph.tensor_name(item)
