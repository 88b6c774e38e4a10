"""Profiling files of ONNX Runtime (`SessionOptions.enable_profiling`): nodes by name, several runs in one file."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from decc_core.network.graph import LayerGraph
from decc_core.profiling.imports.imported import Imported, Reading, count, short
from decc_core.profiling.imports.mapping import (
    MAX_CELLS,
    Operation,
    Pass,
    aligned,
    limited,
    map_passes,
    without_warm_up,
)
from decc_core.profiling.imports.traces import Timed, Trace, arguments, common, operator_of_layer, timed

KERNEL = "_kernel_time"
RUN = "model_run"
ADDED = re.compile(r"(_nchwc|_nhwc|_token_\d+)$|^(node_|fused )")
"""What exporters and the optimiser put before or after the name of a layer."""
BEFORE, AFTER = frozenset({"ReorderOutput", "MemcpyToHost"}), frozenset({"ReorderInput", "MemcpyFromHost"})
"""Nodes that the runtime inserts for the layer before, or after them."""


@dataclass(frozen=True)
class _Node:
    """A node that ran once."""

    name: str
    operator: str
    provider: str
    start_us: float
    time_us: float


def is_onnxruntime(trace: Trace) -> bool:
    return any(event.cat == "Node" for event in trace.traceEvents)


def read_onnxruntime(trace: Trace, reading: Reading) -> Imported:
    """The profile in a file of ONNX Runtime: nodes are found by name, or else by operator and order."""
    graph = reading.graph
    kernels = (raw for raw in trace.traceEvents if raw.cat == "Node" and str(raw.name).endswith(KERNEL))
    nodes = [_node(event) for raw in kernels if (event := timed(raw, reading.file)) is not None]
    marks = (raw for raw in trace.traceEvents if raw.cat == "Session" and raw.name == RUN)
    runs = [event for raw in marks if (event := timed(raw, reading.file)) is not None]
    passes = _passes(nodes, runs)
    layers = _layers_of(passes[-1], graph)
    fused, main = _fused(graph, passes[-1], layers)
    kept, sentence = without_warm_up([_placed(run, layers, main) for run in passes])
    kept, more = limited(kept, graph)
    mapped = map_passes(reading, kept, fused)
    notes = [sentence, *more]
    if fused:
        many = count(len(fused), "layer")
        notes.append(f"{many} run fused with a neighbour: the group's time stands at one of its layers.")
    providers = ", ".join(sorted({short(node.provider, 30) for node in nodes if node.provider})[:4])
    settings = {"repeats": str(len(kept)), "format": "ONNX Runtime profile"} | (
        {"provider": providers} if providers else {}
    )
    source = f"imported from {reading.file}, an ONNX Runtime profile of {count(len(kept), 'run')}"
    profile = reading.profile(mapped.median_s, mapped.p95_s, mapped.whole_s, source, {}, settings)
    return Imported(profile, (*notes, *mapped.notes), mapped.problems)


def _node(event: Timed) -> _Node:
    args = arguments(event.args)
    operator, provider = (value if isinstance(value, str) else "" for value in (args.op_name, args.provider))
    return _Node(event.name.removesuffix(KERNEL), operator, provider, event.start_us, event.time_us)


def _passes(nodes: Sequence[_Node], runs: Sequence[Timed]) -> list[list[_Node]]:
    """The nodes of each run, by the runtime's own marks, or else by how often a name was there before."""
    nodes_of: dict[int, list[_Node]] = {}
    starts = sorted(run.start_us for run in runs)
    seen: Counter[str] = Counter()
    for node in sorted(nodes, key=lambda node: node.start_us):
        k = bisect_right(starts, node.start_us) if starts else seen[node.name]
        seen[node.name] += 1
        nodes_of.setdefault(k, []).append(node)
    usual = Counter(len(run) for run in nodes_of.values()).most_common(1)
    return [nodes_of[k] for k in sorted(nodes_of) if len(nodes_of[k]) == usual[0][0]] if usual else [[]]


