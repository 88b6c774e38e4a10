"""How a worker gets its model, and which ones it keeps."""

from __future__ import annotations

import gc
import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from functools import singledispatch

import torch
from torch.utils import _pytree as pytree

from decc_core.errors import WorkerFailed
from decc_core.models import portable, zoo
from decc_core.models.model import Model
from decc_core.models.onnx.model import OnnxModel
from decc_core.models.torch.extract import ExtractedModel, extract
from decc_core.runtime.wire.messages import Loaded, LoadModel
from decc_core.runtime.wire.torch_tensors import to_bytes

KEPT = 2
MAX_MODEL_BYTES = 8 << 30


def from_zoo(name: str) -> ExtractedModel:
    built = zoo.build(name)
    return extract(built.module, built.example_inputs, built.name)


def read_model(order: LoadModel, pieces: Iterator[bytes]) -> Model:
    """The model of an order; its data follow in pieces."""
    if order.zoo is not None:
        return from_zoo(order.zoo)
    total = order.layers_bytes + order.tensors_bytes
    if not 0 < total <= MAX_MODEL_BYTES or min(order.layers_bytes, order.tensors_bytes) < 0:
        raise WorkerFailed(f"A model of {total} bytes is not taken; the limit is {MAX_MODEL_BYTES} bytes.")
    data = bytearray()
    for piece in pieces:
        data += piece
        if len(data) > total:
            raise WorkerFailed(f"The model has more than the {total} bytes that were announced.")
    if len(data) < total:
        raise WorkerFailed(f"The model is truncated: {len(data)} of {total} bytes came.")
    return portable.from_data(bytes(data[: order.layers_bytes]), bytes(data[order.layers_bytes :]))


@singledispatch
def digest(model: Model) -> str:
    """Identity of all weights and constants."""
    raise TypeError(type(model).__name__)


@digest.register
def _onnx_digest(model: OnnxModel) -> str:
    return hashlib.sha256(model.content).hexdigest()[:32]


@digest.register
def _extracted_digest(model: ExtractedModel) -> str:
    found = hashlib.sha256()
    for step in model.steps.values():
        for value in pytree.tree_leaves((step.args, step.kwargs)):
            if isinstance(value, torch.Tensor):
                found.update(to_bytes(value)[1])
    return found.hexdigest()[:32]


class ModelShelf:
    """The models that a worker has loaded last, by the fingerprint of their graph."""

    def __init__(self) -> None:
        self._models: OrderedDict[str, tuple[Model, str]] = OrderedDict()

    def add(self, model: Model) -> Loaded:
        found = digest(model)
        self._models[model.graph.fingerprint] = (model, found)
        self._models.move_to_end(model.graph.fingerprint)
        while len(self._models) > KEPT:
            self._models.popitem(last=False)
        # What stays is set aside, so that collecting garbage before each run takes no time.
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        return Loaded(model.graph.fingerprint, found)

    def get(self, fingerprint: str) -> Model:
        if fingerprint not in self._models:
            raise WorkerFailed(f"The model with fingerprint {fingerprint[:8]} is not loaded here; load it first.")
        self._models.move_to_end(fingerprint)
        return self._models[fingerprint][0]
