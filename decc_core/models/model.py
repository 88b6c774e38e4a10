"""A network that can be run: its layer graph, its inputs, and its outputs as numbers, whatever computes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from decc_core.errors import ExtractionFailed
from decc_core.models.tensors import random_like
from decc_core.network.graph import LayerGraph
from decc_core.text import counted

T = TypeVar("T")


@dataclass(frozen=True, repr=False)
class Model:
    """What is common to all networks; `models.torch.extract` and `models.onnx.model` each have one kind.

    `input_names` has one entry for each input of the network, None where nothing reads it. What else differs between
    the kinds is asked of the kind's `Runtime`.
    """

    graph: LayerGraph
    input_names: tuple[str | None, ...]
    example_inputs: tuple[torch.Tensor, ...]

    def __repr__(self) -> str:
        graph = self.graph
        size_mb = sum(graph.parameter_bytes.values()) / 1e6
        return (
            f"<'{graph.name}': {len(graph.layers)} layers, {counted(len(graph.inputs), 'input')}, "
            f"{counted(len(graph.outputs), 'output')}, {size_mb:.3g} MB of parameters>"
        )

    @property
    def layer_names(self) -> tuple[str, ...]:
        """All layers that compute: those but the inputs."""
        return tuple(layer.name for layer in self.graph.layers if not layer.is_input)

    def run(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """The outputs of the whole network."""
        raise NotImplementedError

    def tensors(self, inputs: Sequence[torch.Tensor], wanted: set[int]) -> dict[int, torch.Tensor]:
        """One run of the whole network that keeps the wanted tensors, by their index in the graph."""
        raise NotImplementedError

    def random_inputs(self, seed: int) -> tuple[torch.Tensor, ...]:
        """Inputs like the examples, drawn with a seed."""
        generator = torch.Generator().manual_seed(seed)
        return tuple(random_like(example, generator) for example in self.example_inputs)

    def named_inputs(self, inputs: Sequence[T]) -> dict[str, T]:
        """The given inputs by the names of their layers, those that nothing reads left out."""
        if len(inputs) != len(self.input_names):
            raise ExtractionFailed(
                f"'{self.graph.name}' takes {len(self.input_names)} inputs; {len(inputs)} are given."
            )
        return {name: value for name, value in zip(self.input_names, inputs, strict=True) if name is not None}
