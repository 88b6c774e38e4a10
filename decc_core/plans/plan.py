"""A plan: the cut of every request and the complete sequence of work on every resource."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np

from decc_core.errors import InfeasiblePlan
from decc_core.network.arrays import Ints, Mask, as_mask, topology
from decc_core.network.graph import LayerGraph
from decc_core.network.work import Resource, Work
from decc_core.problem.instance import RESOURCES, CostInstance, Cut, crossing_tensors
from decc_core.text import counted


class Execution(str, Enum):
    """How much of a plan may overlap."""

    CONSECUTIVE = "consecutive"
    FRAME_PIPELINED = "frame-pipelined"
    BRANCH_PIPELINED = "branch-pipelined"


class WorkArrays(NamedTuple):
    """All work of a plan, resource after resource: that of resource i is `first[i]` up to `first[i + 1]`."""

    request: Ints
    item: Ints
    first: Ints

    @property
    def parts(self) -> tuple[slice, ...]:
        """Where each resource's work stands."""
        return tuple(slice(*bounds) for bounds in pairwise(self.first.tolist()))


class Sequences(Mapping[Resource, tuple[Work, ...]]):
    """The work of every resource in sequence, kept as arrays; tuples are made anew whenever they are asked for.

    Large plans hold millions of entries, of which a page or a file wants the tuples once and the planner never.
    """

    __slots__ = ("work",)

    def __init__(self, sequences: Mapping[Resource, Iterable[Work] | Ints]) -> None:
        """From tuples, or from arrays with a row of request and item for each; all resources must be there."""
        missing = [resource.value for resource in RESOURCES if resource not in sequences]
        if missing:
            raise InfeasiblePlan(f"The plan has no sequence for the {missing[0]}.")
        rows = [_rows(resource, sequences[resource]) for resource in RESOURCES]
        request, item = np.concatenate(rows).T
        first = np.cumsum([0, *map(len, rows)], dtype=np.int64)
        self.work = WorkArrays(np.ascontiguousarray(request), np.ascontiguousarray(item), first)

    def __getitem__(self, resource: Resource) -> tuple[Work, ...]:
        part = self.work.parts[RESOURCES.index(resource)]
        return tuple(map(Work, self.work.request[part].tolist(), self.work.item[part].tolist()))

    def __iter__(self) -> Iterator[Resource]:
        return iter(RESOURCES)

    def __len__(self) -> int:
        return len(RESOURCES)

    def __contains__(self, resource: object) -> bool:
        return resource in RESOURCES

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Sequences):
            return self is other or all(map(np.array_equal, self.work, other.work))
        return super().__eq__(other)

    def __hash__(self) -> int:
        return hash(tuple(array.tobytes() for array in self.work))


def _rows(resource: Resource, works: Iterable[Work] | Ints) -> Ints:
    if isinstance(works, np.ndarray):
        return works
    works = tuple(works)
    try:
        return np.fromiter(chain.from_iterable(works), np.int64, 2 * len(works)).reshape(-1, 2)
    except OverflowError:
        raise InfeasiblePlan(f"The {resource.value} works on something that no network has.") from None


@dataclass(frozen=True, init=False, repr=False)
class Plan:
    """For every request the cut, and for every resource the complete sequence of its work."""

    execution: Execution
    cuts: tuple[Cut, ...]
    sequences: Sequences

    def __init__(
        self, execution: Execution, cuts: tuple[Cut, ...], sequences: Mapping[Resource, Iterable[Work] | Ints]
    ) -> None:
        kept = sequences if isinstance(sequences, Sequences) else Sequences(sequences)
        for name, value in (("execution", execution), ("cuts", cuts), ("sequences", kept)):
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        cuts = len(set(self.cuts))
        return f"<{self.execution.value} plan: {counted(len(self.cuts), 'request')}, {counted(cuts, 'kind')} of cut>"

    @property
    def work(self) -> WorkArrays:
        """The sequences as arrays."""
        return self.sequences.work

    def groups(self) -> dict[Cut, tuple[int, ...]]:
        """The distinct cuts, each with the requests that take it."""
        groups: dict[Cut, list[int]] = {}
        for request, cut in enumerate(self.cuts):
            groups.setdefault(cut, []).append(request)
        return {cut: tuple(requests) for cut, requests in groups.items()}

    def request_order(self, resource: Resource = Resource.EDGE) -> tuple[int, ...]:
        """The requests in the order in which a resource first works for them."""
        requests = self.work.request[self.work.parts[RESOURCES.index(resource)]]
        changes = np.flatnonzero(np.diff(requests)) + 1
        return tuple(dict.fromkeys((*requests[:1].tolist(), *requests[changes].tolist())))

    def masks(self, n_layers: int) -> Mask:
        """Which layers run on the edge, one row for each request."""
        known = {cut: as_mask(n_layers, cut) for cut in set(self.cuts)}
        return np.stack([known[cut] for cut in self.cuts])


def staged_plan(
    instance: CostInstance, execution: Execution, cuts: Sequence[Cut], order: Iterable[int] | None = None
) -> Plan:
    """A plan whose requests follow each other in `order` on every resource, layers and tensors in stored order."""
    order = tuple(range(len(cuts)) if order is None else order)
    work = {cut: stage_work(instance.graph, cut) for cut in set(cuts)}
    sequences = {
        resource: pick_works((request, work[cuts[request]][resource]) for request in order) for resource in RESOURCES
    }
    return Plan(execution, tuple(cuts), sequences)


def pick_works(parts: Iterable[tuple[int, Iterable[int]]]) -> Ints:
    """The work of several requests' items, one after the other, a row of request and item for each."""
    requests, items = [], []
    for request, picked in parts:
        requests.append(request)
        items.append(np.asarray(picked, np.int64))
    if not items:
        return np.empty((0, 2), np.int64)
    return np.stack([np.repeat(requests, [len(picked) for picked in items]), np.concatenate(items)], axis=1)


def uses_both(instance: CostInstance, plan: Plan) -> bool:
    """Whether the requests, taken together, have layers on both devices."""
    return set(plan.cuts) not in ({instance.all_edge}, {instance.all_cloud})


@lru_cache(maxsize=16)
def stage_work(graph: LayerGraph, cut: Cut) -> dict[Resource, Ints]:
    """What one request with this cut puts on each resource: layer or tensor indices, in stored order."""
    arrays = topology(graph)
    on_edge = as_mask(arrays.n_layers, cut)
    return {
        Resource.EDGE: np.flatnonzero(on_edge),
        Resource.UPLINK: np.array(crossing_tensors(graph, cut), np.int64),
        Resource.CLOUD: np.flatnonzero(~on_edge),
        Resource.DOWNLINK: np.flatnonzero(arrays.is_output & ~on_edge[arrays.producer]),
    }


def item_name(graph: LayerGraph, resource: Resource, item: int) -> str:
    """What a layer or tensor is called in messages and figures."""
    if not 0 <= item < len(graph.layers if resource.computes else graph.tensors):
        return f"#{item}"
    return graph.titles[item] if resource.computes else graph.tensor_title(item)
