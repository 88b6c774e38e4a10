"""Has ONNX Runtime optimise a checked network, once, and makes of it the form that a model is built from."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import onnx

from decc_core.errors import ExtractionFailed, UnreadableFile
from decc_core.load.limits import Limits
from decc_core.load.onnx.checks import check_sizes
from decc_core.load.onnx.parts import note_parts
from decc_core.models.onnx.graph import MODULE_PATH, name_nodes, parse
from decc_core.models.onnx.model import new_session, session_options

LEVEL = "ORT_ENABLE_EXTENDED"
"""Fuses operators, but keeps tensors in the layout that ONNX gives them: pieces exchange them."""
TYPES = {
    "tensor(float)": 1, "tensor(uint8)": 2, "tensor(int8)": 3, "tensor(int16)": 5, "tensor(int32)": 6,
    "tensor(int64)": 7, "tensor(bool)": 9, "tensor(float16)": 10, "tensor(double)": 11,
}  # fmt: skip
SCOPES = "pkg.torch.onnx.name_scopes"


def optimised(proto: Any, name: str, limits: Limits) -> bytes:
    """The network as one file: nodes with names, in order, that depend on an input; shapes of every tensor."""
    paths = _module_paths(proto)
    network = parse(_optimise(proto, name))
    optimised_nodes = list(map(_copy, network.graph.node))
    _keep_needed(network)
    _fold_constants(network, name)
    network.graph.name = name
    name_nodes(network.graph)
    _strip(network)
    _note_types(network, name)
    _note_modules(network, paths)
    note_parts(network, optimised_nodes, proto.graph.node)
    check_sizes(network, limits)
    limits.require(layers=len(network.graph.node))
    return bytes(network.SerializeToString(deterministic=True))


def _optimise(proto: Any, name: str) -> bytes:
    options = session_options(1, LEVEL)
    with tempfile.TemporaryDirectory(prefix="decc-onnx-") as folder:
        written = Path(folder) / "optimised.onnx"
        options.optimized_model_filepath = str(written)
        new_session(proto.SerializeToString(), options, name)
        return written.read_bytes()


def _keep_needed(proto: Any) -> None:
    """Drop nodes that lead to no output; Constant nodes become weights."""
    graph = proto.graph
    needed = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if not needed.isdisjoint(node.output):
            needed.update(node.input)
            kept.append(node)
    kept.reverse()
    constants = [node for node in kept if node.op_type == "Constant" and node.domain == ""]
    for node in constants:
        graph.initializer.append(_constant(node))
    _set_nodes(proto, [node for node in kept if node.op_type != "Constant"])


def _constant(node: Any) -> Any:
    for attribute in node.attribute:
        if attribute.name == "value":
            attribute.t.name = node.output[0]
            return attribute.t
    raise ExtractionFailed(f"Constant '{node.output[0]}' has no tensor; export the network again.")


def _fold_constants(proto: Any, name: str) -> None:
    """Compute what depends on no input and ONNX Runtime left, as it does with quantised weights."""
    graph = proto.graph
    varying = {value.name for value in graph.input}
    fixed, layers = [], []
    for node in graph.node:
        if varying.isdisjoint(node.input):
            fixed.append(node)
        else:
            varying.update(filter(None, node.output))
            layers.append(node)
    for value in graph.output:
        if value.name not in varying:
            raise UnreadableFile(f"Output '{value.name}' depends on no input; leave it out of the outputs.")
    if not fixed:
        return
    read = {name for node in layers for name in node.input}
    wanted = sorted(output for node in fixed for output in node.output if output in read)
    piece = onnx.ModelProto(ir_version=proto.ir_version, opset_import=proto.opset_import)
    piece.graph.name = "constants"
    piece.graph.node.extend(fixed)
    piece.graph.initializer.extend(graph.initializer)
    piece.graph.output.extend(onnx.ValueInfoProto(name=output) for output in wanted)
    session = new_session(piece.SerializeToString(), session_options(1), name)
    for output, value in zip(wanted, session.run(wanted, {}), strict=True):
        graph.initializer.append(onnx.numpy_helper.from_array(value, output))
    _set_nodes(proto, layers)


def _set_nodes(proto: Any, nodes: Iterable[Any]) -> None:
    """Exactly these nodes, and the weights that they read."""
    graph = proto.graph
    kept = [_copy(node) for node in nodes]
    read = {name for node in kept for name in node.input}
    del graph.node[:]
    graph.node.extend(kept)
    for i in reversed(range(len(graph.initializer))):
        if graph.initializer[i].name not in read:
            del graph.initializer[i]


def _copy(message: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _note_types(proto: Any, name: str) -> None:
    """Shapes of all tensors that nodes make, as ONNX Runtime infers them; it is asked for them as for outputs."""
    graph = proto.graph
    returned = {value.name for value in graph.output}
    made = [output for node in graph.node for output in node.output if output]
    asked = _copy(proto)
    del asked.graph.value_info[:]
    del asked.graph.output[:]
    asked.graph.output.extend(onnx.ValueInfoProto(name=output) for output in made)
    told = {
        output.name: output for output in new_session(asked.SerializeToString(), session_options(1), name).get_outputs()
    }
    types = {output: _value(output, told[output].type, told[output].shape) for output in made}
    outputs = [types.get(value.name) or _copy(value) for value in graph.output]
    del graph.value_info[:]
    del graph.output[:]
    graph.output.extend(outputs)
    graph.value_info.extend(types[output] for output in made if output not in returned)


def _value(name: str, kind: str, shape: list[Any]) -> Any:
    """The name and type of a tensor; a size that is open stays open."""
    value = onnx.ValueInfoProto(name=name)
    tensor = value.type.tensor_type
    # An unknown type has the number 0, which nothing takes.
    tensor.elem_type = TYPES.get(kind, 0)
    tensor.shape.SetInParent()
    for size in shape:
        dim = tensor.shape.dim.add()
        if isinstance(size, int):
            dim.dim_value = size
    return value


def _strip(proto: Any) -> None:
    """Leave only nodes, weights, types and the operators' versions that are used."""
    used = {node.domain for node in proto.graph.node} | {""}
    imports = [(opset.domain, opset.version) for opset in proto.opset_import if opset.domain in used]
    for field in ("metadata_props", "opset_import", "functions", "producer_name", "producer_version", "doc_string"):
        proto.ClearField(field)
    for domain, version in imports:
        proto.opset_import.add(domain=domain, version=version)
    proto.graph.ClearField("doc_string")


