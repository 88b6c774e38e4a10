"""Policies that decide while a stream runs: the same choice as in the simulation, from what is really queued."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from decc_core.errors import InvalidInstance, NotPossible
from decc_core.kernels.codes import CLOUD, DOWNLINK, EDGE, UPLINK
from decc_core.network.arrays import Ints
from decc_core.streams import engine

if TYPE_CHECKING:
    from decc_core.streams.policies import Policy, Site

MOST_IN_FLIGHT = 2_000
LONG_NS = 10**15
"""So long ago, or longer, what waits now became ready; only the order matters."""


class InFlight(NamedTuple):
    """A request that has its cut and is not finished: which, since when, and how far it has come.

    `request` counts decisions from 0.
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
        self._decided = 0
        self._made_ns: dict[int, tuple[int, tuple[int, ...]]] = {}
        self._room = MOST_IN_FLIGHT * int(np.diff(self._rows.first).max())
        self._scratch = engine.scratch_for(MOST_IN_FLIGHT + 1, site.sources, site.servers, self._rows, self._room)
        self._choose(0, (InFlight(0, 0, 0, 0),), None, 0)
        self._made_ns.clear()

    def decide(
        self, now_ns: int, in_flight: Sequence[InFlight], busy_since_ns: Sequence[int] | None = None, source: int = 0
    ) -> int:
        """The place on the menu of the cut that a request takes which arrives now; called once for each, in order.

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
        if pattern:
            place = pattern[seen % len(pattern)]
            held = sum(
                int(self._memory.holds[one.cut]) for one in in_flight if one.source == source and self._on_edge(one)
            )
            fits = held + int(self._memory.holds[place]) <= self._memory.room
        else:
            there = {one.request for one in in_flight}
            self._made_ns = {request: made for request, made in self._made_ns.items() if request in there}
            place = self._choose(now_ns, in_flight, busy_since_ns, source)
            fits = place != engine.REFUSED
        self._seen[source] += 1
        self._decided += 1
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
        return bool(one.made < len(jobs) or one.sent < (jobs[:, UPLINK] >= 0).sum())

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
        waiting: dict[int, list[tuple[int, int, int, int]]] = {UPLINK: [], CLOUD: [], DOWNLINK: []}
        for number, one in enumerate(in_flight):
            arrived[number], sources[number], at = one.arrived_ns - now_ns, one.source, one.source
            first, sent, returned = int(rows.first[one.cut]), 0, 0
            known = self._made_ns.get(one.request)
            foreseen: tuple[int, ...] = known[1] if known and known[0] == one.cut else ()
            for place, (edge, uplink, cloud, downlink) in enumerate(self._jobs(one.cut).tolist()):
                # What the edge has made was ready when that was foreseen, or since the request arrived.
                ready = min(0, (foreseen[place] if foreseen else one.arrived_ns) - now_ns)
                if place >= one.made:
                    if edge > 0:
                        if not state.edge_free[at] and at == source:
                            state.edge_free[at] = max(began[EDGE], -edge)
                        state.edge_free[at] += edge
                    ready = max(0, int(state.edge_free[at]))
                    state.finish[number] = ready
                if uplink < 0:
                    continue
                sent, returned = sent + 1, returned + (downlink >= 0)
                if sent > one.sent:
                    resource = UPLINK
                    state.waiting[at, UPLINK] += uplink
                elif sent > one.computed:
                    resource = CLOUD
                elif downlink >= 0 and returned > one.returned:
                    resource = DOWNLINK
                else:
                    continue
                waiting[resource].append((ready, number, first + place, 0 if resource == CLOUD else at))
                state.waiting[0, CLOUD] += cloud * (sent > one.computed)
                state.waiting[at, DOWNLINK] += max(0, downlink)
            if self._memory.room < engine.FOREVER and self._on_edge(one):
                state.held[at] += self._memory.holds[one.cut]
        for resource, queue, free in (
            (UPLINK, state.uplink, state.uplink_free),
            (CLOUD, state.cloud, state.cloud_free),
            (DOWNLINK, state.downlink, state.downlink_free),
        ):
            for place, (ready, number, row, at) in enumerate(sorted(waiting[resource])):
                if ready <= 0 and began[resource] and (resource == CLOUD or at == source):
                    free[at] = max(began[resource], -int(rows.jobs[row, resource]))
                    began[resource] = 0
                engine.insert(queue, at, ready if ready > 0 else place - len(waiting[resource]) - LONG_NS, number, row)
        half_rtt = site.instance.half_rtt_ns
        engine.settle(0, state, rows.jobs, sources, half_rtt, self._memory._replace(room=int(engine.FOREVER)))
        cut = int(
            engine.dispatch(
                0, n, source, state, rows, half_rtt, arrived, sources, self._rule, self._memory, self._scratch
            )
        )
        if cut != engine.REFUSED:
            edge_ns = self._jobs(cut)[:, EDGE]
            clock = np.cumsum(edge_ns) + np.where(np.cumsum(edge_ns) > 0, int(state.edge_free[source]), 0)
            self._made_ns[self._decided] = cut, tuple((now_ns + clock).tolist())
        return cut
