"""The order of work in the cloud, for networks with several outputs to bring back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from decc_core.kernels.codes import NOTHING, UNKNOWN

WORD = 56
"""Layers that one word stands for, one bit each: whole bytes, and no sign bit."""
KNOWN_STATES = 1 << 12
"""Of the states that a search went through, how many it remembers."""


@njit(cache=True)
def sums_behind(first, before, times, backwards):
    """For each layer the summed times of itself and all that it is reached from over the ragged lists `before`.

    Lists name layers that stand earlier, or later if the layers are taken `backwards`. Sums are made for a word of
    sources at a time: a layer's word is the union of the words before it, and is summed byte by byte from a table.
    """
    n = len(times)
    sums, word = np.zeros(n, np.int64), np.zeros(n, np.int64)
    table = np.zeros((WORD // 8, 256), np.int64)
    for low in range(0, n, WORD):
        for byte in range(WORD // 8):
            for bits in range(1, 256):
                place = low + 8 * byte
                for shift in range(8):
                    if bits >> shift & 1:
                        place += shift
                        break
                time = np.int64(0)
                if place < n:
                    time = times[n - 1 - place] if backwards else times[place]
                table[byte, bits] = table[byte, bits & (bits - 1)] + time
        for place in range(low, n):
            layer = n - 1 - place if backwards else place
            union = np.int64(1) << (place - low) if place < low + WORD else np.int64(0)
            for k in range(first[layer], first[layer + 1]):
                union |= word[before[k]]
            word[layer] = union
            for byte in range(WORD // 8):
                sums[layer] += table[byte, union >> 8 * byte & 255]
        for place in range(low, min(low + WORD, n)):
            word[n - 1 - place if backwards else place] = 0
    return sums


class CloudSide(NamedTuple):
    """What one cut leaves to the cloud, its layers numbered in stored order.

    `back_ns` is the downlink time of a layer's outputs, or NOTHING; `tail_ns` bounds the time from a layer's end to the
    last result that waits for it. Ragged: parents, children, and the places of the crossing tensors that a layer reads.
    The `key` of a layer tells sets of layers apart.
    """

    time_ns: np.ndarray
    back_ns: np.ndarray
    tail_ns: np.ndarray
    parent_first: np.ndarray
    parents: np.ndarray
    child_first: np.ndarray
    children: np.ndarray
    need_first: np.ndarray
    needs: np.ndarray
    key: np.ndarray


@njit(cache=True)
def cloud_side(on_edge, tensors, arrays, cloud_ns, downlink_ns, half_rtt):
    """The cloud's side of a cut whose crossing tensors are numbered by their place in `tensors`.

    `cloud_ns` is what each layer takes there with this cut, the receiving of tensors included.
    """
    made_first, is_output = arrays.made_first, arrays.is_output
    consumer_first, consumers = arrays.consumer_first, arrays.consumers
    child_first, children = arrays.child_first, arrays.children
    parent_first, parents = arrays.parent_first, arrays.parents
    number, n = np.full(len(on_edge), UNKNOWN, np.int64), 0
    for layer in range(len(on_edge)):
        if not on_edge[layer]:
            number[layer] = n
            n += 1
    time_ns, back_ns = np.zeros(n, np.int64), np.full(n, NOTHING, np.int64)
    own_child_first, own_children = np.zeros(n + 1, np.int64), np.empty(len(children), np.int64)
    own_parent_first, own_parents = np.zeros(n + 1, np.int64), np.empty(len(parents), np.int64)
    need_first = np.zeros(n + 1, np.int64)
    for layer in range(len(on_edge)):
        i = number[layer]
        if i == UNKNOWN:
            continue
        time_ns[i] = cloud_ns[layer]
        to = own_child_first[i]
        for k in range(child_first[layer], child_first[layer + 1]):
            own_children[to] = number[children[k]]
            to += 1
        own_child_first[i + 1] = to
        to = own_parent_first[i]
        for k in range(parent_first[layer], parent_first[layer + 1]):
            if not on_edge[parents[k]]:
                own_parents[to] = number[parents[k]]
                to += 1
        own_parent_first[i + 1] = to
        for tensor in range(made_first[layer], made_first[layer + 1]):
            if is_output[tensor]:
                back_ns[i] = max(0, back_ns[i]) + downlink_ns[tensor]
    for tensor in tensors:
        for k in range(consumer_first[tensor], consumer_first[tensor + 1]):
            if not on_edge[consumers[k]]:
                need_first[number[consumers[k]] + 1] += 1
    for i in range(n):
        need_first[i + 1] += need_first[i]
    needs, filled = np.empty(need_first[n], np.int64), need_first.copy()
    for place in range(len(tensors)):
        for k in range(consumer_first[tensors[place]], consumer_first[tensors[place] + 1]):
            if not on_edge[consumers[k]]:
                i = number[consumers[k]]
                needs[filled[i]] = place
                filled[i] += 1
    tail_ns, key = _tails(time_ns, back_ns, own_child_first, own_children, half_rtt), np.empty(n, np.int64)
    for i in range(n):
        key[i] = _scattered(i)
    return CloudSide(
        time_ns, back_ns, tail_ns, own_parent_first, own_parents, own_child_first, own_children, need_first, needs, key
    )


@njit(cache=True)
def _tails(time_ns, back_ns, child_first, children, half_rtt):
    """For each layer of a cloud's side a bound on the time from its end to the last result that waits for it."""
    n = len(time_ns)
    # Behind a layer: the longest way; all work that waits for it; all that comes back once the nearest output can.
    never = np.int64(2**62)
    returned = np.zeros(n, np.int64)
    for i in range(n):
        returned[i] = max(0, back_ns[i])
    all_work = sums_behind(child_first, children, time_ns, True)
    all_returned = sums_behind(child_first, children, returned, True)
    tail_ns, least_tail, nearest = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    for i in range(n - 1, -1, -1):
        ends = back_ns[i] != NOTHING
        longest = back_ns[i] + half_rtt if ends else np.int64(0)
        least, nearest[i] = never, np.int64(0) if ends else never
        for k in range(child_first[i], child_first[i + 1]):
            child = children[k]
            longest = max(longest, time_ns[child] + tail_ns[child])
            least = min(least, least_tail[child])
            nearest[i] = min(nearest[i], time_ns[child] + nearest[child])
        if least < never:
            longest = max(longest, all_work[i] - time_ns[i] + least)
        tail_ns[i] = max(longest, nearest[i] + all_returned[i] + half_rtt)
        least_tail[i] = min(least, tail_ns[i])
    return tail_ns


