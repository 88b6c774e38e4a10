"""Profiling files of ONNX Runtime (`SessionOptions.enable_profiling`): nodes by name, several runs in one file."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from decc_core.errors import InvalidProfile
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
ADDED = re.compile(r"(_nchwc|_nhwc|_token_\d+|/duplicated|/\w+Fusion/?)$|^(node_|fused )")
"""What exporters and the optimiser put before or after the name of a layer."""
BEFORE, AFTER = frozenset({"ReorderOutput", "MemcpyToHost"}), frozenset({"ReorderInput", "MemcpyFromHost"})
"""Nodes that the runtime inserts for the layer before, or after them."""


Key = tuple[str, int]
"""A node's name, and how many nodes of a run have had that name before: old versions give them none."""


INSERTED = re.compile(r"(Transpose|Inserted\w*Cast_.*)(_token_\d+)?")
"""What it calls others that it inserts."""


@dataclass(frozen=True)
class _Node:
    """A node that ran once; its time is without that of nodes that ran inside it."""

    name: str
    operator: str
    provider: str
    start_us: float
    time_us: float
    key: Key = ("", 0)


def is_onnxruntime(trace: Trace) -> bool:
    return any(event.cat == "Node" for event in trace.traceEvents)


def read_onnxruntime(trace: Trace, reading: Reading) -> Imported:
    """The profile in a file of ONNX Runtime: nodes are found by name, or else by operator and order.

    Names are those of the layers, or of the nodes of the network's file that a layer stands for.
    """
    graph = reading.graph
    kernels = [raw for raw in trace.traceEvents if raw.cat == "Node" and str(raw.name).endswith(KERNEL)]
    nodes = _without_inner([event for raw in kernels if (event := timed(raw, reading.file)) is not None])
    marks = (raw for raw in trace.traceEvents if raw.cat == "Session" and raw.name == RUN)
    runs = [event for raw in marks if (event := timed(raw, reading.file)) is not None]
    passes = _passes(nodes, runs, graph)
    layers = _layers_of(passes[-1], reading)
    fused, main = _fused(graph, passes[-1], layers)
    kept, sentence = without_warm_up([_placed(run, layers, main) for run in passes])
    kept, more = limited(kept, graph)
    mapped = map_passes(reading, kept, fused)
    notes = [sentence, *more]
    if fused:
        many = count(len(fused), "layer")
        notes.append(f"{many} run fused with a neighbour: the group's time stands at one of its layers.")
    together = Counter(layers[node.key] for node in passes[-1] if node.key in layers)
    if apart := [nodes for nodes in together.values() if nodes > 1]:
        notes.append(
            f"{count(sum(apart), 'node')} of the file run apart there that are {count(len(apart), 'layer')} here: each "
            "layer has the sum of its nodes."
        )
    providers = ", ".join(sorted({short(node.provider, 30) for node in nodes if node.provider})[:4])
    settings = {"repeats": str(len(kept)), "format": "ONNX Runtime profile"} | (
        {"provider": providers} if providers else {}
    )
    source = f"imported from {reading.file}, an ONNX Runtime profile of {count(len(kept), 'run')}"
    profile = reading.profile(mapped.median_s, mapped.p95_s, mapped.whole_s, source, {}, settings)
    return Imported(profile, (*notes, *mapped.notes), mapped.problems)


def _without_inner(events: list[Timed]) -> list[_Node]:
    """The nodes in the order in which they ran; what ran inside another one, as in a branch, counts once."""
    events.sort(key=lambda event: (event.start_us, -event.time_us))
    own_us = [event.time_us for event in events]
    open_events: dict[object, list[int]] = {}
    for k, event in enumerate(events):
        around = open_events.setdefault(event.thread, [])
        while around and events[around[-1]].end_us <= event.start_us:
            around.pop()
        if around and event.end_us <= events[around[-1]].end_us:
            own_us[around[-1]] = max(0.0, own_us[around[-1]] - event.time_us)
        around.append(k)
    return [_node(event, time_us) for event, time_us in zip(events, own_us, strict=True)]


def _node(event: Timed, time_us: float) -> _Node:
    args = arguments(event.args)
    operator, provider = (value if isinstance(value, str) else "" for value in (args.op_name, args.provider))
    return _Node(event.name.removesuffix(KERNEL), operator, provider, event.start_us, time_us)


Order = Sequence[tuple[str, int]]
"""The common names of operators in the order in which they run, each with its layer."""


def _orders(graph: LayerGraph) -> tuple[Order, ...]:
    """How the network may run: layer by layer, or as it is in its file."""
    layers = [(operator_of_layer(layer.operator), i) for i, layer in enumerate(graph.layers) if not layer.is_input]
    parts = sorted(
        (part.place, common(part.operator), i) for i, layer in enumerate(graph.layers) for part in layer.parts
    )
    in_file = [(operator, i) for place, operator, i in parts if place >= 0]
    return (layers, in_file) if in_file else (layers,)


