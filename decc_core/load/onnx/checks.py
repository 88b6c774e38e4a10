"""What must hold in an ONNX file before ONNX Runtime sees it: sizes that are true, operators that are known, a DAG."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from decc_core.errors import RefusedFile, UnreadableFile
from decc_core.load.limits import Limits
from decc_core.models.onnx.graph import DTYPES, WEIGHT_BITS, weight_bytes
from decc_core.models.onnx.operators import is_allowed_in_file
from decc_core.network.graph import ITEM_BYTES
from decc_core.text import listed, shown

MAX_RANK = 16
BOOL = 9
MAX_SIZE = (1 << 31) - 1
"""Of one dimension."""
FIRST_OPSET = 7
DYNAMIC = ("NonZero", "Unique", "Compress", "NonMaxSuppression")
RANDOM = ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")
TYPED = {
    "float_data": {1}, "double_data": {11}, "int64_data": {7}, "uint64_data": {12, 13},
    "int32_data": {2, 3, 4, 5, 6, 9, 10, 16, 21, 22},
}  # fmt: skip
"""The fields that hold numbers one by one, and the element types that each may hold."""


@dataclass(frozen=True)
class OpenDimensions:
    """What to put for dimensions that the file leaves open: the batch, and others by their names."""

    batch: int = 1
    named: Mapping[str, int] | None = None

    def __post_init__(self) -> None:
        for what, size in {"the batch": self.batch, **(self.named or {})}.items():
            if not 1 <= size <= MAX_SIZE:
                raise UnreadableFile(f"A size of {size} for {what} is not possible; give a whole number above 0.")


def check_operators(proto: Any) -> int:
    """Refuse operators that are not on the list; returns the version of the operators that the file uses."""
    if not proto.HasField("graph"):
        raise UnreadableFile("The file holds no network; export it again.")
    versions = {opset.domain or "ai.onnx": opset.version for opset in proto.opset_import}
    version = versions.get("ai.onnx")
    if version is None:
        raise UnreadableFile("The file does not say which version of the ONNX operators it uses; export it again.")
    off = {
        tensor.name
        for tensor in proto.graph.initializer
        if tensor.data_type == BOOL and not any(tensor.raw_data) and not any(tensor.int32_data)
    }
    for node in proto.graph.node:
        if is_allowed_in_file(node.domain, node.op_type) and not node.overload:
            if node.op_type == "Dropout" and any(name and name not in off for name in node.input[2:]):
                raise RefusedFile(f"{_node(node)} is a Dropout in training; export the network with model.eval().")
            continue
        operator = shown(f"{node.domain}.{node.op_type}".removeprefix("."))
        raise RefusedFile(f"{_node(node)} uses the operator {operator}, {_why(node)}.")
    return int(version)


def _why(node: Any) -> str:
    if node.domain not in ("", "ai.onnx"):
        return "which is not a standard ONNX operator; export the network with standard operators only"
    if node.op_type in RANDOM:
        return "whose result is random; leave it out, so that outputs can be compared"
    if node.op_type in DYNAMIC:
        return "whose output's shape depends on values; export the part of the network before it"
    if node.op_type in ("If", "Loop", "Scan", "SequenceMap"):
        return "which decides while it runs; export the network with fixed control flow"
    return "which is not supported; export the part of the network before it"


def check_tensors(proto: Any, limits: Limits) -> None:
    """Refuse weights that are kept elsewhere, lie about their size, or are too large together; nothing is unpacked."""
    total = 0
    for tensor, what in _tensors(proto):
        total += _checked_bytes(tensor, what)
    limits.require(parameter_bytes=total)


def _tensors(proto: Any) -> Iterable[tuple[Any, str]]:
    for tensor in proto.graph.initializer:
        yield tensor, f"Weight {shown(tensor.name)}"
    for node in proto.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t, f"A constant in {_node(node, 'node')}"
            for tensor in attribute.tensors:
                yield tensor, f"A constant in {_node(node, 'node')}"


def _checked_bytes(tensor: Any, what: str) -> int:
    if tensor.data_location or tensor.external_data:
        raise RefusedFile(f"{what} is kept in another file; export again with external_data=False.")
    if tensor.data_type not in WEIGHT_BITS:
        raise RefusedFile(f"{what} has ONNX's element type {tensor.data_type}, which is not taken; export in float32.")
    shape = _check_shape(tensor.dims, what)
    expected = weight_bytes(shape, tensor.data_type)
    used = [name for name in TYPED if len(getattr(tensor, name))]
    if tensor.HasField("raw_data"):
        if used or len(tensor.raw_data) != expected:
            raise UnreadableFile(
                f"{what} says that it has the shape {list(shape)}, which is {expected:,} bytes, and holds "
                f"{len(tensor.raw_data):,}; export the network again."
            )
        return expected
    held = len(getattr(tensor, used[0])) if used else 0
    wanted = expected if WEIGHT_BITS[tensor.data_type] < 8 else prod(shape)
    if len(used) > 1 or (used and tensor.data_type not in TYPED[used[0]]) or held != wanted:
        raise UnreadableFile(
            f"{what} says that it has the shape {list(shape)} and holds {held:,} numbers of another kind or count; "
            "export the network again."
        )
    return expected


def _check_shape(dims: Iterable[int], what: str) -> tuple[int, ...]:
    """Sizes as Python's numbers, which do not overflow."""
    shape = tuple(int(size) for size in dims)
    if len(shape) > MAX_RANK:
        raise UnreadableFile(f"{what} has {len(shape)} dimensions; {MAX_RANK} is the most that is taken.")
    if any(not 0 <= size <= MAX_SIZE for size in shape):
        raise UnreadableFile(f"{what} has the impossible shape {list(shape)}.")
    return shape