@njit(cache=True)
def _scattered(i):
    """A number's bits spread over a word, so that sums of such numbers tell sets apart."""
    x = np.uint64(i + 1) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64(x ^ (x >> np.uint64(31)))


@njit(cache=True)
def _preemptive_end(order, head, time, tail, free, skip, below):
    """A bound on the end of the work that one resource has left, in `order` of its heads, and the steps taken.

    At any time the ready work with the longest tail is served, whatever was begun before it; no order ends earlier.
    Nothing starts before `free`; work marked in `skip` is done. Stops at `below`.
    """
    n = len(order)
    left = np.empty(n, np.int64)
    ready = np.empty(n, np.int64)
    count = steps = i = 0
    end, now = np.int64(0), free
    while i < n or count:
        steps += 1
        while i < n and (head[order[i]] <= now or not count):
            piece = order[i]
            i += 1
            if skip[piece]:
                continue
            if not count:
                now = max(now, head[piece])
            # Kept by rising tail, so that the last one is next.
            to = count
            while to and tail[ready[to - 1]] > tail[piece]:
                ready[to] = ready[to - 1]
                to -= 1
                steps += 1
            ready[to], left[piece] = piece, time[piece]
            count += 1
        if not count:
            break
        piece = ready[count - 1]
        until = now + left[piece]
        if i < n and head[order[i]] < until:
            left[piece] = until - head[order[i]]
            now = head[order[i]]
            if skip[order[i]]:
                i += 1
            continue
        now = until
        end = max(end, now + tail[piece])
        if end >= below:
            break
        count -= 1
    return end, steps


@njit(cache=True)
def _sort_by(order, key):
    """Sort by insertion, stable; quick where little is out of order. Returns the steps taken."""
    steps = len(order)
    for i in range(1, len(order)):
        piece, to = order[i], i
        while to and key[order[to - 1]] > key[piece]:
            order[to] = order[to - 1]
            to -= 1
            steps += 1
        order[to] = piece
    return steps


@njit(cache=True)
def _heads(cloud, arrival, ready, head, order):
    """When each cloud layer's tensors are there, and when it can start at the earliest, by which `order` is sorted.

    Returns the steps taken.
    """
    time_ns, parent_first, parents = cloud.time_ns, cloud.parent_first, cloud.parents
    need_first, needs = cloud.need_first, cloud.needs
    for i in range(len(time_ns)):
        ready[i] = 0
        for k in range(need_first[i], need_first[i + 1]):
            ready[i] = max(ready[i], arrival[needs[k]])
        head[i] = ready[i]
        for k in range(parent_first[i], parent_first[i + 1]):
            head[i] = max(head[i], head[parents[k]] + time_ns[parents[k]])
    return len(parents) + len(needs) + _sort_by(order, head)


