"""PyTorch as a runtime: eager kernels, one operator after the other."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import safetensors.torch
import torch
from torch.utils import _pytree as pytree

from decc_core.models.device import DeviceSettings
from decc_core.models.runtime import Program, Runtime
from decc_core.models.tensors import raw_bytes
from decc_core.models.torch.data import TorchLayers, put_together, taken_apart
from decc_core.models.torch.extract import Call, ExtractedModel
from decc_core.models.torch.pieces import HOW_TO_RUN, write_piece
from decc_core.models.torch.programs import accelerated_program, run_program
from decc_core.plans.pieces import PieceIndices
from decc_core.plans.runs import Run

SHARES_PASSES = 5
MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def synchronised_clock() -> float:
    """Seconds, once the GPU has done all that it was given."""
    torch.cuda.synchronize()
    return time.perf_counter()


class LayerClock:
    """Runs the network layer by layer, with a clock reading after each."""

    def __init__(self, model: ExtractedModel, clock: Callable[[], float]) -> None:
        self.model, self.clock = model, clock
        self.rows: list[list[float]] = []

    def run(self, inputs: Sequence[torch.Tensor]) -> None:
        tensors, times = self.model.load_inputs(inputs), []
        before = self.clock()
        for name in self.model.calls:
            self.model.run_layer(name, tensors)
            after = self.clock()
            times.append(after - before)
            before = after
        self.rows.append(times)


class TorchRuntime(Runtime[ExtractedModel]):
    suffix, how_to_run = ".pt2", HOW_TO_RUN
    layers_type = TorchLayers

    def place(self, model: ExtractedModel, settings: DeviceSettings) -> ExtractedModel:
        """Weights on the device, in its memory format.

        Only convolution weights take the channels_last format: the outputs of convolutions follow it, and the graph and
        its fingerprint stay those of the contiguous model.
        """
        device = torch.device(settings.accelerator)

        def place(value: object, is_convolution: bool) -> object:
            if not isinstance(value, torch.Tensor):
                return device if isinstance(value, torch.device) else value
            value = value.to(device)
            if is_convolution and value.dim() == 4:
                return value.contiguous(memory_format=MEMORY_FORMATS[settings.memory_format])
            return value

        def place_call(call: Call) -> Call:
            convolution = "conv" in str(call.target)
            args, kwargs = pytree.tree_map(lambda value: place(value, convolution), (call.args, call.kwargs))
            # A view that the contiguous graph may take can need a copy in another memory format: reshape decides.
            view = call.target is torch.ops.aten.view.default
            return Call(torch.ops.aten.reshape.default if view else call.target, tuple(args), dict(kwargs))

        calls = {name: place_call(call) for name, call in model.calls.items()}
        return replace(model, calls=calls, example_inputs=tuple(tensor.to(device) for tensor in model.example_inputs))

    def kernels(self, settings: DeviceSettings) -> tuple[str, dict[str, str]]:
        onednn = "on" if settings.onednn else "off"
        words = f"{settings.memory_format}, oneDNN {onednn}"
        return words, {"memory_format": settings.memory_format, "onednn": onednn}

    @contextmanager
    def layer_clock(self, model: ExtractedModel, clock: Callable[[], float]) -> Iterator[LayerClock]:
        yield LayerClock(model, clock)

    def shares(self, model: ExtractedModel, inputs: Sequence[torch.Tensor]) -> Mapping[int, float]:
        """Shortest seconds of each layer on an accelerator, over a few passes; a CPU tells each layer's end itself."""
        if model.device.type == "cpu":
            return {}
        with self.layer_clock(model, synchronised_clock) as layers:
            for _ in range(SHARES_PASSES):
                layers.run(inputs)
        times = (min(times) for times in zip(*layers.rows, strict=True))
        return {model.graph.index[name]: time_s for name, time_s in zip(model.layer_names, times, strict=True)}

    def program(self, model: ExtractedModel, run: Run) -> Program:
        return (run_program if model.device.type == "cpu" else accelerated_program)(model, run)

    def digest(self, model: ExtractedModel) -> str:
        digest = hashlib.sha256()
        for call in model.calls.values():
            for value in pytree.tree_leaves((call.args, call.kwargs)):
                if isinstance(value, torch.Tensor):
                    digest.update(raw_bytes(value))
        return digest.hexdigest()[:32]

    def to_data(self, model: ExtractedModel) -> tuple[bytes, bytes]:
        layers, tensors = taken_apart(model)
        return layers, safetensors.torch.save(tensors)

    def write_data(self, model: ExtractedModel, layers_file: Path, tensors_file: Path) -> None:
        """Weights go into their file without a copy in between."""
        layers, tensors = taken_apart(model)
        safetensors.torch.save_file(tensors, tensors_file)
        layers_file.write_bytes(layers)

    def from_data(self, layers: TorchLayers, tensors: bytes) -> ExtractedModel:
        return put_together(layers, tensors)

    def write_piece(
        self,
        model: ExtractedModel,
        piece: PieceIndices,
        names: Sequence[str],
        tensors: Mapping[int, torch.Tensor],
        path: Path,
    ) -> dict[int, torch.Tensor]:
        return write_piece(model, piece, names, tensors, path)
