"""Edge-only and cloud-only: the two plans that need no thought."""

from __future__ import annotations

from decc_core.errors import NotPossible
from decc_core.network.arrays import Mask
from decc_core.planner.analysis import Analysis
from decc_core.planner.mincut import as_cut
from decc_core.plans.plan import Execution, Plan, staged_plan


def edge_only(analysis: Analysis) -> Plan:
    """Everything on the edge, one request after the other."""
    return _if_possible(analysis, analysis.network.prefix(analysis.network.n_layers))


def cloud_only(analysis: Analysis) -> Plan:
    """Only the inputs on the edge, one request after the other."""
    return _if_possible(analysis, analysis.network.prefix(0))


def _if_possible(analysis: Analysis, mask: Mask) -> Plan:
    if not analysis.network.fits(mask):
        raise NotPossible("The constraints do not allow the only cut of this strategy.")
    return consecutive(analysis, mask)


def consecutive(analysis: Analysis, mask: Mask) -> Plan:
    """The same cut for every request, executed one request after the other."""
    return uniform(analysis, Execution.CONSECUTIVE, mask)


def uniform(analysis: Analysis, execution: Execution, mask: Mask) -> Plan:
    """The same cut for every request."""
    return staged_plan(analysis.instance, execution, (as_cut(mask),) * analysis.instance.requests)
