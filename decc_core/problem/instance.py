"""The instance, everything a strategy may know: the one place where seconds and bytes become integer nanoseconds.

A cut costs E + T + C + D: its layers' time on the edge, its crossing tensors' on the uplink, the other layers' in the
cloud and the returned outputs' on the downlink, and the round trip where the cloud is used. Crossing takes work, too:
the edge sends a tensor right after it has made it, and the first layer in the cloud that needs it receives it.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from decc_core import formats, ranges
from decc_core.errors import ImpossibleConstraints, InvalidInstance
from decc_core.formats import RAW
from decc_core.kernels import one_cut
from decc_core.network.arrays import Ints, Mask, as_mask, topology
from decc_core.network.graph import LayerGraph
from decc_core.network.work import Resource
from decc_core.problem.constraints import UNCONSTRAINED, Constraints, closure
from decc_core.problem.link import FREE, NS_PER_S, Link, TensorWork
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.wire import RAW_WIRE, Travel, Wire
from decc_core.text import counted

MAX_TOTAL_NS = ranges.MAX_INT
MAX_REQUESTS = 1024

RESOURCES = tuple(Resource)
"""The resources in the order of the entries of `Loads`."""

Cut = frozenset[int]
"""The layers of one request that run on the edge, as indices; predecessor-closed."""


def require_requests(requests: int) -> None:
    """Refuse what is no number of requests that can be planned."""
    if not isinstance(requests, int) or not 1 <= requests <= MAX_REQUESTS:
        raise InvalidInstance(f"{ranges.shown(requests)} requests cannot be planned; choose 1 to {MAX_REQUESTS}.")


class Objective(StrEnum):
    """What a plan is chosen for: the end of a batch of requests, or the rate when it repeats for ever."""

    MAKESPAN = "makespan"
    THROUGHPUT = "throughput"


class Results(StrEnum):
    """Where results are wanted; of those that may stay in the cloud only word comes back, which occupies no link."""

    EDGE = "edge"
    CLOUD = "cloud"


class Loads(NamedTuple):
    """Nanoseconds of work that one request puts on each resource: E, T, C and D."""

    edge_ns: int
    uplink_ns: int
    cloud_ns: int
    downlink_ns: int

    @property
    def bottleneck_ns(self) -> int:
        return max(self)


class Times(NamedTuple):
    """Nanoseconds of every layer on edge and cloud, and of every tensor on uplink and downlink.

    Where a tensor crosses, its producer takes `send_ns` longer, and its first consumer in the cloud `receive_ns`;
    `charged` is whether any does.
    """

    edge_ns: Ints
    uplink_ns: Ints
    cloud_ns: Ints
    downlink_ns: Ints
    send_ns: Ints
    receive_ns: Ints
    charged: bool

    @property
    def by_resource(self) -> tuple[Ints, Ints, Ints, Ints]:
        return self[:4]


@dataclass(frozen=True)
class CostInstance:
    """Everything a strategy may know, in integer nanoseconds.

    `edge_ns` and `cloud_ns` hold one time per layer, `uplink_ns`, `downlink_ns` and `wire_bytes` one entry per tensor
    of the graph. Propagation is `half_rtt_ns` each way. All `requests` are there at time 0. A tensor that crosses to
    the cloud costs its producer `send_ns` of edge work more, and the first of its consumers in the cloud, in stored
    order, `receive_ns` of cloud work; both have one entry per tensor, or none where crossing costs no work. Of these,
    coding for the link takes `encode_ns` and `decode_ns`. `formats` names each tensor's wire format on the uplink, and
    is empty where all travel as they are; on the downlink all have `result_format`.
    """

    graph: LayerGraph
    edge_ns: tuple[int, ...]
    cloud_ns: tuple[int, ...]
    uplink_ns: tuple[int, ...]
    downlink_ns: tuple[int, ...]
    wire_bytes: tuple[int, ...]
    half_rtt_ns: int = 0
    requests: int = 1
    objective: Objective = Objective.MAKESPAN
    constraints: Constraints = UNCONSTRAINED
    send_ns: tuple[int, ...] = ()
    receive_ns: tuple[int, ...] = ()
    encode_ns: tuple[int, ...] = ()
    decode_ns: tuple[int, ...] = ()
    formats: tuple[str, ...] = ()
    result_format: str = RAW

    def __post_init__(self) -> None:
        require_requests(self.requests)
        n_layers, n_tensors = len(self.graph.layers), len(self.graph.tensors)
        for name in ("send_ns", "receive_ns", "encode_ns", "decode_ns"):
            if not getattr(self, name):
                object.__setattr__(self, name, (0,) * n_tensors)
        for name, times, expected in (
            ("edge_ns", self.edge_ns, n_layers),
            ("cloud_ns", self.cloud_ns, n_layers),
            ("uplink_ns", self.uplink_ns, n_tensors),
            ("downlink_ns", self.downlink_ns, n_tensors),
            ("wire_bytes", self.wire_bytes, n_tensors),
            ("send_ns", self.send_ns, n_tensors),
            ("receive_ns", self.receive_ns, n_tensors),
            ("encode_ns", self.encode_ns, n_tensors),
            ("decode_ns", self.decode_ns, n_tensors),
        ):
            if len(times) != expected:
                raise InvalidInstance(f"{name} has {len(times)} entries; graph '{self.graph.name}' needs {expected}.")
            if times and min(times) < 0:
                raise InvalidInstance(f"{name} has a negative entry at {times.index(min(times))}.")
        if self.formats and len(self.formats) != n_tensors:
            raise InvalidInstance(
                f"formats has {len(self.formats)} entries; graph '{self.graph.name}' needs {n_tensors}."
            )
        if self.half_rtt_ns < 0:
            raise InvalidInstance(f"half_rtt_ns is {self.half_rtt_ns}; it must not be negative.")
        for i in self.graph.inputs:
            if self.edge_ns[i] or self.cloud_ns[i]:
                raise InvalidInstance(f"Input '{self.graph.layers[i].name}' must take no time.")
        self._check_total()
        self._check_pins()

    def _check_pins(self) -> None:
        """Refuse pins that would let the cloud feed the edge."""
        for layer in self.constraints.on_edge | self.constraints.in_cloud:
            if not 0 <= layer < len(self.graph.layers):
                raise InvalidInstance(f"A pin names layer {layer}; graph '{self.graph.name}' has no such layer.")
        for layer in sorted(self.constraints.in_cloud & self.least_edge):
            name = self.graph.titles[layer]
            why = "it is a model input" if layer in self.graph.inputs else "a layer kept on the edge needs it"
            if layer in self.constraints.on_edge:
                why = "it is kept on the edge, too"
            raise ImpossibleConstraints(
                f"Keeping '{name}' in the cloud is impossible, because {why}: drop one of the two pins."
            )

    def _check_total(self) -> None:
        """Refuse times whose sum over all work would leave 63 bits."""
        parts = {
            "edge times": sum(self.edge_ns),
            "cloud times": sum(self.cloud_ns),
            "uplink times": sum(self.uplink_ns),
            "downlink times": sum(self.downlink_ns),
            "times to send and receive": sum(self.send_ns) + sum(self.receive_ns),
            "RTT": 2 * self.half_rtt_ns,
        }
        total = sum(parts.values()) * self.requests
        if total > MAX_TOTAL_NS:
            worst = max(parts, key=lambda name: parts[name])
            raise InvalidInstance(
                f"All work of {counted(self.requests, 'request')} adds up to {total / NS_PER_S:.2g} s, more than 63 "
                f"bits of nanoseconds; mostly {worst} ({parts[worst] / NS_PER_S:.2g} s a request): "
                "choose a faster link or device, or fewer requests."
            )

    @classmethod
    def build(
        cls,
        graph: LayerGraph,
        edge: DeviceProfile,
        cloud: DeviceProfile,
        link: Link,
        requests: int = 1,
        wire: Wire = RAW_WIRE,
        objective: Objective = Objective.MAKESPAN,
        constraints: Constraints = UNCONSTRAINED,
        edge_work: TensorWork = FREE,
        cloud_work: TensorWork = FREE,
        results: Results = Results.EDGE,
    ) -> CostInstance:
        """Quantise profiles, link, and what crossing costs both devices; refuses profiles of another graph.

        An output comes back whenever its layer is in the cloud, so that sending it is part of that layer's time there;
        to receive it, the last thing that happens to a request, is part of its time on the downlink. Outputs come back
        as they are, or as half floats where all travels so: they are what was asked for.
        Where results may stay in the cloud they cost neither; that a request is done is known half a round trip later.
        """
        edge.require_graph(graph)
        cloud.require_graph(graph)
        delay_s = edge_work.delay_s + cloud_work.delay_s

        def cost(way: Travel) -> float:
            work_s = edge_work.busy_s(way.bytes) + cloud_work.busy_s(way.bytes)
            return way.encode_s + link.uplink_s(way.bytes) + work_s + way.decode_s

        travels = wire.travels(graph, cost)
        sizes = tuple(way.bytes for way in travels)
        returned = [formats.find(wire.result_format).certain_bytes(tensor.spec) or 0 for tensor in graph.tensors]
        cloud_s = _layer_times_s(graph, cloud)
        come_back = results is Results.EDGE
        for i in graph.returned if come_back else ():
            cloud_s[graph.tensors[i].producer] += cloud_work.busy_s(returned[i])
        # Another core codes beside the layers, too: then it only makes the tensor later.
        encode_s = [0.0 if edge_work.spare_core else way.encode_s for way in travels]
        decode_s = [0.0 if cloud_work.spare_core else way.decode_s for way in travels]
        later_s = [delay_s + way.encode_s + way.decode_s - encode_s[i] - decode_s[i] for i, way in enumerate(travels)]
        return cls(
            graph=graph,
            edge_ns=tuple(map(_to_ns, _layer_times_s(graph, edge))),
            cloud_ns=tuple(map(_to_ns, cloud_s)),
            uplink_ns=tuple(_to_ns(link.uplink_s(size) + later_s[i]) for i, size in enumerate(sizes)),
            downlink_ns=tuple(
                _to_ns(link.downlink_s(size) + delay_s + edge_work.busy_s(size)) if come_back else 0
                for size in returned
            ),
            wire_bytes=sizes,
            send_ns=tuple(_to_ns(edge_work.busy_s(size)) + _to_ns(encode_s[i]) for i, size in enumerate(sizes)),
            receive_ns=tuple(_to_ns(cloud_work.busy_s(size)) + _to_ns(decode_s[i]) for i, size in enumerate(sizes)),
            encode_ns=tuple(map(_to_ns, encode_s)),
            decode_ns=tuple(map(_to_ns, decode_s)),
            result_format=wire.result_format,
            formats=() if all(way.format == RAW for way in travels) else tuple(way.format for way in travels),
            half_rtt_ns=_to_ns(link.rtt_s / 2),
            requests=requests,
            objective=objective,
            constraints=constraints,
        )

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Computed once: planning looks instances up in caches all the time."""
        return hash((self.graph, *(getattr(self, one.name) for one in fields(self)[1:])))

    @property
    def rtt_ns(self) -> int:
        return 2 * self.half_rtt_ns

    @cached_property
    def times(self) -> Times:
        return Times(
            edge_ns=np.array(self.edge_ns, np.int64),
            uplink_ns=np.array(self.uplink_ns, np.int64),
            cloud_ns=np.array(self.cloud_ns, np.int64),
            downlink_ns=np.array(self.downlink_ns, np.int64),
            send_ns=np.array(self.send_ns, np.int64),
            receive_ns=np.array(self.receive_ns, np.int64),
            charged=self.charges_work,
        )

    def bytes_back(self, tensor: int) -> int:
        """Bytes of a result on the downlink, where it travels in `result_format`."""
        return formats.find(self.result_format).certain_bytes(self.graph.tensors[tensor].spec) or 0

    @cached_property
    def charges_work(self) -> bool:
        """Whether sending or receiving any tensor costs work."""
        return any(self.send_ns) or any(self.receive_ns)

    def format_of(self, tensor: int) -> str:
        """The wire format of a tensor on the uplink."""
        return self.formats[tensor] if self.formats else RAW

    @cached_property
    def on_edge(self) -> Cut:
        """Layers that every cut has on the edge: those pinned there and all that they need; inputs where any is."""
        return closure(self.constraints.on_edge, self.graph.parents)

    @cached_property
    def in_cloud(self) -> Cut:
        """Layers that no cut has on the edge: those pinned to the cloud and all that need them."""
        return closure(self.constraints.in_cloud, self.graph.children)

    @cached_property
    def least_edge(self) -> Cut:
        """The smallest cut that the pins allow; all-cloud where there are none."""
        return self.on_edge | self.all_cloud

    @cached_property
    def most_edge(self) -> Cut:
        """The largest cut that the pins allow; all-edge where there are none."""
        return self.all_edge - self.in_cloud

    def allows(self, cut: Cut) -> bool:
        """Whether one request may be cut so: pins, and bytes sent. Memory depends on the whole plan."""
        if self.constraints.is_free:
            return True
        limit = self.constraints.uplink_bytes
        return cut >= self.on_edge and not cut & self.in_cloud and (limit is None or uplink_bytes(self, cut) <= limit)

    @cached_property
    def sendable(self) -> Mask:
        """Tensors that the limit on uplink bytes lets cross at all."""
        limit = self.constraints.uplink_bytes
        return np.array(self.wire_bytes, object) <= (MAX_TOTAL_NS if limit is None else limit)

    @cached_property
    def all_edge(self) -> Cut:
        return frozenset(range(len(self.graph.layers)))

    @cached_property
    def all_cloud(self) -> Cut:
        return frozenset(self.graph.inputs)


