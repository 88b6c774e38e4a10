"""The loops that planning spends its time in, compiled by numba; plain arrays in, plain arrays out.

`arrays` is a `network.arrays.Topology`, `times` a `problem.instance.Times`: layers, tensors and ragged lists are
numbered as there, times are integer nanoseconds. Compiled code is kept on disk, so that only the first call on a
machine waits for the compiler. That code is renewed when its own file changes, but not when a file changes whose
functions it calls; so all loops stand in this one file.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

EDGE, UPLINK, CLOUD, DOWNLINK = 0, 1, 2, 3
UNKNOWN = -1
FREE, ON_EDGE, IN_CLOUD = 0, 1, 2
"""Whether a layer may choose its side (`pin`)."""


@njit(cache=True)
def charged_times(on_edge, arrays, times):
    """What each layer takes on the edge and in the cloud with this cut, the sending and receiving of tensors included.

    The producer of a crossing tensor sends it, and the first layer in the cloud that needs it, in stored order,
    receives it. Where that costs nothing, these are the arrays of `times` themselves.
    """
    edge_ns, _, cloud_ns, _, send_ns, receive_ns, charged = times
    if not charged:
        return edge_ns, cloud_ns
    edge, cloud = edge_ns.copy(), cloud_ns.copy()
    for tensor in range(len(arrays.producer)):
        if on_edge[arrays.producer[tensor]]:
            receiver = _receiver(tensor, on_edge, arrays)
            if receiver != UNKNOWN:
                edge[arrays.producer[tensor]] += send_ns[tensor]
                cloud[receiver] += receive_ns[tensor]
    return edge, cloud


@njit(cache=True)
def _receiver(tensor, on_edge, arrays):
    """The first layer in the cloud that needs a tensor, or UNKNOWN."""
    first = UNKNOWN
    for k in range(arrays.consumer_first[tensor], arrays.consumer_first[tensor + 1]):
        consumer = arrays.consumers[k]
        if not on_edge[consumer] and (first == UNKNOWN or consumer < first):
            first = consumer
    return first


@njit(cache=True)
def cut_loads(on_edge, arrays, times):
    """E, T, C and D of each row of `on_edge` (cuts, layers); shape (cuts, 4)."""
    edge_ns, uplink_ns, cloud_ns, downlink_ns, send_ns, receive_ns, _ = times
    producer, is_output = arrays.producer, arrays.is_output
    consumer_first, consumers = arrays.consumer_first, arrays.consumers
    found = np.zeros((on_edge.shape[0], 4), np.int64)
    for row in range(on_edge.shape[0]):
        for layer in range(on_edge.shape[1]):
            if on_edge[row, layer]:
                found[row, EDGE] += edge_ns[layer]
            else:
                found[row, CLOUD] += cloud_ns[layer]
        for tensor in range(len(producer)):
            if on_edge[row, producer[tensor]]:
                for k in range(consumer_first[tensor], consumer_first[tensor + 1]):
                    if not on_edge[row, consumers[k]]:
                        found[row, EDGE] += send_ns[tensor]
                        found[row, UPLINK] += uplink_ns[tensor]
                        found[row, CLOUD] += receive_ns[tensor]
                        break
            elif is_output[tensor]:
                found[row, DOWNLINK] += downlink_ns[tensor]
    return found


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
def crossing(on_edge, arrays):
    """Tensors made on the edge that some cloud layer needs."""
    producer, consumer_first, consumers = arrays.producer, arrays.consumer_first, arrays.consumers
    found = np.empty(len(producer), np.int64)
    count = 0
    for tensor in range(len(producer)):
        if on_edge[producer[tensor]]:
            for k in range(consumer_first[tensor], consumer_first[tensor + 1]):
                if not on_edge[consumers[k]]:
                    found[count] = tensor
                    count += 1
                    break
    return found[:count]


@njit(cache=True)
def earliest_starts(work, duration, on_edge, half_rtt, staged, previous, arrays):
    """Starts and ends of all work, the result of each request, and how far each resource came.

    `work` is a `plans.plan.WorkArrays`, `arrays` a `network.arrays.Topology`; `on_edge` has one row for each request.
    `staged` makes the four stages of a request indivisible; `previous` names the request whose result each request
    waits for, or UNKNOWN.
    """
    request, item, first = work
    producer, read_first, reads = arrays.producer, arrays.read_first, arrays.reads
    n_requests, n_layers = on_edge.shape
    n_tensors = len(producer)
    start = np.zeros(len(item), np.int64)
    end = np.zeros(len(item), np.int64)
    done = np.full((n_requests, n_layers), UNKNOWN, np.int64)
    arrived = np.full((n_requests, n_tensors), UNKNOWN, np.int64)
    result = np.full(n_requests, UNKNOWN, np.int64)
    left = np.zeros((n_requests, 4), np.int64)
    stage_end = np.zeros((n_requests, 4), np.int64)
    for resource in range(4):
        for k in range(first[resource], first[resource + 1]):
            left[request[k], resource] += 1
    reached = first[:4].copy()
    free = np.zeros(4, np.int64)
    progress = True
    while progress:
        progress = False
        for resource in range(4):
            while reached[resource] < first[resource + 1]:
                k = reached[resource]
                r, i = request[k], item[k]
                ready = np.int64(0)
                if resource in (UPLINK, DOWNLINK):
                    ready = done[r, producer[i]]
                else:
                    for j in range(read_first[i], read_first[i + 1]):
                        tensor = reads[j]
                        if resource == CLOUD and on_edge[r, producer[tensor]]:
                            time = arrived[r, tensor]
                        else:
                            time = done[r, producer[tensor]]
                        if time == UNKNOWN:
                            ready = np.int64(UNKNOWN)
                            break
                        ready = max(ready, time)
                if ready != UNKNOWN and staged:
                    for stage in range(resource):
                        if left[r, stage] > 0:
                            ready = np.int64(UNKNOWN)
                            break
                        ready = max(ready, stage_end[r, stage])
                    if ready != UNKNOWN and previous[r] != UNKNOWN:
                        before = result[previous[r]]
                        ready = max(ready, before) if before != UNKNOWN else np.int64(UNKNOWN)
                if ready == UNKNOWN:
                    break
                start[k] = max(ready, free[resource])
                free[resource] = start[k] + duration[k]
                end[k] = free[resource]
                finished = end[k]
                if resource in (UPLINK, DOWNLINK):
                    finished += half_rtt
                    arrived[r, i] = finished
                else:
                    done[r, i] = finished
                left[r, resource] -= 1
                stage_end[r, resource] = max(stage_end[r, resource], finished)
                if left[r, 0] + left[r, 1] + left[r, 2] + left[r, 3] == 0:
                    result[r] = stage_end[r].max()
                reached[resource] += 1
                progress = True
    return start, end, result, reached


NOTHING = -1
MAX_EXACT_TENSORS = 9
MAX_SORTED_TENSORS = 40
MAX_LABELS = 32


@njit(cache=True)
def jobs_of_order(on_edge, order, arrays, times):
    """The job that each layer belongs to, and the jobs' times, when tensors cross in this order.

    An edge layer belongs to the first tensor in the order that needs it (edge work that no tensor needs comes last), a
    cloud layer to the last tensor that it needs. Shapes: (layers,), (tensors in order + 1, 4).
    """
    uplink_ns, downlink_ns = times.uplink_ns, times.downlink_ns
    edge_ns, cloud_ns = charged_times(on_edge, arrays, times)
    made_first, is_output = arrays.made_first, arrays.is_output
    consumer_first, consumers = arrays.consumer_first, arrays.consumers
    child_first, children = arrays.child_first, arrays.children
    parent_first, parents = arrays.parent_first, arrays.parents
    last = len(order)
    n = len(on_edge)
    job = np.full(n, -1, np.int64)
    for layer in range(n):
        if on_edge[layer]:
            job[layer] = last
    found = np.zeros((last + 1, 4), np.int64)
    found[:, DOWNLINK] = NOTHING
    found[last, UPLINK] = NOTHING
    for place in range(last - 1, -1, -1):
        tensor = order[place]
        found[place, UPLINK] = uplink_ns[tensor]
        for k in range(consumer_first[tensor], consumer_first[tensor + 1]):
            if not on_edge[consumers[k]]:
                job[consumers[k]] = max(job[consumers[k]], place)
    producers_job = job.copy()
    for place in range(last - 1, -1, -1):
        producers_job[arrays.producer[order[place]]] = place
    for layer in range(n - 1, -1, -1):
        if on_edge[layer]:
            first = producers_job[layer]
            for k in range(child_first[layer], child_first[layer + 1]):
                if on_edge[children[k]]:
                    first = min(first, producers_job[children[k]])
            producers_job[layer] = first
            job[layer] = first
            found[first, EDGE] += edge_ns[layer]
    for layer in range(n):
        if not on_edge[layer]:
            for k in range(parent_first[layer], parent_first[layer + 1]):
                if not on_edge[parents[k]]:
                    job[layer] = max(job[layer], job[parents[k]])
            found[job[layer], CLOUD] += cloud_ns[layer]
            for tensor in range(made_first[layer], made_first[layer + 1]):
                if is_output[tensor]:
                    found[job[layer], DOWNLINK] = max(0, found[job[layer], DOWNLINK]) + downlink_ns[tensor]
    return job, found


@njit(cache=True)
def chain_end(jobs, half_rtt):
    """End of a chain of jobs, each resource serving them in this order; NOTHING means that no tensor goes that way."""
    edge = uplink = cloud = downlink = result = np.int64(0)
    for k in range(len(jobs)):
        edge += jobs[k, EDGE]
        if jobs[k, UPLINK] >= 0:
            uplink = max(edge, uplink) + jobs[k, UPLINK]
            cloud = max(uplink + half_rtt, cloud) + jobs[k, CLOUD]
            if jobs[k, DOWNLINK] >= 0:
                downlink = max(cloud, downlink) + jobs[k, DOWNLINK]
                result = downlink + half_rtt
    return max(edge, result)


@njit(cache=True)
def tensor_bits(on_edge, tensors, arrays):
    """For each edge layer which of `tensors` need it, for each cloud layer which it needs; one bit for each place."""
    consumer_first, consumers = arrays.consumer_first, arrays.consumers
    child_first, children = arrays.child_first, arrays.children
    parent_first, parents = arrays.parent_first, arrays.parents
    n = len(on_edge)
    bits = np.zeros(n, np.int64)
    for bit in range(len(tensors)):
        bits[arrays.producer[tensors[bit]]] |= 1 << bit
        for j in range(consumer_first[tensors[bit]], consumer_first[tensors[bit] + 1]):
            if not on_edge[consumers[j]]:
                bits[consumers[j]] |= 1 << bit
    for layer in range(n - 1, -1, -1):
        if on_edge[layer]:
            for j in range(child_first[layer], child_first[layer + 1]):
                if on_edge[children[j]]:
                    bits[layer] |= bits[children[j]]
    for layer in range(n):
        if not on_edge[layer]:
            for j in range(parent_first[layer], parent_first[layer + 1]):
                if not on_edge[parents[j]]:
                    bits[layer] |= bits[parents[j]]
    return bits


@njit(cache=True)
def best_order(on_edge, tensors, arrays, times, half_rtt):
    """A good order of the crossing `tensors` of a cut, and whether no order is better.

    With few tensors and one output all orders are compared (dynamic programme over the sets already sent, which keeps
    every pair of link time and cloud time that may lead to the best end); else Johnson's rule and insertions.
    """
    uplink_ns, downlink_ns = times.uplink_ns, times.downlink_ns
    made_first, is_output = arrays.made_first, arrays.is_output
    n, k = len(on_edge), len(tensors)
    everything = np.arange(k)
    if k <= 1:
        return everything, True
    if k > MAX_SORTED_TENSORS:
        return everything, False
    edge_ns, cloud_ns = charged_times(on_edge, arrays, times)
    # Layers that the same tensors need, or that need the same ones, move together.
    bits = tensor_bits(on_edge, tensors, arrays)
    outputs = 0
    for layer in range(n):
        if not on_edge[layer]:
            for tensor in range(made_first[layer], made_first[layer + 1]):
                outputs += is_output[tensor]
    send = uplink_ns[tensors]
    if k <= MAX_EXACT_TENSORS and outputs == 1:
        return _order_by_sets(bits, on_edge, edge_ns, cloud_ns, send, half_rtt)
    groups = np.unique(bits)
    work = np.zeros((len(groups), 4), np.int64)
    work[:, DOWNLINK] = NOTHING
    for layer in range(n):
        group = np.searchsorted(groups, bits[layer])
        if on_edge[layer]:
            work[group, EDGE] += edge_ns[layer]
        else:
            work[group, CLOUD] += cloud_ns[layer]
            for tensor in range(made_first[layer], made_first[layer + 1]):
                if is_output[tensor]:
                    work[group, DOWNLINK] = max(0, work[group, DOWNLINK]) + downlink_ns[tensor]
    order = everything
    best = _order_end(order, groups, work, send, half_rtt)
    other = _johnson(groups, work, send)
    value = _order_end(other, groups, work, send, half_rtt)
    if value < best:
        order, best = other, value
    for _ in range(2):
        before = best
        for element in order.copy():
            rest = order[order != element]
            for place in range(k):
                moved = np.empty(k, np.int64)
                moved[:place], moved[place], moved[place + 1 :] = rest[:place], element, rest[place:]
                value = _order_end(moved, groups, work, send, half_rtt)
                if value < best:
                    order, best = moved, value
        if best == before:
            break
    return order, False


@njit(cache=True)
def _johnson(groups, times, send):
    """Johnson's rule on (edge + uplink, uplink + cloud), counting only work that belongs to one tensor alone."""
    k = len(send)
    before, after = send.copy(), send.copy()
    for group in range(len(groups)):
        for bit in range(k):
            if groups[group] == 1 << bit:
                before[bit] += times[group, EDGE]
                after[bit] += times[group, CLOUD]
    early = before <= after
    # One key sorts both halves: the early ones by rising `before`, then the late ones by falling `after`.
    top = before.max() + after.max() + 1
    key = np.where(early, before - top, top - after)
    return np.argsort(key, kind="mergesort")


