"""The loops that planning spends its time in, compiled by numba; plain arrays in, plain arrays out.

Layers, tensors and ragged lists are numbered as in `decc_core.topology`, times are integer nanoseconds. Compiled
code is kept on disk, so that only the first call on a machine waits for the compiler.
"""

from __future__ import annotations

import numpy as np
from numba import njit

EDGE, UPLINK, CLOUD, DOWNLINK = 0, 1, 2, 3
UNKNOWN = -1


@njit(cache=True)
def cut_loads(on_edge, edge_ns, uplink_ns, cloud_ns, downlink_ns, producer, is_output, consumer_first, consumers):
    """E, T, C and D of each row of `on_edge` (cuts, layers); shape (cuts, 4)."""
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
                        found[row, UPLINK] += uplink_ns[tensor]
                        break
            elif is_output[tensor]:
                found[row, DOWNLINK] += downlink_ns[tensor]
    return found


@njit(cache=True)
def earliest_starts(request, item, first, duration, on_edge, half_rtt, staged, previous, producer, read_first, reads):
    """Starts and ends of all pieces of work, the result of each request, and how far each resource came.

    Pieces stand resource after resource (`first` has 5 entries), each resource in the order of its sequence. `on_edge`
    has one row for each request. `staged` makes the four stages of a request indivisible; `previous` names the request
    whose result each request waits for, or UNKNOWN.
    """
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
