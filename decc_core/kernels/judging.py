"""What is wrong with a schedule, looked at apart from what made it."""

from __future__ import annotations

import numpy as np
from numba import njit

from decc_core.kernels.codes import CLOUD, DOWNLINK, EDGE, UNKNOWN, UPLINK

SOUND = 0
UNKNOWN_WORK, NOT_SERIAL, LAYER_TWICE, WRONG_SIDE, WRONG_TIME, LAYER_MISSING, TENSOR_TWICE, TOO_EARLY = range(1, 9)
OF_REFERENCES = BROKEN, BACKWARDS, NEVER_SENT, SENT_EARLY, READ_EARLY = range(9, 14)
OF_OUTPUTS = NOT_RETURNED, RETURNED_EARLY = range(14, 16)
SENT_IN_VAIN, RETURNED_IN_VAIN, WRONG_RESULT, STAGE_EARLY = range(16, 20)


@njit(cache=True)
def judge(work, start, end, result, on_edge, kind, times, crossing_ns, half_rtt, staged, consecutive, references):
    """What is wrong with a schedule first: the trouble, the request, a resource, and what is wrong.

    What is wrong is a layer, a tensor, a time, or the number of a reference. `on_edge` has one row for each distinct
    cut, `kind` tells the row of each request; `references` is a `plans.judge.References`, and `crossing_ns` what it
    costs to send each tensor, and to receive it. Nothing here looks at what made or timed the plan.
    """
    n_requests, n_layers, n_tensors = len(result), on_edge.shape[1], len(times[UPLINK])
    trouble, request, resource, culprit = _queues(work, start, end, times, n_requests)
    if trouble != SOUND:
        return trouble, request, resource, culprit
    begin, places = _by_request(work, n_requests)
    ran = np.empty(n_layers, np.int64)
    crossed = np.empty((2, n_tensors), np.int64)  # over the uplink and back
    more = np.zeros(n_layers, np.int64)
    for r in range(n_requests):
        side, row = on_edge[kind[r]], begin[:, r : r + 2]
        if not r or kind[r] != kind[r - 1]:
            more = _crossing_work(side, crossing_ns, references)
        trouble, resource, culprit = _done_once(work.item, start, end, row, places, side, times, more, ran, crossed)
        if trouble == SOUND:
            trouble, resource, culprit = _read(start, end, row, side, half_rtt, references, ran, crossed)
        if trouble == SOUND:
            trouble, resource, culprit = _came_back(
                start, end, result[r], row, places, side, half_rtt, references, ran, crossed
            )
        if trouble == SOUND and staged:
            trouble, resource, culprit = _in_stages(start, end, row, places, half_rtt)
        if trouble != SOUND:
            return trouble, r, resource, culprit
    if consecutive:
        return _one_after_the_other(work, start, result, begin, places)
    return SOUND, 0, EDGE, 0


@njit(cache=True)
def _queues(work, start, end, times, n_requests):
    """Every resource does work that there is, one piece after the other."""
    request, item, first = work
    for resource in range(4):
        for k in range(first[resource], first[resource + 1]):
            if not (0 <= request[k] < n_requests and 0 <= item[k] < len(times[resource])):
                return UNKNOWN_WORK, request[k], resource, item[k]
        for k in range(first[resource], first[resource + 1]):
            before = end[k - 1] if k > first[resource] else 0
            if start[k] < before:
                return NOT_SERIAL, request[k], resource, item[k]
    return SOUND, 0, EDGE, 0


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
def _crossing_work(side, crossing_ns, references):
    """What each layer takes to send and to receive, with this cut."""
    send_ns, receive_ns = crossing_ns
    reader, source, read_tensor, _, _ = references
    more, met = np.zeros(len(side), np.int64), np.zeros(len(send_ns), np.bool_)
    # Readers are told in stored order, so the first in the cloud is the one that receives.
    for i in range(len(reader)):
        if side[source[i]] and not side[reader[i]] and not met[read_tensor[i]]:
            met[read_tensor[i]] = True
            more[source[i]] += send_ns[read_tensor[i]]
            more[reader[i]] += receive_ns[read_tensor[i]]
    return more


