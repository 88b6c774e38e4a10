"""The simulation of a stream, compiled: every resource serves what became ready first, whatever its cut.

A request's work on the edge is ready when it arrives, piece after piece, so that the edge serves requests in the order
in which they came. A tensor is ready when it is made, its work in the cloud when it has arrived there, a result when it
is computed. What is served first is then known as soon as nothing can become ready before it any more: everything that
is ready by now is settled, and only that. What is not settled waits in a queue sorted by when it will be ready.

A dispatcher looks, for every cut, what the new request and those in the queues would come to if nobody else arrived,
and at a table of what the work that is left then costs those who come later (`foresee`). Times are integer nanoseconds.
Compiled code is renewed when this file changes, which is why it calls no other loops. What is done for every request is
compiled into its caller: to pass the state's twenty arrays would take longer than to do it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from decc_core.kernels.codes import CLOUD, DOWNLINK, EDGE, UPLINK
from decc_core.network.arrays import Ints

DISPATCHED = -1
"""In place of a request's cut: the dispatcher chooses it."""
REFUSED = -2
"""In place of the cut of a request that the edge had no memory for."""
ALL_SERVED = -1
MEAN, OTHERS, SOON, OVER, BACKLOG, PRICE, LATER = range(7)
"""What a dispatcher weighs: latency, that of the queued, what comes near the deadline, what is beyond it, work on long
queues, prices, and what those who come later pay."""
FOREVER = np.int64(2**62)


class Queue(NamedTuple):
    """For each of several servers, pieces sorted by when they are ready, then by request, then by row of the menu.

    `ends` has the places of the first piece and behind the last one.
    """

    ready: Ints
    request: Ints
    row: Ints
    ends: Ints


class State(NamedTuple):
    """What is settled and what waits: when each server is free, the queues, and work on links and cloud that waits."""

    edge_free: Ints
    uplink_free: Ints
    cloud_free: Ints
    downlink_free: Ints
    uplink: Queue
    cloud: Queue
    downlink: Queue
    waiting: Ints
    finish: Ints
    held: Ints
    leaving: Queue


class Rule(NamedTuple):
    """How a dispatcher weighs: latency costs more from `soon_ns` on, and otherwise from the deadline on.

    `prices` has the price of each resource, `later` what those who come later pay for work that is left on edge,
    uplink, cloud and downlink, at knots that lie closer together near 0, up to `reach_ns`.
    """

    weights: np.ndarray
    soon_ns: int
    deadline_ns: int
    period_ns: float
    prices: np.ndarray
    later: np.ndarray
    reach_ns: float


class Memory(NamedTuple):
    """What a request of each cut holds of its edge until it has left it, of how much in all, in bytes.

    `cut_of` has the cut of each row, `last` whether it is the last of its cut that is sent.
    """

    holds: Ints
    room: int
    cut_of: Ints
    last: np.ndarray


@njit(cache=True)
def _queue(servers, room):
    # Most of the room is never touched, and costs nothing that way.
    return Queue(
        np.empty((servers, room), np.int64),
        np.empty((servers, room), np.int64),
        np.empty((servers, room), np.int64),
        np.zeros((servers, 2), np.int64),
    )


@njit(cache=True)
def _before(ready, request, row, other_ready, other_request, other_row):
    if ready != other_ready:
        return ready < other_ready
    if request != other_request:
        return request < other_request
    return row < other_row


@njit(cache=True)
def insert(queue, at, ready, request, row):
    """Put a piece in its place; False where there is no room."""
    head, tail = queue.ends[at, 0], queue.ends[at, 1]
    room = queue.ready.shape[1]
    if tail == room:
        if head < room // 4 + 1:
            return False
        for k in range(head, tail):
            queue.ready[at, k - head] = queue.ready[at, k]
            queue.request[at, k - head] = queue.request[at, k]
            queue.row[at, k - head] = queue.row[at, k]
        head, tail = 0, tail - head
        queue.ends[at, 0] = 0
    k = tail
    while k > head and _before(
        ready, request, row, queue.ready[at, k - 1], queue.request[at, k - 1], queue.row[at, k - 1]
    ):
        queue.ready[at, k] = queue.ready[at, k - 1]
        queue.request[at, k] = queue.request[at, k - 1]
        queue.row[at, k] = queue.row[at, k - 1]
        k -= 1
    queue.ready[at, k], queue.request[at, k], queue.row[at, k] = ready, request, row
    queue.ends[at, 1] = tail + 1
    return True


