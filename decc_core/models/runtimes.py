"""All runtimes: a new one is a folder beside `torch` and `onnx`, and a line here."""

from __future__ import annotations

from typing import Any

from decc_core.models.model import Model
from decc_core.models.onnx.model import OnnxModel
from decc_core.models.onnx.runtime import OnnxRuntime
from decc_core.models.runtime import Runtime
from decc_core.models.torch.extract import ExtractedModel
from decc_core.models.torch.runtime import TorchRuntime

RUNTIMES: dict[type[Model], Runtime[Any]] = {
    ExtractedModel: TorchRuntime(),
    OnnxModel: OnnxRuntime(),
}


def runtime_of(model: Model) -> Runtime[Any]:
    """What computes a network."""
    return RUNTIMES[type(model)]