def _layers_of(nodes: Sequence[_Node], graph: LayerGraph) -> dict[str, int]:
    """The layer of each node name; by order where names say little, as after an exporter of another make."""
    layers = _by_name(nodes, graph)
    named_us = sum(node.time_us for node in nodes if node.name in layers)
    if named_us < sum(node.time_us for node in nodes) / 2 and len(nodes) * len(graph) <= MAX_CELLS:
        words = ["" if layer.is_input else operator_of_layer(layer.operator) for layer in graph.layers]
        matched = aligned(words, [common(node.operator) or "?" for node in nodes])
        layers = {node.name: i for node, i in zip(nodes, matched, strict=True) if i >= 0}
    return layers | _only_ones_left(nodes, graph, layers)


def _by_name(nodes: Sequence[_Node], graph: LayerGraph) -> dict[str, int]:
    names: dict[str, int] = {}
    for i, layer in enumerate(graph.layers):
        if not layer.is_input:
            names.setdefault(_bare(layer.name), i)
    names |= {layer.name: i for i, layer in enumerate(graph.layers) if not layer.is_input}
    places = {node.name: names.get(node.name, names.get(_bare(node.name), -1)) for node in nodes}
    return {name: i for name, i in places.items() if i >= 0}


def _only_ones_left(nodes: Sequence[_Node], graph: LayerGraph, layers: dict[str, int]) -> dict[str, int]:
    """Nodes and layers without a counterpart that stand alone between the same neighbours."""
    taken = set(layers.values())
    left = [i for i, layer in enumerate(graph.layers) if not layer.is_input and i not in taken]
    own = [node for node in nodes if node.operator not in BEFORE | AFTER]
    places = [layers.get(node.name, -1) for node in own]
    more = {}
    for node, before, after in zip(own[1:], places, places[2:], strict=False):
        if node.name in layers or before < 0:
            continue
        first = bisect_right(left, before)
        if bisect_left(left, after) - first == 1:
            more[node.name] = left[first]
    return more


def _bare(name: str) -> str:
    """The name without what exporters and the optimiser add."""
    while len(shorter := ADDED.sub("", name, count=1)) < len(name):
        name = shorter
    return name


def _fused(graph: LayerGraph, nodes: Sequence[_Node], layers: dict[str, int]) -> tuple[frozenset[int], dict[int, int]]:
    """Layers that run within a neighbour's node, and for a node's layer the one that its operator stands for."""
    taken = set(layers.values())
    main: dict[int, int] = {}
    fused: set[int] = set()
    for node in nodes:
        if node.name not in layers:
            continue
        own, operator = layers[node.name], common(node.operator)
        group = (own, *_missing_around(graph, own, taken))
        same = (i for i in group if operator_of_layer(graph.layers[i].operator) == operator)
        main[own] = next(same, own)
        # Another layer that computes is not hidden in here: the table of problems shall show it.
        hidden = {i for i in group if not graph.layers[i].flops or i == main[own]}
        taken |= hidden
        fused |= hidden
    return frozenset(fused - set(main.values())), main


def _missing_around(graph: LayerGraph, own: int, taken: set[int]) -> list[int]:
    """Layers without a node that lead to this one, or follow it, with nothing but such layers between."""
    missing: dict[int, None] = {}
    for neighbours in (graph.parents, graph.children):
        front = [own]
        while front:
            for i in neighbours[front.pop()]:
                if i not in taken and i not in missing and not graph.layers[i].is_input:
                    missing[i] = None
                    if not graph.layers[i].flops:
                        front.append(i)
    return list(missing)


def _placed(run: Sequence[_Node], layers: dict[str, int], main: dict[int, int]) -> Pass:
    placed: list[Operation] = []
    for node in run:
        layer = main[layers[node.name]] if node.name in layers else None
        placed.append(Operation(node.operator or node.name, node.time_us, layer))
    for order, inserted in ((range(len(placed)), BEFORE), (range(len(placed) - 1, -1, -1), AFTER)):
        beside: int | None = None
        for k in order:
            if placed[k].layer is None and placed[k].name in inserted:
                placed[k] = replace(placed[k], layer=beside)
            beside = placed[k].layer if placed[k].layer is not None else beside
    return placed