@njit(cache=True, inline="always")
def settle(now, state, jobs, source, half_rtt, memory):
    """Serve everything that is ready by now; False where a queue has no room."""
    for s in range(len(state.uplink_free)):
        queue = state.uplink
        while queue.ends[s, 0] < queue.ends[s, 1] and queue.ready[s, queue.ends[s, 0]] <= now:
            k = queue.ends[s, 0]
            queue.ends[s, 0] += 1
            row = queue.row[s, k]
            state.waiting[s, UPLINK] -= jobs[row, UPLINK]
            end = max(queue.ready[s, k], state.uplink_free[s]) + jobs[row, UPLINK]
            state.uplink_free[s] = end
            if memory.room < FOREVER and memory.last[row]:
                gone = max(end, state.finish[queue.request[s, k]])
                if not insert(state.leaving, s, gone, queue.request[s, k], row):
                    return False
            if not insert(state.cloud, 0, end + half_rtt, queue.request[s, k], row):
                return False
    queue = state.cloud
    while queue.ends[0, 0] < queue.ends[0, 1] and queue.ready[0, queue.ends[0, 0]] <= now:
        k = queue.ends[0, 0]
        queue.ends[0, 0] += 1
        row, request = queue.row[0, k], queue.request[0, k]
        server = np.argmin(state.cloud_free)
        end = max(queue.ready[0, k], state.cloud_free[server]) + jobs[row, CLOUD]
        state.cloud_free[server] = end
        state.waiting[0, CLOUD] -= jobs[row, CLOUD]
        if jobs[row, DOWNLINK] >= 0 and not insert(state.downlink, source[request], end, request, row):
            return False
    queue = state.downlink
    for s in range(len(state.downlink_free)):
        while queue.ends[s, 0] < queue.ends[s, 1] and queue.ready[s, queue.ends[s, 0]] <= now:
            k = queue.ends[s, 0]
            queue.ends[s, 0] += 1
            row, request = queue.row[s, k], queue.request[s, k]
            state.waiting[s, DOWNLINK] -= jobs[row, DOWNLINK]
            end = max(queue.ready[s, k], state.downlink_free[s]) + jobs[row, DOWNLINK]
            state.downlink_free[s] = end
            state.finish[request] = max(state.finish[request], end + half_rtt)
    queue = state.leaving
    for s in range(len(state.held)):
        while queue.ends[s, 0] < queue.ends[s, 1] and queue.ready[s, queue.ends[s, 0]] <= now:
            state.held[s] -= memory.holds[memory.cut_of[queue.row[s, queue.ends[s, 0]]]]
            queue.ends[s, 0] += 1
    return True


@njit(cache=True, inline="always")
def _commit(now, request, s, cut, state, rows, memory):
    """Have a request take a cut: its work on the edge is settled by that, its tensors wait until they are made."""
    jobs, first, _ = rows
    clock, works, sends = now, False, False
    for row in range(first[cut], first[cut + 1]):
        if jobs[row, EDGE] > 0:
            if not works:
                clock, works = max(now, state.edge_free[s]), True
            clock += jobs[row, EDGE]
        if jobs[row, UPLINK] >= 0:
            sends = True
            if not insert(state.uplink, s, clock, request, row):
                return False
            state.waiting[s, UPLINK] += jobs[row, UPLINK]
            state.waiting[0, CLOUD] += jobs[row, CLOUD]
            state.waiting[s, DOWNLINK] += max(0, jobs[row, DOWNLINK])
    if works:
        state.edge_free[s] = clock
    state.finish[request] = clock
    if memory.room < FOREVER:
        state.held[s] += memory.holds[cut]
        if not sends and not insert(state.leaving, s, clock, request, first[cut]):
            return False
    return True


