"""Which cuts there are, and which to take for every branch and every request."""

from __future__ import annotations

import numpy as np
from numba import njit

from decc_core.kernels.codes import CLOUD, DOWNLINK, EDGE, IN_CLOUD, ON_EDGE, UNKNOWN, UPLINK


@njit(cache=True)
def closed_cuts(layers, pin, tensors, outside, arrays, times, below, max_nodes, max_found):
    """All predecessor-closed choices among `layers` whose lower bound for one request is under `below`.

    Layers that are not named are on the edge if `pin` says so, else in the cloud. `outside` is a
    `segment_search.Outside`. Returns masks over `layers`, bounds, and whether that is all.
    """
    edge_ns, cloud_ns = times.edge_ns, times.cloud_ns
    parent_first, parents = arrays.parent_first, arrays.parents
    n = len(layers)
    masks = np.zeros((max_found, n), np.bool_)
    bounds = np.zeros(max_found, np.int64)
    found = nodes = 0
    on_edge = pin == ON_EDGE
    tried = np.zeros(n + 1, np.int64)
    edge, cloud = outside.edge_ns, outside.cloud_ns
    way = np.int64(outside.rtt_ns + outside.least_back_ns)
    i = 0
    while i >= 0:
        nodes += 1
        if nodes > max_nodes:
            return masks[:found], bounds[:found], False
        if i == n or (tried[i] == 0 and (edge >= below or (cloud > 0 and cloud + way >= below))):
            if i == n and edge < below:
                bound = _cut_bound(layers, on_edge, tensors, edge, cloud, outside, arrays, times)
                if bound < below:
                    if found == max_found:
                        return masks[:found], bounds[:found], False
                    for j in range(n):
                        masks[found, j] = on_edge[layers[j]]
                    bounds[found] = bound
                    found += 1
            i -= 1
            continue
        layer = layers[i]
        step = tried[i]
        if step == 0:  # first the edge, where it is allowed
            tried[i] = 1
            allowed = pin[layer] != IN_CLOUD
            for k in range(parent_first[layer], parent_first[layer + 1]):
                allowed = allowed and on_edge[parents[k]]
            if allowed:
                on_edge[layer] = True
                edge += edge_ns[layer]
                i += 1
                tried[i] = 0
            else:
                on_edge[layer] = False
            continue
        if step == 1:  # then the cloud
            tried[i] = 2
            if on_edge[layer]:
                on_edge[layer] = False
                edge -= edge_ns[layer]
            if pin[layer] != ON_EDGE:
                cloud += cloud_ns[layer]
                i += 1
                tried[i] = 0
            else:
                tried[i] = 3
                on_edge[layer] = True  # as `pin` says, for whoever comes after
                i -= 1
            continue
        cloud -= cloud_ns[layer]
        i -= 1
    return masks[:found], bounds[:found], True


