"""The menu: the cuts that a request may take when it arrives, each as a short chain of jobs, for the simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from decc_core.errors import InvalidInstance
from decc_core.network.arrays import Ints
from decc_core.plans.plan import Execution
from decc_core.problem.instance import Cut, Loads

if TYPE_CHECKING:
    from decc_core.planner.chains import Chain


class Rows(NamedTuple):
    """All jobs of a menu: times on edge, uplink, cloud and downlink in nanoseconds, links negative where nothing goes.

    Those of cut m are the rows from first[m] to first[m + 1]; `loads` has the sums of each cut.
    """

    jobs: Ints
    first: Ints
    loads: Ints


@dataclass(frozen=True, eq=False)
class Menu:
    """Cuts with the order of their tensors, and how they are executed: by branches, or in whole stages (frames)."""

    chains: tuple[Chain, ...]
    execution: Execution
    half_rtt_ns: int

    def __post_init__(self) -> None:
        if not self.chains:
            raise InvalidInstance("A menu needs a cut.")
        if self.execution is Execution.CONSECUTIVE:
            raise InvalidInstance("Streams overlap requests: execute them by branches, or in whole stages.")

    def __len__(self) -> int:
        return len(self.chains)

    @property
    def cuts(self) -> tuple[Cut, ...]:
        return tuple(chain.cut for chain in self.chains)

    @cached_property
    def rows(self) -> Rows:
        branches = self.execution is Execution.BRANCH_PIPELINED
        parts = [chain.jobs if branches else chain.as_stages for chain in self.chains]
        first = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
        loads = np.array([np.maximum(part, 0).sum(axis=0) for part in parts], np.int64)
        return Rows(np.ascontiguousarray(np.concatenate(parts)), first, loads)

    @cached_property
    def alone_ns(self) -> Ints:
        """What a request takes where nobody else is, by its cut."""
        ends = []
        for chain, load in zip(self.chains, self.rows.loads.tolist(), strict=True):
            if self.execution is Execution.BRANCH_PIPELINED:
                ends.append(chain.makespan_ns)
            else:
                ends.append(sum(Loads(*load)) + (2 * self.half_rtt_ns if chain.uses_cloud else 0))
        return np.array(ends, np.int64)

    def take(self, places: Sequence[int]) -> Menu:
        """A smaller menu."""
        return Menu(tuple(self.chains[place] for place in places), self.execution, self.half_rtt_ns)