@njit(cache=True)
def _order_end(order, groups, times, send, half_rtt):
    """End of the request when its tensors cross in this order."""
    k = len(order)
    place = np.empty(k, np.int64)
    for i in range(k):
        place[order[i]] = i
    jobs = np.zeros((k + 1, 4), np.int64)
    jobs[:, DOWNLINK] = NOTHING
    jobs[k, UPLINK] = NOTHING
    for i in range(k):
        jobs[i, UPLINK] = send[order[i]]
    for group in range(len(groups)):
        first, last = k, -1
        for bit in range(k):
            if groups[group] >> bit & 1:
                first, last = min(first, place[bit]), max(last, place[bit])
        jobs[first, EDGE] += times[group, EDGE]
        if last >= 0:
            jobs[last, CLOUD] += times[group, CLOUD]
            if times[group, DOWNLINK] >= 0:
                jobs[last, DOWNLINK] = max(0, jobs[last, DOWNLINK]) + times[group, DOWNLINK]
    return chain_end(jobs, half_rtt)


@njit(cache=True)
def _order_by_sets(bits, on_edge, edge_ns, cloud_ns, send, half_rtt):
    """The best of all orders where one output comes back last."""
    k = len(send)
    size = 1 << k
    edge, cloud = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for layer in range(len(bits)):
        if on_edge[layer]:
            edge[bits[layer]] += edge_ns[layer]
        else:
            cloud[bits[layer]] += cloud_ns[layer]
    edge[0] = 0
    needed = edge.sum()
    for bit in range(k):
        for sent in range(size):
            if sent >> bit & 1:
                edge[sent] += edge[sent ^ (1 << bit)]
                cloud[sent] += cloud[sent ^ (1 << bit)]
    count = np.zeros(size, np.int64)
    label = np.zeros((size, MAX_LABELS, 4), np.int64)  # link time, cloud time, last tensor, label before
    count[0] = 1
    exact = True
    for sent in range(size - 1):
        for one in range(count[sent]):
            for bit in range(k):
                if sent >> bit & 1:
                    continue
                to = sent | 1 << bit
                uplink = max(label[sent, one, 0], needed - edge[size - 1 ^ to]) + send[bit]
                clouded = label[sent, one, 1]
                work = cloud[to] - cloud[sent]
                if work > 0:
                    clouded = max(clouded, uplink + half_rtt) + work
                worse = False
                kept = 0
                for other in range(count[to]):
                    if label[to, other, 0] <= uplink and label[to, other, 1] <= clouded:
                        worse = True
                        break
                if worse:
                    continue
                for other in range(count[to]):
                    if not (uplink <= label[to, other, 0] and clouded <= label[to, other, 1]):
                        label[to, kept] = label[to, other]
                        kept += 1
                if kept == MAX_LABELS:
                    exact = False
                    kept -= 1
                label[to, kept, 0], label[to, kept, 1], label[to, kept, 2], label[to, kept, 3] = (
                    uplink,
                    clouded,
                    bit,
                    one,
                )
                count[to] = kept + 1
    order = np.empty(k, np.int64)
    sent, one = size - 1, 0
    for other in range(count[sent]):
        if max(label[sent, other, 0] + half_rtt, label[sent, other, 1]) < max(
            label[sent, one, 0] + half_rtt, label[sent, one, 1]
        ):
            one = other
    for place in range(k - 1, -1, -1):
        order[place] = label[sent, one, 2]
        before = label[sent, one, 3]
        sent ^= 1 << order[place]
        one = before
    return order, exact


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
def _move(mask, layer, low, high, pin, arrays):
    """Move a layer, with all it needs or all that needs it, to the other side; false, and nothing moved, if pinned.

    Only layers from `low` up to `high` move; what leads from one of them to another lies between them.
    """
    child_first, children = arrays.child_first, arrays.children
    parent_first, parents = arrays.parent_first, arrays.parents
    to_cloud = mask[layer]
    moves = np.zeros(high - low, np.bool_)
    moves[layer - low] = True
    for step in range(high - layer if to_cloud else layer - low + 1):
        other = layer + step if to_cloud else layer - step
        if to_cloud:
            for k in range(parent_first[other], parent_first[other + 1]):
                if parents[k] >= layer and moves[parents[k] - low]:
                    moves[other - low] = True
        else:
            for k in range(child_first[other], child_first[other + 1]):
                if children[k] <= layer and moves[children[k] - low]:
                    moves[other - low] = True
        if moves[other - low] and mask[other] == to_cloud and pin[other] == (ON_EDGE if to_cloud else IN_CLOUD):
            return False
    for other in range(low, high):
        if moves[other - low]:
            mask[other] = not to_cloud
    return True


