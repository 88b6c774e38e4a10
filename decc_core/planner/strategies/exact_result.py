"""What the exact solver returns and tells; apart from the solver, whose library takes long to import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from decc_core.plans.plan import Plan

Progress = Callable[[float, float], None]
"""Hears of the best objective and the best bound so far, in seconds."""
Stoppable = Callable[[Callable[[], None]], None]
"""Is handed a function that ends the search."""


@dataclass(frozen=True)
class ExactResult:
    """The best plan found, the best bound proven, and whether they meet."""

    plan: Plan
    lower_bound_ns: int
    optimal: bool
