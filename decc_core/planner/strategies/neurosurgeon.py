"""Neurosurgeon: the best prefix of the layers in stored order."""

from __future__ import annotations

import numpy as np

from decc_core.errors import NotPossible
from decc_core.planner.analysis import Analysis
from decc_core.planner.strategies.fixed import consecutive
from decc_core.plans.plan import Plan


def neurosurgeon(analysis: Analysis) -> Plan:
    """Scan all prefixes of the topological order and cut where the sequential time is least; O(layers + edges).

    Source: Kang et al., "Neurosurgeon", ASPLOS 2017, which plans chains. Departures: on a DAG every tensor that is
    live at the cut is sent; the way back and the RTT are charged; times are profiled, not regressed.
    """
    network = analysis.network
    fitting = np.flatnonzero(network.fitting_prefixes)
    if not len(fitting):
        raise NotPossible("The constraints do not allow any prefix of the layers in stored order.")
    return consecutive(analysis, network.prefix(int(fitting[network.prefix_sequential_ns[fitting].argmin()])))