@njit(cache=True)
def moved_cuts(on_edge, layers, low, high, pin, arrays):
    """The cuts that moving one of `layers` makes, one a row; layers that must not move leave the cut as it is."""
    masks = np.empty((len(layers), len(on_edge)), np.bool_)
    for row in range(len(layers)):
        masks[row] = on_edge
        _move(masks[row], layers[row], low, high, pin, arrays)
    return masks


@njit(cache=True)
def moved_loads(on_edge, low, high, pin, arrays, times):
    """E, T, C and D of the cuts that moving one of the layers `low` up to `high` makes; shape (layers, 4)."""
    loads = np.empty((high - low, 4), np.int64)
    trial = np.empty((1, len(on_edge)), np.bool_)
    for row in range(high - low):
        trial[0] = on_edge
        _move(trial[0], low + row, low, high, pin, arrays)
        loads[row] = cut_loads(trial, arrays, times)[0]
    return loads


@njit(cache=True)
def improve_cut(on_edge, low, high, pin, arrays, times, half_rtt, max_steps):
    """Move one layer, with all it needs or all that needs it, to the other side while the request ends earlier.

    Tensors cross in the order of production. Only layers from `low` up to `high` move. Stops after `max_steps` timed
    cuts.
    """
    best_mask = on_edge.copy()
    best = np.int64(-1)
    steps = 0
    improved = True
    while improved and steps < max_steps:
        improved = False
        for step in range(-1, high - low):
            if steps >= max_steps:
                break
            mask = best_mask.copy()
            if step < 0:
                if best >= 0:
                    continue
            elif not _move(mask, low + step, low, high, pin, arrays):
                continue
            _, jobs = jobs_of_order(mask, crossing(mask, arrays), arrays, times)
            value = chain_end(jobs, half_rtt)
            steps += 1
            if best < 0 or value < best:
                if best >= 0:
                    improved = True
                best, best_mask = value, mask
    return best_mask


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


