"""The best sequences of one request with a given cut, for networks with several outputs to bring back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from decc_core import kernels
from decc_core.network.arrays import as_mask, topology
from decc_core.network.work import Resource, Work
from decc_core.planner.chains import best_shape
from decc_core.plans.plan import Execution, Plan
from decc_core.problem.instance import CostInstance, Cut, returned_tensors

MAX_STEPS = 5_000_000
"""Steps of the search over orders, all cuts together; about a tenth of a second."""
MAX_ORDERED_TENSORS = 60
"""Up to this many crossing tensors other orders than the best one known are tried."""


def best_sequences(
    instance: CostInstance, strategy: str, cuts: Sequence[Cut], below_ns: int | None = None
) -> list[Plan]:
    """At most one plan for each cut, better than its best order of tensors; depth first, at most MAX_STEPS steps.

    With `below_ns` every plan is also better than that and than the plans before it. The cuts share the steps: what one
    does not take is left to the others.
    """
    plans: list[Plan] = []
    left = MAX_STEPS
    for i, cut in enumerate(cuts):
        usual = best_shape(instance, cut).makespan_ns
        below = usual if below_ns is None else min(below_ns, usual)
        orders, end_ns, steps = _best_orders(instance, cut, below, max(0, left) // (len(cuts) - i))
        left -= steps
        if orders:
            sequences = {resource: tuple(Work(0, item) for item in items) for resource, items in orders.items()}
            plans.append(Plan(strategy, Execution.BRANCH_PIPELINED, (cut,), sequences))
            below_ns = None if below_ns is None else end_ns
    return plans


def _best_orders(
    instance: CostInstance, cut: Cut, below: int, max_steps: int
) -> tuple[dict[Resource, list[int]], int, int]:
    """What each resource does, if that ends before `below`; the end, and the steps taken."""
    arrays, shape = topology(instance.graph), best_shape(instance, cut)
    edge_ns, uplink_ns, cloud_ns, downlink_ns = instance.arrays
    on_edge, tensors = as_mask(arrays.n_layers, cut), np.array(shape.order, np.int64)
    all_edge = int(edge_ns[on_edge].sum())
    if all_edge >= below:
        return {}, below, 0
    groups = times = np.empty(0, np.int64)
    if len(tensors) <= MAX_ORDERED_TENSORS:
        bits = kernels.tensor_bits(on_edge, tensors, arrays.made_first, *arrays.flow[2:])
        groups, group_of = np.unique(bits[on_edge], return_inverse=True)
        times = np.zeros(len(groups), np.int64)
        np.add.at(times, group_of, edge_ns[on_edge])
    side = kernels.cloud_side(on_edge, tensors, cloud_ns, downlink_ns, *arrays.flow, instance.half_rtt_ns)
    order, cloud, end_ns, steps = kernels.best_sequences(
        side,
        shape.jobs[:, 0],
        uplink_ns[tensors],
        groups,
        times,
        instance.half_rtt_ns,
        all_edge,
        below,
        max_steps,
    )
    steps += arrays.n_layers + len(arrays.children)
    if not len(cloud):
        return {}, below, steps
    job_of, _ = kernels.jobs_of_order(
        np.arange(arrays.n_layers), on_edge, tensors[order], *instance.arrays, *arrays.flow
    )
    layers = np.flatnonzero(~on_edge)[cloud].tolist()
    turn = {layer: place for place, layer in enumerate(layers)}
    back = sorted(returned_tensors(instance.graph, cut), key=lambda tensor: turn[int(arrays.producer[tensor])])
    orders = {
        Resource.EDGE: sorted(cut, key=lambda layer: (job_of[layer], layer)),
        Resource.UPLINK: tensors[order].tolist(),
        Resource.CLOUD: layers,
        Resource.DOWNLINK: back,
    }
    return orders, max(all_edge, int(end_ns)), steps
