"""The layers of a `.pt2` archive: walked in order, every name, value and edge checked before torch sees it."""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import torch
from msgspec import UNSET

from decc_core.errors import UnreadableFile
from decc_core.load.limits import Limits
from decc_core.load.pt2 import schema
from decc_core.load.pt2.numbers import number_in
from decc_core.load.pt2.operators import is_exported
from decc_core.load.pt2.schema import AGAIN, field
from decc_core.load.pt2.sizes import Number, Sizes
from decc_core.models.torch.operators import refusal
from decc_core.text import first_line, shown

WITH_BLOCKS = frozenset(
    {"torch.ops.higher_order.wrap_with_autocast", "torch.ops.higher_order.wrap_with_set_grad_enabled"}
)
"""What export makes of `with torch.autocast(...)` and `with torch.no_grad()` inside a network."""
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,399}")
"""What torch calls a tensor: the names become Python source there."""
CONSTANTS = frozenset({"as_none", "as_int", "as_float", "as_bool", "as_string"})
NUMBERS = CONSTANTS | {"as_ints", "as_bools"}

ITEMS = frozenset({"torch.ops.aten.item.default", "torch.ops.aten._local_scalar_dense.default"})
"""They take a number out of a tensor."""
OF_SIZES = ("torch.ops.aten.sym_", "_operator.", "math.", "torch.sym_", "torch._sym_")
"""How the names begin of what computes with sizes alone."""
WEIGHT_NAMES = {"parameter": "parameter_name", "buffer": "buffer_name", "tensor_constant": "tensor_constant_name"}
"""Where the signature names a weight, by what it is there."""
OF_VALUES = frozenset(
    {
        "torch.ops.aten._assert_scalar.default",
        "torch.ops.aten._assert_async.msg",
        "torch.ops.aten.sym_constrain_range.default",
        "torch.ops.aten.sym_constrain_range_for_size.default",
    }
)
"""Checks while a network runs, which give nothing."""
UNWRITTEN = {
    "torch.ops.aten.empty.memory_format": "torch.ops.aten.zeros.default",
    "torch.ops.aten.empty_like.default": "torch.ops.aten.zeros_like.default",
    "torch.ops.aten.new_empty.default": "torch.ops.aten.new_zeros.default",
}
"""Operators that leave values open, and which ones are read instead: nobody gets to see what was in the memory."""


@dataclass(frozen=True)
class Weight:
    """What the file holds of a weight or constant: its shape, and how to get its values."""

    meta: schema.TensorMeta
    read: Callable[[], torch.Tensor]


Weights = Mapping[str, Weight]
"""By their names in the network."""


