"""What must come before a tensor can be sent, and after it has arrived."""

from __future__ import annotations

import numpy as np

from decc_core.network.arrays import Ints, topology
from decc_core.network.reach import ancestors
from decc_core.problem.instance import CostInstance, Loads


class Delays:
    """Heads and tails of crossing tensors, and the idle time of resources that follows from them.

    h: the edge work of the producer and all its ancestors. q: the cloud work of a consumer and all its descendants; a
    consumer that itself runs in the cloud has all of them there, so this is valid where "all descendants of the tensor"
    is not. `least_back_ns` is the quickest way back of any output.
    """

    def __init__(self, instance: CostInstance) -> None:
        self.instance = instance
        found = topology(instance.graph)
        self.edge_ns, self.uplink_ns, self.cloud_ns, self.downlink_ns = instance.arrays
        self.head_ns: Ints = _sums(instance, self.edge_ns, upwards=True)
        self.tail_ns: Ints = _sums(instance, self.cloud_ns, upwards=False)
        outputs = np.flatnonzero(found.is_output)
        self.least_back_ns = int(self.downlink_ns[outputs].min())
        producers = found.producer[outputs]
        self.least_last_ns = int(self.cloud_ns[producers].min())
        """Cloud work of an output layer: the least that precedes a downlink transfer."""
        self.single_exit = bool((producers == found.n_layers - 1).all())
        self.h: Ints = self.head_ns[found.producer]
        self.least_q: Ints = np.array(
            [
                self.tail_ns[list(tensor.consumers)].min() if tensor.consumers else 0
                for tensor in instance.graph.tensors
            ],
            np.int64,
        )
        """The least tail behind a tensor, whichever of its consumers runs in the cloud."""

    def shortest_way_ns(self, tensors: Ints) -> int:
        """The least time from the start to the result if one of these tensors crosses."""
        way = self.h[tensors] + self.uplink_ns[tensors] + self.least_q[tensors]
        return int(way.min()) + self.instance.rtt_ns + self.least_back_ns

    def idle(self, tensors: Ints, all_offloaded: bool) -> Loads:
        """Idle time of each resource before its first and after its last work, if one of these tensors crosses."""
        ready = self.h[tensors] + self.uplink_ns[tensors]
        way = self.instance.rtt_ns + self.least_back_ns
        after_edge = int((self.uplink_ns[tensors] + self.least_q[tensors]).min()) + way
        return Loads(
            edge_ns=after_edge if all_offloaded and self.single_exit else 0,
            uplink_ns=int(self.h[tensors].min()) + int(self.least_q[tensors].min()) + way,
            cloud_ns=int(ready.min()) + way,
            downlink_ns=int(ready.min()) + self.instance.rtt_ns + self.least_last_ns,
        )


def _sums(instance: CostInstance, times: Ints, upwards: bool) -> Ints:
    """For each layer the summed times of itself and all its ancestors (or descendants)."""
    above = ancestors(instance.graph) if upwards else ancestors(instance.graph).T
    if int(times.sum()) < 2**53:  # sums are exact in floating point, which is much faster here
        return np.asarray(above @ times.astype(np.float64)).astype(np.int64)
    return np.asarray(above.astype(np.int64) @ times)