@njit(cache=True)
def _cut_bound(layers, on_edge, tensors, edge, cloud, outside, arrays, times):
    """A bound on one request with this cut: the edge's work, one tensor's way, and link and cloud with their delays."""
    _, uplink_ns, _, downlink_ns, send_ns, receive_ns, _ = times
    producer, consumer_first, consumers = arrays.producer, arrays.consumer_first, arrays.consumers
    sent = longest = np.int64(0)
    never = np.int64(2**62)
    least_head, least_tail, least_ready = never, never, never
    for t in range(len(tensors)):
        tensor = tensors[t]
        if not on_edge[producer[tensor]]:
            continue
        tail, receiver = np.int64(-1), UNKNOWN
        for k in range(consumer_first[tensor], consumer_first[tensor + 1]):
            if not on_edge[consumers[k]]:
                tail = max(tail, outside.tail_ns[consumers[k]])
                if receiver == UNKNOWN or consumers[k] < receiver:
                    receiver = consumers[k]
        if receiver != UNKNOWN:
            head = outside.head_ns[producer[tensor]] + send_ns[tensor]
            tail = max(tail, outside.tail_ns[receiver] + receive_ns[tensor])
            edge += send_ns[tensor]
            cloud += receive_ns[tensor]
            sent += uplink_ns[tensor]
            longest = max(longest, head + uplink_ns[tensor] + tail)
            least_head, least_tail = min(least_head, head), min(least_tail, tail)
            least_ready = min(least_ready, head + uplink_ns[tensor])
    if least_tail == never:
        return edge
    back, way_back = outside.all_back_ns, outside.least_back_ns
    if back < 0:  # the outputs are among the layers, so the way back depends on the cut
        back, way_back = np.int64(0), np.int64(2**62)
        for j in range(len(layers)):
            if not on_edge[layers[j]]:
                for tensor in range(arrays.made_first[layers[j]], arrays.made_first[layers[j] + 1]):
                    if arrays.is_output[tensor]:
                        back += downlink_ns[tensor]
                        way_back = min(way_back, downlink_ns[tensor])
    way = outside.rtt_ns + way_back
    offloaded = max(longest, least_head + sent + least_tail, least_ready + cloud) + way
    return max(edge, offloaded, least_ready + outside.rtt_ns + back)


@njit(cache=True)
def undominated(rows):
    """Indices of the rows than which no earlier one is at least as small in all columns."""
    kept = np.empty(len(rows), np.int64)
    count = 0
    for i in range(len(rows)):
        worse = False
        for k in range(count):
            worse = True
            for column in range(rows.shape[1]):
                if rows[kept[k], column] > rows[i, column]:
                    worse = False
                    break
            if worse:
                break
        if not worse:
            kept[count] = i
            count += 1
    return kept[:count]


@njit(cache=True)
def choose_per_branch(options, first, starts, after, half_rtt, max_steps):
    """Improve the options of independent branches, one or two branches at a time, from several starts.

    `options` holds edge, uplink and cloud time of every option; those of branch b are `first[b]` up to `first[b + 1]`.
    """
    before, behind = options[:, 0] + options[:, 1], options[:, 1] + options[:, 2]
    top = before.max() + behind.max() + 1
    rank = np.where(before <= behind, before - top, top - behind)
    found = starts.copy()
    steps = 0
    n = starts.shape[1]
    for row in range(len(starts)):
        choice = found[row]
        best = _towers_end(options, choice, rank, after, half_rtt)
        improved = True
        while improved and steps < max_steps:
            improved = False
            for a in range(n):
                for one in range(first[a], first[a + 1]):
                    old = choice[a]
                    choice[a] = one
                    value = _towers_end(options, choice, rank, after, half_rtt)
                    steps += 1
                    if value < best:
                        best, improved = value, True
                    else:
                        choice[a] = old
            if improved:
                continue
            for a in range(n):
                for b in range(a):
                    for one in range(first[a], first[a + 1]):
                        old_a = choice[a]
                        choice[a] = one
                        for other in range(first[b], first[b + 1]):
                            old_b = choice[b]
                            choice[b] = other
                            value = _towers_end(options, choice, rank, after, half_rtt)
                            steps += 1
                            if value < best:
                                best, improved = value, True
                                old_a = one
                            else:
                                choice[b] = old_b
                        choice[a] = old_a
                        if steps >= max_steps:
                            return found
    return found


@njit(cache=True)
def _towers_end(options, choice, rank, after, half_rtt):
    """End of a request whose independent branches are cut as chosen, sent in the order of Johnson's rule."""
    k = len(choice)
    order = np.empty(k, np.int64)
    for i in range(k):
        j = i
        while j > 0 and rank[choice[order[j - 1]]] > rank[choice[i]]:
            order[j] = order[j - 1]
            j -= 1
        order[j] = i
    edge = uplink = cloud = np.int64(0)
    for branch in order:
        one = choice[branch]
        edge += options[one, 0]
        uplink = max(edge, uplink) + options[one, 1]
        cloud = max(uplink + half_rtt, cloud) + options[one, 2]
    return max(edge, cloud + after)


