"""Neurosurgeon: the best prefix of the layers in stored order."""

from __future__ import annotations

from decc_core.errors import NotPossible
from decc_core.planner.candidates import best_prefix
from decc_core.planner.strategies.fixed import consecutive
from decc_core.plans.plan import Plan
from decc_core.problem.instance import CostInstance


def neurosurgeon(instance: CostInstance) -> Plan:
    """Scan all prefixes of the topological order and cut where the sequential time is least; O(layers + edges).

    Source: Kang et al., "Neurosurgeon", ASPLOS 2017, which plans chains. Departures: on a DAG every tensor that is
    live at the cut is sent; the way back and the RTT are charged; times are profiled, not regressed.
    """
    cut = best_prefix(instance)
    if cut is None:
        raise NotPossible("The constraints do not allow any prefix of the layers in stored order.")
    return consecutive(instance, cut)
