"""ONNX Runtime as a runtime: a session for each run of layers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import torch

from decc_core.errors import InvalidProfile
from decc_core.models.device import DeviceSettings
from decc_core.models.onnx.model import OnnxModel, runtime_name
from decc_core.models.onnx.pieces import HOW_TO_RUN, write_piece
from decc_core.models.onnx.timing import NodeClock
from decc_core.models.runtime import VERSION, Program, Runtime, Ticker
from decc_core.plans.pieces import PieceIndices
from decc_core.plans.runs import Run

SHARES_PASSES = 5


class OnnxLayers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="runtime", tag="onnx"):
    """Everything follows from the protocol buffer that comes with it."""

    version: int


class OnnxRuntime(Runtime[OnnxModel]):
    suffix, how_to_run = ".onnx", HOW_TO_RUN
    layers_type = OnnxLayers

    def place(self, model: OnnxModel, settings: DeviceSettings) -> OnnxModel:
        """Only threads can be chosen: ONNX Runtime has its own kernels and keeps the layout that the network says."""
        if (settings.accelerator, settings.memory_format, settings.onednn) != ("cpu", "contiguous", True):
            raise InvalidProfile(
                f"'{model.graph.name}' runs in ONNX Runtime, where only the number of threads can be chosen; "
                "leave the accelerator on cpu, the memory format contiguous and oneDNN on."
            )
        return replace(model, threads=settings.n_threads)

    def kernels(self, settings: DeviceSettings) -> tuple[str, dict[str, str]]:
        runtime = runtime_name()
        return f"{runtime}, each node inside one session", {"runtime": runtime}

    def layer_clock(self, model: OnnxModel, clock: Callable[[], float]) -> NodeClock:
        """Nodes are timed by ONNX Runtime itself, to the microsecond, in one session."""
        return NodeClock(model)

    def shares(self, model: OnnxModel, inputs: Sequence[torch.Tensor]) -> Mapping[int, float]:
        """Shortest seconds of each layer, over a few runs."""
        with NodeClock(model) as nodes:
            for _ in range(SHARES_PASSES):
                nodes.run(inputs)
        times = (min(times) for times in zip(*nodes.rows, strict=True))
        return {model.graph.index[name]: time_s for name, time_s in zip(model.layer_names, times, strict=True)}

    def program(self, model: OnnxModel, run: Run) -> Program:
        """A session of the run's nodes; nothing tells when one of them is done, so that the end of all is told."""
        inputs = {model.graph.tensors_of[layer][0] for layer in run.layers if model.graph.layers[layer].is_input}
        through = [tensor for tensor in run.gives if tensor in run.reads]
        made = [tensor for tensor in run.gives if tensor not in run.reads]
        computes = any(not model.graph.layers[layer].is_input for layer in run.layers)
        assert inputs.issuperset(through)
        session = model.session(run.layers, run.reads, made) if computes else None

        def program(clock: Ticker, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            there = dict(zip(run.reads, tensors, strict=True))
            if session is not None:
                there |= zip(made, session(tensors), strict=True)
            clock.tick_all()
            return tuple(there[tensor] for tensor in run.gives)

        return program

    def digest(self, model: OnnxModel) -> str:
        return hashlib.sha256(model.content).hexdigest()[:32]

    def to_data(self, model: OnnxModel) -> tuple[bytes, bytes]:
        return msgspec.json.encode(OnnxLayers(VERSION)), model.content

    def from_data(self, layers: OnnxLayers, tensors: bytes) -> OnnxModel:
        return OnnxModel.of(tensors)

    def write_piece(
        self,
        model: OnnxModel,
        piece: PieceIndices,
        names: Sequence[str],
        tensors: Mapping[int, torch.Tensor],
        path: Path,
    ) -> dict[int, torch.Tensor]:
        return write_piece(model, piece, names, tensors, path)