class Scratch(NamedTuple):
    """Room for a look ahead: pieces for the cloud from elsewhere (`others`) and from the request's source, and results.

    Columns are ready, request and row; `came` has the finish of each request as it is looked ahead.
    """

    others: Ints
    own: Ints
    results: Ints
    new: Ints
    came: Ints
    cloud_free: Ints
    downlink_free: Ints


@njit(cache=True)
def _elsewhere(s, state, jobs, half_rtt, others):
    """Pieces that wait for the cloud, or will come to it from other sources, sorted; how many there are."""
    count = 0
    queue = state.cloud
    for k in range(queue.ends[0, 0], queue.ends[0, 1]):
        others[count, 0], others[count, 1], others[count, 2] = queue.ready[0, k], queue.request[0, k], queue.row[0, k]
        count += 1
    queue = state.uplink
    for other in range(len(state.uplink_free)):
        if other == s:
            continue
        free = state.uplink_free[other]
        for k in range(queue.ends[other, 0], queue.ends[other, 1]):
            row, request = queue.row[other, k], queue.request[other, k]
            free = max(free, queue.ready[other, k]) + jobs[row, UPLINK]
            count = _put(others, count, free + half_rtt, request, row)
    return count


@njit(cache=True)
def _put(table, count, ready, request, row):
    k = count
    while k > 0 and _before(ready, request, row, table[k - 1, 0], table[k - 1, 1], table[k - 1, 2]):
        table[k, 0], table[k, 1], table[k, 2] = table[k - 1, 0], table[k - 1, 1], table[k - 1, 2]
        k -= 1
    table[k, 0], table[k, 1], table[k, 2] = ready, request, row
    return count + 1


@njit(cache=True)
def _cost(latency, rule):
    """What a latency costs: by its length, as it comes near the deadline, and beyond it."""
    weights = rule.weights
    cost = weights[MEAN] * latency
    if latency > rule.soon_ns:
        near = min(latency, rule.deadline_ns) - rule.soon_ns
        cost += weights[SOON] * near / max(1, rule.deadline_ns - rule.soon_ns)
        if latency > rule.deadline_ns:
            cost += weights[OVER] * (latency - rule.deadline_ns)
    return cost


@njit(cache=True)
def _look_ahead(now, request, s, cut, state, rows, half_rtt, arrival, source, rule, n_others, scratch):
    """What it costs the request, and all others that wait, if it takes a cut and nobody else arrives."""
    jobs, first, _ = rows
    new, own, results, came = scratch.new, scratch.own, scratch.results, scratch.came
    n_new, clock, works = 0, now, False
    for row in range(first[cut], first[cut + 1]):
        if jobs[row, EDGE] > 0:
            if not works:
                clock, works = max(now, state.edge_free[s]), True
            clock += jobs[row, EDGE]
        if jobs[row, UPLINK] >= 0:
            new[n_new, 0], new[n_new, 1] = clock, row
            n_new += 1
    free = state.uplink_free[s]
    waiting = state.uplink
    i, last, j, n_own = waiting.ends[s, 0], waiting.ends[s, 1], 0, 0
    while i < last or j < n_new:
        # Of two that are ready at once the earlier request goes first.
        if j == n_new or (i < last and waiting.ready[s, i] <= new[j, 0]):
            ready, who, row = waiting.ready[s, i], waiting.request[s, i], waiting.row[s, i]
            i += 1
        else:
            ready, who, row = new[j, 0], request, new[j, 1]
            j += 1
        free = max(free, ready) + jobs[row, UPLINK]
        own[n_own, 0], own[n_own, 1], own[n_own, 2] = free + half_rtt, who, row
        n_own += 1
    n_results = 0
    waiting = state.downlink
    for other in range(len(state.downlink_free)):
        for k in range(waiting.ends[other, 0], waiting.ends[other, 1]):
            n_results = _put(
                results, n_results, waiting.ready[other, k], waiting.request[other, k], waiting.row[other, k]
            )
    cloud_free = scratch.cloud_free
    cloud_free[:] = state.cloud_free
    i, j, others = 0, 0, scratch.others
    while i < n_others or j < n_own:
        if j == n_own or (
            i < n_others and _before(others[i, 0], others[i, 1], others[i, 2], own[j, 0], own[j, 1], own[j, 2])
        ):
            ready, who, row = others[i, 0], others[i, 1], others[i, 2]
            i += 1
        else:
            ready, who, row = own[j, 0], own[j, 1], own[j, 2]
            j += 1
        server = np.argmin(cloud_free)
        cloud_free[server] = max(cloud_free[server], ready) + jobs[row, CLOUD]
        if jobs[row, DOWNLINK] >= 0:
            n_results = _put(results, n_results, cloud_free[server], who, row)
    for k in range(n_results):
        came[results[k, 1]] = state.finish[results[k, 1]]
    came[request] = clock
    downlink_free = scratch.downlink_free
    downlink_free[:] = state.downlink_free
    for k in range(n_results):
        who, row = results[k, 1], results[k, 2]
        at = source[who]
        downlink_free[at] = max(downlink_free[at], results[k, 0]) + jobs[row, DOWNLINK]
        came[who] = max(came[who], downlink_free[at] + half_rtt)
    cost = _cost(came[request] - now, rule)
    came[request] = ALL_SERVED
    others = rule.weights[OTHERS]
    for k in range(n_results):
        who = results[k, 1]
        if came[who] != ALL_SERVED:
            if others > 0:
                cost += others * _cost(came[who] - arrival[who], rule)
            came[who] = ALL_SERVED
    return cost


