"""DADS: one min cut of the sequential time (DSL, light load), or of the smallest bottleneck (DSH, heavy load)."""

from __future__ import annotations

import numpy as np

from decc_core.planner.analysis import Analysis
from decc_core.planner.strategies.fixed import consecutive, uniform
from decc_core.plans.check import first_that_fits
from decc_core.plans.plan import Execution, Plan


def dads_dsl(analysis: Analysis) -> Plan:
    """The cheaper of one min cut of E + T + C + D + RTT and all-edge, which alone saves the RTT.

    Source: Hu et al., "Dynamic Adaptive DNN Surgery", INFOCOM 2019, algorithm DSL; one max-flow. Departures: infinite
    arcs against each edge, without which the printed graph admits illegal cuts; the way back and the RTT are charged.
    Under limits on bytes also weighted min cuts (a Lagrangian relaxation of the limit) and prefixes are compared.
    """
    return consecutive(analysis, analysis.candidates.least_sequential)


def dads_dsh(analysis: Analysis) -> Plan:
    """Minimise max(E, T, C, D) over weighted min cuts; the stages of successive requests overlap.

    Source: Hu et al., INFOCOM 2019, algorithm DSH (the problem is NP-hard). Departures: the printed linear grid of
    weights is unusable where the smallest layer is short, so the weights come from a log grid and from the LP over
    mixes; ties go to the shorter sequential time.
    """
    cuts = analysis.candidates.weighted
    places = np.lexsort((cuts.sequential_ns, cuts.bottleneck_ns)).tolist()
    plans = (uniform(analysis, Execution.FRAME_PIPELINED, cuts.mask(place)) for place in places)
    return first_that_fits(analysis.instance, plans)
