"""QDMP: the optimum of DSL, searched only between neighbouring waists."""

from __future__ import annotations

from itertools import pairwise

from decc_core.branches import split_branches
from decc_core.candidates import EVEN, candidate, prefix_candidates
from decc_core.cost import CostInstance
from decc_core.mincut import cut_network
from decc_core.plan import Plan
from decc_core.strategies.fixed import consecutive


def qdmp(instance: CostInstance) -> Plan:
    """Compare the cuts right after each waist, then one min cut inside each stretch that has an interior.

    Source: Zhang et al., "Towards Real-time Cooperative Deep Inference over the Cloud and Edge End Devices", IMWUT
    2020, which searches between adjacent cut vertices. Departures: all stretches are searched, so that the value always
    equals DSL's; the way back and the RTT are charged.
    """
    graph, network = instance.graph, cut_network(instance)
    waists = split_branches(graph).waists
    prefixes = prefix_candidates(instance)
    found = [candidate(instance, instance.all_edge), candidate(instance, instance.all_cloud)]
    found += [prefixes[waist + 1] for waist in waists]
    n = len(graph.layers)
    for start, end in pairwise((None, *waists, None)):
        first, last = (0 if start is None else start + 1), (n if end is None else end)
        if first < last:
            cut = network.cheapest(EVEN, frozenset(range(first)), frozenset(range(last, n)))
            found.append(candidate(instance, cut))
    return consecutive(instance, "qdmp", min(found, key=lambda one: one.sequential_ns).cut)
