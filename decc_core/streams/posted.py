"""A policy as plain numbers, which travel to where it decides: to the edge of a live run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import isfinite, prod
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from decc_core.errors import InvalidInstance
from decc_core.kernels.codes import UPLINK
from decc_core.streams import engine
from decc_core.streams.menu import Rows
from decc_core.streams.online import Online

if TYPE_CHECKING:
    # Where it decides, a worker, no planner is needed.
    from decc_core.streams.policies import Policy, Site

MOST_CUTS, MOST_ROWS, MOST_PATTERN, MOST_KNOTS = 256, 20_000, 4_096, 200_000
LONGEST_NS = 1 << 58
"""Of a time: what is added up stays within 63 bits."""

Job = tuple[int, int, int, int]


@dataclass(frozen=True)
class Posted:
    """What `Online` needs of a policy for one source and one server; refuses what its compiled loops cannot take.

    The fields are those of the engine's `Rows`, `Rule` and `Memory`; `knots` is the shape of the table `later`.
    """

    jobs: tuple[Job, ...]
    first: tuple[int, ...]
    half_rtt_ns: int
    pattern: tuple[int, ...]
    weights: tuple[float, ...]
    soon_ns: int
    deadline_ns: int
    period_ns: float
    prices: tuple[float, ...]
    knots: tuple[int, int, int, int]
    later: tuple[float, ...]
    reach_ns: float
    holds: tuple[int, ...]
    room: int

    def __post_init__(self) -> None:
        cuts, rows = len(self.first) - 1, len(self.jobs)
        rises = all(a < b for a, b in pairwise(self.first))
        times = [*(time for job in self.jobs for time in job), self.half_rtt_ns, self.soon_ns, self.deadline_ns]
        floats = (*self.weights, *self.prices, *self.later, self.period_ns, self.reach_ns)
        if not (
            1 <= cuts <= MOST_CUTS
            and rows <= MOST_ROWS
            and (self.first[0], self.first[-1]) == (0, rows)
            and rises
            and all(-1 <= time <= LONGEST_NS // max(1, rows) for time in times)
            and min(self.half_rtt_ns, self.soon_ns, *(job[0] for job in self.jobs)) >= 0
            and len(self.pattern) <= MOST_PATTERN
            and all(0 <= place < cuts for place in self.pattern)
            and (len(self.weights), len(self.prices), len(self.holds)) == (engine.LATER + 1, 4, cuts)
            and min(self.knots) >= 1
            and prod(self.knots) == len(self.later) <= MOST_KNOTS
            and all(map(isfinite, floats))
            and min(self.period_ns, self.reach_ns) > 0
            and all(0 <= held <= LONGEST_NS for held in self.holds)
            and abs(self.room) <= engine.FOREVER
        ):
            raise InvalidInstance("A policy came that does not fit together; it was made by another version of DECC.")

    @classmethod
    def of(cls, site: Site, policy: Policy, deadline_ns: int) -> Posted:
        """A policy of a site; refuses one that is too large to travel."""
        rows, rule, memory = policy.menu.rows, site.rule(policy, deadline_ns), site.memory(policy.menu)
        return cls(
            jobs=tuple(map(tuple, rows.jobs.tolist())),
            first=tuple(rows.first.tolist()),
            half_rtt_ns=int(site.instance.half_rtt_ns),
            pattern=tuple(policy.pattern),
            weights=tuple(rule.weights.tolist()),
            soon_ns=rule.soon_ns,
            deadline_ns=rule.deadline_ns,
            period_ns=float(rule.period_ns),
            prices=tuple(rule.prices.tolist()),
            knots=cast("tuple[int, int, int, int]", rule.later.shape),
            later=tuple(rule.later.reshape(-1).tolist()),
            reach_ns=rule.reach_ns,
            holds=tuple(memory.holds.tolist()),
            room=int(memory.room),
        )

    @cached_property
    def jobs_of(self) -> tuple[tuple[Job, ...], ...]:
        """The jobs of each cut of the menu."""
        return tuple(self.jobs[a:b] for a, b in pairwise(self.first))

    def online(self) -> Online:
        """The policy, ready to decide."""
        jobs, first = np.array(self.jobs, np.int64), np.array(self.first, np.int64)
        loads = np.add.reduceat(np.maximum(jobs, 0), first[:-1], axis=0)
        last = np.zeros(len(jobs), np.bool_)
        for a, b in pairwise(self.first):
            last[a + np.flatnonzero(jobs[a:b, UPLINK] >= 0)[-1:]] = True
        cut_of = np.repeat(np.arange(len(loads)), np.diff(first))
        memory = engine.Memory(np.array(self.holds, np.int64), self.room, cut_of, last)
        rule = engine.Rule(
            np.array(self.weights),
            self.soon_ns,
            self.deadline_ns,
            self.period_ns,
            np.array(self.prices),
            np.array(self.later).reshape(self.knots),
            self.reach_ns,
        )
        # What `Online` asks of a site and of a policy.
        site: Any = SimpleNamespace(
            sources=1,
            servers=1,
            instance=SimpleNamespace(half_rtt_ns=self.half_rtt_ns),
            rule=lambda policy, deadline_ns: rule,
            memory=lambda menu: memory,
        )
        policy: Any = SimpleNamespace(pattern=self.pattern, menu=SimpleNamespace(rows=Rows(jobs, first, loads)))
        return Online(site, policy, self.deadline_ns)
