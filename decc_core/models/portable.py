"""A model as data: its layers as JSON, and its tensors as safetensors or, for ONNX, all in one protocol buffer.

Nothing in it can run code where it is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import singledispatch
from pathlib import Path
from typing import Any

import msgspec
import safetensors
import safetensors.torch
import torch

from decc_core.errors import DeccError, UnreadableFile, UnsupportedOperator
from decc_core.models.model import Model
from decc_core.models.onnx.model import OnnxModel
from decc_core.models.torch.extract import ExtractedModel, Step, last_readers
from decc_core.models.torch.operators import ALLOWED
from decc_core.network.graph import LayerGraph, TensorRef

VERSION = 1
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


class _Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    operator: str
    arguments: list[_Argument]
    named: dict[str, _Argument]


class _Onnx(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="runtime", tag="onnx"):
    """A network of ONNX Runtime: everything follows from the protocol buffer that comes with it."""

    version: int


class _Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="runtime", tag="torch"):
    version: int
    graph: LayerGraph
    calls: dict[str, _Call]
    input_names: list[str | None]
    laid_out: dict[str, list[int]]
    """The order of dimensions of tensors that are not stored row by row; safetensors knows no strides."""


@singledispatch
def to_data(model: Model) -> tuple[bytes, bytes]:
    """The model as JSON and tensors."""
    raise TypeError(type(model).__name__)


@to_data.register
def _onnx_to_data(model: OnnxModel) -> tuple[bytes, bytes]:
    return msgspec.json.encode(_Onnx(VERSION)), model.content


@to_data.register
def _extracted_to_data(model: ExtractedModel) -> tuple[bytes, bytes]:
    """As JSON and safetensors; refuses operators that are not on the list of `decc_core.models.torch.operators`."""
    layers, tensors = _taken_apart(model)
    return layers, safetensors.torch.save(tensors)


def write(model: Model, layers_file: Path, tensors_file: Path) -> None:
    """What `to_data` gives, into two files; weights go there without a copy in between."""
    if isinstance(model, ExtractedModel):
        layers, stored = _taken_apart(model)
        safetensors.torch.save_file(stored, tensors_file)
    else:
        layers, tensors = to_data(model)
        tensors_file.write_bytes(tensors)
    layers_file.write_bytes(layers)


def _taken_apart(model: ExtractedModel) -> tuple[bytes, dict[str, torch.Tensor]]:
    writer = _Writer()
    calls = {name: writer.call(name, step) for name, step in model.steps.items()}
    for i, tensor in enumerate(model.example_inputs):
        writer.store(f"{EXAMPLE}{i}", tensor)
    content = _Model(VERSION, model.graph, calls, list(model.input_names), writer.laid_out)
    return msgspec.json.encode(content), writer.tensors


def from_data(layers: bytes, tensors: bytes) -> Model:
    """The model again; every malformed part is refused with one sentence, and nothing of it is executed."""
    try:
        content: _Model | _Onnx = msgspec.json.decode(layers, type=_Model | _Onnx)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, DeccError):
            raise error.__cause__ from None
        raise UnreadableFile(f"The model's layers are not valid: {error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableFile(f"The model's layers are not JSON: {error}.") from None
    if content.version != VERSION:
        raise UnreadableFile(f"The model has version {content.version}; this program reads version {VERSION}.")
    if isinstance(content, _Onnx):
        return OnnxModel.of(tensors)
    try:
        stored = safetensors.torch.load(tensors)
    except (safetensors.SafetensorError, ValueError) as error:
        raise UnreadableFile(f"The model's tensors are not safetensors: {error}.") from None
    try:
        return _Reader(content, stored).model()
    except RecursionError:
        raise UnreadableFile("The model has an argument that is nested too deep; no operator takes one.") from None


class _Writer:
    """Turns steps into data, and collects the tensors that they hold; shared tensors are stored once."""

    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}
        self.laid_out: dict[str, list[int]] = {}
        self.known: dict[int, str] = {}
        self.memory: set[int] = set()
        """Where the tensors lie that were stored."""

    def call(self, layer: str, step: Step) -> _Call:
        operator = str(step.target)
        if operator not in ALLOWED:
            raise UnsupportedOperator(f"Layer '{layer}' uses the operator '{operator}', which is not supported.")
        named = {name: self.argument(layer, value) for name, value in step.kwargs.items()}
        return _Call(operator, [self.argument(layer, value) for value in step.args], named)

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
        order = sorted(range(tensor.dim()), key=lambda dim: (-tensor.stride()[dim], dim))
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
    """Turns data into steps, against the graph that comes with it."""

    def __init__(self, content: _Model, tensors: dict[str, torch.Tensor]) -> None:
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
        steps = {name: self._step(name, call) for name, call in content.calls.items()}
        examples = tuple(self._tensor(f"{EXAMPLE}{i}") for i in range(len(content.input_names)))
        return ExtractedModel(graph, tuple(content.input_names), examples, steps, last_readers(graph))

    def _step(self, layer: str, call: _Call) -> Step:
        target = operator(layer, call.operator)
        step = Step(
            target,
            tuple(self._value(layer, value) for value in call.arguments),
            {name: self._value(layer, value) for name, value in call.named.items()},
        )
        read = set(_references([*step.args, *step.kwargs.values()]))
        if read != set(self.graph.layers[self.graph.index[layer]].inputs):
            raise UnreadableFile(f"Layer '{layer}' reads other tensors than the graph says.")
        return step

    def _value(self, layer: str, argument: _Argument) -> Any:
        found = [name for name in argument.__struct_fields__ if getattr(argument, name) is not None]
        if not found:
            return None
        if len(found) > 1:
            raise UnreadableFile(f"An argument of layer '{layer}' is both {found[0]} and {found[1]}.")
        value = getattr(argument, found[0])
        if found[0] == "tensor":
            return TensorRef(*value)
        if found[0] == "constant":
            return self._tensor(value)
        if found[0] == "items":
            return [self._value(layer, item) for item in value]
        if found[0] == "special":
            return {"inf": math.inf, "-inf": -math.inf}.get(value, math.nan)
        if found[0] == "torch_name":
            return _torch_value(layer, value)
        if found[0] == "device":
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
        return tensor.permute(sorted(range(len(order)), key=lambda i: order[i]))


def operator(layer: str, name: str) -> Callable[..., Any]:
    """The operator of that name, if it is on the list."""
    if name not in ALLOWED:
        raise UnsupportedOperator(f"Layer '{layer}' uses the operator '{name}', which is not supported.")
    _, packet, overload = name.split(".")
    found: Callable[..., Any] = getattr(getattr(torch.ops.aten, packet), overload)
    return found


def _references(values: list[Any]) -> list[TensorRef]:
    found: list[TensorRef] = []
    for value in values:
        if isinstance(value, TensorRef):
            found.append(value)
        elif isinstance(value, list):
            found += _references(value)
    return found


def _torch_value(layer: str, name: str) -> Any:
    # Not `getattr`, which would import what torch loads only when it is asked for.
    value = vars(torch).get(name)
    if not isinstance(value, (torch.dtype, torch.layout, torch.memory_format)):
        raise UnreadableFile(f"Layer '{layer}' names '{name}', which is no dtype, layout or memory format.")
    return value
