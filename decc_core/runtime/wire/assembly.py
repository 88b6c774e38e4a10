"""Tensors as messages: a small typed header and raw bytes; nothing that could run code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod

import msgspec

from decc_core.errors import WireError
from decc_core.formats import RAW, Format
from decc_core.network.graph import ITEM_BYTES, TensorSpec
from decc_core.text import shown

CHUNK_BYTES = 1 << 20
"""Of whatever is not paced."""
MOST_GAPS = 8
"""A tensor with its gaps may take so many times the memory that it needs; a larger one arrives without them."""


class TensorHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the bytes that follow are: dtype, shape, and the order of dimensions from the outermost in memory inwards.

    The order must survive, and so must gaps between rows, as a slice has them: kernels choose by strides, and results
    would differ in the last bits. `strides` are empty where there are no gaps; the bytes have none in any case.
    All of this is of the tensor as its sender had it; `coded_bytes` are what its `format` made of it.
    """

    dtype: str
    shape: tuple[int, ...]
    order: tuple[int, ...]
    strides: tuple[int, ...] = ()
    format: str = RAW
    coded_bytes: int = 0

    @property
    def raw_bytes(self) -> int:
        """Of the tensor as it is; of a dtype that is known."""
        return prod(self.shape) * ITEM_BYTES[self.dtype]

    @property
    def extent(self) -> int:
        """Elements from the first to the last one, gaps included; of a tensor that has elements."""
        return 1 + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))

    @property
    def gaps_fit(self) -> bool:
        """Whether the strides are those of rows beside each other, without overlap, and the gaps not much larger."""
        if len(self.strides) != len(self.shape) or 0 in self.shape or min(self.strides, default=1) < 1:
            return False
        least = 1
        for dim in reversed(self.order):
            if self.shape[dim] > 1:
                if self.strides[dim] < least:
                    return False
                least = self.strides[dim] * self.shape[dim]
        return self.extent <= MOST_GAPS * prod(self.shape)


class TensorChunk(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="chunk"):
    """Some bytes of one tensor of one request; the first chunk has the head, the last says when the tensor is due.

    `due_ns` stands on the sender's clock.
    """

    request: int
    tensor: int
    offset: int
    data: bytes
    head: TensorHead | None = None
    due_ns: int | None = None


def chunks_of(request: int, tensor: int, head: TensorHead, data: bytes | memoryview) -> Iterator[TensorChunk]:
    """A tensor in chunks of a size that one message can carry, due at once; one without bytes still makes one."""
    for first in range(0, max(len(data), 1), CHUNK_BYTES):
        end = min(first + CHUNK_BYTES, len(data))
        due_ns = 0 if end == len(data) else None
        yield TensorChunk(request, tensor, first, bytes(data[first:end]), head if first == 0 else None, due_ns)


class Assembler:
    """Puts the chunks that arrive on one link together, and refuses whatever the plan does not expect.

    `expected` has the spec of every tensor that is to come, by request and tensor, `formats` what those are coded in
    that do not come as they are, by tensor; memory is taken only after a head agrees with both.
    """

    def __init__(
        self,
        link: str,
        expected: Mapping[tuple[int, int], TensorSpec],
        requests: int,
        formats: Mapping[int, Format] | None = None,
    ) -> None:
        self.link, self.expected, self.requests, self.formats = link, expected, requests, formats or {}
        self.open: dict[tuple[int, int], tuple[TensorHead, bytearray, int]] = {}
        self.done: set[tuple[int, int]] = set()

    def add(self, chunk: TensorChunk) -> tuple[TensorHead, bytearray] | None:
        """The tensor's head and bytes, if this chunk is its last."""
        key = (chunk.request, chunk.tensor)
        head, data, filled = self._begun(key, chunk)
        if chunk.offset != filled:
            raise self._error(key, f"has a chunk at byte {chunk.offset} where byte {filled} comes next")
        end = filled + len(chunk.data)
        if end > len(data):
            raise self._error(key, f"is oversized: {end} bytes and more instead of {len(data)}")
        data[filled:end] = chunk.data
        self.open[key] = (head, data, end)
        if chunk.due_ns is None:
            return None
        if end < len(data):
            raise self._error(key, f"is truncated: {end} of {len(data)} bytes")
        del self.open[key]
        self.done.add(key)
        return head, data

    def _begun(self, key: tuple[int, int], chunk: TensorChunk) -> tuple[TensorHead, bytearray, int]:
        if not 0 <= chunk.request < self.requests:
            raise self._error(key, f"belongs to an unknown request; the run has {self.requests}")
        if key not in self.expected:
            raise self._error(key, "is not sent by the plan")
        if key in self.done or (key in self.open and chunk.head is not None):
            raise self._error(key, "was sent twice")
        if key in self.open:
            return self.open[key]
        if chunk.head is None:
            raise self._error(key, "begins without a head")
        spec = self.expected[key]
        if chunk.head.dtype != spec.dtype or chunk.head.shape != spec.shape:
            raise self._error(
                key,
                f"is of a wrong type: {chunk.head.dtype} {list(chunk.head.shape)} instead of "
                f"{spec.dtype} {list(spec.shape)}",
            )
        if sorted(chunk.head.order) != list(range(len(spec.shape))):
            raise self._error(key, f"has the impossible order of dimensions {list(chunk.head.order)}")
        if chunk.head.strides and not chunk.head.gaps_fit:
            raise self._error(key, f"has the impossible strides {list(chunk.head.strides)}")
        return chunk.head, bytearray(self._size_bytes(key, chunk.head, spec)), 0

    def _size_bytes(self, key: tuple[int, int], head: TensorHead, spec: TensorSpec) -> int:
        """How many bytes come: those of the tensor, or as many as its agreed format may make of it."""
        form = self.formats.get(key[1])
        agreed = form.name if form is not None else RAW
        if head.format != agreed:
            raise self._error(key, f"comes in the format {shown(head.format)}, where {agreed} was agreed")
        if form is None:
            return spec.size_bytes
        most = form.most_bytes(spec)
        if not 0 <= head.coded_bytes <= most:
            raise self._error(key, f"claims {head.coded_bytes} bytes, where {agreed} makes {most} at most")
        return head.coded_bytes

    def _error(self, key: tuple[int, int], trouble: str) -> WireError:
        return WireError(f"Tensor {key[1]} of request {key[0]} on the {self.link} {trouble}.")
