"""What must hold in an ONNX file before ONNX Runtime sees it: sizes that are true, operators that are known, a DAG."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from decc_core.errors import RefusedFile, UnreadableFile
from decc_core.load.limits import Limits
from decc_core.load.onnx.nodes import all_nodes, called, subgraphs, tensors
from decc_core.models.onnx.graph import DTYPES, WEIGHT_BITS, reason, type_name, weight_bytes
from decc_core.models.onnx.operators import is_allowed
from decc_core.network.graph import ITEM_BYTES
from decc_core.text import listed, shown

MAX_RANK = 16
VALUES_BYTES = 4096
"""Weights up to this size may be what a shape is reckoned from; of larger ones shapes alone matter."""
UNKNOWN_DOMAIN = "decc.unknown"
FOLDED = frozenset(
    {
        *("If", "SplitToSequence", "ConcatFromSequence", "SequenceAt", "SequenceConstruct", "SequenceEmpty"),
        *("SequenceErase", "SequenceInsert", "SequenceLength"),
    }
)
"""Operators that may be decided before the network runs; `fold` replaces them by others."""
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
    """What to put for dimensions that the file leaves open: the batch, and others by name, or as INPUT:AXIS."""

    batch: int = 1
    named: Mapping[str, int] | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.batch <= MAX_SIZE:
            raise UnreadableFile(f"A size of {self.batch} for the batch is not possible; give a whole number above 0.")
        for name, size in (self.named or {}).items():
            if not 0 <= size <= MAX_SIZE:
                raise UnreadableFile(f"A size of {size} for {shown(name)} is not possible; give a whole number.")

    def of(self, tensor: str, position: int, name: str) -> int | None:
        """The size that was given for a dimension of an input: by name, or as INPUT:AXIS."""
        named = self.named or {}
        return named.get(name) if name and name in named else named.get(f"{tensor}:{position}")


def check_operators(proto: Any, also: frozenset[str] = frozenset()) -> int:
    """Refuse operators that are neither on the list nor among `also`; returns the version that the file uses."""
    if not proto.HasField("graph"):
        raise UnreadableFile("The file holds no network; export it again.")
    for node in proto.graph.node:
        standard = node.domain in ("", "ai.onnx")
        if (standard and node.op_type in also) or (is_allowed(node.domain, node.op_type) and not node.overload):
            if node.op_type != "If" and any(subgraphs(node)):
                raise RefusedFile(f"{called(node)} holds a network within it, which only an If does; export it again.")
            continue
        operator = shown(f"{node.domain}.{node.op_type}".removeprefix("."))
        raise RefusedFile(f"{called(node)} uses the operator {operator}, {_why(node)}.")
    versions = {opset.domain or "ai.onnx": opset.version for opset in proto.opset_import}
    if "ai.onnx" not in versions:
        used = f"only of {listed(list(versions))}" if versions else "of none"
        raise UnreadableFile(
            f"The file says which version of the ONNX operators it uses {used}, and not of ai.onnx; export it again."
        )
    return int(versions["ai.onnx"])


def is_switched(node: Any) -> bool:
    """Whether a node is a Dropout that some tensor switches on or off."""
    return node.op_type == "Dropout" and len(node.input) > 2 and bool(node.input[2])


def _why(node: Any) -> str:
    if node.domain not in ("", "ai.onnx"):
        return f"and those of the domain {shown(node.domain)} are not taken; export it with standard operators only"
    if node.op_type in RANDOM:
        return "whose result is random; leave it out, so that outputs can be compared"
    if node.op_type in DYNAMIC:
        return "whose output's shape depends on values; export the part of the network before it"
    if node.op_type in ("If", "Loop", "Scan", "SequenceMap"):
        return "which decides while it runs; export the network with fixed control flow"
    if "Sequence" in node.op_type or node.op_type.startswith("Optional"):
        return "which keeps tensors in lists that change while it runs; export the network with a fixed number of them"
    return "which is not supported; export the part of the network before it"


def check_tensors(proto: Any, limits: Limits) -> None:
    """Refuse weights that lie about their size, or are too large together; nothing is unpacked."""
    limits.require(parameter_bytes=sum(_checked_bytes(tensor, what) for tensor, what in tensors(proto.graph)))


def claimed_bytes(tensor: Any, what: str) -> int:
    """How many bytes a weight has by its type and shape."""
    if tensor.data_type not in WEIGHT_BITS:
        raise RefusedFile(
            f"{what} is of the type {type_name(tensor.data_type)}, which is not taken; export in float32."
        )
    return weight_bytes(_check_shape(tensor.dims, what), tensor.data_type)


def _checked_bytes(tensor: Any, what: str) -> int:
    expected, shape = claimed_bytes(tensor, what), tuple(tensor.dims)
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
    """Every tensor is made once, before it is read, also in networks within nodes; outputs are made at all."""
    graph = proto.graph
    weights, inputs, _ = (
        _all_different([value.name for value in values], what)
        for values, what in ((graph.initializer, "weights"), (graph.input, "inputs"), (graph.output, "outputs"))
    )
    made = weights | inputs
    _check_nodes(graph, made)
    for value in graph.output:
        if value.name not in made:
            raise UnreadableFile(f"Output {shown(value.name)} is made by nothing; leave it out of the outputs.")
    if not graph.output:
        raise UnreadableFile("The network has no output; export it again.")


def _check_nodes(graph: Any, made: set[str]) -> None:
    """Adds what the nodes make to `made`, which holds all that is there before them."""
    makers = {name for node in graph.node for name in node.output}
    for node in graph.node:
        for name in node.input:
            if name and name not in made:
                if name not in makers:
                    raise UnreadableFile(f"{called(node)} reads {shown(name)}, which nothing makes; export it again.")
                raise UnreadableFile(
                    f"{called(node)} reads {shown(name)} before it is made: the graph has a cycle, or its nodes are "
                    "not in order; export it again."
                )
        for inner in subgraphs(node):
            _check_within(inner, made, called(node))
        for name in node.output:
            if name and name in made:
                raise UnreadableFile(f"{called(node)} makes {shown(name)}, which is there already; export it again.")
            made.add(name)


def _check_within(graph: Any, made: set[str], where: str) -> None:
    """A branch reads what was made before its node; what it makes is gone with it."""
    own = [weight.name for weight in graph.initializer]
    if graph.input or len(set(own)) < len(own) or not made.isdisjoint(own):
        raise UnreadableFile(f"{where} holds a network with inputs, or names that are there already; export it again.")
    own += [name for node in graph.node for name in node.output]
    made.update(weight.name for weight in graph.initializer)
    _check_nodes(graph, made)
    if lacking := next((value.name for value in graph.output if value.name not in made), None):
        raise UnreadableFile(f"{where} gives {shown(lacking)}, which nothing makes; export it again.")
    made.difference_update(own)


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
        if not value.type.HasField("tensor_type"):
            raise RefusedFile(f"{what} is no tensor but a sequence or nothing known; export the network with tensors.")
        if kind.elem_type not in DTYPES:
            raise RefusedFile(
                f"{what} is of the type {type_name(kind.elem_type)}, and no tensor of a type that is taken "
                f"({', '.join(DTYPES.values())}); export it with one."
            )
        if not kind.HasField("shape"):
            raise RefusedFile(f"{what} has no shape; export the network with fixed shapes.")
        for position, dim in enumerate(kind.shape.dim):
            if not dim.HasField("dim_value"):
                notes.append(_fix(dim, value.name, position, dimensions))
        _check_shape((dim.dim_value for dim in kind.shape.dim), what)
    return tuple(notes)


def _check_named(proto: Any, dimensions: OpenDimensions) -> None:
    """Refuse a size for a dimension that no input leaves open: most likely its name is misspelt."""
    open_dims = [
        (dim.dim_param, f"{value.name}:{position}")
        for value in proto.graph.input
        for position, dim in enumerate(value.type.tensor_type.shape.dim)
        if not dim.HasField("dim_value")
    ]
    known = list(dict.fromkeys(name or place for name, place in open_dims))
    for given in dimensions.named or {}:
        if not any(given in names for names in open_dims):
            there = f"open are {listed(known)}" if known else "all sizes are fixed, so leave it out"
            raise UnreadableFile(f"No input has an open dimension {shown(given)}; {there}.")


def _fix(dim: Any, tensor: str, position: int, dimensions: OpenDimensions) -> str:
    name = dim.dim_param
    what = f"{shown(name) if name else position} of input {shown(tensor)}"
    given = dimensions.of(tensor, position, name)
    if given is not None:
        dim.dim_value = given
        return f"Dimension {what} is open; set to {given}, as asked for."
    if position:
        called = f"({shown(name)})" if name else "(without a name)"
        option = shown(name or f"{tensor}:{position}")[1:-1]
        raise RefusedFile(
            f"Dimension {position} of input {shown(tensor)} {called} is open; give its size (on the command line: "
            f"--dimension {option}=SIZE), or export the network with fixed shapes."
        )
    dim.dim_value = dimensions.batch
    return f"Dimension {what} is open; set to {dimensions.batch}."


def inferred(proto: Any, with_values: bool = False) -> Any:
    """A copy with the shapes that ONNX finds, also, `with_values`, those that are reckoned from other shapes; large
    weights are only named in it.
    """
    import onnx

    skeleton = onnx.ModelProto(ir_version=proto.ir_version, opset_import=proto.opset_import)
    graph = skeleton.graph
    graph.name = proto.graph.name
    graph.node.extend(proto.graph.node)
    graph.input.extend(proto.graph.input)
    graph.output.extend(proto.graph.output)
    for weight in proto.graph.initializer:
        if weight.ByteSize() <= VALUES_BYTES:
            graph.initializer.append(weight)
        else:
            graph.input.append(onnx.helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims))
    try:
        found = onnx.shape_inference.infer_shapes(skeleton)
        if not with_values:
            return found
        # The values of a Range may be as many as its author likes, and ONNX would write them all down.
        for node in all_nodes(found.graph):
            if node.op_type == "Range":
                node.domain = UNKNOWN_DOMAIN
        found.opset_import.add(domain=UNKNOWN_DOMAIN, version=1)
        return onnx.shape_inference.infer_shapes(found, data_prop=True)
    except Exception as error:
        raise UnreadableFile(f"The shapes do not fit together ({reason(error)}); export the network again.") from None


def check_sizes(proto: Any, limits: Limits) -> None:
    """Refuse tensors that are too large together; those whose shape is not known yet are skipped."""
    total = 0
    for value in (*proto.graph.input, *proto.graph.value_info, *proto.graph.output):
        kind = value.type.tensor_type
        if kind.elem_type in DTYPES and all(dim.HasField("dim_value") for dim in kind.shape.dim):
            shape = _check_shape((dim.dim_value for dim in kind.shape.dim), f"Tensor {shown(value.name)}")
            total += prod(shape) * ITEM_BYTES[DTYPES[kind.elem_type]]
    limits.require(tensor_bytes=total)
