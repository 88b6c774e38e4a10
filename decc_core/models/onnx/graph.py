"""From an optimised ONNX network to its layer graph: one layer for each node, whether an operator or a fused run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import prod
from typing import Any

import msgspec

from decc_core.errors import ExtractionFailed, UnreadableFile
from decc_core.models.onnx.operators import FUSED_DOMAIN, is_allowed
from decc_core.network.graph import INPUT, Layer, LayerGraph, Part, TensorRef, TensorSpec

DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16",
    11: "float64", 12: "uint32", 13: "uint64",
}  # fmt: skip
"""Names of the element types that a tensor between two layers may have, by ONNX's number."""

WEIGHT_BITS = {
    1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 16: 16, 21: 4, 22: 4,
}  # fmt: skip
"""Bits of an element of a weight; weights never leave their layer, so that more types are taken."""

MODULE_PATH = "decc.module_path"
PARTS = "decc.parts"
"""Holds the nodes of the file that a layer stands for."""
ONES = "decc.ones"
"""Names, in a network's metadata, the inputs whose example is 1 and not 0, by their numbers with commas between."""
NOTHING = TensorSpec((0,), "uint8")
"""Stands for an optional output that the node does not make."""

Specs = dict[str, TensorSpec]


def weight_bytes(shape: tuple[int, ...], dtype: int) -> int:
    return (prod(shape) * WEIGHT_BITS[dtype] + 7) // 8


def type_name(number: int) -> str:
    """What ONNX calls an element type: `float8e4m3fn`."""
    import onnx

    names = {8: "string (text)"}
    known = onnx.TensorProto.DataType.DESCRIPTOR.values_by_number
    return names.get(number) or (known[number].name.lower() if number in known else f"unknown, number {number}")


def layer_graph(proto: Any) -> LayerGraph:
    """The layers of an optimised network: every node reads an input or another node, and leads to an output.

    Raises a `DeccError` where a shape is open, an element type cannot travel, or an operator is unknown.
    """
    graph = proto.graph
    specs: Specs = {value.name: spec_of(value) for value in (*graph.input, *graph.value_info, *graph.output)}
    weights = {weight.name: weight for weight in graph.initializer}
    read = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    layers, made = [], dict[str, TensorRef]()
    for value in graph.input:
        if value.name in read:
            made[value.name] = TensorRef(value.name)
            layers.append(Layer(value.name, INPUT, (), (specs[value.name],)))
    for node in graph.node:
        layers.append(_layer(node, specs, weights, made))
        made |= {name: TensorRef(node.name, i) for i, name in enumerate(node.output) if name}
    for value in graph.output:
        if value.name not in made:
            raise UnreadableFile(f"Output '{value.name}' of '{graph.name}' is made by no layer.")
    used = {name for layer in layers for name in layer.parameters}
    sizes = {name: weight_bytes(tuple(weights[name].dims), weights[name].data_type) for name in used}
    outputs = tuple(dict.fromkeys(made[value.name] for value in graph.output))
    return LayerGraph(graph.name, tuple(layers), outputs, dict(sorted(sizes.items())))


def spec_of(value: Any) -> TensorSpec:
    """Shape and dtype of a tensor of an optimised network."""
    kind = value.type.tensor_type
    if kind.elem_type not in DTYPES:
        raise ExtractionFailed(
            f"Tensor '{value.name}' is of the type {type_name(kind.elem_type)}, which cannot travel; "
            "export the network in float32."
        )
    if not kind.HasField("shape") or any(not dim.HasField("dim_value") for dim in kind.shape.dim):
        raise ExtractionFailed(
            f"The shape of tensor '{value.name}' is known only when the network runs; "
            "export it with fixed shapes, without steps that depend on values."
        )
    return TensorSpec(tuple(int(dim.dim_value) for dim in kind.shape.dim), DTYPES[kind.elem_type])


def _layer(node: Any, specs: Specs, weights: dict[str, Any], made: dict[str, TensorRef]) -> Layer:
    if not is_allowed(node.domain, node.op_type):
        name = f"{node.domain}.{node.op_type}".strip(".")
        raise ExtractionFailed(f"Layer '{node.name}' is the operator '{name}', which is not supported.")
    missing = [name for name in node.output if name and name not in specs]
    if missing:
        raise ExtractionFailed(f"The shape of tensor '{missing[0]}' is not known; export the network with shapes.")
    unknown = [name for name in node.input if name and name not in made and name not in weights]
    if unknown:
        raise UnreadableFile(f"Layer '{node.name}' reads '{unknown[0]}', which nothing before it makes.")
    notes = {entry.key: entry.value for entry in node.metadata_props}
    parts = msgspec.json.decode(notes.get(PARTS, "[]"), type=list[tuple[str, str, int]])
    return Layer(
        name=node.name,
        operator=operator_name(node),
        inputs=tuple(dict.fromkeys(made[name] for name in node.input if name in made)),
        outputs=tuple(specs[name] if name else NOTHING for name in node.output),
        module_path=notes.get(MODULE_PATH, ""),
        flops=_flops(node, specs, weights),
        parameters=tuple(dict.fromkeys(name for name in node.input if name in weights)),
        parts=tuple(Part(*part) for part in parts),
    )


