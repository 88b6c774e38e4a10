"""The layers of a `.pt2` archive: walked in order, every name, value and edge checked before torch sees it."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import UNSET

from decc_core.errors import UnreadableFile
from decc_core.load.limits import Limits
from decc_core.load.pt2 import schema
from decc_core.load.pt2.operators import EXPORTED
from decc_core.load.pt2.schema import AGAIN, field
from decc_core.text import shown

TARGETS = frozenset(f"torch.ops.{name}" for name in EXPORTED)
WITH_BLOCKS = frozenset(
    {"torch.ops.higher_order.wrap_with_autocast", "torch.ops.higher_order.wrap_with_set_grad_enabled"}
)
"""What export makes of `with torch.autocast(...)` and `with torch.no_grad()` inside a network."""
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,399}")
"""What torch calls a tensor: the names become Python source there."""
CONSTANTS = frozenset({"as_none", "as_int", "as_float", "as_bool", "as_string"})
NUMBERS = CONSTANTS | {"as_ints", "as_bools"}

Weights = dict[str, schema.TensorMeta]
"""Shapes of weights or constants by their names in the network."""


class Graph:
    """Walks the graph in order; a tensor can be read once it is made, so cycles have no place."""

    def __init__(self, graph: schema.Graph, limits: Limits) -> None:
        self.graph, self.limits = graph, limits
        self.made: dict[str, schema.TensorMeta] = {}
        self.names: set[str] = set()
        self.bytes = 0
        self.n_user_inputs = 0
        self.user_inputs: list[str] = []

    def inputs(
        self, specs: list[schema.InputSpec], weights: Weights, constants: Weights
    ) -> list[tuple[schema.Argument, schema.InputSpec]]:
        """Tensors that are there before the first layer; plain values, which no layer reads, are left out."""
        if len(specs) != len(self.graph.inputs):
            raise UnreadableFile(f"The network's inputs are not those of its signature; {AGAIN}")
        kept = []
        for argument, spec in zip(self.graph.inputs, specs, strict=True):
            (kind, value), (role, described) = field(argument), field(spec)
            if role in ("user_input", "constant_input"):
                self.n_user_inputs += 1
                if kind in CONSTANTS:
                    continue
            if kind != "as_tensor" or role not in ("user_input", "parameter", "buffer", "tensor_constant"):
                raise UnreadableFile("The network takes an input that is no tensor; export it with tensors only.")
            meta = self._define(value.name, counted=role == "user_input")
            if described.arg != (argument if role == "user_input" else value):
                raise UnreadableFile(f"The network's inputs are not those of its signature; {AGAIN}")
            if role == "user_input":
                self.user_inputs.append(value.name)
            else:
                _check_weight(meta, described, weights, constants)
            kept.append((argument, spec))
        if not self.user_inputs:
            raise UnreadableFile("The network takes no input tensor; export it with example inputs that are tensors.")
        return kept

    def _define(self, name: str, counted: bool = True) -> schema.TensorMeta:
        """A new tensor, with what the file says about it."""
        _check_name(name)
        if name in self.made or name in self.names:
            raise UnreadableFile(f"The tensor {shown(name)} is made twice; {AGAIN}")
        meta = self.graph.tensor_values.get(name)
        if meta is None:
            raise UnreadableFile(f"The file does not tell the shape of the tensor {shown(name)}; {AGAIN}")
        schema.check_meta(meta, f"The tensor {shown(name)}")
        size = max(schema.content_bytes(meta), schema.storage_bytes(meta))
        self.bytes += size if counted else 0
        self.limits.require(tensor_bytes=max(size, self.bytes))
        self.made[name] = meta
        self.names.add(name)
        return meta

    def node(self, node: schema.Node) -> schema.Node:
        """A layer with checked arguments, that reads only what earlier layers made."""
        layer = shown(node.name if node.name else node.target)
        if node.target not in TARGETS:
            raise UnreadableFile(_bad_target(layer, node.target))
        if node.is_hop_single_tensor_return:
            raise UnreadableFile(f"Layer {layer} holds other networks; export one without control flow.")
        arguments = [self._named(layer, argument) for argument in node.inputs]
        if len({argument.name for argument in arguments}) < len(arguments):
            raise UnreadableFile(f"Layer {layer} has an argument twice; {AGAIN}")
        outputs = [self._output(layer, output) for output in node.outputs]
        if node.name is not None:
            self._name(node.name, outputs)
        stack = _stack(node.metadata.nn_module_stack)
        return schema.Node(node.target, arguments, outputs, schema.Metadata(stack), None, node.name)

    def _name(self, name: str, outputs: list[schema.Argument]) -> None:
        """A layer has a name of its own, or that of the one tensor that it makes."""
        _check_name(name)
        if [output.as_tensor for output in outputs] == [schema.Named(name)]:
            return
        if name in self.names:
            raise UnreadableFile(f"Two layers have the name {shown(name)}; {AGAIN}")
        self.names.add(name)

    def _named(self, layer: str, named: schema.NamedArgument) -> schema.NamedArgument:
        if not NAME.fullmatch(named.name):
            raise UnreadableFile(f"Layer {layer} has an argument whose name no operator knows; {AGAIN}")
        if named.kind not in (None, 1, 2):
            raise UnreadableFile(f"Layer {layer} has an argument of an unknown kind; {AGAIN}")
        return schema.NamedArgument(named.name, self._argument(layer, named.arg), named.kind)

    def _argument(self, layer: str, argument: schema.Argument) -> schema.Argument:
        kind, value = field(argument)
        if not kind:
            raise UnreadableFile(f"Layer {layer} has an argument that is not exactly one value; {AGAIN}")
        if kind == "as_tensor":
            self._read(layer, [value])
        elif kind == "as_tensors":
            self._read(layer, value)
        elif kind in ("as_float", "as_floats"):
            _check_reals(layer, value if isinstance(value, list) else [value])
        elif kind in ("as_sym_int", "as_sym_ints"):
            _check_integers(layer, value if isinstance(value, list) else [value])
        elif kind in ("as_optional_tensor", "as_optional_tensors"):
            self._optional(layer, value if isinstance(value, list) else [value])
        elif kind == "as_device":
            schema.check_device(value, f"Layer {layer}")
            return schema.Argument(as_device=schema.CPU)
        elif kind in ("as_scalar_type", "as_memory_format", "as_layout"):
            _check_code(layer, kind, value)
        elif kind not in NUMBERS:
            raise UnreadableFile(_bad_argument(layer, kind))
        return argument

    def _read(self, layer: str, tensors: Iterable[schema.Named]) -> None:
        for tensor in tensors:
            if tensor.name not in self.made:
                raise UnreadableFile(
                    f"Layer {layer} reads the tensor {shown(tensor.name)}, which no layer before it makes; {AGAIN}"
                )

    def _optional(self, layer: str, tensors: list[schema.OptionalTensor]) -> None:
        for tensor in tensors:
            kind, value = field(tensor)
            if not kind:
                raise UnreadableFile(f"Layer {layer} has an argument that is not exactly one value; {AGAIN}")
            if kind == "as_tensor":
                self._read(layer, [value])

    def _output(self, layer: str, argument: schema.Argument) -> schema.Argument:
        kind, value = field(argument)
        if kind == "as_tensor":
            self._define(value.name)
        elif kind == "as_tensors":
            if not value:
                raise UnreadableFile(f"Layer {layer} makes an empty list of tensors; {AGAIN}")
            for tensor in value:
                self._define(tensor.name)
        elif kind in ("as_sym_int", "as_sym_bool", "as_sym_float"):
            raise UnreadableFile(f"Layer {layer} turns a tensor into a number, or {schema.VARYING}")
        elif kind != "as_none":
            raise UnreadableFile(f"Layer {layer} makes something that is no tensor; export it with tensors only.")
        return argument

    def outputs(self, specs: list[schema.OutputSpec]) -> list[schema.Argument]:
        """The tensors that the network gives; plain values among them are left out."""
        if len(specs) != len(self.graph.outputs):
            raise UnreadableFile(f"The network's outputs are not those of its signature; {AGAIN}")
        kept = []
        for argument, spec in zip(self.graph.outputs, specs, strict=True):
            (kind, value), (role, described) = field(argument), field(spec)
            if role != "user_output":
                raise UnreadableFile(
                    "The network changes its own weights or inputs; call model.eval() and export again."
                )
            if described.arg != argument:
                raise UnreadableFile(f"The network's outputs are not those of its signature; {AGAIN}")
            if kind == "as_tensor":
                self._read("'output'", [value])
                kept.append(argument)
            elif kind not in CONSTANTS:
                raise UnreadableFile("The network gives an output that is no tensor; export it with tensors only.")
        if not kept:
            raise UnreadableFile("The network gives no tensor; export one whose outputs are tensors.")
        return kept


def _check_weight(meta: schema.TensorMeta, spec: Any, weights: Weights, constants: Weights) -> None:
    """The network reads a weight that the file holds, with its shape there."""
    if isinstance(spec, schema.ParameterInput):
        known, key = weights, spec.parameter_name
    elif isinstance(spec, schema.BufferInput):
        known, key = (weights if spec.persistent else constants), spec.buffer_name
    else:
        known, key = constants, spec.tensor_constant_name
    if key not in known:
        raise UnreadableFile(f"The weight {shown(key)} is missing in the file; {AGAIN}")
    stored = known[key]
    if (stored.dtype, schema.numbers(stored.sizes)) != (meta.dtype, schema.numbers(meta.sizes)):
        raise UnreadableFile(f"The weight {shown(key)} has another shape or type than the network reads; {AGAIN}")


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UnreadableFile(f"The layer name {shown(name)} is not one that torch.export gives; {AGAIN}")


def check_weight_name(key: str) -> None:
    """Refuse weights whose name leads into Python's own attributes or out of quotes."""
    parts = key.split(".")
    plain = key.isprintable() and not {'"', "\\"} & set(key)
    if len(key) > 500 or len(parts) > 100 or not plain or any(not part or part.startswith("__") for part in parts):
        raise UnreadableFile(f"The weight name {shown(key)} is not one that a network has; rename its module.")