def _module_paths(proto: Any) -> dict[str, str]:
    """The module that made each tensor, by what the exporter noted, or by the name of the node."""
    paths = dict[str, str]()
    for node in proto.graph.node:
        if path := _module_path(node):
            paths |= dict.fromkeys(filter(None, node.output), path)
    return paths


def _module_path(node: Any) -> str:
    for entry in node.metadata_props:
        if entry.key == SCOPES:
            scopes = re.findall(r"'([^']*)'", entry.value)
            return scopes[-2] if len(scopes) > 1 else ""
    parts = list[str]()
    for part in str(node.name).split("/")[1:-1]:
        # The older exporter writes each module with its path inside the one before: /layer1/layer1.0/conv1/Conv.
        if parts and part.startswith(f"{parts[-1]}."):
            parts.pop()
        parts.append(part)
    return ".".join(part for part in parts if part)


def _note_modules(proto: Any, paths: dict[str, str]) -> None:
    """A fused node belongs to the module that made its last tensor; a node that was taken apart, to its reader's."""
    readers: dict[str, Any] = {}
    for node in proto.graph.node:
        for name in node.input:
            readers.setdefault(name, node)
    for node in reversed(proto.graph.node):
        path = next((paths[name] for name in node.output if name in paths), "")
        if not path and node.output and node.output[0] in readers:
            reader = readers[node.output[0]]
            path = next((str(entry.value) for entry in reader.metadata_props if entry.key == MODULE_PATH), "")
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
        if path:
            node.metadata_props.add(key=MODULE_PATH, value=path)
