"""Segments as compiled functions: each run of layers is one generated Python function over its tensors."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import fx

from decc_core.extract import ExtractedModel
from decc_core.graph import TensorRef
from decc_core.segments import Segment

Program = Callable[..., tuple[torch.Tensor, ...]]
"""Takes a `Ticker` and the tensors that the segment reads, and returns those that it gives."""


class Ticker(Protocol):
    """Is told when each layer of a segment is done."""

    def tick(self, position: int) -> None: ...


def build_program(model: ExtractedModel, segment: Segment) -> Program:
    """One function for a segment; the generated code drops every tensor after its last use inside.

    Generated code costs half as much per operator as an interpreter loop. After each layer it calls the ticker.
    """
    layers = model.graph.layers
    graph, root = fx.Graph(), torch.nn.Module()
    clock = graph.placeholder("clock")
    nodes = {_ref(model, tensor): graph.placeholder(f"read_{tensor}") for tensor in segment.reads}
    constants: dict[int, fx.Node] = {}

    def constant(value: torch.Tensor) -> fx.Node:
        if id(value) not in constants:
            name = f"constant_{len(constants)}"
            root.register_buffer(name, value)
            constants[id(value)] = graph.get_attr(name)
        return constants[id(value)]

    def filled(value: Any) -> Any:
        if isinstance(value, TensorRef):
            return nodes[value]
        if isinstance(value, torch.Tensor):
            return constant(value)
        if isinstance(value, (list, tuple)):
            return [filled(item) for item in value]
        return value

    for position, index in enumerate(segment.layers):
        layer = layers[index]
        if not layer.is_input:
            step = model.steps[layer.name]
            arguments = tuple(filled(value) for value in step.args)
            node = graph.call_function(
                step.target, arguments, {name: filled(value) for name, value in step.kwargs.items()}
            )
            many = _returns_many(step.target)
            for tensor in model.graph.tensors_of[index]:
                ref = _ref(model, tensor)
                nodes[ref] = graph.call_function(operator.getitem, (node, ref.output)) if many else node
        graph.call_method("tick", (clock, position))
    graph.output(tuple(nodes[_ref(model, tensor)] for tensor in segment.gives))
    return fx.GraphModule(root, graph)


def _ref(model: ExtractedModel, tensor: int) -> TensorRef:
    found = model.graph.tensors[tensor]
    return TensorRef(model.graph.layers[found.producer].name, found.output)


def _returns_many(target: Any) -> bool:
    """Whether the operator returns a tuple or a list, which can be of length one."""
    returns = target._schema.returns
    return len(returns) != 1 or "[]" in str(returns[0].type) or "List" in str(returns[0].type)


def key_of(segment: Segment) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Segments of different requests with the same key run the same program."""
    return segment.layers, segment.reads, segment.gives


def build_programs(
    model: ExtractedModel, found: Sequence[Segment]
) -> dict[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]], Program]:
    """One program for each distinct segment."""
    return {key_of(segment): build_program(model, segment) for segment in {key_of(s): s for s in found}.values()}
