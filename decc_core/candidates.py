"""Cuts worth considering: prefixes of the stored order, waists, and the weighted min cuts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, product

from decc_core.branches import split_branches
from decc_core.cost import CostInstance, Cut, Loads, loads
from decc_core.mincut import Weights, cut_network
from decc_core.mixes import best_mix

RATIOS = (1, 4, 16, 64, 256)
UNIT = 16
EVEN: Weights = (1, 1, 1, 1)


@dataclass(frozen=True)
class Candidate:
    """A cut of one request with its loads and its sequential time."""

    cut: Cut
    loads: Loads
    sequential_ns: int


def candidate(instance: CostInstance, cut: Cut, load: Loads | None = None) -> Candidate:
    load = load or loads(instance, cut)
    offloaded = len(cut) < len(instance.graph.layers)
    return Candidate(cut, load, sum(load) + (instance.rtt_ns if offloaded else 0))


@lru_cache(maxsize=8)
def prefix_candidates(instance: CostInstance) -> tuple[Candidate, ...]:
    """Entry k has the inputs and the first k layers of the stored order on the edge."""
    graph, n = instance.graph, len(instance.graph.layers)
    uplink, downlink = [0] * (n + 2), [0] * (n + 2)
    for i, tensor in enumerate(graph.tensors):
        made = 0 if tensor.producer in graph.inputs else tensor.producer + 1
        if tensor.consumers:
            uplink[made] += instance.uplink_ns[i]
            uplink[max(made, max(tensor.consumers) + 1)] -= instance.uplink_ns[i]
        if tensor.is_output:
            downlink[0] += instance.downlink_ns[i]
            downlink[made] -= instance.downlink_ns[i]
    edge = tuple(accumulate(instance.edge_ns, initial=0))
    cloud = tuple(accumulate(instance.cloud_ns, initial=0))
    rows = zip(edge, accumulate(uplink), cloud, accumulate(downlink), strict=False)
    return tuple(
        candidate(instance, frozenset(range(k)) | instance.all_cloud, Loads(e, t, cloud[-1] - c, d))
        for k, (e, t, c, d) in enumerate(rows)
    )


@lru_cache(maxsize=8)
def dsl_cut(instance: CostInstance) -> Cut:
    """The cut of least E + T + C + D + RTT; all-edge is compared apart, because only it saves the RTT."""
    cut = cut_network(instance).cheapest(EVEN)
    return min(cut, instance.all_edge, key=lambda found: candidate(instance, found).sequential_ns)


@lru_cache(maxsize=8)
def weighted_candidates(instance: CostInstance) -> tuple[Candidate, ...]:
    """Min cuts for a log grid of weights on E : T : C (D weighs as T), and the columns of the LP over mixes."""
    network = cut_network(instance)
    cuts: dict[Cut, None] = {dsl_cut(instance): None, instance.all_edge: None, instance.all_cloud: None}
    for edge, cloud in product(RATIOS, RATIOS):
        cuts[network.cheapest((edge, UNIT, cloud, UNIT))] = None
    cuts.update(dict.fromkeys(best_mix(instance, 1).cuts))
    return tuple(candidate(instance, cut) for cut in cuts)


@lru_cache(maxsize=8)
def candidates(instance: CostInstance) -> tuple[Candidate, ...]:
    """Weighted min cuts and the cuts right after a waist, dominated ones removed."""
    prefixes = prefix_candidates(instance)
    waists = [prefixes[waist + 1] for waist in split_branches(instance.graph).waists]
    return undominated([*weighted_candidates(instance), *waists])


def undominated(found: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Candidates than which no other is at least as good in all four loads and in sequential time."""
    kept: list[Candidate] = []
    for new in sorted(found, key=lambda one: (one.sequential_ns, one.loads)):
        if not any(all(a <= b for a, b in zip(old.loads, new.loads, strict=True)) for old in kept):
            kept.append(new)
    return tuple(kept)