@njit(cache=True)
def interleave(jobs, request, half_rtt, max_steps):
    """An order of the jobs of several requests, each request's own kept, that ends no later than the given one."""
    n = len(jobs)
    order = np.arange(n)
    best = chain_end(jobs, half_rtt)
    steps = 0
    improved = True
    while improved:
        improved = False
        for i in range(n):
            one = order[i]
            low, high = i, i
            while low > 0 and request[order[low - 1]] != request[one]:
                low -= 1
            while high < n - 1 and request[order[high + 1]] != request[one]:
                high += 1
            for j in range(low, high + 1):
                if j == i:
                    continue
                trial = order.copy()
                if j > i:
                    trial[i:j] = order[i + 1 : j + 1]
                else:
                    trial[j + 1 : i + 1] = order[j:i]
                trial[j] = one
                steps += n
                value = chain_end(jobs[trial], half_rtt)
                if value < best:
                    best, order, improved = value, trial, True
                    break
                if steps >= max_steps:
                    return order
    return order


@njit(cache=True)
def last_reads(done, producer, consumer_first, consumers):
    """When each tensor of each request was last read on the edge, or else made; `done` is 0 for layers elsewhere."""
    found = np.zeros((len(done), len(producer)), np.int64)
    for request in range(len(done)):
        for tensor in range(len(producer)):
            found[request, tensor] = done[request, producer[tensor]]
            for k in range(consumer_first[tensor], consumer_first[tensor + 1]):
                found[request, tensor] = max(found[request, tensor], done[request, consumers[k]])
    return found