@njit(cache=True)
def _cloud_order(cloud, arrival, half_rtt, below, max_steps, salt, known):
    """The best order found for the cloud's layers when tensors arrive as they do; its end, and the steps taken.

    Layers are appended one by one, longest tail first; only layers that can start before any other could be done come
    next. The first way is gone to its end; from then on the last layer is taken back where a bound says that the end
    will not be under `below`, or where the same layers were done, and their outputs back, no later before (`known`,
    for the orders of tensors that `salt` tells apart).
    """
    time_ns, back_ns, tail_ns, key = cloud.time_ns, cloud.back_ns, cloud.tail_ns, cloud.key
    parent_first, child_first, children = cloud.parent_first, cloud.child_first, cloud.children
    n = len(time_ns)
    best, chosen = np.empty(0, np.int64), np.empty(n, np.int64)
    free, back = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
    done, waits, open_layers = np.zeros(n, np.bool_), np.empty(n, np.int64), np.empty(n, np.int64)
    ready, head, order = np.zeros(n, np.int64), np.zeros(n, np.int64), np.arange(n)
    count, left, state = 0, np.int64(0), salt
    for i in range(n):
        left += max(0, back_ns[i])
        waits[i] = parent_first[i + 1] - parent_first[i]
        if not waits[i]:
            open_layers[count] = i
            count += 1
    steps = _heads(cloud, arrival, ready, head, order)
    floor, more = _preemptive_end(order, head, time_ns, tail_ns, np.int64(0), done, below)
    steps += more
    depth, last, first_way = 0, -1, True
    while depth >= 0 and steps < max_steps and floor < below:
        soonest = np.int64(2**62)
        for k in range(count):
            soonest = min(soonest, max(free[depth], ready[open_layers[k]]) + time_ns[open_layers[k]])
        # The layer after `last` in the order of falling tails that may come next.
        pick = -1
        for k in range(count):
            layer = open_layers[k]
            start = max(free[depth], ready[layer])
            if start >= soonest and start + time_ns[layer] > soonest:
                continue
            if last >= 0 and (tail_ns[layer] > tail_ns[last] or (tail_ns[layer] == tail_ns[last] and layer <= last)):
                continue
            if pick < 0 or tail_ns[layer] > tail_ns[pick] or (tail_ns[layer] == tail_ns[pick] and layer < pick):
                pick = layer
        steps += 2 * count + 1
        if pick >= 0:
            chosen[depth], done[pick], last = pick, True, -1
            state ^= key[pick]
            left -= max(0, back_ns[pick])
            for k in range(count):
                if open_layers[k] == pick:
                    count -= 1
                    open_layers[k] = open_layers[count]
                    break
            for k in range(child_first[pick], child_first[pick + 1]):
                waits[children[k]] -= 1
                if not waits[children[k]]:
                    open_layers[count] = children[k]
                    count += 1
            end = max(free[depth], ready[pick]) + time_ns[pick]
            came = back[depth] if back_ns[pick] == NOTHING else max(end, back[depth]) + back_ns[pick]
            depth += 1
            free[depth], back[depth] = end, came
            if depth == n:
                if came + half_rtt < below:
                    best, below = chosen.copy(), came + half_rtt
            elif came + left + half_rtt < below:
                if first_way:
                    continue
                slot = state & (KNOWN_STATES - 1)
                if known[slot, 0] != state or known[slot, 1] > end or known[slot, 2] > came:
                    bound, more = _preemptive_end(order, head, time_ns, tail_ns, end, done, below)
                    steps += more
                    if bound < below:
                        known[slot, 0], known[slot, 1], known[slot, 2] = state, end, came
                        continue
        # Take the last layer back.
        first_way = False
        depth -= 1
        if depth >= 0:
            last = chosen[depth]
            done[last] = False
            state ^= key[last]
            left += max(0, back_ns[last])
            for k in range(child_first[last], child_first[last + 1]):
                if not waits[children[k]]:
                    for j in range(count):
                        if open_layers[j] == children[k]:
                            count -= 1
                            open_layers[j] = open_layers[count]
                            break
                waits[children[k]] += 1
            open_layers[count] = last
            count += 1
            steps += count
    return best, below, steps


@njit(cache=True)
def _edge_work(groups, times, sent, place):
    """The edge work that the tensor at a place needs, without what a set of tensors, already sent, needed as well."""
    work = np.int64(0)
    for group in range(len(groups)):
        if groups[group] >> place & 1 and not groups[group] & sent:
            work += times[group]
    return work


