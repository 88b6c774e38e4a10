"""A network of PyTorch as data: its layers as JSON, its tensors as safetensors; nothing in it can run code."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import safetensors
import safetensors.torch
import torch

from decc_core.errors import UnreadableFile, UnsupportedOperator
from decc_core.models.runtime import VERSION
from decc_core.models.tensors import dim_order, dtype_name, in_order
from decc_core.models.torch.checks import require_declared
from decc_core.models.torch.extract import Call, ExtractedModel, last_readers
from decc_core.models.torch.operators import find_operator, is_taken, refusal
from decc_core.network.graph import LayerGraph, TensorRef
from decc_core.text import shown

EXAMPLE = "example."
CONSTANT = "constant."


class _Argument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One argument of an operator; exactly one field is set, or none for Python's None."""

    tensor: tuple[str, int] | None = None
    constant: str | None = None
    items: list[_Argument] | None = None
    integer: int | None = None
    real: float | None = None
    special: str | None = None
    truth: bool | None = None
    text: str | None = None
    torch_name: str | None = None
    """A dtype, layout or memory format, as `float32`, `strided` or `contiguous_format`."""
    device: str | None = None


class _StoredCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    operator: str
    arguments: list[_Argument]
    named: dict[str, _Argument]


class TorchLayers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="runtime", tag="torch"):
    """All but the tensors."""

    version: int
    graph: LayerGraph
    calls: dict[str, _StoredCall]
    input_names: list[str | None]
    laid_out: dict[str, list[int]]
    """The order of dimensions of tensors that are not stored row by row; safetensors knows no strides."""


def taken_apart(model: ExtractedModel) -> tuple[bytes, dict[str, torch.Tensor]]:
    """Layers and tensors; refuses operators that are not on the list of `decc_core.models.torch.operators`."""
    writer = _Writer()
    calls = {name: writer.call(name, call) for name, call in model.calls.items()}
    for i, tensor in enumerate(model.example_inputs):
        writer.store(f"{EXAMPLE}{i}", tensor)
    content = TorchLayers(VERSION, model.graph, calls, list(model.input_names), writer.laid_out)
    return msgspec.json.encode(content), writer.tensors


def put_together(content: TorchLayers, tensors: bytes) -> ExtractedModel:
    """The model again; every malformed part is refused with one sentence, and nothing of it is executed."""
    try:
        stored = safetensors.torch.load(tensors)
    except (safetensors.SafetensorError, ValueError) as error:
        raise UnreadableFile(f"The model's tensors are not safetensors: {error}.") from None
    try:
        return _Reader(content, stored).model()
    except RecursionError:
        raise UnreadableFile("The model has an argument that is nested too deep; no operator takes one.") from None


class _Writer:
    """Turns calls into data, and collects the tensors that they hold; shared tensors are stored once."""

    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}
        self.laid_out: dict[str, list[int]] = {}
        self.known: dict[int, str] = {}
        self.memory: set[int] = set()
        """Where the tensors lie that were stored."""

    def call(self, layer: str, call: Call) -> _StoredCall:
        operator = str(call.target)
        allowed_operator(layer, operator)
        named = {name: self.argument(layer, value) for name, value in call.kwargs.items()}
        return _StoredCall(operator, [self.argument(layer, value) for value in call.args], named)

    def argument(self, layer: str, value: Any) -> _Argument:
        if value is None:
            return _Argument()
        if isinstance(value, TensorRef):
            return _Argument(tensor=(value.layer, value.output))
        if isinstance(value, torch.Tensor):
            return _Argument(constant=self.constant(value))
        if isinstance(value, (list, tuple)):
            return _Argument(items=[self.argument(layer, item) for item in value])
        if isinstance(value, bool):
            return _Argument(truth=value)
        if isinstance(value, int):
            return _Argument(integer=value)
        if isinstance(value, float):
            return _Argument(real=value) if math.isfinite(value) else _Argument(special=str(value))
        if isinstance(value, str):
            return _Argument(text=value)
        if isinstance(value, (torch.dtype, torch.layout, torch.memory_format)):
            return _Argument(torch_name=str(value).removeprefix("torch."))
        if isinstance(value, torch.device):
            return _Argument(device=value.type)
        raise UnsupportedOperator(f"Layer '{layer}' has an argument of type {type(value).__name__}, which is no data.")

    def constant(self, tensor: torch.Tensor) -> str:
        if id(tensor) not in self.known:
            self.known[id(tensor)] = f"{CONSTANT}{len(self.known)}"
            self.store(self.known[id(tensor)], tensor)
        return self.known[id(tensor)]

    def store(self, name: str, tensor: torch.Tensor) -> None:
        order = list(dim_order(tensor))
        if order != list(range(tensor.dim())):
            self.laid_out[name] = order
            tensor = tensor.permute(order)
        tensor = tensor.detach().cpu()
        memory = tensor.untyped_storage()
        # Its own memory: safetensors refuses tensors that share some, as slices of one weight do.
        alone = memory.nbytes() == tensor.nbytes and memory.data_ptr() not in self.memory
        if not alone or not tensor.is_contiguous():
            tensor = tensor.clone(memory_format=torch.contiguous_format)
        self.memory.add(memory.data_ptr())
        self.tensors[name] = tensor