SOUND = 0
UNKNOWN_WORK, NOT_SERIAL, LAYER_TWICE, WRONG_SIDE, WRONG_TIME, LAYER_MISSING, TENSOR_TWICE, TOO_EARLY = range(1, 9)
OF_REFERENCES = BROKEN, BACKWARDS, NEVER_SENT, SENT_EARLY, READ_EARLY = range(9, 14)
OF_OUTPUTS = NOT_RETURNED, RETURNED_EARLY = range(14, 16)
SENT_IN_VAIN, RETURNED_IN_VAIN, WRONG_RESULT, STAGE_EARLY = range(16, 20)


@njit(cache=True)
def _by_request(work, n_requests):
    """Where each request's work on each resource stands, in the order of its sequence; ragged, (4, requests)."""
    request, _, first = work
    begin = np.zeros((4, n_requests + 1), np.int64)
    places = np.empty(len(request), np.int64)
    for resource in range(4):
        for k in range(first[resource], first[resource + 1]):
            begin[resource, request[k] + 1] += 1
        begin[resource, 0] = first[resource]
        for r in range(n_requests):
            begin[resource, r + 1] += begin[resource, r]
        filled = begin[resource, :n_requests].copy()
        for k in range(first[resource], first[resource + 1]):
            places[filled[request[k]]] = k
            filled[request[k]] += 1
    return begin, places


