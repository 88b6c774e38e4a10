"""Has ONNX Runtime optimise a checked network, once, and makes of it the form that a model is built from."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import onnx

from decc_core.errors import ExtractionFailed, UnreadableFile
from decc_core.load.limits import Limits
from decc_core.load.onnx.checks import check_sizes
from decc_core.load.onnx.fold import fold
from decc_core.load.onnx.nodes import copied, keep_needed, set_nodes
from decc_core.load.onnx.parts import note_parts
from decc_core.models.onnx.graph import MODULE_PATH, name_nodes, parse
from decc_core.models.onnx.model import new_session, session_options
from decc_core.text import shown

LEVEL = "ORT_ENABLE_EXTENDED"
"""Fuses operators, but keeps tensors in the layout that ONNX gives them: pieces exchange them."""
FLOATING = {"float": 1, "double": 11}
"""The element types that ONNX Runtime calls otherwise than ONNX does."""
ROUNDS = 4
"""Shapes that follow from shapes become known one after the other where ONNX Runtime makes one operator several."""
SCOPES = "pkg.torch.onnx.name_scopes"


def optimised(proto: Any, name: str, limits: Limits) -> tuple[bytes, tuple[str, ...]]:
    """The network as one file, nodes with names, in order, that depend on an input, and the shape of every tensor; and
    a sentence for each output that was left out.
    """
    paths = _module_paths(proto)
    network, notes = proto, tuple[str, ...]()
    for _ in range(ROUNDS):
        network = parse(_optimise(network, name))
        optimised_nodes = list(map(copied, network.graph.node))
        # Some operators become several, of those that are decided before a network runs.
        fold(network, limits)
        notes += _leave_out_constants(network)
        keep_needed(network.graph)
        _weights_of_constants(network.graph)
        _fold_constants(network, name)
        network.graph.name = name
        name_nodes(network.graph)
        _strip(network)
        if _note_types(network, name):
            break
    _note_modules(network, paths)
    note_parts(network, optimised_nodes, proto.graph.node)
    check_sizes(network, limits)
    limits.require(layers=len(network.graph.node))
    return bytes(network.SerializeToString(deterministic=True)), notes


def _optimise(proto: Any, name: str) -> bytes:
    options = session_options(1, LEVEL)
    with tempfile.TemporaryDirectory(prefix="decc-onnx-") as folder:
        written = Path(folder) / "optimised.onnx"
        options.optimized_model_filepath = str(written)
        new_session(proto.SerializeToString(), options, name)
        return written.read_bytes()


def _leave_out_constants(proto: Any) -> tuple[str, ...]:
    """Drop outputs that are the same whatever the inputs are, in place; returns a sentence for each."""
    graph = proto.graph
    varying = {value.name for value in graph.input}
    for node in graph.node:
        if not varying.isdisjoint(node.input):
            varying.update(filter(None, node.output))
    constant = [value.name for value in graph.output if value.name not in varying]
    if len(constant) == len(graph.output):
        raise UnreadableFile(f"Output {shown(constant[0])} depends on no input, nor does another; export it again.")
    kept = [copied(value) for value in graph.output if value.name in varying]
    del graph.output[:]
    graph.output.extend(kept)
    return tuple(f"Output {shown(output)} depends on no input; it is left out." for output in constant)


def _weights_of_constants(graph: Any) -> None:
    """Constant nodes become weights."""
    constants = [node for node in graph.node if node.op_type == "Constant" and node.domain == ""]
    graph.initializer.extend(_constant(node) for node in constants)
    set_nodes(graph, [node for node in graph.node if node.op_type != "Constant"])


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
    set_nodes(proto.graph, layers)


def _note_types(proto: Any, name: str) -> bool:
    """Shapes of all tensors that nodes make, as ONNX Runtime infers them: it is asked for them as for outputs. Returns
    whether all are known.
    """
    graph = proto.graph
    returned = {value.name for value in graph.output}
    made = [output for node in graph.node for output in node.output if output]
    asked = copied(proto)
    del asked.graph.value_info[:]
    del asked.graph.output[:]
    asked.graph.output.extend(onnx.ValueInfoProto(name=output) for output in made)
    told = {
        output.name: output for output in new_session(asked.SerializeToString(), session_options(1), name).get_outputs()
    }
    types = {output: _value(output, told[output].type, told[output].shape) for output in made}
    inputs = {value.name: value for value in graph.input}
    outputs = [copied(types.get(value.name) or inputs[value.name]) for value in graph.output]
    del graph.value_info[:]
    del graph.output[:]
    graph.output.extend(outputs)
    graph.value_info.extend(types[output] for output in made if output not in returned)
    return all(isinstance(size, int) for output in made for size in told[output].shape)


def _value(name: str, kind: str, shape: list[Any]) -> Any:
    """The name and type of a tensor; a size that is open stays open."""
    value = onnx.ValueInfoProto(name=name)
    tensor = value.type.tensor_type
    element = kind.removeprefix("tensor(").removesuffix(")")
    known = onnx.TensorProto.DataType.DESCRIPTOR.values_by_name
    if element not in FLOATING and element.upper() not in known:
        raise ExtractionFailed(f"{shown(name)} is of the type {kind}, and no tensor; export the network without.")
    tensor.elem_type = FLOATING.get(element) or known[element.upper()].number
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
