"""Where the best strategy changes as the uplink gets faster, found by planning between the points of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

from decc_core.study.sweep import Cell

MAX_PROBES = 128
"""Winners that change too often to be told apart would otherwise be followed for ever."""


@dataclass(frozen=True)
class Crossover:
    """Between two rates the winner changes from one strategy to another; both rates were planned."""

    low: Cell
    high: Cell

    @property
    def before(self) -> str:
        return self.low.winner

    @property
    def after(self) -> str:
        return self.high.winner

    @property
    def uplink_bps(self) -> float:
        """The geometric middle of the two rates."""
        return sqrt(self.low.uplink_bps * self.high.uplink_bps)

    @property
    def width(self) -> float:
        """How far the two rates lie apart, as a fraction of the lower one."""
        return self.high.uplink_bps / self.low.uplink_bps - 1


def crossovers(cells: Iterable[Cell]) -> tuple[Crossover, ...]:
    """The changes of the winner between neighbours in rate, all at one edge speed."""
    ordered = sorted(cells, key=lambda cell: cell.uplink_bps)
    return tuple(Crossover(low, high) for low, high in pairwise(ordered) if low.winner != high.winner)


def refine(
    cells: Sequence[Cell], plan_at: Callable[[float], Cell], within: float = 0.01, limit: int = MAX_PROBES
) -> Iterator[Cell]:
    """Cells between the given ones, so that every change of the winner among these is known to within a fraction.

    Bisects each change on the logarithm of the rate, by planning at the middle; where a third strategy wins there, both
    halves are followed. A strategy that wins only between two cells with the same winner is not found.
    """
    open_changes = list(reversed(crossovers(cells)))
    for _ in range(limit):
        while open_changes and open_changes[-1].width <= within:
            open_changes.pop()
        if not open_changes:
            return
        change = open_changes.pop()
        middle = plan_at(change.uplink_bps)
        yield middle
        open_changes += reversed(crossovers((change.low, middle, change.high)))
