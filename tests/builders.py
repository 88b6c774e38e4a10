"""Small graphs and instances for the tests, and random ones from a seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from decc_core.network.graph import INPUT, Layer, LayerGraph, TensorRef, TensorSpec
from decc_core.problem.instance import CostInstance, Objective
from decc_core.problem.profile import DeviceProfile, Provenance, ProvenanceKind


def make_graph(edges: Mapping[str, Sequence[str]], outputs: Sequence[str] | None = None, name: str = "g") -> LayerGraph:
    """A graph from {layer: its parents} in topological order; layers without parents are inputs, sinks are outputs."""
    spec = (TensorSpec((1,), "float32"),)
    layers = tuple(
        Layer(layer, "op" if parents else INPUT, tuple(TensorRef(parent) for parent in parents), spec)
        for layer, parents in edges.items()
    )
    read = {parent for parents in edges.values() for parent in parents}
    returned = outputs if outputs is not None else [layer for layer in edges if layer not in read]
    return LayerGraph(name, layers, tuple(TensorRef(layer) for layer in returned))


def make_instance(
    graph: LayerGraph,
    edge: Mapping[str, int],
    cloud: Mapping[str, int],
    uplink: Mapping[str, int],
    downlink: int = 0,
    half_rtt_ns: int = 0,
    requests: int = 1,
    objective: Objective = Objective.MAKESPAN,
) -> CostInstance:
    """An instance with times by layer name; whatever is not named takes no time."""
    producers = [graph.layers[tensor.producer].name for tensor in graph.tensors]
    return CostInstance(
        graph=graph,
        edge_ns=tuple(edge.get(layer.name, 0) for layer in graph.layers),
        cloud_ns=tuple(cloud.get(layer.name, 0) for layer in graph.layers),
        uplink_ns=tuple(uplink.get(name, 0) for name in producers),
        downlink_ns=(downlink,) * len(producers),
        wire_bytes=tuple(uplink.get(name, 0) for name in producers),
        half_rtt_ns=half_rtt_ns,
        requests=requests,
        objective=objective,
    )


def diamond(**more: Any) -> CostInstance:
    """Both branches on the edge (2 and 3 ns), sent in 4 and 5 ns, joined in the cloud in 1 ns, back in 2 ns."""
    graph = make_graph({"x": [], "a": ["x"], "b": ["x"], "y": ["a", "b"]})
    return make_instance(graph, {"a": 2, "b": 3}, {"y": 1}, {"a": 4, "b": 5}, downlink=2, half_rtt_ns=10, **more)


def random_graph(rng: random.Random, n_layers: int, max_width: int | None = None) -> LayerGraph:
    """A random DAG with one to three inputs, multi-output layers and one or more outputs."""
    while True:
        graph = _random_graph(rng, n_layers)
        if max_width is None or width(graph) <= max_width:
            return graph


def _random_graph(rng: random.Random, n_layers: int) -> LayerGraph:
    n_inputs = rng.choice((1, 1, 1, 2, 3)) if n_layers > 3 else 1
    layers: list[Layer] = []
    unread: set[str] = set()
    for i in range(n_layers):
        name = f"n{i}"
        refs: list[TensorRef] = []
        if i >= n_inputs:
            pool = layers[-4:] if rng.random() < 0.7 else layers
            parents = rng.sample(pool, min(len(pool), rng.choice((1, 1, 1, 2, 3))))
            refs = [TensorRef(p.name, rng.randrange(len(p.outputs))) for p in parents]
            if i < 2 * n_inputs:
                refs.append(TensorRef(f"n{i - n_inputs}", 0))
            refs = list(dict.fromkeys(refs))
        n_outputs = 2 if refs and rng.random() < 0.15 else 1
        specs = tuple(TensorSpec((rng.randint(1, 99),), "float32") for _ in range(n_outputs))
        layers.append(Layer(name, "op" if refs else INPUT, tuple(refs), specs))
        unread.difference_update(ref.layer for ref in refs)
        unread.add(name)
    outputs = [TensorRef(name) for name in sorted(unread)]
    if rng.random() < 0.2 and layers[n_inputs:]:
        outputs.append(TensorRef(rng.choice(layers[n_inputs:]).name))
    return LayerGraph(f"random{n_layers}", tuple(layers), tuple(dict.fromkeys(outputs)))


def long_graph() -> LayerGraph:
    """1,101 layers: a hundred forks of two branches of five layers each."""
    edges: dict[str, list[str]] = {"x": []}
    before = "x"
    for block in range(100):
        for side in ("l", "r"):
            for i in range(5):
                edges[f"{side}{block}_{i}"] = [f"{side}{block}_{i - 1}" if i else before]
        before = f"y{block}"
        edges[before] = [f"l{block}_4", f"r{block}_4"]
    return make_graph(edges)


def width(graph: LayerGraph) -> int:
    """Most layers at the same depth."""
    depth: list[int] = []
    for parents in graph.parents:
        depth.append(1 + max((depth[parent] for parent in parents), default=-1))
    return max(depth.count(level) for level in set(depth))


def nest_graph(depth: int) -> LayerGraph:
    """Each level forks into one layer and the next level."""
    edges: dict[str, list[str]] = {"x0": []}
    for level in range(1, depth):
        edges[f"s{level}"] = edges[f"x{level}"] = [f"x{level - 1}"]
    before = f"x{depth - 1}"
    for level in range(depth - 1, 0, -1):
        edges[f"y{level}"] = [before, f"s{level}"]
        before = f"y{level}"
    return make_graph(edges)


def random_instance(
    rng: random.Random, graph: LayerGraph, requests: int, objective: Objective = Objective.MAKESPAN
) -> CostInstance:
    """Random times on a random scale per resource; some layers and tensors take no time at all.

    In every other instance it costs work to send and to receive tensors.
    """

    def times(n: int) -> tuple[int, ...]:
        scale = rng.choice((3, 10, 30))
        return tuple(0 if rng.random() < 0.1 else rng.randint(1, scale) for _ in range(n))

    def layer_times() -> tuple[int, ...]:
        found = times(len(graph.layers))
        return tuple(0 if layer.is_input else time for layer, time in zip(graph.layers, found, strict=True))

    n_tensors = len(graph.tensors)
    free = CostInstance(
        graph=graph,
        edge_ns=layer_times(),
        cloud_ns=layer_times(),
        uplink_ns=times(n_tensors),
        downlink_ns=times(n_tensors) if rng.random() < 0.7 else (0,) * n_tensors,
        wire_bytes=times(n_tensors),
        half_rtt_ns=rng.choice((0, 0, 2, 9)),
        requests=requests,
        objective=objective,
    )
    return free if rng.random() < 0.5 else replace(free, send_ns=times(n_tensors), receive_ns=times(n_tensors))


def two_profiles(graph: LayerGraph, edge: dict[str, float], cloud: dict[str, float]) -> tuple[DeviceProfile, ...]:
    """Profiles of an edge and a cloud with these seconds."""
    made = Provenance(ProvenanceKind.MEASURED, "made up for a test")
    return tuple(
        DeviceProfile(name, graph.name, graph.fingerprint, times, {k: 2 * v for k, v in times.items()}, 1.0, made)
        for name, times in (("edge", edge), ("cloud", cloud))
    )
