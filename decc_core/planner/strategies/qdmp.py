"""QDMP: the optimum of DADS-DSL, searched only between neighbouring waists."""

from __future__ import annotations

from decc_core.planner.analysis import Analysis
from decc_core.planner.cuts import Cuts
from decc_core.planner.mincut import EVEN
from decc_core.planner.strategies.fixed import consecutive
from decc_core.plans.plan import Plan
from decc_core.problem.constraints import UNCONSTRAINED

NEVER = 2**63 - 1


def qdmp(analysis: Analysis) -> Plan:
    """Compare the cuts right after each waist, then one min cut inside each segment that has an interior.

    Source: Zhang et al., "Towards Real-time Cooperative Deep Inference over the Cloud and Edge End Devices", IMWUT
    2020, which searches between adjacent cut vertices. Departures: all segments are searched, except those whose
    work before and after alone costs more than the best cut so far, so that the value always equals DSL's; the way
    back and the RTT are charged; under limits on bytes it may fall back on DSL's cut.
    """
    instance, network = analysis.instance, analysis.network
    masks = [network.mask(instance.most_edge), network.mask(instance.least_edge)]
    if instance.constraints != UNCONSTRAINED:
        masks.append(analysis.candidates.least_sequential)
    waists = network.points[network.allowed_prefixes[network.points]]
    if len(waists):
        masks.append(network.prefix(int(waists[network.prefix_sequential_ns[waists].argmin()])))
    cuts = Cuts.of_masks(network, masks).fitting()
    best_ns = int(cuts.sequential_ns.min(initial=NEVER))
    best = cuts.mask(int(cuts.sequential_ns.argmin())) if len(cuts) else network.prefix(network.n_layers)
    for segment, least in zip(network.segments, network.certain.sum(axis=1).tolist(), strict=True):
        if network.reaches(segment) and least < best_ns:
            inside = Cuts.of_masks(network, [network.cheapest(EVEN, segment)]).fitting()
            if len(inside) and inside.sequential_ns[0] < best_ns:
                best_ns, best = int(inside.sequential_ns[0]), inside.mask(0)
    return consecutive(analysis, best)
