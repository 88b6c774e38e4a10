"""Segments as compiled functions over their tensors: generated Python for PyTorch, a session for ONNX Runtime."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import singledispatch
from typing import Any, Protocol

import torch
from torch import fx

from decc_core.models.model import Model
from decc_core.models.onnx.model import OnnxModel
from decc_core.models.torch.extract import ExtractedModel
from decc_core.network.graph import TensorRef
from decc_core.plans.runs import Segment

Program = Callable[..., tuple[torch.Tensor, ...]]
"""Takes a `Ticker` and the tensors that the segment reads, and returns those that it gives."""


class Ticker(Protocol):
    """Is told when each layer of a segment is done, or all of them, where nobody sees them one by one."""

    def tick(self, position: int) -> None: ...

    def tick_all(self) -> None: ...


@singledispatch
def build_program(model: Model, segment: Segment) -> Program:
    """One function for a segment."""
    raise TypeError(type(model).__name__)


@build_program.register
def _session_program(model: OnnxModel, segment: Segment) -> Program:
    """A session of the segment's nodes; nothing tells when one of them is done, so that the end of all is told."""
    inputs = {model.graph.tensors_of[layer][0] for layer in segment.layers if model.graph.layers[layer].is_input}
    through = [tensor for tensor in segment.gives if tensor in segment.reads]
    made = [tensor for tensor in segment.gives if tensor not in segment.reads]
    computes = any(not model.graph.layers[layer].is_input for layer in segment.layers)
    assert inputs.issuperset(through)
    session = model.session(segment.layers, segment.reads, made) if computes else None

    def program(clock: Ticker, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        read = dict(zip(segment.reads, tensors, strict=True))
        found = dict(zip(made, session(tensors), strict=True)) if session is not None else {}
        clock.tick_all()
        return tuple(found[tensor] if tensor in found else read[tensor] for tensor in segment.gives)

    return program


@build_program.register
def _generated_program(model: ExtractedModel, segment: Segment) -> Program:
    """Generated code, which drops every tensor after its last use inside.

    It costs half as much per operator as an interpreter loop. After each layer it calls the ticker.
    """
    writer = ProgramWriter(model)
    clock = writer.graph.placeholder("clock")
    for tensor in segment.reads:
        writer.read(tensor, f"read_{tensor}")
    for position, index in enumerate(segment.layers):
        writer.layer(index)
        writer.graph.call_method("tick", (clock, position))
    writer.graph.output(tuple(writer.node(tensor) for tensor in segment.gives))
    return writer.module()


class ProgramWriter:
    """Writes layers of a model as the code of one module; weights are held once, however many layers read them."""

    def __init__(self, model: ExtractedModel) -> None:
        self.model = model
        self.graph, self.root = fx.Graph(), torch.nn.Module()
        self._nodes: dict[TensorRef, fx.Node] = {}
        self._constants: dict[int, fx.Node] = {}

    def read(self, tensor: int, name: str) -> None:
        """Take a tensor of the model as an argument."""
        self._nodes[_ref(self.model, tensor)] = self.graph.placeholder(name)

    def layer(self, index: int) -> None:
        """Compute a layer; those that it reads must be there. A model input is there as soon as it is read."""
        layer = self.model.graph.layers[index]
        if layer.is_input:
            return
        step = self.model.steps[layer.name]
        arguments = tuple(self._filled(value) for value in step.args)
        named = {name: self._filled(value) for name, value in step.kwargs.items()}
        node = self.graph.call_function(step.target, arguments, named)
        many = _returns_many(step.target)
        for tensor in self.model.graph.tensors_of[index]:
            ref = _ref(self.model, tensor)
            self._nodes[ref] = self.graph.call_function(operator.getitem, (node, ref.output)) if many else node

    def node(self, tensor: int) -> fx.Node:
        return self._nodes[_ref(self.model, tensor)]

    def module(self) -> fx.GraphModule:
        return fx.GraphModule(self.root, self.graph)

    def _filled(self, value: Any) -> Any:
        if isinstance(value, TensorRef):
            return self._nodes[value]
        if isinstance(value, torch.Tensor):
            return self._constant(value)
        if isinstance(value, (list, tuple)):
            return [self._filled(item) for item in value]
        return value

    def _constant(self, value: torch.Tensor) -> fx.Node:
        if id(value) not in self._constants:
            name = f"constant_{len(self._constants)}"
            self.root.register_buffer(name, value)
            self._constants[id(value)] = self.graph.get_attr(name)
        return self._constants[id(value)]


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
    model: Model, found: Sequence[Segment]
) -> dict[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]], Program]:
    """One program for each distinct segment."""
    return {key_of(segment): build_program(model, segment) for segment in {key_of(s): s for s in found}.values()}
