"""How a worker gets its networks, and which ones it keeps, for whom."""

from __future__ import annotations

import gc
import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from decc_core.errors import WorkerFailed
from decc_core.models.model import Model
from decc_core.models.ref import NetworkRef
from decc_core.models.runtimes import runtime_of
from decc_core.runtime.wire.messages import MAX_MODEL_BYTES, Loaded, LoadModel, ModelChunk

KEPT = 2
"""Networks, and fewer where they are large: together they have no more than `MAX_MODEL_BYTES` of weights."""
HANDLES = 64
"""So many controllers may share those."""


@dataclass(frozen=True)
class _Kept:
    """A network, and what is said of it to whoever has loaded it."""

    model: Model
    loaded: Loaded

    @property
    def size_bytes(self) -> int:
        return sum(self.model.graph.parameter_bytes.values())


class ModelShelf:
    """The networks that were loaded last. Each caller has a handle of its own, and can name only what it has loaded.

    A network that is here under equal content is not built again: by its name in the zoo, or a digest of all its data.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._handles: OrderedDict[str, str] = OrderedDict()
        """The content that each handle stands for."""
        self._lock = threading.Lock()
        self._arriving_bytes = 0

    def load(self, order: LoadModel, chunks: Iterator[ModelChunk]) -> Loaded:
        """The network of an order, whose data follow in chunks; what came before `instead_of` it goes."""
        if order.zoo is not None:
            return self._place(order, f"zoo {order.zoo}", NetworkRef(order.zoo))
        with self._arriving(order, chunks) as data:
            content = hashlib.sha256(f"{order.layers_bytes} ".encode())
            content.update(data)
            with memoryview(data) as view:
                layers, tensors = bytes(view[: order.layers_bytes]), bytes(view[order.layers_bytes :])
            data.clear()
            return self._place(order, content.hexdigest(), NetworkRef("sent", (layers, tensors)))

    def get(self, handle: str) -> Model:
        with self._lock:
            content = self._handles.get(handle)
            if content is None:
                raise WorkerFailed("The network is not loaded here, or not any more; load it first.")
            self._handles.move_to_end(handle)
            self._kept.move_to_end(content)
            return self._kept[content].model

    def _place(self, order: LoadModel, content: str, network: NetworkRef) -> Loaded:
        handle = secrets.token_hex(32)
        with self._lock:
            if order.instead_of is not None and self._handles.get(order.instead_of) != content:
                self._handles.pop(order.instead_of, None)
                self._tidy()
            kept = self._kept.get(content)
        if kept is None:
            model = network.build()
            kept = _Kept(model, Loaded(handle, model.graph.fingerprint, runtime_of(model).digest(model)))
        with self._lock:
            if order.instead_of is not None:
                self._handles.pop(order.instead_of, None)
            self._kept.setdefault(content, kept)
            self._kept.move_to_end(content)
            self._handles[handle] = content
            self._tidy()
        # What stays is set aside, so that collecting garbage before each run takes no time.
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        return msgspec.structs.replace(kept.loaded, handle=handle)

    def _tidy(self) -> None:
        """Drop what nobody names, and what was used longest ago where there is too much; the last one stays."""
        while len(self._handles) > HANDLES:
            self._handles.popitem(last=False)
        for content in self._kept.keys() - set(self._handles.values()):
            del self._kept[content]
        while len(self._kept) > KEPT or (len(self._kept) > 1 and self._size_bytes() > MAX_MODEL_BYTES):
            gone, _ = self._kept.popitem(last=False)
            for handle in [handle for handle, content in self._handles.items() if content == gone]:
                del self._handles[handle]

    def _size_bytes(self) -> int:
        return sum(kept.size_bytes for kept in self._kept.values())

    @contextmanager
    def _arriving(self, order: LoadModel, chunks: Iterator[ModelChunk]) -> Iterator[bytearray]:
        """All data of a network; all that are on their way at the same time share one limit."""
        total, data = order.layers_bytes + order.tensors_bytes, bytearray()
        if not 0 < total <= MAX_MODEL_BYTES:
            raise WorkerFailed(f"A model of {total} bytes is not taken; the limit is {MAX_MODEL_BYTES} bytes.")
        counted = 0
        try:
            for chunk in chunks:
                if len(data) + len(chunk.data) > total:
                    raise WorkerFailed(f"The model has more than the {total} bytes that were announced.")
                with self._lock:
                    if self._arriving_bytes + len(chunk.data) > MAX_MODEL_BYTES:
                        raise WorkerFailed("Too many networks are being sent at the same time; wait, and try again.")
                    self._arriving_bytes += len(chunk.data)
                    counted += len(chunk.data)
                data += chunk.data
            if len(data) < total:
                raise WorkerFailed(f"The model is truncated: {len(data)} of {total} bytes came.")
            yield data
        finally:
            with self._lock:
                self._arriving_bytes -= counted