@njit(cache=True)
def judge(work, start, end, result, on_edge, kind, times, crossing_ns, half_rtt, staged, consecutive, references):
    """What is wrong with a schedule first: the trouble, the request, a resource, and what is wrong.

    What is wrong is a layer, a tensor, a time, or the number of a reference. `on_edge` has one row for each distinct
    cut, `kind` tells the row of each request; `references` is a `plans.judge.References`, and `crossing_ns` what it
    costs to send each tensor, and to receive it. Nothing here looks at what made or timed the plan.
    """
    request, item, first = work
    send_ns, receive_ns = crossing_ns
    reader, source, read_tensor, output_source, output_tensor = references
    n_requests, n_layers, n_tensors = len(result), on_edge.shape[1], len(times[UPLINK])
    for resource in range(4):
        for k in range(first[resource], first[resource + 1]):
            if not (0 <= request[k] < n_requests and 0 <= item[k] < len(times[resource])):
                return UNKNOWN_WORK, request[k], resource, item[k]
        for k in range(first[resource], first[resource + 1]):
            before = end[k - 1] if k > first[resource] else 0
            if start[k] < before:
                return NOT_SERIAL, request[k], resource, item[k]
    begin, places = _by_request(work, n_requests)
    ran = np.empty(n_layers, np.int64)
    crossed = np.empty((2, n_tensors), np.int64)  # over the uplink and back
    needed = np.empty(n_tensors, np.bool_)
    more = np.zeros(n_layers, np.int64)  # what a layer takes to send and to receive
    for r in range(n_requests):
        side = on_edge[kind[r]]
        if not r or kind[r] != kind[r - 1]:
            # Readers are told in stored order, so the first in the cloud is the one that receives.
            more[:], needed[:] = 0, False
            for i in range(len(reader)):
                if side[source[i]] and not side[reader[i]] and not needed[read_tensor[i]]:
                    needed[read_tensor[i]] = True
                    more[source[i]] += send_ns[read_tensor[i]]
                    more[reader[i]] += receive_ns[read_tensor[i]]
        ran[:] = UNKNOWN
        crossed[:, :] = UNKNOWN
        needed[:] = False
        count = np.zeros(4, np.int64)
        ready = np.int64(0)
        for resource in (EDGE, CLOUD):
            for place in range(begin[resource, r], begin[resource, r + 1]):
                k = places[place]
                layer = item[k]
                if ran[layer] != UNKNOWN:
                    return LAYER_TWICE, r, resource, layer
                if side[layer] != (resource == EDGE):
                    return WRONG_SIDE, r, resource, layer
                if end[k] - start[k] != times[resource][layer] + more[layer]:
                    return WRONG_TIME, r, resource, layer
                ran[layer] = k
                count[resource] += 1
                if resource == EDGE:
                    ready = max(ready, end[k])
        if count[EDGE] + count[CLOUD] != n_layers:
            return LAYER_MISSING, r, EDGE, 0
        for way, resource in enumerate((UPLINK, DOWNLINK)):
            for place in range(begin[resource, r], begin[resource, r + 1]):
                k = places[place]
                tensor = item[k]
                if crossed[way, tensor] != UNKNOWN:
                    return TENSOR_TWICE, r, resource, tensor
                if end[k] - start[k] != times[resource][tensor]:
                    return WRONG_TIME, r, resource, tensor
                crossed[way, tensor] = k
                count[resource] += 1
        for i in range(len(reader)):
            made, starts = end[ran[source[i]]], start[ran[reader[i]]]
            if side[source[i]] == side[reader[i]]:
                if starts < made:
                    return BROKEN, r, EDGE, i
                continue
            if not side[source[i]]:
                return BACKWARDS, r, EDGE, i
            sent = crossed[0, read_tensor[i]]
            if sent == UNKNOWN:
                return NEVER_SENT, r, EDGE, i
            if start[sent] < made:
                return SENT_EARLY, r, EDGE, i
            if starts < end[sent] + half_rtt:
                return READ_EARLY, r, EDGE, i
            needed[read_tensor[i]] = True
        if needed.sum() != count[UPLINK]:
            return SENT_IN_VAIN, r, UPLINK, 0
        needed[:] = False
        for i in range(len(output_source)):
            if not side[output_source[i]]:
                back = crossed[1, output_tensor[i]]
                if back == UNKNOWN:
                    return NOT_RETURNED, r, EDGE, i
                if start[back] < end[ran[output_source[i]]]:
                    return RETURNED_EARLY, r, EDGE, i
                needed[output_tensor[i]] = True
                ready = max(ready, end[back] + half_rtt)
        if needed.sum() != count[DOWNLINK]:
            return RETURNED_IN_VAIN, r, DOWNLINK, 0
        if result[r] != ready:
            return WRONG_RESULT, r, EDGE, ready
        if staged:
            over = np.int64(0)
            for resource in range(4):
                latest = over
                for place in range(begin[resource, r], begin[resource, r + 1]):
                    k = places[place]
                    if start[k] < over:
                        return STAGE_EARLY, r, resource, 0
                    latest = max(latest, end[k] + (half_rtt if resource in (UPLINK, DOWNLINK) else 0))
                over = latest
    if consecutive:
        seen = np.zeros(n_requests, np.bool_)
        over = np.int64(0)
        for edge in range(first[EDGE], first[EDGE + 1]):
            r = request[edge]
            if seen[r]:
                continue
            seen[r] = True
            for resource in range(4):
                for place in range(begin[resource, r], begin[resource, r + 1]):
                    if start[places[place]] < over:
                        return TOO_EARLY, r, resource, 0
            over = result[r]
    return SOUND, 0, EDGE, 0


