"""The face of a runtime: all that other rooms ask of one kind of network beside running it as a whole."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

import msgspec
import torch

from decc_core.models.device import DeviceSettings
from decc_core.models.model import Model
from decc_core.plans.pieces import PieceIndices
from decc_core.plans.runs import Run

VERSION = 1
"""Of the data that a model becomes."""
Program = Callable[..., tuple[torch.Tensor, ...]]
"""Takes a `Ticker` and the tensors that a run of layers reads, and returns those that it gives."""
Kind = TypeVar("Kind", bound=Model)


class Ticker(Protocol):
    """Is told when each layer of a run is done, or all of them, where nobody sees them one by one."""

    def tick(self, position: int) -> None: ...

    def tick_all(self) -> None: ...


class LayerClock(Protocol):
    """Times the layers of a network one pass after the other; `rows` are complete once the context is left."""

    rows: list[list[float]]
    """Seconds of each layer that computes, a row for each pass."""

    def run(self, inputs: Sequence[torch.Tensor]) -> None: ...


class HowToRun(NamedTuple):
    """For whoever has the pieces: a word of care, Python that runs them, and how it makes an input of zeros.

    `code` has INPUTS where the inputs by name go, `zeros` the fields `shape` and `dtype`.
    """

    care: str
    code: str
    zeros: str


class Runtime(ABC, Generic[Kind]):
    """What computes one kind of network; `models.runtimes` lists them all."""

    suffix: ClassVar[str]
    """Of the files that pieces are written to."""
    how_to_run: ClassVar[HowToRun]
    """What to do with those files elsewhere."""
    layers_type: ClassVar[type[msgspec.Struct]]
    """What the layers of such a network are as JSON: a struct whose tag names the runtime, with a `version`."""

    @abstractmethod
    def place(self, model: Kind, settings: DeviceSettings) -> Kind:
        """The model with its weights and example inputs where, and as, the device holds them."""

    @abstractmethod
    def kernels(self, settings: DeviceSettings) -> tuple[str, dict[str, str]]:
        """What computes the layers, in words and as settings of a profile."""

    @abstractmethod
    def layer_clock(self, model: Kind, clock: Callable[[], float]) -> AbstractContextManager[LayerClock]:
        """Measures the layers of a model that was placed; `clock` tells seconds once the device is done."""

    def shares(self, model: Kind, inputs: Sequence[torch.Tensor]) -> Mapping[int, float]:
        """Native times of the layers, where a program tells only when the whole run is done."""
        return {}

    @abstractmethod
    def program(self, model: Kind, run: Run) -> Program:
        """One function for a run of layers."""

    @abstractmethod
    def digest(self, model: Kind) -> str:
        """Identity of all weights and constants."""

    @abstractmethod
    def to_data(self, model: Kind) -> tuple[bytes, bytes]:
        """The model as JSON, of `layers_type`, and tensors."""

    def write_data(self, model: Kind, layers_file: Path, tensors_file: Path) -> None:
        """What `to_data` gives, into two files."""
        layers, tensors = self.to_data(model)
        tensors_file.write_bytes(tensors)
        layers_file.write_bytes(layers)

    @abstractmethod
    def from_data(self, layers: Any, tensors: bytes) -> Kind:
        """The model again, of layers that are of `layers_type`; a `DeccError` for whatever is malformed."""

    @abstractmethod
    def write_piece(
        self, model: Kind, piece: PieceIndices, names: Sequence[str], tensors: Mapping[int, torch.Tensor], path: Path
    ) -> dict[int, torch.Tensor]:
        """Write some layers as a program of its own, read it back, and run what was read.

        `names` has what the program calls each tensor of the graph, by its index. Takes and gives tensors by index.
        """
