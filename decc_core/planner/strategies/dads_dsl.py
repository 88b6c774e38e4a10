"""DADS under light load (DSL): the cut of least sequential time."""

from __future__ import annotations

from decc_core.planner.candidates import dsl_cut
from decc_core.planner.strategies.fixed import consecutive
from decc_core.plans.plan import Plan
from decc_core.problem.instance import CostInstance


def dads_dsl(instance: CostInstance) -> Plan:
    """One min cut of E + T + C + D; all-edge is compared apart, because only it saves the RTT.

    Source: Hu et al., "Dynamic Adaptive DNN Surgery", INFOCOM 2019, algorithm DSL; one max-flow. Departures: infinite
    arcs against each edge, without which the printed graph admits illegal cuts; the way back and the RTT are charged.
    """
    return consecutive(instance, dsl_cut(instance))
