"""Walks through the parts of an ONNX network, and the networks within it that its nodes hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from decc_core.text import shown


def subgraphs(node: Any) -> Iterator[Any]:
    """The networks that a node holds, as the branches of an If."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def all_nodes(graph: Any) -> Iterator[Any]:
    """Every node, those of networks within it after the one that holds them."""
    for node in graph.node:
        yield node
        for inner in subgraphs(node):
            yield from all_nodes(inner)


def tensors(graph: Any) -> Iterator[tuple[Any, str]]:
    """Every weight and constant, and what a sentence calls it."""
    for tensor in graph.initializer:
        yield tensor, f"Weight {shown(tensor.name)}"
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t, f"A constant in {called(node, 'node')}"
            for tensor in attribute.tensors:
                yield tensor, f"A constant in {called(node, 'node')}"
        for inner in subgraphs(node):
            yield from tensors(inner)


def reads(node: Any) -> Iterator[str]:
    """What a node reads, also from within the networks that it holds; some of those names may be theirs alone."""
    yield from filter(None, node.input)
    for graph in subgraphs(node):
        yield from (value.name for value in graph.output)
        for inner in graph.node:
            yield from reads(inner)


def keep_needed(graph: Any) -> None:
    """Drop nodes that lead to no output, in place; whatever they are, nobody computes them."""
    makers: dict[str, list[int]] = {}
    for i, node in enumerate(graph.node):
        for name in filter(None, node.output):
            makers.setdefault(name, []).append(i)
    needed, open_names = set[int](), [value.name for value in graph.output]
    while open_names:
        for i in makers.get(open_names.pop(), ()):
            if i not in needed:
                needed.add(i)
                open_names.extend(reads(graph.node[i]))
    if len(needed) < len(graph.node):
        set_nodes(graph, [graph.node[i] for i in sorted(needed)])


def set_nodes(graph: Any, nodes: Iterable[Any]) -> None:
    """Exactly these nodes, and the weights that they, or outputs, read; in place."""
    kept = [copied(node) for node in nodes]
    read = {name for node in kept for name in reads(node)} | {value.name for value in graph.output}
    del graph.node[:]
    graph.node.extend(kept)
    for i in reversed(range(len(graph.initializer))):
        if graph.initializer[i].name not in read:
            del graph.initializer[i]


def copied(message: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def called(node: Any, start: str = "Node") -> str:
    """What a sentence calls a node."""
    name = node.name or next(filter(None, node.output), "")
    return f"{start} {shown(name)}" if name else f"A {start.lower()} without a name"
