"""The desk: all that is known of one instance, found when it is first asked for, handed on, and gone with it."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from decc_core import ranges
from decc_core.planner.bounds import lower_bound_ns
from decc_core.planner.candidates import Candidates
from decc_core.planner.chains import Chains
from decc_core.planner.delays import Delays
from decc_core.planner.mincut import CutNetwork
from decc_core.planner.mixes import Mixes
from decc_core.planner.one_request import OneRequest, search_one_request
from decc_core.planner.segment_search import SegmentSearch
from decc_core.plans.plan import Plan
from decc_core.plans.schedule import Schedule
from decc_core.problem.instance import CostInstance, Objective
from decc_core.text import bytes_text, duration

NATIVE_ERROR = 0.05
"""Half of the native runs are off by so much or more, predicted from profiles and link alone."""


class Solution(NamedTuple):
    """A plan that keeps every rule, and its schedule, both checked by judges who share no code with their makers."""

    plan: Plan
    schedule: Schedule


class Simpler(NamedTuple):
    """A plan that was taken though another is better on paper, by less than predictions are known to be off."""

    better_ns: int
    taken_ns: int
    better_bytes: int
    taken_bytes: int
    better_pieces: int
    taken_pieces: int

    def __str__(self) -> str:
        sent = f"sends {bytes_text(self.taken_bytes)} instead of {bytes_text(self.better_bytes)}"
        if self.taken_bytes == self.better_bytes:
            sent = "sends as much"
        return (
            f"takes {duration(self.taken_ns)} where another one takes {duration(self.better_ns)} on paper: as good "
            f"within the error of prediction, and simpler. It {sent}, and its pieces of work are {self.taken_pieces} "
            f"instead of {self.better_pieces}."
        )


class Analysis:
    """What strategies know of an instance; they share it, so that nothing is computed twice.

    `prediction_error` is by what fraction predictions are known to be off: of plans that differ by less, decc takes the
    one that sends least, in the fewest pieces.
    """

    def __init__(self, instance: CostInstance, prediction_error: float = 0.0) -> None:
        ranges.require("error of prediction", prediction_error, 0, 1)
        self.instance, self.prediction_error = instance, prediction_error
        self.simpler: Simpler | None = None
        """What decc gave up for a simpler plan, if anything."""
        self.solutions: dict[str, Solution] = {}
        """What strategies have found, by name."""
        self.not_possible: dict[str, str] = {}
        """Why strategies have no plan, by name."""
        self.more_starts: list[Plan] = []
        """Legal plans from elsewhere, from which a search may start."""

    @property
    def starts(self) -> list[Plan]:
        """All plans that are on the desk."""
        return [*(solution.plan for solution in self.solutions.values()), *self.more_starts]

    @cached_property
    def network(self) -> CutNetwork:
        """Cuts under weights, prefixes, and what the constraints allow."""
        return CutNetwork(self.instance)

    @cached_property
    def delays(self) -> Delays:
        """Heads and tails of tensors."""
        return Delays(self.instance)

    @cached_property
    def mixes(self) -> Mixes:
        """The LP over mixes of cuts."""
        return Mixes(self.network)

    @cached_property
    def candidates(self) -> Candidates:
        """Cuts worth considering."""
        return Candidates(self.network, self.mixes)

    @cached_property
    def chains(self) -> Chains:
        """Cuts with the best order of their tensors."""
        return Chains(self.network)

    @cached_property
    def segments(self) -> SegmentSearch:
        """The cuts inside segments."""
        return SegmentSearch(self.network, self.delays, self.chains)

    @cached_property
    def one_request(self) -> OneRequest:
        """The search for one request alone."""
        return search_one_request(self.candidates.undominated, self.segments, self.mixes)

    @cached_property
    def bound_ns(self) -> int:
        """A proven lower bound on the objective of every plan."""
        single = self.instance.requests == 1 and self.instance.objective is Objective.MAKESPAN
        alone = self.one_request if single else None
        return lower_bound_ns(self.instance, self.candidates.undominated, self.delays, self.mixes, alone)