class Graph:
    """Walks the graph in order; a tensor can be read once it is made, so cycles have no place."""

    def __init__(self, graph: schema.Graph, limits: Limits, sizes: Sizes) -> None:
        self.graph = msgspec.structs.replace(graph, nodes=[_written(node) for node in graph.nodes])
        self.limits, self.sizes = limits, sizes
        self.weights: dict[str, Callable[[], torch.Tensor]] = {}
        self.makers: dict[str, schema.Node] = {}
        self.numbers: dict[str, Number] = {}
        """What the network computes of sizes, or takes out of its weights, by name."""
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
        pairs = [(field(argument), field(spec)[0]) for argument, spec in zip(self.graph.inputs, specs, strict=True)]
        read = [value.name for (kind, value), role in pairs if (kind, role) == ("as_tensor", "user_input")]
        metas = self.graph.tensor_values
        self.sizes.choose({name: metas[name] for name in read if name in metas})
        for argument, spec in zip(self.graph.inputs, specs, strict=True):
            (kind, value), (role, described) = field(argument), field(spec)
            if role in ("user_input", "constant_input"):
                self.n_user_inputs += 1
                if kind in CONSTANTS:
                    continue
            if kind != "as_tensor" or role not in ("user_input", *WEIGHT_NAMES):
                raise UnreadableFile("The network takes an input that is no tensor; export it with tensors only.")
            if role in WEIGHT_NAMES:
                key = plain_weight_name(getattr(described, WEIGHT_NAMES[role]))
                described = msgspec.structs.replace(described, **{WEIGHT_NAMES[role]: key})
                spec = schema.InputSpec(**{role: described})
            meta = self._define(value.name, counted=role == "user_input")
            if described.arg != (argument if role == "user_input" else value):
                raise UnreadableFile(f"The network's inputs are not those of its signature; {AGAIN}")
            if role == "user_input":
                self.user_inputs.append(value.name)
            else:
                self.weights[value.name] = _weight(meta, described, weights, constants).read
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
        meta = self.sizes.fixed(meta, f"The tensor {shown(name)}")
        schema.check_meta(meta, f"The tensor {shown(name)}")
        size = max(schema.content_bytes(meta), schema.storage_bytes(meta))
        self.bytes += size if counted else 0
        self.limits.require(tensor_bytes=max(size, self.bytes))
        self.made[name] = meta
        self.names.add(name)
        return meta

    def nodes(self) -> list[schema.Node]:
        """The layers with checked arguments, each of which reads only what earlier ones made.

        What computes with sizes is no layer: sizes are plain numbers here.
        """
        self._require_operators()
        return [layer for node in self.graph.nodes if not self._of_sizes(node) for layer in [self._node(node)]]

    def _require_operators(self) -> None:
        """Refuse the network for all operators at once that are not taken."""
        refused: dict[str, str] = {}
        for node in self.graph.nodes:
            if not (node.target in ITEMS | OF_VALUES or node.target.startswith(OF_SIZES) or _is_taken(node.target)):
                refused.setdefault(node.target, node.name or node.target)
        if refused:
            raise UnreadableFile(_bad_targets(refused))

    def _of_sizes(self, node: schema.Node) -> bool:
        """Whether a node gives no tensor, but numbers; those are known from here on."""
        if node.target in OF_VALUES and all(field(output)[0] == "as_none" for output in node.outputs):
            return True
        if node.target not in ITEMS and not node.target.startswith(OF_SIZES):
            return False
        layer = _layer(node)
        for output in node.outputs:
            kind, value = field(output)
            if kind not in ("as_sym_int", "as_sym_float", "as_sym_bool") or value.as_name is UNSET:
                raise UnreadableFile(f"Layer {layer} computes with sizes, and gives something else; {AGAIN}")
            if kind == "as_sym_bool":
                continue
            known = (self.graph.sym_int_values if kind == "as_sym_int" else self.graph.sym_float_values).get(
                value.as_name
            )
            if node.target in ITEMS:
                number = self._item(node)
                if number is None:
                    raise UnreadableFile(
                        f"Layer {layer} turns a tensor that depends on the inputs into a number, so that shapes or "
                        "layers can depend on it; such a network cannot be planned. Export the part before that step."
                    )
                if known is not None and known.as_expr is not UNSET:
                    self.sizes.know(known.as_expr.expr_str, number)
            elif known is None or known.as_expr is UNSET:
                raise UnreadableFile(f"The file does not tell the number that layer {layer} computes; {AGAIN}")
            else:
                number = self.sizes.value(known.as_expr.expr_str, f"Layer {layer}")
            if kind == "as_sym_int" and not isinstance(number, int):
                raise UnreadableFile(f"Layer {layer} computes a size that is no whole number; {AGAIN}")
            self.numbers[value.as_name] = number if kind == "as_sym_int" else float(number)
        return True

    def _item(self, node: schema.Node) -> Number | None:
        read = [field(argument.arg) for argument in node.inputs]
        if len(read) != 1 or read[0][0] != "as_tensor":
            return None
        try:
            return number_in(read[0][1].name, self.makers, self.weights)
        except MemoryError:
            raise
        except Exception as error:
            # Whatever an operator says of arguments that do not fit it.
            reason = f"{type(error).__name__}: {first_line(error)}"
            raise UnreadableFile(
                f"Layer {_layer(node)} takes a number out of weights that cannot be worked out ({reason}); {AGAIN}"
            ) from None

    def _node(self, node: schema.Node) -> schema.Node:
        layer = _layer(node)
        if node.is_hop_single_tensor_return:
            raise UnreadableFile(f"Layer {layer} holds other networks; export one without control flow.")
        arguments = [self._named(layer, argument) for argument in node.inputs]
        if len({argument.name for argument in arguments}) < len(arguments):
            raise UnreadableFile(f"Layer {layer} has an argument twice; {AGAIN}")
        outputs = [self._output(layer, output) for output in node.outputs]
        if node.name is not None:
            self._name(node.name, outputs)
        stack = _stack(node.metadata.nn_module_stack)
        checked = schema.Node(node.target, arguments, outputs, schema.Metadata(stack), None, node.name)
        for output in outputs:
            kind, value = field(output)
            for tensor in value if kind == "as_tensors" else [value] if kind == "as_tensor" else []:
                self.makers[tensor.name] = checked
        return checked

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
        elif kind in ("as_sym_int", "as_sym_ints", "as_sym_float", "as_sym_floats"):
            return self._numbers(layer, kind, value)
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

    def _numbers(self, layer: str, kind: str, value: Any) -> schema.Argument:
        """Sizes and what was computed of them, as plain numbers."""
        numbers: list[Any] = []
        whole = kind.startswith("as_sym_int")
        for given in value if isinstance(value, list) else [value]:
            name, plain = given.as_name, given.as_int if whole else given.as_float
            if (name is UNSET) == (plain is UNSET):
                raise UnreadableFile(f"Layer {layer} has an argument that is not exactly one value; {AGAIN}")
            if name is not UNSET and (name not in self.numbers or whole != isinstance(self.numbers[name], int)):
                raise UnreadableFile(f"Layer {layer} {schema.VARYING}")
            numbers.append(plain if name is UNSET else self.numbers[name])
        if whole:
            return schema.Argument(as_ints=numbers) if kind == "as_sym_ints" else schema.Argument(as_int=numbers[0])
        reals = [_real(number) for number in numbers]
        return schema.Argument(as_floats=reals) if kind == "as_sym_floats" else schema.Argument(as_float=reals[0])

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
            elif kind not in CONSTANTS and kind not in ("as_sym_int", "as_sym_float", "as_sym_bool"):
                raise UnreadableFile("The network gives an output that is no tensor; export it with tensors only.")
        if not kept:
            raise UnreadableFile("The network gives no tensor; export one whose outputs are tensors.")
        return kept


