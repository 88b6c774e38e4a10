"""A stream simulated event by event, by itself: shares no code with the engine, and may be slow.

At every instant all that ends is noted first; then each idle server takes, of what is ready, what became ready first,
of equals that of the earlier request.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

Job = tuple[int, int, int, int]
Log = dict[tuple[str, int, int], tuple[int, int]]


def finish_times(
    arrivals: Sequence[int],
    sources: Sequence[int],
    cuts: Sequence[Sequence[Job]],
    half_rtt: int,
    servers: int,
    log: Log | None = None,
) -> list[int]:
    """When each request is finished; `cuts` has each request's own jobs, links negative where nothing goes.

    The log tells when each job of each request began and ended on each resource.
    """
    events: list[tuple[int, int, str, tuple[int, int]]] = []
    numbers = iter(range(10**9))
    waiting: dict[tuple[str, int], list[tuple[int, int, int]]] = {}
    busy: dict[tuple[str, int], int] = {}
    finish = list(arrivals)
    # The edge serves whole requests in the order in which they came; a request without edge work is not served there.
    done_on_edge = [0] * len(arrivals)

    def happen(at: int, what: str, piece: tuple[int, int]) -> None:
        heapq.heappush(events, (at, next(numbers), what, piece))

    def ready(at: int, place: tuple[str, int], request: int, job: int) -> None:
        heapq.heappush(waiting.setdefault(place, []), (at, request, job))

    def go_on(now: int, request: int) -> None:
        """The request's next work on the edge is at hand; tensors that need none of it are ready."""
        jobs = cuts[request]
        while done_on_edge[request] < len(jobs):
            job = done_on_edge[request]
            edge, uplink, _, _ = jobs[job]
            if edge > 0:
                ready(arrivals[request], ("edge", sources[request]), request, job)
                return
            if uplink >= 0:
                ready(now, ("uplink", sources[request]), request, job)
            done_on_edge[request] += 1
        finish[request] = max(finish[request], now)

    for request, at in enumerate(arrivals):
        happen(at, "arrives", (request, 0))
    while events:
        now = events[0][0]
        while events and events[0][0] == now:
            _, _, what, (request, job) = heapq.heappop(events)
            _, uplink, _, downlink = cuts[request][job]
            if what == "arrives":
                go_on(now, request)
            elif what == "edge":
                busy["edge", sources[request]] -= 1
                if uplink >= 0:
                    ready(now, ("uplink", sources[request]), request, job)
                done_on_edge[request] += 1
                go_on(now, request)
            elif what == "uplink":
                busy["uplink", sources[request]] -= 1
                happen(now + half_rtt, "there", (request, job))
            elif what == "there":
                ready(now, ("cloud", 0), request, job)
            elif what == "cloud":
                busy["cloud", 0] -= 1
                if downlink >= 0:
                    ready(now, ("downlink", sources[request]), request, job)
            elif what == "downlink":
                busy["downlink", sources[request]] -= 1
                finish[request] = max(finish[request], now + half_rtt)
        for place, pieces in waiting.items():
            kind, _ = place
            while pieces and busy.get(place, 0) < (servers if kind == "cloud" else 1):
                _, request, job = heapq.heappop(pieces)
                busy[place] = busy.get(place, 0) + 1
                takes = cuts[request][job][("edge", "uplink", "cloud", "downlink").index(kind)]
                happen(now + takes, kind, (request, job))
                if log is not None:
                    log[kind, request, job] = (now, now + takes)
    return finish
