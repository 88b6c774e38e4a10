"""How much the edge has to remember: parameters, each once, and the live tensors of all requests in flight."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

import numpy as np

from decc_core.kernels import schedules
from decc_core.network.arrays import Ints, topology
from decc_core.network.graph import LayerGraph
from decc_core.plans.plan import Execution, Plan, staged_plan
from decc_core.plans.schedule import Schedule, schedule
from decc_core.problem.instance import CostInstance, Cut


def edge_memory_bytes(instance: CostInstance, plan: Plan, timing: Schedule) -> int:
    """The most bytes that the edge holds at any time.

    A tensor lives from the start of the layer that makes it (inputs: from time 0) until its last reader on the edge is
    done and, if it crosses, until it is sent. Parameters of all edge layers are there all the time; weights that
    several layers or requests share count once.
    """
    start, end = _live_times(instance, plan, timing)
    arrays = topology(instance.graph)
    held = plan.masks(arrays.n_layers)[:, arrays.producer]
    sizes = np.broadcast_to(tensor_bytes(instance.graph), held.shape)[held]
    times = np.concatenate([start[held], end[held]])
    changes = np.concatenate([sizes, -sizes])
    # What ends at a time is freed before what starts at it is allocated.
    order = np.lexsort((changes, times))
    live = max(0, int(np.cumsum(changes[order]).max())) if len(order) else 0
    return live + parameter_bytes(instance.graph, frozenset().union(*plan.cuts))


def _live_times(instance: CostInstance, plan: Plan, timing: Schedule) -> tuple[Ints, Ints]:
    """First and last time that a tensor of a request is needed on the edge; shape (requests, tensors)."""
    arrays, work = topology(instance.graph), plan.work
    edge, sent, _, _ = work.parts
    began = np.zeros((len(plan.cuts), arrays.n_layers), np.int64)
    done = np.zeros_like(began)
    began[work.request[edge], work.item[edge]] = timing.starts[edge]
    done[work.request[edge], work.item[edge]] = timing.ends[edge]
    began[:, arrays.is_input] = 0
    last = schedules.last_reads(done, arrays.producer, arrays.consumer_first, arrays.consumers)
    gone = np.zeros_like(last)
    gone[work.request[sent], work.item[sent]] = timing.ends[sent]
    return began[:, arrays.producer], np.maximum(last, gone)


@lru_cache(maxsize=32)
def tensor_bytes(graph: LayerGraph) -> Ints:
    """Bytes of each tensor in memory."""
    return np.array([tensor.spec.size_bytes for tensor in graph.tensors], np.int64)


def parameter_bytes(graph: LayerGraph, layers: Iterable[int]) -> int:
    """Bytes of the weights that these layers read, each once."""
    names = {name for layer in layers for name in graph.layers[layer].parameters}
    return sum(graph.parameter_bytes[name] for name in names)


def parameter_sums(graph: LayerGraph) -> Ints:
    """Bytes of the weights that the first k layers read, each once; row k."""
    new = np.zeros(len(graph.layers) + 1, np.int64)
    seen: set[str] = set()
    for k, layer in enumerate(graph.layers):
        new[k + 1] = sum(graph.parameter_bytes[name] for name in set(layer.parameters) - seen)
        seen.update(layer.parameters)
    return np.asarray(new.cumsum())


def cut_memory_bytes(instance: CostInstance, cut: Cut) -> int:
    """What a cut needs if requests run one after the other in stored order, the inputs of the others waiting."""
    alone = replace(instance, requests=1)
    plan = staged_plan(alone, Execution.CONSECUTIVE, (cut,))
    arrays = topology(instance.graph)
    waiting = int(tensor_bytes(instance.graph)[arrays.is_input[arrays.producer]].sum())
    return edge_memory_bytes(alone, plan, schedule(alone, plan)) + (instance.requests - 1) * waiting