@njit(cache=True)
def best_sequences(cloud, made, send, groups, times, half_rtt, least, below, max_steps):
    """Orders of a cut's crossing tensors and of its cloud layers with which the last result is back before `below`.

    Two decisions make the sequences of all work: edge layers are done when the next tensor needs them, and outputs come
    back as they are made; no other order of either ends earlier. First the tensors cross in the order given, in which
    they take the edge times `made`, then in all orders, depth first, those of the least bound first. `groups` are the
    edge layers that the same tensors need, as bit sets with their times; without any only the order given is tried.
    Returns both orders, empty where none was found, the end, and the steps taken; stops once an end is no later than
    `least`, or soon after `max_steps`.
    """
    k, n = len(send), len(cloud.time_ns)
    known = np.full((KNOWN_STATES, 3), UNKNOWN, np.int64)
    ready, head, by_head, none = np.zeros(n, np.int64), np.zeros(n, np.int64), np.arange(n), np.zeros(n, np.bool_)
    tensors, layers = np.empty(0, np.int64), np.empty(0, np.int64)
    arrival, tail = np.zeros(k, np.int64), np.zeros(k, np.int64)
    edge = uplink = np.int64(0)
    for place in range(k):
        edge += made[place]
        uplink = max(uplink, edge) + send[place]
        arrival[place] = uplink + half_rtt
    order, end, steps = _cloud_order(cloud, arrival, half_rtt, below, max_steps // 2, np.int64(0), known)
    if len(order):
        below, tensors, layers = end, np.arange(k), order
    if not len(groups) or k < 2:
        return tensors, layers, below, steps
    for i in range(n):
        for j in range(cloud.need_first[i], cloud.need_first[i + 1]):
            place = cloud.needs[j]
            tail[place] = max(tail[place], half_rtt + cloud.time_ns[i] + cloud.tail_ns[i])

    # Row d tells of the first d tensors of an order: which they are, what was done when, and what may come next.
    sent, edge_end, uplink_end = np.zeros(k + 1, np.int64), np.zeros(k + 1, np.int64), np.zeros(k + 1, np.int64)
    following, bounds = np.empty((k, k), np.int64), np.empty((k, k), np.int64)
    count, tried = np.full(k, UNKNOWN, np.int64), np.zeros(k, np.int64)
    chosen, trial, able = np.empty(k, np.int64), np.empty(k, np.int64), np.empty(k, np.int64)
    by_able, done = np.arange(k), np.zeros(k, np.bool_)
    depth = tried_orders = 0
    while depth >= 0 and steps < max_steps and least < below:
        if count[depth] == UNKNOWN:
            count[depth] = tried[depth] = 0
            for place in range(k):
                if sent[depth] >> place & 1:
                    continue
                # What all tensors can do at the earliest if this one is next.
                now = sent[depth] | 1 << place
                edge = edge_end[depth] + _edge_work(groups, times, sent[depth], place)
                uplink = max(uplink_end[depth], edge) + send[place]
                for other in range(k):
                    done[other], able[other], trial[other] = now >> other & 1, 0, arrival[other]
                    if not done[other]:
                        able[other] = max(uplink, edge + _edge_work(groups, times, now, other))
                        trial[other] = able[other] + send[other] + half_rtt
                trial[place] = uplink + half_rtt
                steps += len(groups) * k + _sort_by(by_able, able)
                bound, more = _preemptive_end(by_able, able, send, tail, uplink, done, below)
                bound = max(bound, uplink + tail[place])
                steps += more
                if bound < below:
                    steps += _heads(cloud, trial, ready, head, by_head)
                    end, more = _preemptive_end(by_head, head, cloud.time_ns, cloud.tail_ns, np.int64(0), none, below)
                    bound = max(bound, end)
                    steps += more
                if bound < below:
                    to = count[depth]
                    while to and bounds[depth, to - 1] > bound:
                        bounds[depth, to], following[depth, to] = bounds[depth, to - 1], following[depth, to - 1]
                        to -= 1
                    bounds[depth, to], following[depth, to] = bound, place
                    count[depth] += 1
        if tried[depth] == count[depth] or bounds[depth, tried[depth]] >= below:
            count[depth] = UNKNOWN
            depth -= 1
            continue
        place = following[depth, tried[depth]]
        tried[depth] += 1
        chosen[depth] = place
        sent[depth + 1] = sent[depth] | 1 << place
        edge_end[depth + 1] = edge_end[depth] + _edge_work(groups, times, sent[depth], place)
        uplink_end[depth + 1] = max(uplink_end[depth], edge_end[depth + 1]) + send[place]
        arrival[place] = uplink_end[depth + 1] + half_rtt
        if depth + 1 < k:
            depth += 1
            continue
        tried_orders += 1
        order, end, more = _cloud_order(
            cloud, arrival, half_rtt, below, max_steps // 2, _scattered(n + tried_orders), known
        )
        steps += more
        if len(order):
            below, tensors, layers = end, chosen.copy(), order
    return tensors, layers, below, steps