def _passes(nodes: Sequence[_Node], runs: Sequence[Timed], graph: LayerGraph) -> list[list[_Node]]:
    """The nodes of each run, by the runtime's own marks, or else by how often a name was there before, or, of nodes
    without names, by how long the network is. Only runs of the same nodes as most others are kept.
    """
    starts = sorted(run.start_us for run in runs)
    often = Counter(node.name for node in nodes)
    repeats = Counter(often.values()).most_common(1)[0][0] if often else 1
    in_file = Counter(part.name for layer in graph.layers for part in layer.parts if part.place >= 0)
    in_a_run = {name: max(1, in_file[name] or number // repeats) for name, number in often.items()}
    if set(often) == {""}:
        ran = [common(node.operator) for node in nodes]
        lengths = (
            len(order)
            for order in _orders(graph)
            if order and [operator for operator, _ in order] * (len(ran) // len(order)) == ran
        )
        in_a_run[""] = next(lengths, len(ran))
    seen = Counter[str]()
    nodes_of: dict[int, list[_Node]] = {}
    for node in nodes:
        k = bisect_right(starts, node.start_us) if starts else seen[node.name] // in_a_run[node.name]
        seen[node.name] += 1
        nodes_of.setdefault(k, []).append(node)
    kept = Counter(map(_alike, nodes_of.values())).most_common(1)
    return [_with_keys(nodes_of[k]) for k in sorted(nodes_of) if _alike(nodes_of[k]) == kept[0][0]] if kept else [[]]


def _with_keys(run: Sequence[_Node]) -> list[_Node]:
    seen = Counter[str]()
    keyed = []
    for node in run:
        keyed.append(replace(node, key=(node.name, seen[node.name])))
        seen[node.name] += 1
    return keyed


def _alike(run: Sequence[_Node]) -> tuple[tuple[str, str], ...]:
    """What is equal of runs of the same nodes, in any order where names tell them apart."""
    names = [(node.name, node.operator) for node in run]
    return tuple(sorted(names) if len(set(names)) == len(names) else names)


def _layers_of(nodes: Sequence[_Node], reading: Reading) -> dict[Key, int]:
    """The layer of each node; by order where names say little, as after an exporter of another make."""
    graph = reading.graph
    layers = _by_name(nodes, graph)
    if len(layers) < len(nodes):
        layers = _in_order(nodes, reading, layers)
    if len(layers) < len(nodes) / 2 and len(nodes) * len(graph) <= MAX_CELLS:
        words = ["" if layer.is_input else operator_of_layer(layer.operator) for layer in graph.layers]
        matched = aligned(words, [common(node.operator) or "?" for node in nodes])
        layers = {node.key: i for node, i in zip(nodes, matched, strict=True) if i >= 0}
    return layers | _left_between(nodes, graph, layers)


def _by_name(nodes: Sequence[_Node], graph: LayerGraph) -> dict[Key, int]:
    """By the names of the file's nodes, or else of layers; what exporters and the optimiser add is left out only where
    the whole name is not known.

    Names that the optimiser made up tell nothing where it made up several that are alike: it numbers them.
    """
    in_file: dict[str, list[int]] = {}
    made_up: dict[str, set[int]] = {}
    for i, part in sorted(
        ((i, part) for i, layer in enumerate(graph.layers) for part in layer.parts), key=lambda one: one[1].place
    ):
        if part.place >= 0:
            in_file.setdefault(part.name, []).append(i)
        else:
            made_up.setdefault(_bare(part.name), set()).add(i)
    whole = {
        part.name: i
        for i, layer in enumerate(graph.layers)
        for part in layer.parts
        if part.place < 0 and len(made_up[_bare(part.name)]) == 1
    }
    whole |= {layer.name: i for i, layer in enumerate(graph.layers) if not layer.is_input and not layer.parts}
    whole |= {name: owners[0] for name, owners in in_file.items()}
    bare: dict[str, int] = {}
    for name, i in whole.items():
        if name in in_file or not graph.layers[i].parts:
            bare.setdefault(_bare(name), i)
    often = Counter(node.name for node in nodes)
    layers: dict[Key, int] = {}
    for node in nodes:
        owners = in_file.get(node.name, [])
        if len(set(owners)) > 1:
            # Names that stand there more than once are told apart by their order, or not at all.
            place = owners[node.key[1]] if len(owners) == often[node.name] else -1
        else:
            place = whole.get(node.name, bare.get(_bare(node.name), -1)) if node.name else -1
        if place >= 0:
            layers[node.key] = place
    return layers


def _in_order(nodes: Sequence[_Node], reading: Reading, layers: dict[Key, int]) -> dict[Key, int]:
    """With the layers of all other nodes, too, where the whole run is the network's, operator by operator, and those
    that are known stand where they should. Nodes without any name are found only so.
    """
    own = [node for node in nodes if not _is_inserted(node)]
    for order in _orders(reading.graph):
        if [common(node.operator) for node in own] != [operator for operator, _ in order]:
            continue
        placed = {node.key: i for node, (_, i) in zip(own, order, strict=True)}
        if all(placed.get(key, i) == i for key, i in layers.items()):
            return placed | layers
    if nodes and not any(node.name for node in nodes):
        raise InvalidProfile(
            f"{reading.file} does not name its nodes, and they are not those of {reading.network}, one after the "
            "other: record it with a newer version of ONNX Runtime, which names them, or with its optimisation off."
        )
    return layers


def _is_inserted(node: _Node) -> bool:
    return node.operator in BEFORE | AFTER or INSERTED.fullmatch(node.name) is not None


def _left_between(nodes: Sequence[_Node], graph: LayerGraph, layers: dict[Key, int]) -> dict[Key, int]:
    """Nodes without a counterpart that stand between the same neighbours as layers without one.

    They are these layers if there is one of each, or if they are the same operators in the same order. Otherwise they
    are what became of the file's nodes between the same neighbours, where only one layer stands for such nodes:
    the runtime takes some operators apart before it runs anything, and puts others together.
    """
    taken = set(layers.values())
    left = [i for i, layer in enumerate(graph.layers) if not layer.is_input and i not in taken]
    own = [node for node in nodes if not _is_inserted(node)]
    ran = {node.name for node in own}
    in_file = [(part, i) for i, layer in enumerate(graph.layers) for part in layer.parts if part.place >= 0]
    gone = sorted((part.place, i) for part, i in in_file if part.name not in ran)
    more: dict[Key, int] = {}
    first = 0
    while first < len(own):
        end = next((k for k in range(first, len(own)) if own[k].key in layers), len(own))
        missing = own[first:end]
        before = layers[own[first - 1].key] if first else -1
        after = layers[own[end].key] if end < len(own) else len(graph)
        first = end + 1
        if not missing:
            continue
        between = left[bisect_right(left, before) : bisect_left(left, after)]
        words = [common(node.operator) for node in missing]
        inner = before >= 0 and after < len(graph)
        if [operator_of_layer(graph.layers[i].operator) for i in between] == words or (
            len(between) == len(missing) == 1 and inner
        ):
            more |= zip((node.key for node in missing), between, strict=True)
            continue
        alike = [i for i in between if operator_of_layer(graph.layers[i].operator) == words[0]]
        if len(missing) == len(alike) == 1 and not graph.layers[alike[0]].parts:
            # The others between are what the runtime fused into it.
            more[missing[0].key] = alike[0]
            continue
        start = max((part.place for part in graph.layers[before].parts), default=0) if before >= 0 else -1
        stop = (
            min((part.place for part in graph.layers[after].parts if part.place >= 0), default=0)
            if inner
            else MAX_CELLS
        )
        owners = {i for _, i in gone[bisect_right(gone, (start, len(graph))) : bisect_left(gone, (stop, -1))]}
        if len(owners) == 1:
            more |= dict.fromkeys((node.key for node in missing), owners.pop())
    return more


def _bare(name: str) -> str:
    """The name without what exporters and the optimiser add."""
    while len(shorter := ADDED.sub("", name, count=1)) < len(name):
        name = shorter
    return name


def _fused(graph: LayerGraph, nodes: Sequence[_Node], layers: dict[Key, int]) -> tuple[frozenset[int], dict[int, int]]:
    """Layers that run within a neighbour's node, and for a node's layer the one that its operator stands for."""
    taken = set(layers.values())
    main: dict[int, int] = {}
    fused: set[int] = set()
    for node in nodes:
        if node.key not in layers or layers[node.key] in main:
            continue
        own, operator = layers[node.key], common(node.operator)
        group = (own, *_missing_around(graph, own, taken))
        same = (i for i in group if operator_of_layer(graph.layers[i].operator) == operator)
        main[own] = own if graph.layers[own].parts else next(same, own)
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


def _placed(run: Sequence[_Node], layers: dict[Key, int], main: dict[int, int]) -> Pass:
    placed: list[Operation] = []
    for node in run:
        layer = main[layers[node.key]] if node.key in layers else None
        placed.append(Operation(node.operator or node.name, node.time_us, layer))
    last = len(placed) - 1
    for order, inserted in ((range(last + 1), BEFORE | {"Transpose", "Cast"}), (range(last, -1, -1), AFTER)):
        beside: int | None = None
        for k in order:
            if placed[k].layer is None and placed[k].name in inserted and _is_inserted(run[k]):
                placed[k] = replace(placed[k], layer=beside)
            beside = placed[k].layer if placed[k].layer is not None else beside
    return placed
