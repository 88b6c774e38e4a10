"""QDMP: the optimum of DSL, searched only between neighbouring waists."""

from __future__ import annotations

import numpy as np

from decc_core.network.branches import split_branches
from decc_core.planner.candidates import (
    EVEN,
    allowed_prefixes,
    candidate,
    dsl_cut,
    prefix_candidate,
    prefix_sequential_ns,
)
from decc_core.planner.mincut import cut_network
from decc_core.planner.strategies.fixed import consecutive
from decc_core.plans.memory import fits
from decc_core.plans.plan import Plan
from decc_core.problem.constraints import UNCONSTRAINED
from decc_core.problem.instance import CostInstance

NEVER = 2**63


def qdmp(instance: CostInstance) -> Plan:
    """Compare the cuts right after each waist, then one min cut inside each stretch that has an interior.

    Source: Zhang et al., "Towards Real-time Cooperative Deep Inference over the Cloud and Edge End Devices", IMWUT
    2020, which searches between adjacent cut vertices. Departures: all stretches are searched, except those whose
    work before and after alone costs more than the best cut so far, so that the value always equals DSL's; the way
    back and the RTT are charged; under limits on bytes it may fall back on DSL's cut.
    """
    graph, network = instance.graph, cut_network(instance)
    costs = prefix_sequential_ns(instance)
    waists = np.array(split_branches(graph).waists, np.int64)
    found = [candidate(instance, cut) for cut in (instance.most_edge, instance.least_edge)]
    if instance.constraints is not UNCONSTRAINED:
        found.append(candidate(instance, dsl_cut(instance)))
    waists = waists[allowed_prefixes(instance)[waists + 1]]
    if len(waists):
        found.append(prefix_candidate(instance, int(waists[costs[waists + 1].argmin()]) + 1))
    found = [one for one in found if fits(instance, one.cut)]
    n = len(graph.layers)
    for stretch, least in zip(network.stretches, network.certain.sum(axis=1).tolist(), strict=True):
        if network.reaches(stretch) and least < min((one.sequential_ns for one in found), default=NEVER):
            cut = network.cheapest(EVEN, frozenset(range(stretch.low)), frozenset(range(stretch.high, n)))
            found += [candidate(instance, cut)] if fits(instance, cut) else []
    return consecutive(instance, min(found, key=lambda one: one.sequential_ns).cut)
