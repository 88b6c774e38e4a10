"""The JSON of a `.pt2` archive as types: only what a network with fixed shapes needs, everything else fails to parse.

Fields of type `Raw` are known and never taken; they are parsed so that the refusal can name the layer.
"""

from __future__ import annotations

from math import prod
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from decc_core.errors import UnreadableFile
from decc_core.text import first_line

MAJOR = 8
"""The version of torch's schema whose fields these are."""

DTYPES = {
    1: ("uint8", 1), 2: ("int8", 1), 3: ("int16", 2), 4: ("int32", 4), 5: ("int64", 8), 6: ("float16", 2),
    7: ("float32", 4), 8: ("float64", 8), 10: ("complex64", 8), 11: ("complex128", 16), 12: ("bool", 1),
    13: ("bfloat16", 2),
}  # fmt: skip
"""Torch's numbers of dtypes, with their names and the bytes of one element."""
LARGEST = 1 << 48
STRIDED = 7
MEMORY_FORMATS = frozenset({1, 2, 3, 4})
DEVICES = frozenset({"cpu", "cuda"})
NON_FINITE = frozenset({"Infinity", "-Infinity", "NaN"})

Int64 = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""What a tensor operator can take; JSON itself knows no limit."""


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Base of all parts: unknown keys are refused. Parsed parts hold no cycles, and a hostile file has millions."""


class SymExpr(Strict, frozen=True):
    """A size that depends on others: Python for torch, a tree of known functions for `sizes`."""

    expr_str: str
    hint: Raw = Raw(b"null")


class SymInt(Strict, frozen=True):
    as_int: Int64 | UnsetType = UNSET
    as_expr: SymExpr | UnsetType = UNSET


class SymFloat(Strict, frozen=True):
    as_float: float | UnsetType = UNSET
    as_expr: SymExpr | UnsetType = UNSET


class SymIntArgument(Strict, frozen=True):
    as_int: Int64 | UnsetType = UNSET
    as_name: str | UnsetType = UNSET


class SymFloatArgument(Strict, frozen=True):
    as_float: float | UnsetType = UNSET
    as_name: str | UnsetType = UNSET


class SymBoolArgument(Strict, frozen=True):
    as_bool: bool | UnsetType = UNSET
    as_name: str | UnsetType = UNSET


class Device(Strict, frozen=True):
    type: str
    index: Int64 | None = None


CPU = Device("cpu")


class TensorMeta(Strict, frozen=True):
    dtype: Int64
    sizes: list[SymInt]
    requires_grad: bool
    device: Device
    strides: list[SymInt]
    storage_offset: SymInt
    layout: Int64


class Named(Strict, frozen=True):
    name: str


class OptionalTensor(Strict, frozen=True):
    as_tensor: Named | UnsetType = UNSET
    as_none: bool | UnsetType = UNSET


class Argument(Strict, frozen=True):
    """One argument of an operator; exactly one field is set."""

    as_none: bool | UnsetType = UNSET
    as_tensor: Named | UnsetType = UNSET
    as_tensors: list[Named] | UnsetType = UNSET
    as_int: Int64 | UnsetType = UNSET
    as_ints: list[Int64] | UnsetType = UNSET
    as_float: float | str | UnsetType = UNSET
    as_floats: list[float | str] | UnsetType = UNSET
    as_string: str | UnsetType = UNSET
    as_bool: bool | UnsetType = UNSET
    as_bools: list[bool] | UnsetType = UNSET
    as_sym_int: SymIntArgument | UnsetType = UNSET
    as_sym_ints: list[SymIntArgument] | UnsetType = UNSET
    as_scalar_type: Int64 | UnsetType = UNSET
    as_memory_format: Int64 | UnsetType = UNSET
    as_layout: Int64 | UnsetType = UNSET
    as_device: Device | UnsetType = UNSET
    as_optional_tensor: OptionalTensor | UnsetType = UNSET
    as_optional_tensors: list[OptionalTensor] | UnsetType = UNSET
    as_strings: Raw | UnsetType = UNSET
    as_sym_bool: SymBoolArgument | UnsetType = UNSET
    as_sym_bools: Raw | UnsetType = UNSET
    as_sym_float: SymFloatArgument | UnsetType = UNSET
    as_sym_floats: list[SymFloatArgument] | UnsetType = UNSET
    as_graph: Raw | UnsetType = UNSET
    as_custom_obj: Raw | UnsetType = UNSET
    as_operator: Raw | UnsetType = UNSET
    as_complex: Raw | UnsetType = UNSET
    as_nested_tensors: Raw | UnsetType = UNSET
    as_int_lists: Raw | UnsetType = UNSET
    as_float_lists: Raw | UnsetType = UNSET
    as_string_to_argument: Raw | UnsetType = UNSET


