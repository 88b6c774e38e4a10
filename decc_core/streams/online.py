"""Policies that decide while a stream runs: the same choice as in the simulation, from what is really queued."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from decc_core.errors import InvalidInstance, NotPossible
from decc_core.network.arrays import Ints
from decc_core.streams import engine

if TYPE_CHECKING:
    from decc_core.streams.policies import Policy, Site

MOST_IN_FLIGHT = 2_000


class InFlight(NamedTuple):
    """A request that has its cut and is not finished: which, since when, and how far it has come.

    `cut` is the place on the policy's menu. The jobs of a cut are worked on in their order: `made` of them are done on
    the edge; of those that have a tensor, `sent` have left the uplink, `computed` are done in the cloud, and of those
    that have a result, `returned` are back.
    """

    request: int
    source: int
    cut: int
    arrived_ns: int
    made: int = 0
    sent: int = 0
    computed: int = 0
    returned: int = 0


class Online:
    """One policy that decides request by request; not to be shared by threads.

    Making one compiles what a decision needs, so that the first decision is as quick as the others.
    """

    def __init__(self, site: Site, policy: Policy, deadline_ns: int) -> None:
        self.site, self.policy = site, policy
        self._rows, self._rule = policy.menu.rows, site.rule(policy, deadline_ns)
        self._memory = site.memory(policy.menu)
        self._seen = [0] * site.sources
        self._room = MOST_IN_FLIGHT * int(np.diff(self._rows.first).max())
        self._scratch = engine.scratch_for(MOST_IN_FLIGHT + 1, site.sources, site.servers, self._rows, self._room)
        self._choose(0, (InFlight(0, 0, 0, 0),), None, 0)

    def decide(
        self, now_ns: int, in_flight: Sequence[InFlight], busy_since_ns: Sequence[int] | None = None, source: int = 0
    ) -> int:
        """The place on the menu of the cut that a request takes which arrives now.

        `in_flight` are all that have a cut and are not finished, of all sources, in order of arrival; `busy_since_ns`
        says when edge, uplink and downlink of this source, and the cloud, began what they work on now, which is the
        first in their queue; the present where they are idle. Raises `NotPossible` where the edge has no memory for the
        request.
        """
        if not 0 <= source < self.site.sources:
            raise InvalidInstance(f"There is no source {source}; they are numbered from 0 to {self.site.sources - 1}.")
        if len(in_flight) > MOST_IN_FLIGHT:
            raise NotPossible(
                f"{len(in_flight):,} requests are in flight, more than {MOST_IN_FLIGHT:,}: the queues grow without "
                "end. Choose a lower rate."
            )
        seen, pattern = self._seen[source], self.policy.pattern
        self._seen[source] += 1
        if pattern:
            place = pattern[seen % len(pattern)]
            held = sum(
                int(self._memory.holds[one.cut]) for one in in_flight if one.source == source and self._on_edge(one)
            )
            fits = held + int(self._memory.holds[place]) <= self._memory.room
        else:
            place = self._choose(now_ns, in_flight, busy_since_ns, source)
            fits = place != engine.REFUSED
        if not fits:
            raise NotPossible(
                "The edge has no memory left for another request: "
                f"{sum(one.source == source for one in in_flight):,} of its requests are in flight."
            )
        return place

    def _jobs(self, cut: int) -> Ints:
        jobs: Ints = self._rows.jobs[self._rows.first[cut] : self._rows.first[cut + 1]]
        return jobs

    def _on_edge(self, one: InFlight) -> bool:
        """Whether a request still holds memory of its edge."""
        jobs = self._jobs(one.cut)
        return bool(one.made < len(jobs) or one.sent < (jobs[:, engine.UPLINK] >= 0).sum())

    def _choose(
        self, now_ns: int, in_flight: Sequence[InFlight], busy_since_ns: Sequence[int] | None, source: int
    ) -> int:
        """What the engine's dispatcher chooses in this state; times count from the present."""
        site, rows, n = self.site, self._rows, len(in_flight)
        pieces = sum(len(self._jobs(one.cut)) for one in in_flight)
        state = engine.nothing_done(n + 1, site.sources, site.servers, pieces + 1, False)
        arrived = np.zeros(n + 1, np.int64)
        sources = np.full(n + 1, source, np.int64)
        # What is worked on was begun then, and ends now at the earliest: it would be gone from its queue.
        began = [min(0, int(since) - now_ns) for since in busy_since_ns or (now_ns,) * 4]
        for number, one in enumerate(in_flight):
            arrived[number], sources[number], at = one.arrived_ns - now_ns, one.source, one.source
            first, sent, returned = int(rows.first[one.cut]), 0, 0
            for place, (edge, uplink, cloud, downlink) in enumerate(self._jobs(one.cut).tolist()):
                # Ready since long ago, in order of arrival, unless the edge has still to make it.
                ready = number - n
                if place >= one.made:
                    if edge > 0:
                        free, began[engine.EDGE] = (began[engine.EDGE], 0) if at == source else (0, began[engine.EDGE])
                        state.edge_free[at] = max(0, int(state.edge_free[at]) + free + edge)
                    ready = int(state.edge_free[at])
                state.finish[number] = max(0, int(state.edge_free[at]) if place >= one.made else 0)
                if uplink < 0:
                    continue
                sent, returned = sent + 1, returned + (downlink >= 0)
                if sent > one.sent:
                    self._wait(
                        engine.UPLINK, state.uplink, state.uplink_free, at, ready, number, first + place, began, source
                    )
                elif sent > one.computed:
                    self._wait(
                        engine.CLOUD, state.cloud, state.cloud_free, 0, ready, number, first + place, began, source
                    )
                elif downlink >= 0 and returned > one.returned:
                    self._wait(
                        engine.DOWNLINK, state.downlink, state.downlink_free, at, ready, number, first + place, began,
                        source,
                    )  # fmt: skip
                else:
                    continue
                state.waiting[at, engine.UPLINK] += uplink * (sent > one.sent)
                state.waiting[0, engine.CLOUD] += cloud * (sent > one.computed)
                state.waiting[at, engine.DOWNLINK] += max(0, downlink)
            if self._memory.room < engine.FOREVER and self._on_edge(one):
                state.held[at] += self._memory.holds[one.cut]
        half_rtt = site.instance.half_rtt_ns
        engine.settle(0, state, rows.jobs, sources, half_rtt, self._memory._replace(room=int(engine.FOREVER)))
        return int(
            engine.dispatch(
                0, n, source, state, rows, half_rtt, arrived, sources, self._rule, self._memory, self._scratch
            )
        )

    def _wait(
        self, resource: int, queue: engine.Queue, free: Ints, at: int, ready: int, number: int, row: int,
        began: list[int], source: int,
    ) -> None:  # fmt: skip
        """Put a piece in its queue; the first one that is ready there is the one that is worked on."""
        if ready <= 0 and began[resource] and (resource == engine.CLOUD or at == source):
            free[at] = max(began[resource], -int(self._rows.jobs[row, resource]))
            began[resource] = 0
        engine.insert(queue, at, ready, number, row)
