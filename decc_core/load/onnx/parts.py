"""Which nodes of a file make which layer: ONNX Runtime fuses, folds and drops some, and the tensors between tell where.

Profilers name the nodes of the file. What they say of a node is said of the layer that does its work here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from decc_core.models.onnx.graph import PARTS

FILE_NODE = "decc.file_node"
"""Holds what a node is called by profilers of the file, and when it runs there."""
BLOCKED = frozenset({"Conv", "FusedConv", "MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool", "Upsample"})
"""Nodes that ONNX Runtime may replace by others for blocks of channels, called after the tensor that they make."""
FUSION = re.compile(r"(/\w+Fusion/?)+$")
"""What ONNX Runtime puts behind the name of a node that it fused with others."""

_Part = tuple[str, str, int]
"""Name, operator, and place in the order in which the file runs as it is; -1 for what is not in the file."""


def number_nodes(graph: Any) -> None:
    """Note on every node of a file, in place and before any is renamed, what ONNX Runtime calls it and when it runs."""
    nodes = [node for node in graph.node if not (node.op_type == "Constant" and node.domain in ("", "ai.onnx"))]
    place_of = {number: place for place, number in enumerate(_running_order(nodes))}
    for number, node in enumerate(nodes):
        for k in reversed(range(len(node.metadata_props))):
            if node.metadata_props[k].key in (FILE_NODE, PARTS):
                del node.metadata_props[k]
        called: _Part = (str(node.name) or f"{node.op_type}_{number}", str(node.op_type), place_of[number])
        node.metadata_props.add(key=FILE_NODE, value=msgspec.json.encode(called).decode())


def _running_order(nodes: Sequence[Any]) -> list[int]:
    """ONNX Runtime's: depth first from the last node that nobody reads, and from the last node that one reads."""
    made = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    before = [sorted({made[name] for name in node.input if name in made}) for node in nodes]
    read = {i for parents in before for i in parents}
    open_nodes = [(i, False) for i in range(len(nodes)) if i not in read]
    seen: set[int] = set()
    order: list[int] = []
    while open_nodes:
        i, done = open_nodes.pop()
        if done:
            order.append(i)
        elif i not in seen:
            seen.add(i)
            open_nodes.append((i, True))
            open_nodes += [(parent, False) for parent in before[i] if parent not in seen]
    # What lies on a cycle is refused later.
    return [*order, *(i for i in range(len(nodes)) if i not in seen)]


def note_parts(network: Any, optimised: Sequence[Any], original: Sequence[Any]) -> None:
    """Note on each layer of a network which nodes it stands for, in place: those of ONNX Runtime's own optimised
    network, before anything was folded in it, and those of the file.
    """
    layers = network.graph.node
    makers = {name: i for i, layer in enumerate(layers) for name in layer.output if name}
    parts: list[dict[str, _Part]] = [{} for _ in layers]
    known: dict[str, int] = {}
    for node, layer in zip(optimised, _layers_of(optimised, makers, {}), strict=True):
        if layer is not None and node.name:
            known[node.name] = layer
            parts[layer][node.name] = (node.name, node.op_type, -1)
    for name, layer in list(known.items()):
        known.setdefault(FUSION.sub("", name), layer)
    for node, layer in zip(original, _layers_of(original, makers, known), strict=True):
        called = next((entry.value for entry in node.metadata_props if entry.key == FILE_NODE), None)
        if layer is None or called is None:
            continue
        part = msgspec.json.decode(called, type=_Part)
        parts[layer].pop(part[0], None)
        # Names in a file may stand there more than once.
        parts[layer][f"{part[2]} {part[0]}"] = part
        if node.op_type in BLOCKED:
            _note_blocked(node, parts[layer])
    for layer, own in zip(layers, parts, strict=True):
        if layer.op_type in BLOCKED:
            _note_blocked(layer, own)
        layer.metadata_props.add(key=PARTS, value=msgspec.json.encode(list(own.values())).decode())


def _note_blocked(node: Any, parts: dict[str, _Part]) -> None:
    name = f"{node.output[0]}_nchwc"
    parts.setdefault(name, (name, node.op_type, -1))


def _layers_of(nodes: Sequence[Any], makers: dict[str, int], known: dict[str, int]) -> list[int | None]:
    """The layer of each node, given in topological order: the one of the same name, or that makes its tensor, or else
    the first that needs it; None for what no layer needs.
    """
    layers: list[int | None] = [None] * len(nodes)
    readers: dict[str, int] = {}
    for k in range(len(nodes) - 1, -1, -1):
        node = nodes[k]
        own = known.get(node.name)
        if own is None:
            own = next((makers[name] for name in node.output if name in makers), None)
        if own is None:
            own = min((readers[name] for name in node.output if name in readers), default=None)
        layers[k] = own
        if own is not None:
            for name in node.input:
                readers[name] = min(own, readers.get(name, own))
    return layers