class NamedArgument(Strict, frozen=True):
    name: str
    arg: Argument
    kind: Int64 | None = None


class Metadata(msgspec.Struct, frozen=True):
    """Only the modules that made a layer are kept: stack traces and sources are skipped unread."""

    nn_module_stack: str | UnsetType = UNSET


class Node(Strict, frozen=True):
    target: str
    inputs: list[NamedArgument]
    outputs: list[Argument]
    metadata: Metadata
    is_hop_single_tensor_return: bool | None = None
    name: str | None = None


class Graph(Strict, frozen=True):
    inputs: list[Argument]
    outputs: list[Argument]
    nodes: list[Node]
    tensor_values: dict[str, TensorMeta]
    sym_int_values: dict[str, SymInt]
    sym_bool_values: dict[str, Raw]
    is_single_tensor_return: bool = False
    custom_obj_values: dict[str, Raw] = {}
    sym_float_values: dict[str, SymFloat] = {}


class UserInput(Strict, frozen=True):
    arg: Argument


class ConstantInput(Strict, frozen=True):
    name: str
    value: Raw


class ParameterInput(Strict, frozen=True):
    arg: Named
    parameter_name: str


class BufferInput(Strict, frozen=True):
    arg: Named
    buffer_name: str
    persistent: bool


class TensorConstant(Strict, frozen=True):
    arg: Named
    tensor_constant_name: str


class InputSpec(Strict, frozen=True):
    user_input: UserInput | UnsetType = UNSET
    parameter: ParameterInput | UnsetType = UNSET
    buffer: BufferInput | UnsetType = UNSET
    tensor_constant: TensorConstant | UnsetType = UNSET
    constant_input: ConstantInput | UnsetType = UNSET
    custom_obj: Raw | UnsetType = UNSET
    token: Raw | UnsetType = UNSET


class UserOutput(Strict, frozen=True):
    arg: Argument


class OutputSpec(Strict, frozen=True):
    user_output: UserOutput | UnsetType = UNSET
    loss_output: Raw | UnsetType = UNSET
    buffer_mutation: Raw | UnsetType = UNSET
    parameter_mutation: Raw | UnsetType = UNSET
    gradient_to_parameter: Raw | UnsetType = UNSET
    gradient_to_user_input: Raw | UnsetType = UNSET
    user_input_mutation: Raw | UnsetType = UNSET
    token: Raw | UnsetType = UNSET


class Signature(Strict, frozen=True):
    input_specs: list[InputSpec]
    output_specs: list[OutputSpec]


class CallSignature(Strict, frozen=True):
    inputs: list[Argument]
    outputs: list[Argument]
    in_spec: str
    out_spec: str
    forward_arg_names: list[str] | None = None


class ModuleCall(Strict, frozen=True):
    fqn: str
    signature: CallSignature | None = None


class GraphModule(Strict, frozen=True):
    graph: Graph
    signature: Signature
    module_call_graph: list[ModuleCall]
    metadata: dict[str, Raw] = {}
    treespec_namedtuple_fields: dict[str, Raw] = {}


class Version(Strict, frozen=True):
    major: Int64
    minor: Int64


