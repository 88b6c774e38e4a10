"""Layers as the generated code of a module, which costs half as much per operator as an interpreter loop."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from decc_core.models.runtime import Program, Ticker
from decc_core.models.torch.extract import ExtractedModel
from decc_core.network.graph import TensorRef
from decc_core.plans.pieces import PieceIndices
from decc_core.plans.runs import Run


def run_program(model: ExtractedModel, run: Run) -> Program:
    """A run of layers, which drops every tensor after its last use inside; calls the ticker after each layer."""
    return _run_module(model, run, ticks=True)


def accelerated_program(model: ExtractedModel, run: Run) -> Program:
    """A run of layers on an accelerator; calls the ticker once, when all of them are done.

    The host only starts such layers: waiting for each would take longer than many of them compute.
    """
    module = _run_module(model, run, ticks=False)

    def program(clock: Ticker, *reads: torch.Tensor) -> tuple[torch.Tensor, ...]:
        gives: tuple[torch.Tensor, ...] = module(clock, *(tensor.to(model.device) for tensor in reads))
        torch.cuda.synchronize(model.device)
        clock.tick_all()
        return gives

    return program


def _run_module(model: ExtractedModel, run: Run, ticks: bool) -> fx.GraphModule:
    writer = _ProgramWriter(model)
    clock = writer.graph.placeholder("clock")
    for tensor in run.reads:
        writer.read(tensor, f"read_{tensor}")
    for position, index in enumerate(run.layers):
        writer.layer(index)
        if ticks:
            writer.graph.call_method("tick", (clock, position))
    writer.graph.output(tuple(writer.node(tensor) for tensor in run.gives))
    return writer.module()


def piece_module(model: ExtractedModel, piece: PieceIndices, names: Sequence[str]) -> torch.nn.Module:
    """The layers of a piece as a module that takes tensors by name and gives them in a dictionary."""
    writer = _ProgramWriter(model)
    for tensor in piece.takes:
        writer.read(tensor, names[tensor])
    for index in piece.layers:
        writer.layer(index)
    writer.graph.output({names[tensor]: writer.node(tensor) for tensor in piece.gives})
    return writer.module()


class _ProgramWriter:
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
        call = self.model.calls[layer.name]
        arguments = tuple(self._filled(value) for value in call.args)
        named = {name: self._filled(value) for name, value in call.kwargs.items()}
        node = self.graph.call_function(call.target, arguments, named)
        many = _returns_many(call.target)
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
    made = model.graph.tensors[tensor]
    return TensorRef(model.graph.layers[made.producer].name, made.output)


def _returns_many(target: Any) -> bool:
    """Whether the operator returns a tuple or a list, which can be of length one."""
    returns = target._schema.returns
    return len(returns) != 1 or "[]" in str(returns[0].type) or "List" in str(returns[0].type)