def _weight(meta: schema.TensorMeta, spec: Any, weights: Weights, constants: Weights) -> Weight:
    """A weight that the network reads, and the file holds with its shape there."""
    if isinstance(spec, schema.ParameterInput):
        known, key = weights, spec.parameter_name
    elif isinstance(spec, schema.BufferInput):
        known, key = (weights if spec.persistent else constants), spec.buffer_name
    else:
        known, key = constants, spec.tensor_constant_name
    if key not in known:
        raise UnreadableFile(f"The weight {shown(key)} is missing in the file; {AGAIN}")
    stored = known[key].meta
    if (stored.dtype, schema.numbers(stored.sizes)) != (meta.dtype, schema.numbers(meta.sizes)):
        raise UnreadableFile(f"The weight {shown(key)} has another shape or type than the network reads; {AGAIN}")
    return known[key]


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UnreadableFile(f"The layer name {shown(name)} is not one that torch.export gives; {AGAIN}")


def plain_weight_name(key: str) -> str:
    """The name of a weight without Python's own words, which torch writes into source: `heads.class` and the like.

    Refuses weights whose name leads into Python's own attributes or out of quotes.
    """
    parts = key.split(".")
    plain = key.isprintable() and not {'"', "\\"} & set(key)
    if len(key) > 500 or len(parts) > 100 or not plain or any(not part or part.startswith("__") for part in parts):
        raise UnreadableFile(f"The weight name {shown(key)} is not one that a network has; rename its module.")
    return ".".join(f"{part}_" if keyword.iskeyword(part) else part for part in parts)


def _written(node: schema.Node) -> schema.Node:
    """The node, or the one that makes the same tensor of zeros instead of one without values."""
    if node.target not in UNWRITTEN:
        return node
    wanted = node.inputs
    if node.target == "torch.ops.aten.empty.memory_format":
        # `zeros` has all arguments but this one.
        wanted = [argument for argument in wanted if argument.name != "memory_format"]
    return msgspec.structs.replace(node, target=UNWRITTEN[node.target], inputs=wanted)


def _is_taken(target: str) -> bool:
    return target.startswith("torch.ops.") and is_exported(target.removeprefix("torch.ops."))


def _layer(node: schema.Node) -> str:
    return shown(node.name if node.name else node.target)


def _bad_targets(refused: Mapping[str, str]) -> str:
    """Why these are not taken, each with the first layer that uses it."""
    for target, layer in refused.items():
        if target in WITH_BLOCKS:
            return (
                f"Layer {shown(layer)} stands in a block under torch.autocast or torch.no_grad ({shown(target)}); save "
                "torch.export.export(model.eval(), inputs).run_decompositions({}), which dissolves such blocks."
            )
        if target.startswith("torch.ops.higher_order"):
            return f"Layer {shown(layer)} holds other networks ({shown(target)}); export one without control flow."
    return refusal({target.removeprefix("torch.ops."): layer for target, layer in refused.items()})


def _bad_argument(layer: str, kind: str) -> str:
    if kind.startswith("as_sym"):
        return f"Layer {layer} {schema.VARYING}"
    if kind == "as_graph":
        return f"Layer {layer} holds another network; export one without control flow."
    return f"Layer {layer} has an argument that is no tensor and no plain number ({kind}); replace the layer."


def _check_reals(layer: str, values: list[float | str]) -> None:
    if any(isinstance(value, str) and value not in schema.NON_FINITE for value in values):
        raise UnreadableFile(f"Layer {layer} has text where a number should be; {AGAIN}")


def _real(number: float) -> float | str:
    """As torch writes it; JSON has no other way."""
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


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
