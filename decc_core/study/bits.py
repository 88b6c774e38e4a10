"""How the answer changes with the bits that a value takes on the wire, by formats that need not exist."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from decc_core.planner.strategies import STRATEGIES
from decc_core.problem.instance import CostInstance
from decc_core.problem.scenario import Scenario
from decc_core.problem.wire import FP32
from decc_core.study.compare import compare
from decc_core.study.verdict import verdict

AS_THEY_ARE = 32.0
BITS = (AS_THEY_ARE, 16.0, 8.0, 6.0, 4.0, 3.0, 2.0, 1.0, 0.5)
"""Of a floating-point value; numbers of 32 bits travel as they are, without being coded."""


@dataclass(frozen=True)
class BitsRow:
    """The answer at so many bits: what each strategy takes, what the verdict comes down to, and its gain over the
    better device alone."""

    bits: float
    objective_ns: dict[str, int]
    lower_bound_ns: int
    advice: str
    gain: float

    @property
    def winner(self) -> str:
        """The strategy with the smallest objective; of equal ones the simplest."""
        return min(self.objective_ns, key=lambda name: self.objective_ns[name])


def with_bits(scenario: Scenario, bits: float) -> Scenario:
    """The scenario with so many bits for every value; what that does to the accuracy is not known."""
    return replace(scenario, wire=FP32 if bits == AS_THEY_ARE else f"{bits:g}bits", min_agreement=None)


def at_bits(instance: CostInstance, bits: float) -> BitsRow:
    """All strategies on the instance of so many bits."""
    comparison = compare(instance)
    found = {outcome.strategy: outcome.objective_ns for outcome in comparison.outcomes}
    told = verdict(comparison)
    ordered = {name: found[name] for name in STRATEGIES if name in found}
    return BitsRow(bits, ordered, comparison.lower_bound_ns, told.advice, told.gain)


def changes(rows: tuple[BitsRow, ...]) -> tuple[tuple[BitsRow, BitsRow], ...]:
    """Neighbours between which the advice changes, from many bits to few."""
    ordered = sorted(rows, key=lambda row: -row.bits)
    return tuple((more, fewer) for more, fewer in pairwise(ordered) if more.advice != fewer.advice)