def check_order(proto: Any) -> None:
    """Every tensor is made once, before it is read; outputs are made at all."""
    graph = proto.graph
    weights, inputs, _ = (
        _all_different([value.name for value in values], what)
        for values, what in ((graph.initializer, "weights"), (graph.input, "inputs"), (graph.output, "outputs"))
    )
    made = weights | inputs
    makers = {name for node in graph.node for name in node.output}
    for node in graph.node:
        for name in node.input:
            if name and name not in made:
                if name not in makers:
                    raise UnreadableFile(f"{_node(node)} reads {shown(name)}, which nothing makes; export it again.")
                raise UnreadableFile(
                    f"{_node(node)} reads {shown(name)} before it is made: the graph has a cycle, or its nodes are "
                    "not in order; export it again."
                )
        for name in node.output:
            if name and name in made:
                raise UnreadableFile(f"{_node(node)} makes {shown(name)}, which is there already; export it again.")
            made.add(name)
    for value in graph.output:
        if value.name not in made or value.name in weights:
            raise UnreadableFile(f"Output {shown(value.name)} depends on no input; leave it out of the outputs.")
    if not graph.output:
        raise UnreadableFile("The network has no output; export it again.")


def _all_different(names: Sequence[str], what: str) -> set[str]:
    known = set[str]()
    for name in names:
        if not name or name in known:
            raise UnreadableFile(f"Two of the {what} are named {shown(name)}, or one has no name; export it again.")
        known.add(name)
    return known


def fix_inputs(proto: Any, dimensions: OpenDimensions) -> tuple[str, ...]:
    """Give every input a fixed shape, in place; returns a sentence for each dimension that was open.

    The first dimension becomes the batch; others must be given by name.
    """
    notes = list[str]()
    _check_named(proto, dimensions)
    for value in proto.graph.input:
        what = f"Input {shown(value.name)}"
        kind = value.type.tensor_type
        if not value.type.HasField("tensor_type") or kind.elem_type not in DTYPES:
            known = ", ".join(DTYPES.values())
            raise RefusedFile(f"{what} is no tensor of a type that is taken ({known}); export it with one.")
        if not kind.HasField("shape"):
            raise RefusedFile(f"{what} has no shape; export the network with fixed shapes.")
        for position, dim in enumerate(kind.shape.dim):
            if not dim.HasField("dim_value"):
                notes.append(_fix(dim, what[0].lower() + what[1:], position, dimensions))
        _check_shape((dim.dim_value for dim in kind.shape.dim), what)
    return tuple(notes)


def _check_named(proto: Any, dimensions: OpenDimensions) -> None:
    """Refuse a size for a dimension that no input leaves open: most likely its name is misspelt."""
    shapes = (value.type.tensor_type.shape for value in proto.graph.input)
    known = dict.fromkeys(dim.dim_param for shape in shapes for dim in shape.dim if dim.dim_param)
    for name in dimensions.named or {}:
        if name not in known:
            there = f"open are {listed(list(known))}" if known else "all sizes are fixed, so leave it out"
            raise UnreadableFile(f"No input has an open dimension {shown(name)}; {there}.")


def _fix(dim: Any, what: str, position: int, dimensions: OpenDimensions) -> str:
    name, named = dim.dim_param, dimensions.named or {}
    if name and name in named:
        dim.dim_value = named[name]
        return f"Dimension {shown(name)} of {what} is open; set to {dim.dim_value}, as asked for."
    if position:
        called = f"({shown(name)})" if name else "(without a name)"
        sized = f"give its size (on the command line: --dimension {shown(name)[1:-1]}=SIZE), or " if name else ""
        raise RefusedFile(
            f"Dimension {position} of {what} {called} is open; {sized}export the network with fixed shapes."
        )
    dim.dim_value = dimensions.batch
    return f"Dimension {shown(name) if name else 0} of {what} is open; set to {dimensions.batch}."


def check_sizes(proto: Any, limits: Limits) -> None:
    """Refuse tensors that are too large together; those whose shape is not known yet are skipped."""
    total = 0
    for value in (*proto.graph.input, *proto.graph.value_info, *proto.graph.output):
        kind = value.type.tensor_type
        if kind.elem_type in DTYPES and all(dim.HasField("dim_value") for dim in kind.shape.dim):
            shape = _check_shape((dim.dim_value for dim in kind.shape.dim), f"Tensor {shown(value.name)}")
            total += prod(shape) * ITEM_BYTES[DTYPES[kind.elem_type]]
    limits.require(tensor_bytes=total)


def _node(node: Any, start: str = "Node") -> str:
    name = node.name or next(filter(None, node.output), "")
    return f"{start} {shown(name)}" if name else f"A {start.lower()} without a name"