def _layer_times_s(graph: LayerGraph, profile: DeviceProfile) -> list[float]:
    return [0.0 if layer.is_input else profile.median_s[layer.name] for layer in graph.layers]


def _to_ns(time_s: float) -> int:
    """Times that are beyond all nanoseconds end in the sentence on the total, which names the worst of them."""
    return round(min(time_s, 10.0 * MAX_TOTAL_NS / NS_PER_S) * NS_PER_S)


def work_times_ns(instance: CostInstance, cut: Cut) -> tuple[Ints, Ints, Ints, Ints]:
    """How long each layer (edge, cloud) or tensor (links) of a request with this cut occupies each resource."""
    arrays, times = topology(instance.graph), instance.times
    edge_ns, cloud_ns = one_cut.charged_times(as_mask(arrays.n_layers, cut), arrays, times)
    return edge_ns, times.uplink_ns, cloud_ns, times.downlink_ns


def coding_times_ns(instance: CostInstance, cut: Cut) -> tuple[Ints, Ints]:
    """How much of each layer's time on the edge, at its end, and in the cloud, at its start, is coding for the link."""
    arrays, times = topology(instance.graph), instance.times
    coding = times._replace(
        edge_ns=np.zeros_like(times.edge_ns),
        cloud_ns=np.zeros_like(times.cloud_ns),
        send_ns=np.array(instance.encode_ns, np.int64),
        receive_ns=np.array(instance.decode_ns, np.int64),
        charged=True,
    )
    encode_ns, decode_ns = one_cut.charged_times(as_mask(arrays.n_layers, cut), arrays, coding)
    return encode_ns, decode_ns


