"""A part of an ONNX network as a file of its own, which holds its weights and needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from decc_core.errors import SplitFailed
from decc_core.models.onnx.model import OnnxModel, Session, new_session, session_options
from decc_core.models.runtime import HowToRun

MAX_BYTES = (1 << 31) - 1
"""Of any protocol buffer."""
HOW_TO_RUN = HowToRun(
    care="The files are optimised already, with operators of ONNX Runtime's own: keep optimisation off, as below.",
    code="""\
import json, numpy, onnxruntime
split = json.load(open("split.json"))["content"]
cut = split["cuts"][0]
tensors = INPUTS
options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
for side in ("edge", "cloud"):
    if cut[side]:
        piece = onnxruntime.InferenceSession(cut[side]["file"], options)
        given = {name: tensors[name] for name in cut[side]["takes"]}
        tensors |= zip(cut[side]["gives"], piece.run(cut[side]["gives"], given))
outputs = [tensors[tensor["name"]] for tensor in split["outputs"]]
""",
    zeros='numpy.zeros({shape}, "{dtype}")',
)


def save_piece(
    model: OnnxModel,
    layers: Iterable[int],
    takes: Sequence[int],
    gives: Sequence[int],
    called: Sequence[str],
    path: Path,
) -> None:
    """Write some layers as an ONNX file; `called` has a new name for every tensor of the graph, by its index."""
    piece = _piece(model, layers, takes, gives, called)
    if piece.ByteSize() > MAX_BYTES:
        raise SplitFailed(f"The piece {path.name} has more than the 2 GiB that an ONNX file holds; choose another cut.")
    path.write_bytes(piece.SerializeToString())


def run_piece(
    path: Path, takes: Sequence[str], gives: Sequence[str], tensors: Sequence[torch.Tensor], threads: int | None
) -> list[torch.Tensor]:
    """What a written piece gives for the tensors that it takes."""
    session = new_session(path.read_bytes(), session_options(threads), path.name)
    return Session(session, tuple(takes), tuple(gives))(tensors)


def _piece(
    model: OnnxModel, layers: Iterable[int], takes: Sequence[int], gives: Sequence[int], called: Sequence[str]
) -> Any:
    import onnx

    network, whole = model.network, model.network.proto
    renamed = {old: new for old, new in zip(model.tensor_names, called, strict=True) if old}

    def name(old: str) -> str:
        """Weights, and what nobody reads, get names with a dot, which no tensor of the graph has."""
        return renamed.get(old, f"held.{old}") if old else ""

    def described(tensor: int) -> Any:
        value = onnx.ValueInfoProto()
        value.CopyFrom(network.types[model.tensor_names[tensor]])
        value.name = called[tensor]
        return value

    piece = onnx.ModelProto(ir_version=whole.ir_version, opset_import=whole.opset_import)
    piece.graph.name = whole.graph.name
    used = dict[str, None]()
    for layer in layers:
        node = piece.graph.node.add()
        node.CopyFrom(whole.graph.node[model.node_of[layer]])
        used |= dict.fromkeys(read for read in node.input if read in network.weights)
        node.input[:], node.output[:] = map(name, node.input), map(name, node.output)
    piece.graph.initializer.extend(_weight(model, old, name(old)) for old in used)
    piece.graph.input.extend(described(tensor) for tensor in takes)
    piece.graph.output.extend(described(tensor) for tensor in gives)
    return piece


def _weight(model: OnnxModel, old: str, new: str) -> Any:
    """A weight with its numbers, which a network in memory holds elsewhere where they are many."""
    import onnx

    if old in model.network.shared:
        return onnx.numpy_helper.from_array(model.network.shared[old].numpy(), new)
    weight = onnx.TensorProto()
    weight.CopyFrom(model.network.weights[old])
    weight.name = new
    return weight