class _Reader:
    """Turns data into calls, against the graph that comes with it."""

    def __init__(self, content: TorchLayers, tensors: dict[str, torch.Tensor]) -> None:
        self.content, self.graph = content, content.graph
        self.tensors = {name: self._laid_out(name, tensor) for name, tensor in tensors.items()}

    def model(self) -> ExtractedModel:
        graph, content = self.graph, self.content
        layers = [layer.name for layer in graph.layers if not layer.is_input]
        if list(content.calls) != layers:
            raise UnreadableFile("The model's calls are not those of its graph, in its order.")
        names = [name for name in content.input_names if name is not None]
        if sorted(names) != sorted(graph.layers[i].name for i in graph.inputs):
            raise UnreadableFile("The model's inputs are not those of its graph.")
        calls = {name: self._call(name, call) for name, call in content.calls.items()}
        examples = tuple(self._tensor(f"{EXAMPLE}{i}") for i in range(len(content.input_names)))
        for name, example in zip(content.input_names, examples, strict=True):
            wanted = graph.layers[graph.index[name]].outputs[0] if name is not None else None
            if wanted is not None and (tuple(example.shape), dtype_name(example)) != (wanted.shape, wanted.dtype):
                raise UnreadableFile(f"The example of input {shown(str(name))} is not what the graph says of it.")
        model = ExtractedModel(graph, tuple(content.input_names), examples, calls, last_readers(graph))
        require_declared(model)
        return model

    def _call(self, layer: str, stored: _StoredCall) -> Call:
        call = Call(
            allowed_operator(layer, stored.operator),
            tuple(self._value(layer, value) for value in stored.arguments),
            {name: self._value(layer, value) for name, value in stored.named.items()},
        )
        read = set(_references([*call.args, *call.kwargs.values()]))
        if read != set(self.graph.layers[self.graph.index[layer]].inputs):
            raise UnreadableFile(f"Layer '{layer}' reads other tensors than the graph says.")
        return call

    def _value(self, layer: str, argument: _Argument) -> Any:
        kinds = [name for name in argument.__struct_fields__ if getattr(argument, name) is not None]
        if not kinds:
            return None
        if len(kinds) > 1:
            raise UnreadableFile(f"An argument of layer '{layer}' is both {kinds[0]} and {kinds[1]}.")
        value = getattr(argument, kinds[0])
        match kinds[0]:
            case "tensor":
                return TensorRef(*value)
            case "constant":
                return self._tensor(value)
            case "items":
                return [self._value(layer, item) for item in value]
            case "special":
                return {"inf": math.inf, "-inf": -math.inf}.get(value, math.nan)
            case "torch_name":
                return _torch_value(layer, value)
            case "device":
                return torch.device("cpu")
        return value

    def _tensor(self, name: str) -> torch.Tensor:
        if name not in self.tensors:
            raise UnreadableFile(f"The model's tensor '{name}' is missing.")
        return self.tensors[name]

    def _laid_out(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        order = self.content.laid_out.get(name)
        if order is None:
            return tensor
        if sorted(order) != list(range(tensor.dim())):
            raise UnreadableFile(f"The model's tensor '{name}' has the impossible order of dimensions {order}.")
        return in_order(tensor, order)


def allowed_operator(layer: str, name: str) -> Callable[..., Any]:
    """The operator of that name, if it is one of those that are taken."""
    operator = find_operator(name)
    if operator is None or not is_taken(name):
        raise UnsupportedOperator(f"Layer '{layer}' uses the operator '{name}', which is not supported.")
    return operator


def require_operators(layers: Iterable[tuple[str, str]]) -> None:
    """Refuse layers, given with their operators, for all operators at once that are not taken."""
    refused: dict[str, str] = {}
    for layer, name in layers:
        if not is_taken(name):
            refused.setdefault(name, layer)
    if refused:
        raise UnsupportedOperator(refusal(refused))


def _references(values: list[Any]) -> list[TensorRef]:
    references: list[TensorRef] = []
    for value in values:
        if isinstance(value, TensorRef):
            references.append(value)
        elif isinstance(value, list):
            references += _references(value)
    return references


def _torch_value(layer: str, name: str) -> Any:
    # Not `getattr`, which would import what torch loads only when it is asked for.
    value = vars(torch).get(name)
    if not isinstance(value, (torch.dtype, torch.layout, torch.memory_format)):
        raise UnreadableFile(f"Layer '{layer}' names '{name}', which is no dtype, layout or memory format.")
    return value
