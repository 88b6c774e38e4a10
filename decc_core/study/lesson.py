"""A diamond network with round numbers, on which everything that a plan may do can be followed by hand."""

from __future__ import annotations

from itertools import combinations

from decc_core.network.graph import INPUT, Layer, LayerGraph, TensorRef, TensorSpec
from decc_core.problem.instance import CostInstance, Cut
from decc_core.problem.link import Link
from decc_core.problem.profile import DeviceProfile, Provenance, ProvenanceKind

EDGE_MS = {"a": 30, "b": 30, "c": 30, "d": 20}
CLOUD_MS = {"a": 10, "b": 20, "c": 30, "d": 10}
SIZE_KB = {"input": 40, "a": 10, "b": 10, "c": 10, "d": 10}
PARENTS = {"input": (), "a": ("input",), "b": ("a",), "c": ("a",), "d": ("b", "c")}
RATE_BPS = 8e6
"""8 Mbit/s: a kilobyte takes a millisecond."""
MS = 1e-3


def diamond() -> LayerGraph:
    """input -> a -> {b, c} -> d, one tensor each."""
    layers = tuple(
        Layer(
            name,
            "op" if parents else INPUT,
            tuple(TensorRef(parent) for parent in parents),
            (TensorSpec((SIZE_KB[name] * 1000,), "uint8"),),
        )
        for name, parents in PARENTS.items()
    )
    return LayerGraph("diamond", layers, (TensorRef("d"),))


def lesson(requests: int = 1, slower_link: float = 1.0) -> CostInstance:
    """The planning problem of the diamond; no travel time and no overhead, so that all numbers stay round."""
    graph = diamond()
    rate = RATE_BPS / slower_link
    edge, cloud = _profile(graph, "edge", EDGE_MS), _profile(graph, "cloud", CLOUD_MS)
    return CostInstance.build(graph, edge, cloud, Link(rate, rate, rtt_s=0.0, overhead_s=0.0), requests)


def _profile(graph: LayerGraph, device: str, times_ms: dict[str, int]) -> DeviceProfile:
    times = {name: time * MS for name, time in times_ms.items()}
    made_up = Provenance(ProvenanceKind.SCALED, "made up for the lesson")
    return DeviceProfile(device, graph.name, graph.fingerprint, times, times, sum(times.values()), made_up)


def cut_of(graph: LayerGraph, *names: str) -> Cut:
    """The cut with these layers on the edge, inputs included."""
    return frozenset(graph.index[name] for name in names) | frozenset(graph.inputs)


def all_cuts(graph: LayerGraph) -> tuple[Cut, ...]:
    """Every legal cut, from all in the cloud to all on the edge; only for graphs as small as this one."""
    free = [layer for layer in range(len(graph.layers)) if layer not in graph.inputs]
    sets = (
        frozenset(chosen) | frozenset(graph.inputs)
        for size in range(len(free) + 1)
        for chosen in combinations(free, size)
    )
    return tuple(cut for cut in sets if all(parent in cut for layer in cut for parent in graph.parents[layer]))
