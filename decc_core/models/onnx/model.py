"""Networks that ONNX Runtime computes: the second runtime behind the same face as `decc_core.models.torch.extract`.

A network is optimised once, when its file is read; a layer is a node of what came out. Everything here runs with
optimisation off, so that any piece of the network runs exactly the kernels of the whole.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from decc_core.errors import ExtractionFailed, UnreadableFile
from decc_core.models.model import Model
from decc_core.models.onnx.graph import ONES, layer_graph, parse, reason, require_sound, spec_of, weight_bytes
from decc_core.models.tensors import DTYPES, random_like
from decc_core.network.graph import INPUT

SHARED_BYTES = 1024
"""Weights from this size on are held once for all sessions; shapes and axes, which are smaller, stay in the piece."""
SESSIONS_KEPT = 64
MOST_INPUT_BYTES = 4 << 30
ALIGNMENT = 64
"""Sums depend on where a tensor begins in memory; ONNX Runtime's own tensors begin at multiples of this."""

IN_NUMPY = frozenset({1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13})
"""Element types of weights that NumPy has, too."""

Boundary = tuple[tuple[int, ...], tuple[str, ...], tuple[str, ...]]
"""Nodes of a piece, the tensors that it reads, and those that it gives."""


@dataclass(frozen=True, repr=False)
class OnnxModel(Model):
    """A network whose layers are the nodes of an optimised ONNX network; `content` is that network's file.

    Shapes are fixed. `threads` are those of every session; None means one for each core.
    """

    content: bytes
    network: Network = field(compare=False)
    threads: int | None = None

    @classmethod
    def of(cls, content: bytes) -> OnnxModel:
        """The model of an optimised network as `load.onnx_file` writes it; graph and inputs follow from it.

        Whatever else the bytes are ends in a `DeccError`.
        """
        proto = parse(content)
        require_sound(proto)
        try:
            graph = layer_graph(proto)
            names = tuple(value.name if value.name in graph.index else None for value in proto.graph.input)
            if (asked := sum(spec_of(value).size_bytes for value in proto.graph.input)) > MOST_INPUT_BYTES:
                raise UnreadableFile(f"The network's inputs have {asked} bytes; {MOST_INPUT_BYTES} are the most.")
            ones = {i for entry in proto.metadata_props if entry.key == ONES for i in entry.value.split(",")}
            examples = tuple(_example(value, seed, str(seed) in ones) for seed, value in enumerate(proto.graph.input))
            return cls(graph, names, examples, content, Network(proto))
        except (ValueError, TypeError, LookupError, ArithmeticError, RuntimeError) as error:
            # Nodes that lack what their operator needs: each library has an error of its own for it.
            raise UnreadableFile(f"The network does not fit together ({reason(error)}); read its file again.") from None

    def run(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """The outputs of the whole network, computed in one session."""
        graph = self.graph
        wanted = [graph.tensor_index[ref] for ref in graph.outputs]
        outputs = self.tensors(inputs, set(wanted))
        return tuple(outputs[tensor] for tensor in wanted)

    def tensors(self, inputs: Sequence[torch.Tensor], wanted: set[int]) -> dict[int, torch.Tensor]:
        graph, named = self.graph, self.named_inputs(inputs)
        given = {graph.tensors_of[graph.index[name]][0]: value for name, value in named.items()}
        gives = tuple(sorted(wanted - given.keys()))
        made: dict[int, torch.Tensor] = {}
        if gives:
            session = self.session(range(len(graph.layers)), given, gives)
            made |= zip(gives, session(list(given.values())), strict=True)
        return made | {tensor: given[tensor] for tensor in wanted & given.keys()}

    def session(self, layers: Iterable[int], reads: Iterable[int], gives: Iterable[int]) -> Session:
        """A piece of the network, ready to run; tensors by their index in the graph."""
        nodes = tuple(self.node_of[layer] for layer in layers if layer in self.node_of)
        names = self.tensor_names
        boundary = nodes, tuple(names[tensor] for tensor in reads), tuple(names[tensor] for tensor in gives)
        return self.network.session(boundary, self.threads)

    @cached_property
    def node_of(self) -> dict[int, int]:
        """The node of each layer that computes."""
        computing = [i for i, layer in enumerate(self.graph.layers) if layer.operator != INPUT]
        return {layer: node for node, layer in enumerate(computing)}

    @cached_property
    def tensor_names(self) -> tuple[str, ...]:
        """What the file calls each tensor of the graph."""
        nodes = self.network.proto.graph.node
        return tuple(
            nodes[self.node_of[tensor.producer]].output[tensor.output]
            if tensor.producer in self.node_of
            else self.graph.layers[tensor.producer].name
            for tensor in self.graph.tensors
        )


class Session:
    """One piece of a network, ready to run: tensors in and out, without a copy where memory allows."""

    def __init__(self, session: Any, reads: tuple[str, ...], gives: tuple[str, ...]) -> None:
        self.session, self.reads, self.gives = session, reads, list(gives)
        self.read_by = {value.name for value in session.get_inputs()}

    def __call__(self, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        feed = {
            name: aligned(value).numpy()
            for name, value in zip(self.reads, tensors, strict=True)
            if name in self.read_by
        }
        # Of two names that NumPy has for 64 bits PyTorch knows one.
        made = (
            value.view("uint64") if value.dtype.char == "Q" else value for value in self.session.run(self.gives, feed)
        )
        return [torch.from_numpy(value) for value in made]


def aligned(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor row by row, beginning where the runtime's own tensors would; copied where it is not."""
    tensor = tensor.contiguous()
    if tensor.data_ptr() % ALIGNMENT == 0:
        return tensor
    copied = tensor.clone()
    if copied.data_ptr() % ALIGNMENT == 0:
        return copied
    # PyTorch aligns what it allocates, except for tensors that share the memory of others.
    size = tensor.numel() * tensor.element_size()
    room = torch.empty(size + ALIGNMENT, dtype=torch.uint8)
    first = -room.data_ptr() % ALIGNMENT
    return room[first : first + size].view(tensor.dtype).reshape(tensor.shape).copy_(tensor)


class Network:
    """An optimised network taken apart: its nodes, its weights, held once, and the sessions of its pieces."""

    def __init__(self, proto: Any) -> None:
        self.proto = proto
        graph = proto.graph
        self.weights = {weight.name: weight for weight in graph.initializer}
        self.types = {value.name: value for value in (*graph.input, *graph.value_info, *graph.output)}
        self.shared: dict[str, Any] = {}
        for weight in self.weights.values():
            self._share(weight)
        self.sessions: OrderedDict[tuple[Boundary, int | None], Session] = OrderedDict()

    def _share(self, weight: Any) -> None:
        """Move a large weight out of the protocol buffer, into memory that all sessions read."""
        import onnx

        if weight.data_type not in IN_NUMPY or weight.ByteSize() < SHARED_BYTES:
            return
        self.shared[weight.name] = _runtime().OrtValue.ortvalue_from_numpy(onnx.numpy_helper.to_array(weight))
        for data in ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data"):
            weight.ClearField(data)
        weight.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (
            ("location", "shared"),
            ("offset", "0"),
            ("length", str(weight_bytes(tuple(weight.dims), weight.data_type))),
        ):
            weight.external_data.add(key=key, value=value)

    def session(self, boundary: Boundary, threads: int | None) -> Session:
        """The session of a piece; those used last are kept."""
        key = boundary, threads
        if key not in self.sessions:
            self.sessions[key] = Session(self.fresh(boundary, threads), *boundary[1:])
        self.sessions.move_to_end(key)
        if len(self.sessions) > SESSIONS_KEPT:
            self.sessions.popitem(last=False)
        return self.sessions[key]

    def fresh(self, boundary: Boundary, threads: int | None, profile_to: Path | None = None) -> Any:
        """ONNX Runtime's session of a piece; with `profile_to` it notes the time of every node in that folder."""
        piece = self.piece(*boundary)
        options = session_options(threads)
        held = [weight.name for weight in piece.graph.initializer if weight.name in self.shared]
        if held:
            options.add_external_initializers(held, [self.shared[name] for name in held])
        if profile_to is not None:
            options.enable_profiling = True
            options.profile_file_prefix = str(profile_to / "nodes")
        return new_session(piece.SerializeToString(), options, self.proto.graph.name)

    def piece(self, nodes: tuple[int, ...], reads: tuple[str, ...], gives: tuple[str, ...]) -> Any:
        """Some nodes as a network of their own; large weights are only named in it."""
        import onnx

        whole = self.proto.graph
        chosen = [whole.node[i] for i in nodes]
        used = {name for node in chosen for name in node.input}
        inner = {name for node in chosen for name in node.output if name in self.types} - set(gives)
        piece = onnx.ModelProto(ir_version=self.proto.ir_version, opset_import=self.proto.opset_import)
        piece.graph.name = whole.name
        piece.graph.node.extend(chosen)
        piece.graph.initializer.extend(self.weights[name] for name in sorted(used & self.weights.keys()))
        # Unread tensors are left out: ONNX Runtime would take them, but nobody needs to wait for them.
        piece.graph.input.extend(self.types[name] for name in dict.fromkeys(reads) if name in used)
        piece.graph.output.extend(self.types[name] for name in gives)
        piece.graph.value_info.extend(self.types[name] for name in sorted(inner))
        return piece


def session_options(threads: int | None, level: str = "ORT_DISABLE_ALL") -> Any:
    """Sessions that always compute alike: one node after the other, so many threads, no waiting in loops.

    Threads that spin would take the core of the other worker on the same machine.
    """
    runtime = _runtime()
    options = runtime.SessionOptions()
    options.graph_optimization_level = getattr(runtime.GraphOptimizationLevel, level)
    options.intra_op_num_threads = threads or os.cpu_count() or 1
    options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    return options


def new_session(content: bytes, options: Any, name: str) -> Any:
    """A session on the CPU; what ONNX Runtime cannot take is told in one sentence."""
    runtime = _runtime()
    try:
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ExtractionFailed(
            f"{runtime_name()} cannot run '{name}' ({reason(error)}); "
            "check the file with onnxruntime.InferenceSession on your side."
        ) from None


def _runtime() -> Any:
    """Imported only where a network of this kind is used."""
    import onnxruntime  # type: ignore[import-untyped]

    return onnxruntime


def runtime_name() -> str:
    return f"ONNX Runtime {_runtime().__version__}"


def _example(value: Any, seed: int, is_one: bool) -> torch.Tensor:
    """An input made up from its shape; where whole numbers choose or divide, all are 0, or 1."""
    spec = spec_of(value)
    alike = torch.full(spec.shape, int(is_one), dtype=DTYPES[spec.dtype])
    return random_like(alike, torch.Generator().manual_seed(seed))