WORD = 56
"""Layers that one word stands for, one bit each: whole bytes, and no sign bit."""


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


@njit(cache=True)
def split_layers(is_exit, arrays):
    """The nest of branches: for each layer the branch it stands in and its lane there (waists: -1); a row each branch.

    A row names the branch around, and the waists before and after; the outermost branch, row 0, has none (-1). Rows of
    one branch stand together, in the order of their layers. A branch is a stretch of `order`, sorted until its turn
    comes; then its waists are found, and what lies between two of them is sorted by component.
    """
    child_first, children = arrays.child_first, arrays.children
    parent_first, parents = arrays.parent_first, arrays.parents
    n = len(is_exit)
    home, lane = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    rows = np.full((2 * n + 1, 3), -1, np.int64)
    first, last = np.zeros(2 * n + 1, np.int64), np.zeros(2 * n + 1, np.int64)
    last[0] = n
    count = 1
    order, place = np.arange(n), np.arange(n)
    reach, root, size = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    is_waist, ends_lane = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    branch = 0
    while branch < count:
        low, high = first[branch], last[branch]
        for i in range(low, high):
            place[order[i]], home[order[i]] = i, branch
        # Every layer lies on a path from an entry to an exit, so a layer is avoidable exactly if some edge, entry or
        # exit jumps over its place in the topological order.
        last_entry, first_exit = low, high
        for i in range(low, high):
            layer = order[i]
            enters, leaves = parent_first[layer] == parent_first[layer + 1], is_exit[layer]
            for k in range(parent_first[layer], parent_first[layer + 1]):
                enters = enters or home[parents[k]] != branch
            reach[i] = -1
            for k in range(child_first[layer], child_first[layer + 1]):
                if home[children[k]] == branch:
                    reach[i] = max(reach[i], place[children[k]])
                else:
                    leaves = True
            if enters:
                last_entry = i
            if leaves:
                first_exit = min(first_exit, i)
        waists, furthest = 0, -1
        for i in range(low, high):
            is_waist[order[i]] = furthest <= i and last_entry <= i and i <= first_exit
            waists += is_waist[order[i]]
            furthest = max(furthest, reach[i])
        start = low
        for end in range(low, high + 1):
            if end < high and not is_waist[order[end]]:
                continue
            for i in range(start, end):
                root[i], size[i] = i, 0
                for k in range(parent_first[order[i]], parent_first[order[i] + 1]):
                    if home[parents[k]] == branch and place[parents[k]] >= start:
                        a, b = _root(root, place[parents[k]]), _root(root, i)
                        root[max(a, b)] = min(a, b)
            components = 0
            for i in range(start, end):
                root[i] = _root(root, i)
                size[root[i]] += 1
                components += root[i] == i
            if not waists and components == 1:
                lanes = 0
                for layer in order[start:end]:
                    latest = -1
                    for k in range(parent_first[layer], parent_first[layer + 1]):
                        if home[parents[k]] == branch and ends_lane[parents[k]]:
                            latest = max(latest, parents[k])
                    if latest >= 0:
                        lane[layer], ends_lane[latest] = lane[latest], False
                    else:
                        lane[layer] = lanes
                        lanes += 1
                    ends_lane[layer] = True
            else:
                stretch, to = order[start:end].copy(), start
                for i in range(start, end):
                    if root[i] == i:
                        first[count], last[count] = to, to + size[i]
                        rows[count, 0] = branch
                        rows[count, 1] = order[start - 1] if start > low else -1
                        rows[count, 2] = order[end] if end < high else -1
                        count += 1
                        # From here on the place where the next layer of this component goes.
                        size[i], to = to, to + size[i]
                for i in range(start, end):
                    order[size[root[i]]] = stretch[i - start]
                    size[root[i]] += 1
            start = end + 1
        branch += 1
    return home, lane, rows[:count]


