"""Single cut: the strongest plan without mixing cuts and without overlapping branches."""

from __future__ import annotations

import numpy as np

from decc_core.network.arrays import Ints
from decc_core.planner.analysis import Analysis
from decc_core.planner.cuts import Cuts
from decc_core.planner.strategies.fixed import uniform
from decc_core.plans.check import first_that_fits
from decc_core.plans.plan import Execution, Plan
from decc_core.problem.instance import Objective


def single_cut(analysis: Analysis) -> Plan:
    """One cut for all n requests, minimising sequential time + (n - 1) max(E, T, C, D), the makespan of n equal frames.

    Our own reference, not from a paper. Searched over prefixes, waists and weighted min cuts; for the throughput
    objective the bottleneck alone is minimised.
    """
    network = analysis.network
    allowed = np.flatnonzero(network.allowed_prefixes)
    prefixes = Cuts.of_prefixes(network, allowed)
    best = _order(analysis, prefixes)[:1]
    cuts = analysis.candidates.undominated + prefixes.take(best).fitting()
    plans = (
        uniform(analysis, Execution.FRAME_PIPELINED, cuts.mask(place)) for place in _order(analysis, cuts).tolist()
    )
    return first_that_fits(analysis.instance, plans)


def _order(analysis: Analysis, cuts: Cuts) -> Ints:
    """The places of the cuts, the best first."""
    if analysis.instance.objective is Objective.THROUGHPUT:
        return np.lexsort((cuts.sequential_ns, cuts.bottleneck_ns))
    # An all-edge request never waits for a link, but its bottleneck is the edge all the same.
    return np.argsort(cuts.sequential_ns + (analysis.instance.requests - 1) * cuts.bottleneck_ns, kind="stable")
