"""DADS under heavy load (DSH): the cut with the smallest bottleneck."""

from __future__ import annotations

from decc_core.planner.candidates import weighted_candidates
from decc_core.plans.check import first_that_fits
from decc_core.plans.plan import Execution, Plan, staged_plan
from decc_core.problem.instance import CostInstance


def dads_dsh(instance: CostInstance) -> Plan:
    """Minimise max(E, T, C, D) over weighted min cuts; the stages of successive requests overlap.

    Source: Hu et al., INFOCOM 2019, algorithm DSH (the problem is NP-hard). Departures: the printed linear grid of
    weights is unusable where the smallest layer is short, so the weights come from a log grid and from the LP over
    mixes; ties go to the shorter sequential time.
    """
    found = sorted(weighted_candidates(instance), key=lambda one: (one.loads.bottleneck_ns, one.sequential_ns))
    return first_that_fits(
        instance,
        (staged_plan(instance, Execution.FRAME_PIPELINED, (one.cut,) * instance.requests) for one in found),
    )
