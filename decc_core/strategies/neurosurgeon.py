"""Neurosurgeon: the best prefix of the layers in stored order."""

from __future__ import annotations

from decc_core.candidates import prefix_candidate, prefix_sequential_ns
from decc_core.cost import CostInstance
from decc_core.plan import Plan
from decc_core.strategies.fixed import consecutive


def neurosurgeon(instance: CostInstance) -> Plan:
    """Scan all prefixes of the topological order and cut where the sequential time is least; O(layers + edges).

    Source: Kang et al., "Neurosurgeon", ASPLOS 2017, which plans chains. Departures: on a DAG every tensor that is
    live at the cut is sent; the way back and the RTT are charged; times are profiled, not regressed.
    """
    best = int(prefix_sequential_ns(instance).argmin())
    return consecutive(instance, "neurosurgeon", prefix_candidate(instance, best).cut)
