"""What a plan sends, and in what two plans of one instance differ."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from decc_core.formats import RAW
from decc_core.network.work import Resource, Work
from decc_core.plans.plan import Plan, stage_work
from decc_core.plans.schedule import total_loads
from decc_core.problem.instance import CostInstance, Cut, Loads, crossing_tensors


@dataclass(frozen=True)
class SentTensor:
    """A tensor that takes a link: by whom it is made and read, and for which requests it is sent.

    On the downlink these are results, which no layer reads. `time_ns` is how long each occupies the link.
    """

    link: Resource
    tensor: int
    producer: int
    readers: tuple[int, ...]
    size_bytes: int
    time_ns: int
    requests: tuple[int, ...]
    wire: str = RAW
    """The format in which it travels."""


def sent_tensors(instance: CostInstance, plan: Plan) -> tuple[SentTensor, ...]:
    """All tensors that a plan sends to the cloud, then all results that come back, in order of production; requests
    with other readers apart."""
    graph = instance.graph
    found: dict[tuple[bool, int, tuple[int, ...]], list[int]] = {}
    for request, cut in enumerate(plan.cuts):
        for tensor in crossing_tensors(graph, cut):
            readers = tuple(layer for layer in graph.tensors[tensor].consumers if layer not in cut)
            found.setdefault((False, tensor, readers), []).append(request)
        for tensor in stage_work(graph, cut)[Resource.DOWNLINK].tolist():
            found.setdefault((True, tensor, ()), []).append(request)
    return tuple(
        SentTensor(
            link=Resource.DOWNLINK if back else Resource.UPLINK,
            tensor=tensor,
            producer=graph.tensors[tensor].producer,
            readers=readers,
            size_bytes=instance.bytes_back(tensor) if back else instance.wire_bytes[tensor],
            time_ns=(instance.downlink_ns if back else instance.uplink_ns)[tensor],
            requests=tuple(requests),
            wire=instance.result_format if back else instance.format_of(tensor),
        )
        for (back, tensor, readers), requests in sorted(found.items())
    )


@dataclass(frozen=True)
class Difference:
    """Pairs of requests, one of each plan, that differ in the same way: which layers and tensors go elsewhere.

    `to_edge` layers are in the cloud in the first plan and on the edge in the second; `to_cloud` the other way round.
    `no_longer_sent` tensors cross in the first plan only, `newly_sent` in the second only.
    """

    pairs: tuple[tuple[int, int], ...]
    to_edge: tuple[int, ...]
    to_cloud: tuple[int, ...]
    no_longer_sent: tuple[int, ...]
    newly_sent: tuple[int, ...]


@dataclass(frozen=True)
class PlanDiff:
    """Two plans side by side; `first_work` and `second_work` are what only one of them does, and where."""

    differences: tuple[Difference, ...]
    first_loads: Loads
    second_loads: Loads
    first_work: frozenset[tuple[Resource, Work]]
    second_work: frozenset[tuple[Resource, Work]]

    @property
    def same_cuts(self) -> bool:
        return not self.differences


def plan_diff(instance: CostInstance, first: Plan, second: Plan) -> PlanDiff:
    """Requests are equal, so each is compared with the one of the other plan that is cut like it, if there is one."""
    pairs = paired_requests(first, second)
    grouped: dict[tuple[Cut, Cut], list[tuple[int, int]]] = {}
    work: tuple[set[tuple[Resource, Work]], set[tuple[Resource, Work]]] = (set(), set())
    for a, b in pairs:
        cut_a, cut_b = first.cuts[a], second.cuts[b]
        if cut_a != cut_b:
            grouped.setdefault((cut_a, cut_b), []).append((a, b))
            done_a, done_b = stage_work(instance.graph, cut_a), stage_work(instance.graph, cut_b)
            for resource in Resource:
                only_a, only_b = set(done_a[resource].tolist()), set(done_b[resource].tolist())
                work[0].update((resource, Work(a, item)) for item in only_a - only_b)
                work[1].update((resource, Work(b, item)) for item in only_b - only_a)
    return PlanDiff(
        tuple(_difference(instance, tuple(same), *cuts) for cuts, same in grouped.items()),
        total_loads(instance, first),
        total_loads(instance, second),
        frozenset(work[0]),
        frozenset(work[1]),
    )


def paired_requests(first: Plan, second: Plan) -> list[tuple[int, int]]:
    """Requests with equal cuts first, the others by how much of them is on the edge; sorted by the first plan."""
    left = Counter(second.cuts)
    equal: dict[Cut, list[int]] = {}
    others: list[int] = []
    for request, cut in enumerate(first.cuts):
        if left[cut]:
            left[cut] -= 1
            equal.setdefault(cut, []).append(request)
        else:
            others.append(request)
    pairs, rest = [], []
    for request, cut in enumerate(second.cuts):
        if equal.get(cut):
            pairs.append((equal[cut].pop(0), request))
        else:
            rest.append(request)
    others.sort(key=lambda request: (len(first.cuts[request]), request))
    rest.sort(key=lambda request: (len(second.cuts[request]), request))
    return sorted([*pairs, *zip(others, rest, strict=True)])


def _difference(instance: CostInstance, pairs: tuple[tuple[int, int], ...], first: Cut, second: Cut) -> Difference:
    sent_first = set(crossing_tensors(instance.graph, first))
    sent_second = set(crossing_tensors(instance.graph, second))
    return Difference(
        pairs=pairs,
        to_edge=tuple(sorted(second - first)),
        to_cloud=tuple(sorted(first - second)),
        no_longer_sent=tuple(sorted(sent_first - sent_second)),
        newly_sent=tuple(sorted(sent_second - sent_first)),
    )
