"""How far a verdict holds: the conditions around one's own under which the advice is the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

from decc_core.problem.instance import CostInstance
from decc_core.study.compare import compare
from decc_core.study.verdict import verdict
from decc_core.text import gain_text, rate_text

STEP, WITHIN = 3.0, 1.1
"""How far apart conditions are that are tried, and how closely the last one is known at which the advice holds."""
RATES_MBPS = (0.1, 1000.0)
SPEEDS = (0.1, 10.0)
"""How far is looked: rates of the uplink, and speeds of the edge in terms of one's own."""
HOLDS = {
    "split": "Splitting stays best",
    "share": "Sharing stays best",
    "on the edge": "The edge alone stays best",
    "in the cloud": "The cloud alone stays best",
}


@dataclass(frozen=True)
class Reach:
    """The last conditions to either side at which an advice was found to hold; None where it always did."""

    low: float | None
    high: float | None


def reach(present: float, limits: tuple[float, float], holds: Callable[[float], bool]) -> Reach:
    """Go from the present condition to both limits in steps, and halve the step in which the advice changes.

    A change that is undone within a step is not found.
    """
    low, high = limits
    return Reach(_last(present, min(low, present), holds), _last(present, max(high, present), holds))


def _last(present: float, limit: float, holds: Callable[[float], bool]) -> float | None:
    inside = present
    while inside != limit:
        outside = min(inside * STEP, limit) if limit > present else max(inside / STEP, limit)
        if holds(outside):
            inside = outside
            continue
        while max(inside, outside) > WITHIN * min(inside, outside):
            middle = sqrt(inside * outside)
            inside, outside = (middle, outside) if holds(middle) else (inside, middle)
        return inside
    return None


def advice(instance: CostInstance) -> str:
    """What a verdict comes down to: both devices, or which one alone."""
    found = verdict(compare(instance)).advice
    return "both" if found in ("split", "share") else found


def reach_in_words(found: str, rates: Reach, speeds: Reach) -> str:
    """One sentence; `found` is the verdict's advice, rates are in Mbit/s and speeds in those of the present edge."""
    low, high = (None if rate is None else rate_text(float(f"{rate:.2g}")) for rate in (rates.low, rates.high))
    if low and high:
        rate = f"from {low} to {high} up"
    elif low or high:
        rate = f"from {low} up" if low else f"up to {high}"
    else:
        rate = f"at every uplink from {rate_text(RATES_MBPS[0])} to {rate_text(RATES_MBPS[1])}"
    if speeds.low is None and speeds.high is not None:
        speed = f"up to an edge {_times(speeds.high)} as fast"
    elif speeds.low is not None and speeds.high is None:
        speed = f"down to an edge {_times(speeds.low)} as fast"
    else:
        speed = f"with an edge {_times(speeds.low or SPEEDS[0])} to {_times(speeds.high or SPEEDS[1])} as fast"
    return f"{HOLDS[found]} {rate}, and {speed}."


def _times(speed: float) -> str:
    return gain_text(speed) if speed < 1 else f"{float(f'{speed:.2g}'):g}×"