@lru_cache(maxsize=32)
def crossing_tensors(graph: LayerGraph, cut: Cut) -> tuple[int, ...]:
    """Tensors of edge layers that a cloud layer needs, each once, in order of production."""
    arrays = topology(graph)
    return tuple(one_cut.crossing(as_mask(arrays.n_layers, cut), arrays).tolist())


def returned_tensors(graph: LayerGraph, cut: Set[int]) -> tuple[int, ...]:
    """Outputs of the model that are computed in the cloud and come back over the downlink."""
    return tuple(i for i in graph.returned if graph.tensors[i].producer not in cut)


def uses_cloud(instance: CostInstance, cut: Set[int]) -> bool:
    return len(cut) < len(instance.graph.layers)


def loads(instance: CostInstance, cut: Cut) -> Loads:
    """E, T, C and D of a cut."""
    return Loads(*loads_of_masks(instance, as_mask(len(instance.graph.layers), cut)[None])[0].tolist())


def loads_of_masks(instance: CostInstance, on_edge: Mask) -> Ints:
    """E, T, C and D of many cuts, one a row of `on_edge`; shape (cuts, 4)."""
    return np.asarray(one_cut.cut_loads(on_edge, topology(instance.graph), instance.times))


def sequential_ns(instance: CostInstance, cut: Cut) -> int:
    """E + T + C + D, plus the RTT where the cloud is used: the cost that every baseline minimises."""
    return sum(loads(instance, cut)) + (instance.rtt_ns if uses_cloud(instance, cut) else 0)


def uplink_bytes(instance: CostInstance, cut: Cut) -> int:
    """Bytes that one request sends to the cloud."""
    return sum(instance.wire_bytes[tensor] for tensor in crossing_tensors(instance.graph, cut))
