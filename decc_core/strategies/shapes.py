"""A cut as a short chain of jobs: the form in which DECC searches.

The crossing tensors of a cut, put in an order, split a request into jobs that follow each other on all resources:
the edge work that the next tensor still lacks, the tensor itself, and the cloud work that its arrival unlocks. Timing
a chain of jobs takes a few additions a job, however many layers the network has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from decc_core.cost import RESOURCES, CostInstance, Cut, Loads, crossing_tensors, loads, returned_tensors
from decc_core.plan import Execution, Plan
from decc_core.span import Resource, Work

NOTHING = -1
MAX_SORTED_TENSORS = 40


class Job(NamedTuple):
    """Nanoseconds of one job; an uplink or downlink of NOTHING means that no tensor goes that way."""

    edge_ns: int
    uplink_ns: int
    cloud_ns: int
    downlink_ns: int


def chain_makespan(jobs: Iterable[Job], half_rtt_ns: int) -> int:
    """End of a chain of jobs, each resource serving them in this order."""
    edge = uplink = cloud = downlink = result = 0
    for edge_ns, uplink_ns, cloud_ns, downlink_ns in jobs:
        edge += edge_ns
        if uplink_ns >= 0:
            uplink = (edge if edge > uplink else uplink) + uplink_ns
            arrived = uplink + half_rtt_ns
            cloud = (arrived if arrived > cloud else cloud) + cloud_ns
            if downlink_ns >= 0:
                downlink = (cloud if cloud > downlink else downlink) + downlink_ns
                result = downlink + half_rtt_ns
    return max(edge, result)


@dataclass(frozen=True)
class Shape:
    """A cut with the order in which its crossing tensors are made and sent."""

    cut: Cut
    order: tuple[int, ...]
    jobs: tuple[Job, ...]
    loads: Loads
    makespan_ns: int


def best_shape(instance: CostInstance, cut: Cut) -> Shape:
    """The best order found for the crossing tensors of a cut: by production, by Johnson's rule, then by insertions."""
    atoms = Atoms(instance, cut)
    return Shape(cut, atoms.best_order, atoms.jobs(atoms.best_order), loads(instance, cut), atoms.best_makespan_ns)