class Program(Strict, frozen=True):
    graph_module: GraphModule
    opset_version: dict[str, Int64]
    range_constraints: dict[str, Raw]
    schema_version: Version
    verifiers: list[str] = []
    torch_version: str = ""
    guards_code: list[str] = []
    """Python code that torch would run; never kept."""


class Container(Strict, frozen=True):
    """What holds the inputs or outputs of the network: lists, tuples and dictionaries in each other."""

    type: str | None
    context: str | None
    children_spec: list[Container]


class Payload(Strict, frozen=True):
    path_name: str
    is_param: bool
    use_pickle: bool
    tensor_meta: TensorMeta | None


class Payloads(Strict, frozen=True):
    config: dict[str, Payload]


Part = TypeVar("Part")


def parsed(content: bytes | str, kind: type[Part], what: str) -> Part:
    """A part of the archive as its type, or one sentence that says where it is not."""
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        raise UnreadableFile(f"{what} is not as torch.export.save writes it ({first_line(error)}); {AGAIN}") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError, MemoryError, OverflowError) as error:
        raise UnreadableFile(f"{what} is no JSON that can be read ({first_line(error)}); {AGAIN}") from None


AGAIN = "save the network again with a current torch."


def field(part: msgspec.Struct) -> tuple[str, Any]:
    """Name and value of the one field that is set; an empty name when it is not exactly one."""
    set_fields = [(name, value) for name in part.__struct_fields__ if (value := getattr(part, name)) is not UNSET]
    return set_fields[0] if len(set_fields) == 1 else ("", None)


def meta_on_cpu(meta: TensorMeta) -> TensorMeta:
    return msgspec.structs.replace(meta, device=CPU)


def check_meta(meta: TensorMeta, what: str) -> None:
    """Sizes and strides are plain numbers from 0 on, of a dtype that is known, on an ordinary device."""
    if meta.dtype not in DTYPES:
        names = [name for name, _ in DTYPES.values()]
        raise UnreadableFile(f"{what} has a number type that is not taken; use one of {', '.join(names)}.")
    if meta.layout != STRIDED:
        raise UnreadableFile(f"{what} is sparse or of another special layout; export with ordinary tensors.")
    check_device(meta.device, what)
    for number in (*meta.sizes, *meta.strides, meta.storage_offset):
        if number.as_expr is not UNSET or number.as_int is UNSET or number.as_int < 0:
            raise UnreadableFile(f"{what} has a negative or missing size, stride or offset; {AGAIN}")
        if number.as_int > LARGEST:
            raise UnreadableFile(f"{what} has a size, stride or offset above {LARGEST}, which no memory holds; {AGAIN}")
    if len(meta.sizes) != len(meta.strides):
        raise UnreadableFile(f"{what} has {len(meta.sizes)} sizes and {len(meta.strides)} strides; {AGAIN}")
    if len(meta.sizes) > 64:
        raise UnreadableFile(f"{what} has {len(meta.sizes)} dimensions; at most 64 are taken.")


VARYING = (
    "has a shape that varies, which cannot be planned: export again without dynamic_shapes, with example inputs of the "
    "size that you will use (a batch of 1)."
)


def check_device(device: Device, what: str) -> None:
    if device.type not in DEVICES:
        raise UnreadableFile(f"{what} lies on a special device; move the network to the CPU before you export it.")


def numbers(values: list[SymInt]) -> list[int]:
    """Checked sizes or strides as plain integers."""
    return [value.as_int for value in values if value.as_int is not UNSET]


def content_bytes(meta: TensorMeta) -> int:
    """Bytes of the tensor laid out on its own; Python's integers do not overflow."""
    return prod(numbers(meta.sizes)) * DTYPES[meta.dtype][1]


def storage_bytes(meta: TensorMeta) -> int:
    """Bytes from the start of the storage to the end of the tensor's last element."""
    sizes = numbers(meta.sizes)
    if 0 in sizes:
        return 0
    last = sum((size - 1) * stride for size, stride in zip(sizes, numbers(meta.strides), strict=True))
    return (last + sum(numbers([meta.storage_offset])) + 1) * DTYPES[meta.dtype][1]
