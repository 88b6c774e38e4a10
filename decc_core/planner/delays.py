"""What must come before a tensor can be sent, and after it has arrived."""

from __future__ import annotations

import numpy as np

from decc_core.kernels import sequencing
from decc_core.network.arrays import Ints, topology
from decc_core.problem.instance import CostInstance, Loads


class Delays:
    """Heads and tails of crossing tensors, and the idle time of resources that follows from them.

    h: the edge work of the producer and all its ancestors, and that to send the tensor. q: the cloud work to receive
    it, and that of a consumer and all its descendants; a consumer that itself runs in the cloud has all of them there,
    so this is valid where "all descendants of the tensor" is not. `least_back_ns` is the quickest way back of any
    output.
    """

    def __init__(self, instance: CostInstance) -> None:
        self.instance = instance
        arrays = topology(instance.graph)
        times = instance.times
        self.uplink_ns = times.uplink_ns
        self.head_ns: Ints = sequencing.sums_behind(arrays.parent_first, arrays.parents, times.edge_ns, False)
        self.tail_ns: Ints = sequencing.sums_behind(arrays.child_first, arrays.children, times.cloud_ns, True)
        outputs = np.flatnonzero(arrays.is_output)
        self.least_back_ns = int(times.downlink_ns[outputs].min())
        producers = arrays.producer[outputs]
        self.least_last_ns = int(times.cloud_ns[producers].min())
        """Cloud work of an output layer: the least that precedes a downlink transfer."""
        self.single_exit = bool((producers == arrays.n_layers - 1).all())
        self.h: Ints = self.head_ns[arrays.producer] + times.send_ns
        self.least_q: Ints = times.receive_ns + np.array(
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