@njit(cache=True)
def _knot(size, x, reach):
    """Between which knots a value lies, and how far on the way; knots lie as squares do."""
    if size == 1:
        return 0, 0.0
    k = min(size - 2, int((size - 1) * np.sqrt(x / reach)))
    low = reach * (k / (size - 1)) ** 2
    high = reach * ((k + 1) / (size - 1)) ** 2
    return k, (x - low) / (high - low)


@njit(cache=True)
def _between(table, reach, edge, uplink, cloud, downlink):
    """A table's value: linear between its knots, and beyond the last ones."""
    i, edge_part = _knot(table.shape[0], edge, reach)
    j, uplink_part = _knot(table.shape[1], uplink, reach)
    k, cloud_part = _knot(table.shape[2], cloud, reach)
    m, downlink_part = _knot(table.shape[3], downlink, reach)
    return _mixed(table, i, edge_part, j, uplink_part, k, cloud_part, m, downlink_part)


@njit(cache=True)
def _mixed(table, i, edge_part, j, uplink_part, k, cloud_part, m, downlink_part):
    """What lies so far on the way from each of four knots to the next."""
    total = 0.0
    for a in range(2):
        by_edge = edge_part if a else 1 - edge_part
        if by_edge == 0:
            continue
        for b in range(2):
            by_uplink = by_edge * (uplink_part if b else 1 - uplink_part)
            if by_uplink == 0:
                continue
            for c in range(2):
                by_cloud = by_uplink * (cloud_part if c else 1 - cloud_part)
                if by_cloud == 0:
                    continue
                total += by_cloud * (1 - downlink_part) * table[i + a, j + b, k + c, m]
                if downlink_part != 0:
                    total += by_cloud * downlink_part * table[i + a, j + b, k + c, m + 1]
    return total


@njit(cache=True)
def _work_at(knot, size, reach):
    """The work on a resource for which a table of so many knots has its values at one of them."""
    return reach * (knot / max(1, size - 1)) ** 2