def operator_name(node: Any) -> str:
    """As 'onnx.Conv', or 'onnx.FusedConv+Relu' where the runtime fused an activation into it."""
    activation = next(
        (attribute.s.decode("utf-8", "replace") for attribute in node.attribute if attribute.name == "activation"), ""
    )
    fused = node.domain == FUSED_DOMAIN and activation
    return f"onnx.{node.op_type}{'+' + activation if fused else ''}"


def _flops(node: Any, specs: Specs, weights: dict[str, Any]) -> int:
    """FLOPs of a node, 2 for each multiply-add; only matrix products, convolutions and attention count."""

    def shape(position: int) -> tuple[int, ...]:
        name = node.input[position] if position < len(node.input) else ""
        return tuple(weights[name].dims) if name in weights else specs[name].shape if name in specs else ()

    def flag(name: str) -> bool:
        return any(attribute.name == name and attribute.i for attribute in node.attribute)

    out = specs[node.output[0]] if node.output and node.output[0] else NOTHING
    kind = node.op_type.removeprefix("Nhwc").removeprefix("Fused")
    if kind in ("Conv", "ConvInteger", "QLinearConv"):
        kernel = shape(3 if kind == "QLinearConv" else 1)
        return 2 * out.n_elements * prod(kernel[1:])
    if kind == "ConvTranspose":
        return 2 * prod(shape(0)) * prod(shape(1)[1:])
    if kind in ("MatMul", "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QLinearMatMul"):
        left = shape(0)
        inner = left[-2 if flag("transA") and len(left) > 1 else -1] if left else 1
        return 2 * out.n_elements * inner
    if kind in ("Gemm", "QGemm") and len(shape(0)) == 2:
        return 2 * out.n_elements * shape(0)[0 if flag("transA") else 1]
    return 0


def reason(error: Exception) -> str:
    """The first line of what a library says, without the codes before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[0].split(" : ")[-1][:200].rstrip(".")


def parse(content: bytes) -> Any:
    """The protocol buffer of a network."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        return onnx.load_model_from_string(content)
    except DecodeError:
        raise UnreadableFile("This is not an ONNX file, or it was cut off; export it again.") from None


def require_sound(proto: Any) -> None:
    """Refuse what cannot be read safely: names that are no text, weights that lie elsewhere or about their size.

    What workers are sent may come from anyone, and not from `load.onnx_file`, which never writes such a network.
    """
    graph = proto.graph
    if not all(isinstance(name, str) for name in _names(graph)):
        raise UnreadableFile("A name in the network is not UTF-8; read its file again.")
    attributes = [attribute for node in graph.node for attribute in node.attribute]
    if graph.sparse_initializer or any(attribute.HasField("g") or attribute.graphs for attribute in attributes):
        raise UnreadableFile("The network holds other networks or sparse weights, which are not taken.")
    held = [tensor for attribute in attributes for tensor in attribute.tensors]
    held += [attribute.t for attribute in attributes if attribute.HasField("t")]
    for tensor in (*graph.initializer, *held):
        if tensor.data_location or tensor.external_data:
            raise UnreadableFile("The network keeps weights in another file; only what comes with it is read.")
        if tensor.data_type not in WEIGHT_BITS or any(size < 0 for size in tensor.dims):
            raise UnreadableFile("The network holds a weight of an impossible type or shape; read its file again.")
        expected = weight_bytes(tuple(tensor.dims), tensor.data_type)
        if tensor.HasField("raw_data") and len(tensor.raw_data) != expected:
            raise UnreadableFile("The network holds a weight that is not as long as its shape says; read it again.")


def _names(graph: Any) -> Iterator[object]:
    yield graph.name
    for named in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        yield named.name
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (text for entry in node.metadata_props for text in (entry.key, entry.value))


def name_nodes(graph: Any) -> None:
    """Give every node a name that no other node and no input has, in place."""
    taken = {value.name for value in graph.input}
    used = Counter[str]()
    for position, node in enumerate(graph.node):
        wanted = name = node.name or f"{node.op_type.lower()}_{position}"
        while name in taken:
            used[wanted] += 1
            name = f"{wanted}_{used[wanted] + 1}"
        node.name = name
        taken.add(name)
