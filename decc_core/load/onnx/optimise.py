"""Has ONNX Runtime optimise a checked network, once, and makes of it the form that a model is built from."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import onnx

from decc_core.errors import ExtractionFailed, UnreadableFile
from decc_core.load.limits import Limits, setting
from decc_core.load.onnx.checks import check_sizes
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
    found = parse(_optimise(proto, name))
    _keep_needed(found)
    _fold_constants(found, name)
    found.graph.name = name
    name_nodes(found.graph)
    _strip(found)
    _note_types(found, name)
    _note_modules(found, paths)
    check_sizes(found, limits)
    if len(found.graph.node) > limits.layers:
        raise UnreadableFile(f"The network has {len(found.graph.node):,} layers; raise {setting('layers')} to read it.")
    return bytes(found.SerializeToString(deterministic=True))


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
            varying.update(one for one in node.output if one)
            layers.append(node)
    for value in graph.output:
        if value.name not in varying:
            raise UnreadableFile(f"Output '{value.name}' depends on no input; leave it out of the outputs.")
    if not fixed:
        return
    read = {one for node in layers for one in node.input}
    wanted = sorted(one for node in fixed for one in node.output if one in read)
    piece = onnx.ModelProto(ir_version=proto.ir_version, opset_import=proto.opset_import)
    piece.graph.name = "constants"
    piece.graph.node.extend(fixed)
    piece.graph.initializer.extend(graph.initializer)
    piece.graph.output.extend(onnx.ValueInfoProto(name=one) for one in wanted)
    options = session_options(1)
    session = new_session(piece.SerializeToString(), options, name)
    for one, value in zip(wanted, session.run(wanted, {}), strict=True):
        graph.initializer.append(onnx.numpy_helper.from_array(value, one))
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
    found = type(message)()
    found.CopyFrom(message)
    return found


def _note_types(proto: Any, name: str) -> None:
    """Shapes of all tensors that nodes make, as ONNX Runtime infers them; it is asked for them as for outputs."""
    graph = proto.graph
    returned = {value.name for value in graph.output}
    made = [one for node in graph.node for one in node.output if one]
    asked = _copy(proto)
    del asked.graph.value_info[:]
    del asked.graph.output[:]
    asked.graph.output.extend(onnx.ValueInfoProto(name=one) for one in made)
    options = session_options(1)
    found = {one.name: one for one in new_session(asked.SerializeToString(), options, name).get_outputs()}
    types = {one: _value(one, found[one].type, found[one].shape) for one in made}
    outputs = [types.get(value.name) or _copy(value) for value in graph.output]
    del graph.value_info[:]
    del graph.output[:]
    graph.output.extend(outputs)
    graph.value_info.extend(types[one] for one in made if one not in returned)


def _value(name: str, kind: str, shape: list[Any]) -> Any:
    """The name and type of a tensor; a size that is open stays open."""
    found = onnx.ValueInfoProto(name=name)
    tensor = found.type.tensor_type
    # An unknown type has the number 0, which nothing takes.
    tensor.elem_type = TYPES.get(kind, 0)
    tensor.shape.SetInParent()
    for size in shape:
        dim = tensor.shape.dim.add()
        if isinstance(size, int):
            dim.dim_value = size
    return found


def _strip(proto: Any) -> None:
    """Leave only nodes, weights, types and the operators' versions that are used."""
    used = {node.domain for node in proto.graph.node} | {""}
    imports = [(one.domain, one.version) for one in proto.opset_import if one.domain in used]
    for field in ("metadata_props", "opset_import", "functions", "producer_name", "producer_version", "doc_string"):
        proto.ClearField(field)
    for domain, version in imports:
        proto.opset_import.add(domain=domain, version=version)
    proto.graph.ClearField("doc_string")


def _module_paths(proto: Any) -> dict[str, str]:
    """The module that made each tensor, by what the exporter noted, or by the name of the node."""
    found = dict[str, str]()
    for node in proto.graph.node:
        path = _module_path(node)
        found |= {name: path for name in node.output if name and path}
    return found


def _module_path(node: Any) -> str:
    for one in node.metadata_props:
        if one.key == SCOPES:
            scopes = re.findall(r"'([^']*)'", one.value)
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
            path = _noted(readers[node.output[0]])
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
        if path:
            node.metadata_props.add(key=MODULE_PATH, value=path)


def _noted(node: Any) -> str:
    return next((str(one.value) for one in node.metadata_props if one.key == MODULE_PATH), "")