@njit(cache=True)
def foresee(loads, overlap, uses_cloud, half_rtt, gaps, drains, rule, shape, rounds, tolerance):
    """A table of what those who come later pay for work that is left, by value iteration, for the best of all choices.

    The next request comes after one of the `gaps`, which are equally likely; in that time a resource does its share of
    it (`drains`) of the work that it has, whatever the others do. A request's stages take their turns behind that work;
    `overlap` is what each cut saves by doing things at once. The table is 0 where nothing is left.
    """
    reach, n_gaps, n_cuts = rule.reach_ns, len(gaps), len(loads)
    # Where each knot of each resource comes to by a gap, or by a cut, and what a cut costs: the same in all rounds.
    gone, gone_part = np.zeros((4, max(shape), n_gaps), np.int64), np.zeros((4, max(shape), n_gaps))
    come, come_part = np.zeros((4, max(shape), n_cuts), np.int64), np.zeros((4, max(shape), n_cuts))
    for resource in range(4):
        for knot in range(shape[resource]):
            work = _work_at(knot, shape[resource], reach)
            for g in range(n_gaps):
                left = max(0.0, work - gaps[g] * drains[resource])
                gone[resource, knot, g], gone_part[resource, knot, g] = _knot(shape[resource], left, reach)
            for cut in range(n_cuts):
                grown = min(reach, work + loads[cut, resource])
                come[resource, knot, cut], come_part[resource, knot, cut] = _knot(shape[resource], grown, reach)
    values, after = np.zeros(shape), np.zeros(shape)
    costs = np.zeros((values.size, n_cuts))
    for place, (i, j, k, m) in enumerate(np.ndindex(shape)):
        for cut in range(n_cuts):
            load = loads[cut]
            ends = _work_at(i, shape[EDGE], reach) + load[EDGE] if load[EDGE] > 0 else 0.0
            if uses_cloud[cut]:
                ends = max(ends, _work_at(j, shape[UPLINK], reach)) + load[UPLINK] + half_rtt
                ends = max(ends, _work_at(k, shape[CLOUD], reach)) + load[CLOUD]
                ends = max(ends, _work_at(m, shape[DOWNLINK], reach)) + load[DOWNLINK] + half_rtt
            costs[place, cut] = _cost(ends - overlap[cut], rule)
    for _ in range(rounds):
        for i, j, k, m in np.ndindex(shape):
            total = 0.0
            for g in range(n_gaps):
                total += _mixed(
                    values,
                    gone[EDGE, i, g], gone_part[EDGE, i, g],
                    gone[UPLINK, j, g], gone_part[UPLINK, j, g],
                    gone[CLOUD, k, g], gone_part[CLOUD, k, g],
                    gone[DOWNLINK, m, g], gone_part[DOWNLINK, m, g],
                )  # fmt: skip
            after[i, j, k, m] = total / n_gaps
        changed, level = 0.0, 0.0
        # Where nothing is left comes first, and is the level of all others.
        for place, (i, j, k, m) in enumerate(np.ndindex(shape)):
            best = np.inf
            for cut in range(n_cuts):
                cost = costs[place, cut] + _mixed(
                    after,
                    come[EDGE, i, cut], come_part[EDGE, i, cut],
                    come[UPLINK, j, cut], come_part[UPLINK, j, cut],
                    come[CLOUD, k, cut], come_part[CLOUD, k, cut],
                    come[DOWNLINK, m, cut], come_part[DOWNLINK, m, cut],
                )  # fmt: skip
                best = min(best, cost)
            if place == 0:
                level = best
            changed = max(changed, abs(best - level - float(values[i, j, k, m])))
            values[i, j, k, m] = best - level
        if changed < tolerance:
            break
    return after - after[0, 0, 0, 0]


@njit(cache=True)
def dispatch(now, request, s, state, rows, half_rtt, arrival, source, rule, memory, scratch):
    """The cut that costs least of those that the edge has memory for, of equal ones the first; REFUSED for none."""
    n_others = _elsewhere(s, state, rows.jobs, half_rtt, scratch.others)
    servers, weights = len(state.cloud_free), rule.weights
    backlog = np.empty(4)
    backlog[EDGE] = max(0, state.edge_free[s] - now)
    backlog[UPLINK] = state.waiting[s, UPLINK] + max(0, state.uplink_free[s] - now)
    backlog[DOWNLINK] = state.waiting[s, DOWNLINK] + max(0, state.downlink_free[s] - now)
    clouded = float(state.waiting[0, CLOUD])
    for server in range(servers):
        clouded += max(0, state.cloud_free[server] - now)
    backlog[CLOUD] = clouded / servers
    best, least = REFUSED, np.inf
    for cut in range(len(rows.loads)):
        if state.held[s] + memory.holds[cut] > memory.room:
            continue
        cost = _look_ahead(now, request, s, cut, state, rows, half_rtt, arrival, source, rule, n_others, scratch)
        load = rows.loads[cut].astype(np.float64)
        load[CLOUD] /= servers
        for resource in range(4):
            own = load[resource]
            cost += weights[BACKLOG] * own * (backlog[resource] + own / 2) / rule.period_ns
            cost += weights[PRICE] * rule.prices[resource] * own
        if weights[LATER] > 0:
            left = backlog + load
            cost += weights[LATER] * _between(
                rule.later, rule.reach_ns, left[EDGE], left[UPLINK], left[CLOUD], left[DOWNLINK]
            )
        if cost < least:
            best, least = cut, cost
    return best