class Atoms:
    """Layers of one cut that no order of the crossing tensors can tell apart, with their summed times.

    An edge layer belongs to the first tensor in the order that needs it, a cloud layer to the last tensor that it
    needs; so layers that need, or are needed by, the same set of crossing tensors (a bit mask) move together.
    """

    def __init__(self, instance: CostInstance, cut: Cut) -> None:
        self.instance, self.cut = instance, cut
        self.tensors = crossing_tensors(instance.graph, cut)
        self.edge_masks, self.cloud_masks = self._masks()
        self.edge = _sum_by_mask((mask, instance.edge_ns[layer]) for layer, mask in self.edge_masks.items())
        self.cloud = _sum_by_mask((mask, instance.cloud_ns[layer]) for layer, mask in self.cloud_masks.items())
        graph = instance.graph
        self.back = _sum_by_mask(
            (self.cloud_masks[graph.tensors[tensor].producer], instance.downlink_ns[tensor])
            for tensor in returned_tensors(graph, cut)
        )

    def _masks(self) -> tuple[dict[int, int], dict[int, int]]:
        """For each edge layer the crossing tensors that need it; for each cloud layer those that it needs."""
        graph = self.instance.graph
        made = dict.fromkeys(range(len(graph.layers)), 0)
        read = dict.fromkeys(range(len(graph.layers)), 0)
        for bit, tensor in enumerate(self.tensors):
            made[graph.tensors[tensor].producer] |= 1 << bit
            for consumer in graph.tensors[tensor].consumers:
                read[consumer] |= 1 << bit
        for layer in reversed(range(len(graph.layers))):
            if layer in self.cut:
                for child in graph.children[layer]:
                    if child in self.cut:
                        made[layer] |= made[child]
        for layer in range(len(graph.layers)):
            if layer not in self.cut:
                for parent in graph.parents[layer]:
                    if parent not in self.cut:
                        read[layer] |= read[parent]
        edge = {layer: made[layer] for layer in sorted(self.cut)}
        return edge, {layer: mask for layer, mask in read.items() if layer not in self.cut}

    def jobs(self, order: Sequence[int]) -> tuple[Job, ...]:
        """The jobs of one order of the tensors (bits); edge work that no tensor needs comes last."""
        place = [0] * len(order)
        for i, bit in enumerate(order):
            place[bit] = i
        edge, cloud, back = [0] * (len(order) + 1), [0] * len(order), [NOTHING] * len(order)
        for mask, time in self.edge.items():
            edge[min((place[bit] for bit in _bits(mask)), default=len(order))] += time
        for mask, time in self.cloud.items():
            cloud[max(place[bit] for bit in _bits(mask))] += time
        for mask, time in self.back.items():
            last = max(place[bit] for bit in _bits(mask))
            back[last] = time + max(0, back[last])
        uplink = [self.instance.uplink_ns[self.tensors[bit]] for bit in order]
        found = [Job(*job) for job in zip(edge, uplink, cloud, back, strict=False)]
        return (*found, Job(edge[-1], NOTHING, 0, NOTHING)) if edge[-1] or not found else tuple(found)

    def makespan_ns(self, order: Sequence[int]) -> int:
        return chain_makespan(self.jobs(order), self.instance.half_rtt_ns)

    @cached_property
    def best_makespan_ns(self) -> int:
        return self.makespan_ns(self.best_order)

    @cached_property
    def best_order(self) -> tuple[int, ...]:
        produced = tuple(range(len(self.tensors)))
        if not 1 < len(produced) <= MAX_SORTED_TENSORS:
            return produced
        best = min((produced, self._johnson(produced)), key=self.makespan_ns)
        return _improve_by_insertion(best, self.makespan_ns)

    def _johnson(self, bits: Sequence[int]) -> tuple[int, ...]:
        """Johnson's rule on (edge + uplink, uplink + cloud), counting only work that belongs to one tensor alone."""

        def times(bit: int) -> tuple[int, int]:
            send = self.instance.uplink_ns[self.tensors[bit]]
            return self.edge.get(1 << bit, 0) + send, send + self.cloud.get(1 << bit, 0)

        early = sorted((bit for bit in bits if times(bit)[0] <= times(bit)[1]), key=lambda bit: times(bit)[0])
        late = sorted((bit for bit in bits if times(bit)[0] > times(bit)[1]), key=lambda bit: -times(bit)[1])
        return (*early, *late)

    def work(self, order: Sequence[int]) -> tuple[dict[Resource, tuple[int, ...]], ...]:
        """The layers and tensors of each job, in the order in which `jobs` counts them."""
        graph = self.instance.graph
        place = {bit: i for i, bit in enumerate(order)}
        found: list[dict[Resource, list[int]]] = [
            {resource: [] for resource in RESOURCES} for _ in range(len(order) + 1)
        ]
        for layer, mask in self.edge_masks.items():
            found[min((place[bit] for bit in _bits(mask)), default=len(order))][Resource.EDGE].append(layer)
        for i, bit in enumerate(order):
            found[i][Resource.UPLINK].append(self.tensors[bit])
        for layer, mask in self.cloud_masks.items():
            found[max(place[bit] for bit in _bits(mask))][Resource.CLOUD].append(layer)
        for tensor in returned_tensors(graph, self.cut):
            mask = self.cloud_masks[graph.tensors[tensor].producer]
            found[max(place[bit] for bit in _bits(mask))][Resource.DOWNLINK].append(tensor)
        return tuple({resource: tuple(items) for resource, items in job.items()} for job in found)


def _sum_by_mask(pairs: Iterable[tuple[int, int]]) -> dict[int, int]:
    found: dict[int, int] = {}
    for mask, time in pairs:
        found[mask] = found.get(mask, 0) + time
    return found


def _bits(mask: int) -> list[int]:
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found


def _improve_by_insertion(order: tuple[int, ...], cost: Callable[[Sequence[int]], int]) -> tuple[int, ...]:
    """Move single elements to other places while that helps; two passes at most."""
    best = cost(order)
    for _ in range(2):
        before = best
        for element in order:
            rest = [other for other in order if other != element]
            for place in range(len(order)):
                moved = (*rest[:place], element, *rest[place:])
                value = cost(moved)
                if value < best:
                    best, order = value, moved
        if best == before:
            break
    return order


def shapes_to_plan(instance: CostInstance, strategy: str, shapes: Sequence[Shape]) -> Plan:
    """The branch-pipelined plan that serves requests 0, 1, ... with these shapes, one after the other."""
    work = {(shape.cut, shape.order): Atoms(instance, shape.cut).work(shape.order) for shape in dict.fromkeys(shapes)}
    sequences = {
        resource: tuple(
            Work(request, item)
            for request, shape in enumerate(shapes)
            for job in work[shape.cut, shape.order]
            for item in job[resource]
        )
        for resource in RESOURCES
    }
    return Plan(strategy, Execution.BRANCH_PIPELINED, tuple(shape.cut for shape in shapes), sequences)