@njit(cache=True)
def batch_value(batch, jobs, first, loads, half_rtt, by_period):
    """The objective of requests served one after the other, and the other measure to break ties."""
    # The steps of `chain_end`, written out: planning took a fifth longer when both called one function for them.
    edge = uplink = cloud = downlink = result = np.int64(0)
    total = np.zeros(4, np.int64)
    for one in batch:
        for k in range(first[one], first[one + 1]):
            edge += jobs[k, EDGE]
            if jobs[k, UPLINK] >= 0:
                uplink = max(edge, uplink) + jobs[k, UPLINK]
                cloud = max(uplink + half_rtt, cloud) + jobs[k, CLOUD]
                if jobs[k, DOWNLINK] >= 0:
                    downlink = max(cloud, downlink) + jobs[k, DOWNLINK]
                    result = downlink + half_rtt
        total += loads[one]
    makespan, period = max(edge, result), total.max()
    return (period, makespan) if by_period else (makespan, period)


@njit(cache=True)
def replaced_values(batch, places, n_own, jobs, first, loads, half_rtt, by_period):
    """For each chain after the first `n_own`, the least value of the batch with it at one of `places`."""
    found = np.full((len(first) - 1 - n_own, 2), 2**62, np.int64)
    trial = batch.copy()
    for row in range(len(found)):
        for place in places:
            trial[place] = n_own + row
            objective, other = batch_value(trial, jobs, first, loads, half_rtt, by_period)
            if objective < found[row, 0] or (objective == found[row, 0] and other < found[row, 1]):
                found[row, 0], found[row, 1] = objective, other
            trial[place] = batch[place]
    return found


@njit(cache=True)
def improve_batch(batch, jobs, first, loads, half_rtt, by_period, max_steps):
    """Change which chain each request takes, and the order of requests, while that helps; the best batch found.

    `jobs` holds the jobs of all chains, those of chain p being `first[p]` up to `first[p + 1]`; `loads` has one row for
    each chain. First single requests are given another chain, exchanged or moved, always taking the best change; where
    nothing helps, two requests at once are given other chains. Stops after `max_steps` jobs timed.
    """
    n, pool = len(batch), len(first) - 1
    best = batch.copy()
    value = batch_value(best, jobs, first, loads, half_rtt, by_period)
    mean = max(1, len(jobs) // max(1, pool))
    steps = 0
    while steps < max_steps:
        start, found = best.copy(), False
        for i in range(n):
            for p in range(pool):
                if p == start[i]:
                    continue
                trial = start.copy()
                trial[i] = p
                steps += n * mean
                other = batch_value(trial, jobs, first, loads, half_rtt, by_period)
                if other < value:
                    best, value, found = trial, other, True
            for j in range(n):
                if start[j] == start[i]:
                    continue
                trial = start.copy()
                if j > i:
                    trial[i], trial[j] = start[j], start[i]
                    steps += n * mean
                    other = batch_value(trial, jobs, first, loads, half_rtt, by_period)
                    if other < value:
                        best, value, found = trial, other, True
                    trial = start.copy()
                if j > i:
                    trial[i:j] = start[i + 1 : j + 1]
                else:
                    trial[j + 1 : i + 1] = start[j:i]
                trial[j] = start[i]
                steps += n * mean
                other = batch_value(trial, jobs, first, loads, half_rtt, by_period)
                if other < value:
                    best, value, found = trial, other, True
        if found:
            continue
        trial = start.copy()
        for i in range(n):
            for j in range(i):
                for p in range(pool):
                    trial[i] = p
                    for q in range(pool):
                        trial[j] = q
                        other = batch_value(trial, jobs, first, loads, half_rtt, by_period)
                        if other < value:
                            best, value, found = trial.copy(), other, True
                    steps += pool * n * mean
                    if steps >= max_steps:
                        return best
                trial[j] = start[j]
            trial[i] = start[i]
        if not found:
            break
    return best