@njit(cache=True)
def nothing_done(n, n_sources, servers, room, limited):
    """The state of `n` requests before the first of them, and queues that hold so many pieces.

    Where memory is `limited` it is kept who leaves the edge when.
    """
    return State(
        np.zeros(n_sources, np.int64),
        np.zeros(n_sources, np.int64),
        np.zeros(servers, np.int64),
        np.zeros(n_sources, np.int64),
        _queue(n_sources, room),
        _queue(1, room),
        _queue(n_sources, room),
        np.zeros((n_sources, 4), np.int64),
        np.zeros(n, np.int64),
        np.zeros(n_sources, np.int64),
        _queue(n_sources, room if limited else 1),
    )


@njit(cache=True)
def scratch_for(n, n_sources, servers, rows, most_waiting):
    """Room to look ahead at so many pieces that wait."""
    longest = 0
    for cut in range(len(rows.first) - 1):
        longest = max(longest, rows.first[cut + 1] - rows.first[cut])
    size = most_waiting + longest + 1
    return Scratch(
        np.zeros((size, 3), np.int64),
        np.zeros((size, 3), np.int64),
        np.zeros((size, 3), np.int64),
        np.zeros((longest + 1, 2), np.int64),
        np.full(n, ALL_SERVED, np.int64),
        np.zeros(servers, np.int64),
        np.zeros(n_sources, np.int64),
    )


@njit(cache=True)
def simulate(arrival, source, chosen, rows, half_rtt, n_sources, servers, rule, room, most_waiting, memory):
    """The cut and the finish of every request, and how many came before a queue had no room, or ALL_SERVED.

    `chosen` has a cut for each request, or DISPATCHED. `room` is how many pieces a queue holds; a dispatcher gives up
    where more than `most_waiting` pieces wait, which it would have to look at for every request.
    """
    n = len(arrival)
    state = nothing_done(n, n_sources, servers, room, memory.room < FOREVER)
    dispatches = False
    for r in range(n):
        if chosen[r] == DISPATCHED:
            dispatches = True
            break
    scratch = scratch_for(n if dispatches else 1, n_sources, servers, rows, most_waiting if dispatches else 1)
    taken = chosen.copy()
    for r in range(n):
        now, s = arrival[r], source[r]
        if not settle(now, state, rows.jobs, source, half_rtt, memory):
            return taken, state.finish, r
        if chosen[r] == DISPATCHED:
            waiting = state.cloud.ends[0, 1] - state.cloud.ends[0, 0]
            for other in range(n_sources):
                waiting += state.uplink.ends[other, 1] - state.uplink.ends[other, 0]
                waiting += state.downlink.ends[other, 1] - state.downlink.ends[other, 0]
            if waiting > most_waiting:
                return taken, state.finish, r
            taken[r] = dispatch(now, r, s, state, rows, half_rtt, arrival, source, rule, memory, scratch)
        if taken[r] != REFUSED and state.held[s] + memory.holds[taken[r]] > memory.room:
            taken[r] = REFUSED
        if taken[r] == REFUSED:
            state.finish[r] = FOREVER
            continue
        if not _commit(now, r, s, taken[r], state, rows, memory):
            return taken, state.finish, r
    # Whatever is left comes in its turn, piece by piece, so that what it makes ready is settled, too.
    while True:
        soonest = FOREVER
        for queue in (state.uplink, state.cloud, state.downlink):
            for at in range(len(queue.ends)):
                if queue.ends[at, 0] < queue.ends[at, 1]:
                    soonest = min(soonest, queue.ready[at, queue.ends[at, 0]])
        if soonest == FOREVER:
            return taken, state.finish, ALL_SERVED
        if not settle(soonest, state, rows.jobs, source, half_rtt, memory):
            return taken, state.finish, n