@njit(cache=True)
def _root(root, i):
    """The first place of the component that a place is known to belong to."""
    while root[i] != i:
        root[i] = root[root[i]]
        i = root[i]
    return i


KNOWN_STATES = 1 << 12
"""Of the states that a search went through, how many it remembers."""


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
def cloud_side(on_edge, tensors, arrays, times, half_rtt):
    """The cloud's side of a cut whose crossing tensors are numbered by their place in `tensors`."""
    made_first, is_output = arrays.made_first, arrays.is_output
    consumer_first, consumers = arrays.consumer_first, arrays.consumers
    child_first, children = arrays.child_first, arrays.children
    parent_first, parents = arrays.parent_first, arrays.parents
    downlink_ns = times.downlink_ns
    _, cloud_ns = charged_times(on_edge, arrays, times)
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
    # Behind a layer: the longest way; all work that waits for it; all that comes back once the nearest output can.
    never = np.int64(2**62)
    returned = np.zeros(n, np.int64)
    for i in range(n):
        returned[i] = max(0, back_ns[i])
    all_work = sums_behind(own_child_first, own_children, time_ns, True)
    all_returned = sums_behind(own_child_first, own_children, returned, True)
    tail_ns, least_tail, nearest = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    key = np.empty(n, np.int64)
    for i in range(n - 1, -1, -1):
        ends = back_ns[i] != NOTHING
        longest = back_ns[i] + half_rtt if ends else np.int64(0)
        least, nearest[i] = never, np.int64(0) if ends else never
        for k in range(own_child_first[i], own_child_first[i + 1]):
            child = own_children[k]
            longest = max(longest, time_ns[child] + tail_ns[child])
            least = min(least, least_tail[child])
            nearest[i] = min(nearest[i], time_ns[child] + nearest[child])
        if least < never:
            longest = max(longest, all_work[i] - time_ns[i] + least)
        tail_ns[i] = max(longest, nearest[i] + all_returned[i] + half_rtt)
        least_tail[i] = min(least, tail_ns[i])
        key[i] = _scattered(i)
    return CloudSide(
        time_ns, back_ns, tail_ns, own_parent_first, own_parents, own_child_first, own_children, need_first, needs, key
    )


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