def _bad_target(layer: str, target: str) -> str:
    if target in WITH_BLOCKS:
        return (
            f"Layer {layer} stands in a block under torch.autocast or torch.no_grad ({shown(target)}); save "
            "torch.export.export(model.eval(), inputs).run_decompositions({}), which dissolves such blocks."
        )
    if target.startswith("torch.ops.higher_order"):
        return f"Layer {layer} holds other networks ({shown(target)}); export one without control flow."
    if target.startswith(("_operator.", "math.", "torch.sym_")):
        return f"Layer {layer} computes with sizes ({shown(target)}); export again without dynamic_shapes."
    return f"Layer {layer} uses the operator {shown(target)}, which is not supported; replace it by a usual layer."


def _bad_argument(layer: str, kind: str) -> str:
    if kind.startswith("as_sym"):
        return f"Layer {layer} {schema.VARYING}"
    if kind == "as_graph":
        return f"Layer {layer} holds another network; export one without control flow."
    return f"Layer {layer} has an argument that is no tensor and no plain number ({kind}); replace the layer."


def _check_reals(layer: str, values: list[float | str]) -> None:
    if any(isinstance(value, str) and value not in schema.NON_FINITE for value in values):
        raise UnreadableFile(f"Layer {layer} has text where a number should be; {AGAIN}")


def _check_integers(layer: str, values: list[schema.SymIntArgument]) -> None:
    for value in values:
        if value.as_name is not UNSET or value.as_int is UNSET:
            raise UnreadableFile(f"Layer {layer} {schema.VARYING}")


def _check_code(layer: str, kind: str, value: int) -> None:
    """Numbers that stand for a dtype, a layout or an order in memory."""
    known = {
        "as_scalar_type": value in schema.DTYPES,
        "as_memory_format": value in schema.MEMORY_FORMATS,
        "as_layout": value == schema.STRIDED,
    }
    if not known[kind]:
        raise UnreadableFile(f"Layer {layer} names a number type or a layout that is not taken; {AGAIN}")


def _stack(text: str | msgspec.UnsetType) -> str:
    """The modules that made a layer, outermost first, as torch writes them; unreadable entries are left out."""
    kept = []
    for entry in (text[:20_000] if isinstance(text, str) else "").split(";"):
        key, comma, rest = entry.partition(",")
        path, comma_2, _ = rest.rpartition(",")
        if comma and comma_2 and key and (key + path).isprintable() and not set(key + path) & set(",()[]"):
            kept.append(f"{key},{path},torch.nn.Module")
    return ";".join(kept)
