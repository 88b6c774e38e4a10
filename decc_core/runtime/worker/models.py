"""How a worker gets its model, and which ones it keeps."""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Iterator

from decc_core.errors import WorkerFailed
from decc_core.models.model import Model
from decc_core.models.ref import NetworkRef
from decc_core.models.runtimes import runtime_of
from decc_core.runtime.wire.messages import Loaded, LoadModel, ModelChunk

KEPT = 2
MAX_MODEL_BYTES = 8 << 30


def read_model(order: LoadModel, chunks: Iterator[ModelChunk]) -> Model:
    """The model of an order; its data follow in chunks."""
    if order.zoo is not None:
        return NetworkRef(order.zoo).build()
    total = order.layers_bytes + order.tensors_bytes
    if not 0 < total <= MAX_MODEL_BYTES or min(order.layers_bytes, order.tensors_bytes) < 0:
        raise WorkerFailed(f"A model of {total} bytes is not taken; the limit is {MAX_MODEL_BYTES} bytes.")
    data = bytearray()
    for chunk in chunks:
        data += chunk.data
        if len(data) > total:
            raise WorkerFailed(f"The model has more than the {total} bytes that were announced.")
    if len(data) < total:
        raise WorkerFailed(f"The model is truncated: {len(data)} of {total} bytes came.")
    return NetworkRef("sent", (bytes(data[: order.layers_bytes]), bytes(data[order.layers_bytes :]))).build()


class ModelShelf:
    """The models that a worker has loaded last, by the fingerprint of their graph."""

    def __init__(self) -> None:
        self._models: OrderedDict[str, Model] = OrderedDict()

    def add(self, model: Model) -> Loaded:
        loaded = Loaded(model.graph.fingerprint, runtime_of(model).digest(model))
        self._models[model.graph.fingerprint] = model
        self._models.move_to_end(model.graph.fingerprint)
        while len(self._models) > KEPT:
            self._models.popitem(last=False)
        # What stays is set aside, so that collecting garbage before each run takes no time.
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        return loaded

    def get(self, fingerprint: str) -> Model:
        if fingerprint not in self._models:
            raise WorkerFailed(f"The model with fingerprint {fingerprint[:8]} is not loaded here; load it first.")
        self._models.move_to_end(fingerprint)
        return self._models[fingerprint]
