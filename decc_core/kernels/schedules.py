"""When the work of given sequences starts, and how long tensors are needed."""

from __future__ import annotations

import numpy as np
from numba import njit

from decc_core.kernels.codes import CLOUD, DOWNLINK, UNKNOWN, UPLINK


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