@njit(cache=True)
def _done_once(item, start, end, row, places, side, times, more, ran, crossed):
    """A request's layers run once, on their side, and no tensor crosses twice; `ran` and `crossed` tell where."""
    ran[:], crossed[:, :] = UNKNOWN, UNKNOWN
    count = 0
    for resource in (EDGE, CLOUD):
        for place in range(row[resource, 0], row[resource, 1]):
            k = places[place]
            layer = item[k]
            if ran[layer] != UNKNOWN:
                return LAYER_TWICE, resource, layer
            if side[layer] != (resource == EDGE):
                return WRONG_SIDE, resource, layer
            if end[k] - start[k] != times[resource][layer] + more[layer]:
                return WRONG_TIME, resource, layer
            ran[layer] = k
            count += 1
    if count != len(side):
        return LAYER_MISSING, EDGE, 0
    for way, resource in enumerate((UPLINK, DOWNLINK)):
        for place in range(row[resource, 0], row[resource, 1]):
            k = places[place]
            tensor = item[k]
            if crossed[way, tensor] != UNKNOWN:
                return TENSOR_TWICE, resource, tensor
            if end[k] - start[k] != times[resource][tensor]:
                return WRONG_TIME, resource, tensor
            crossed[way, tensor] = k
    return SOUND, EDGE, 0


@njit(cache=True)
def _read(start, end, row, side, half_rtt, references, ran, crossed):
    """A request's layers read what was made, and has arrived where it crosses; nothing else is sent."""
    reader, source, read_tensor, _, _ = references
    needed = np.zeros(crossed.shape[1], np.bool_)
    for i in range(len(reader)):
        made, starts = end[ran[source[i]]], start[ran[reader[i]]]
        if side[source[i]] == side[reader[i]]:
            if starts < made:
                return BROKEN, EDGE, i
            continue
        if not side[source[i]]:
            return BACKWARDS, EDGE, i
        sent = crossed[0, read_tensor[i]]
        if sent == UNKNOWN:
            return NEVER_SENT, EDGE, i
        if start[sent] < made:
            return SENT_EARLY, EDGE, i
        if starts < end[sent] + half_rtt:
            return READ_EARLY, EDGE, i
        needed[read_tensor[i]] = True
    if needed.sum() != row[UPLINK, 1] - row[UPLINK, 0]:
        return SENT_IN_VAIN, UPLINK, 0
    return SOUND, EDGE, 0


@njit(cache=True)
def _came_back(start, end, result, row, places, side, half_rtt, references, ran, crossed):
    """A request's outputs of the cloud, and nothing else, come back; the result is there with the last of them."""
    _, _, _, source, tensor = references
    ready = np.int64(0)
    for place in range(row[EDGE, 0], row[EDGE, 1]):
        ready = max(ready, end[places[place]])
    needed = np.zeros(crossed.shape[1], np.bool_)
    for i in range(len(source)):
        if not side[source[i]]:
            back = crossed[1, tensor[i]]
            if back == UNKNOWN:
                return NOT_RETURNED, EDGE, i
            if start[back] < end[ran[source[i]]]:
                return RETURNED_EARLY, EDGE, i
            needed[tensor[i]] = True
            ready = max(ready, end[back] + half_rtt)
    if needed.sum() != row[DOWNLINK, 1] - row[DOWNLINK, 0]:
        return RETURNED_IN_VAIN, DOWNLINK, 0
    if result != ready:
        return WRONG_RESULT, EDGE, ready
    return SOUND, EDGE, 0


@njit(cache=True)
def _in_stages(start, end, row, places, half_rtt):
    """A request's work on a resource begins once all its work on the resources before is done, and has arrived."""
    over = np.int64(0)
    for resource in range(4):
        latest = over
        for place in range(row[resource, 0], row[resource, 1]):
            k = places[place]
            if start[k] < over:
                return STAGE_EARLY, resource, 0
            latest = max(latest, end[k] + (half_rtt if resource in (UPLINK, DOWNLINK) else 0))
        over = latest
    return SOUND, EDGE, 0


@njit(cache=True)
def _one_after_the_other(work, start, result, begin, places):
    """No request begins before the result of the one before it is there."""
    request, _, first = work
    seen = np.zeros(len(result), np.bool_)
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
