"""What one cut costs: its loads, its tensors in their best order, and what moving a layer or a job changes."""

from __future__ import annotations

import numpy as np
from numba import njit

from decc_core.kernels.codes import CLOUD, DOWNLINK, EDGE, IN_CLOUD, NOTHING, ON_EDGE, UNKNOWN, UPLINK

MAX_EXACT_TENSORS = 9
MAX_SORTED_TENSORS = 40
MAX_LABELS = 32


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
