"""How much slower than its plan a run must go, so that this machine can stand in for faster devices."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, Context

MARGIN = 1.25
"""Native times vary; emulated layers should be done this much before its deadline."""
TOLERANCE_S = 0.0003
"""Runs of layers may be late by so much together; short ones are caught up with."""
STEPS = 40


def needed_dilation(sides: Sequence[tuple[Sequence[float], Sequence[float]]]) -> float:
    """The smallest factor, at least 1, by which planned times must be stretched so that native ones fit in.

    Each side has the native and the planned seconds of its runs of layers, in order of work. Rounded up to two digits.
    """
    if all(_lateness(native, planned, 1.0) <= TOLERANCE_S for native, planned in sides):
        return 1.0
    low, high = 1.0, 2.0
    while any(_lateness(native, planned, high) > TOLERANCE_S for native, planned in sides):
        low, high = high, 2 * high
        if high > 1e6:
            break
    for _ in range(STEPS):
        middle = (low + high) / 2
        fits = all(_lateness(native, planned, middle) <= TOLERANCE_S for native, planned in sides)
        low, high = (low, middle) if fits else (middle, high)
    return float(Context(prec=2, rounding=ROUND_CEILING).create_decimal(repr(high * 1.02)))


def _lateness(native: Sequence[float], planned: Sequence[float], factor: float) -> float:
    """The most seconds by which work falls behind deadlines that are `factor` times the planned ones apart."""
    behind = worst = 0.0
    for real, wanted in zip(native, planned, strict=True):
        behind = max(0.0, behind + real * MARGIN - wanted * factor)
        worst = max(worst, behind)
    return worst
