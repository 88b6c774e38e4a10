"""The best sequences of one request with a given cut, for networks with several outputs to bring back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from decc_core.kernels import one_cut, sequencing
from decc_core.network.arrays import Ints, topology
from decc_core.network.work import Resource
from decc_core.planner.chains import Chain
from decc_core.plans.plan import Execution, Plan
from decc_core.problem.instance import CostInstance

MAX_STEPS = 5_000_000
"""Steps of the search over orders, all cuts together; about a tenth of a second."""
MAX_ORDERED_TENSORS = 60
"""Up to this many crossing tensors other orders than the best one known are tried."""


def best_sequences(instance: CostInstance, chains: Sequence[Chain], below_ns: int | None = None) -> list[Plan]:
    """At most one plan for each cut, better than its best order of tensors; depth first, at most MAX_STEPS steps.

    With `below_ns` every plan is also better than that and than the plans before it. The cuts share the steps: what one
    does not take is left to the others.
    """
    plans: list[Plan] = []
    left = MAX_STEPS
    for i, chain in enumerate(chains):
        below = chain.makespan_ns if below_ns is None else min(below_ns, chain.makespan_ns)
        orders = _search(instance, chain, below, max(0, left) // (len(chains) - i))
        left -= orders.steps
        if len(orders.cloud):
            plans.append(_plan(instance, chain, orders))
            below_ns = None if below_ns is None else orders.end_ns
    return plans


class _Orders(NamedTuple):
    """In which order tensors cross and the cloud works, empty where nothing ends early enough, and when that ends."""

    tensors: Ints
    cloud: Ints
    end_ns: int
    steps: int


def _search(instance: CostInstance, chain: Chain, below: int, max_steps: int) -> _Orders:
    arrays, tensors = topology(instance.graph), chain.order
    edge_ns, cloud_ns = one_cut.charged_times(chain.on_edge, arrays, instance.times)
    nothing = np.empty(0, np.int64)
    all_edge = int(edge_ns[chain.on_edge].sum())
    if all_edge >= below:
        return _Orders(nothing, nothing, below, 0)
    groups = times = nothing
    if len(tensors) <= MAX_ORDERED_TENSORS:
        bits = one_cut.tensor_bits(chain.on_edge, tensors, arrays)[chain.on_edge]
        groups, group_of = np.unique(bits, return_inverse=True)
        times = np.zeros(len(groups), np.int64)
        np.add.at(times, group_of, edge_ns[chain.on_edge])
    order, cloud, end_ns, steps = sequencing.best_sequences(
        sequencing.cloud_side(
            chain.on_edge, tensors, arrays, cloud_ns, instance.times.downlink_ns, instance.half_rtt_ns
        ),
        np.ascontiguousarray(chain.jobs[:, 0]),
        instance.times.uplink_ns[tensors],
        groups,
        times,
        instance.half_rtt_ns,
        all_edge,
        below,
        max_steps,
    )
    layers = np.flatnonzero(~chain.on_edge)[cloud] if len(cloud) else nothing
    steps += arrays.n_layers + len(arrays.children)
    return _Orders(tensors[order], layers, max(all_edge, int(end_ns)), int(steps))


def _plan(instance: CostInstance, chain: Chain, orders: _Orders) -> Plan:
    """Edge layers when the next tensor needs them, and outputs as they are made."""
    arrays, edge = topology(instance.graph), np.flatnonzero(chain.on_edge)
    job_of, _ = one_cut.jobs_of_order(chain.on_edge, orders.tensors, arrays, instance.times)
    turn = np.zeros(arrays.n_layers, np.int64)
    turn[orders.cloud] = np.arange(len(orders.cloud))
    returned = np.flatnonzero(arrays.is_output & ~chain.on_edge[arrays.producer])
    items = {
        Resource.EDGE: edge[np.argsort(job_of[edge], kind="stable")],
        Resource.UPLINK: orders.tensors,
        Resource.CLOUD: orders.cloud,
        Resource.DOWNLINK: returned[np.argsort(turn[arrays.producer[returned]], kind="stable")],
    }
    sequences = {resource: np.column_stack((np.zeros_like(work), work)) for resource, work in items.items()}
    return Plan(Execution.BRANCH_PIPELINED, (chain.cut,), sequences)
