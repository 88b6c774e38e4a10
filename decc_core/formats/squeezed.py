"""A lossless stage behind another format: zstd, after floats were laid byte by byte, which makes exponents alike."""

from __future__ import annotations

import numpy as np
import zstandard

from decc_core.formats.format import Format, Values, carrier
from decc_core.formats.integers import RANGE, Integers, pack, packed_bytes, unpack
from decc_core.formats.plain import Half, Raw
from decc_core.network.graph import ITEM_BYTES, TensorSpec

LEVEL = 1
"""Higher ones take two to ten times as long for two per cent."""
PACKED = (4, 2)
"""Numbers of so many bits are packed first: several in a byte are coded together, faster and in less than a bit each.
Those of 6 bits would lie across bytes, where nothing repeats."""


class Squeezed(Format):
    """What another format makes of the tensors that it takes, squeezed; every tensor as it is, behind none."""

    def __init__(self, inner: Raw | Half | Integers) -> None:
        self.inner = inner
        self.lossless = inner.lossless
        self.name = "zstd" if isinstance(inner, Raw) else f"{inner.name}+zstd"

    def takes(self, spec: TensorSpec) -> bool:
        return spec.n_elements > 0 and (isinstance(self.inner, Raw) or self.inner.takes(spec))

    def certain_bytes(self, spec: TensorSpec) -> int | None:
        return None if self.takes(spec) else spec.size_bytes

    def most_error(self, values: Values, spec: TensorSpec) -> float:
        return self.inner.most_error(values, spec)

    def _length(self, spec: TensorSpec) -> int:
        """Bytes before they are squeezed."""
        if isinstance(self.inner, Integers):
            bits = self.inner.bits
            numbers = packed_bytes(spec.n_elements, bits) if bits in PACKED else spec.n_elements
            return self.inner.ranges(spec) * RANGE.itemsize + numbers
        if isinstance(self.inner, Half):
            return 2 * spec.n_elements
        return spec.size_bytes

    def _coded(self, values: Values, spec: TensorSpec) -> bytes | None:
        inner = self.inner
        if isinstance(inner, Integers):
            found = inner.split(values, spec)
            if found is None:
                return None
            numbers = pack(found[1], inner.bits) if inner.bits in PACKED else found[1]
            body = found[0].tobytes() + numbers.tobytes()
        elif isinstance(inner, Half):
            halves = inner.encode(values, spec)
            if len(halves) != self._length(spec):
                return None
            body = _by_bytes(halves, 2)
        else:
            body = _by_bytes(values.tobytes(), ITEM_BYTES[spec.dtype])
        return zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(body)

    def _values(self, data: memoryview, spec: TensorSpec) -> Values:
        inner, body = self.inner, self._opened(data, spec)
        if isinstance(inner, Integers):
            head = inner.ranges(spec) * RANGE.itemsize
            numbers = np.frombuffer(body, np.uint8, offset=head)
            if inner.bits in PACKED:
                numbers = unpack(numbers, inner.bits, spec.n_elements)
            elif inner.bits < 8 and numbers.max() >= inner.levels:
                raise self._damaged(spec, "it has numbers of more bits")
            return inner.joined(np.frombuffer(body[:head], RANGE), numbers, spec)
        if isinstance(inner, Half):
            return inner.decode(_in_order(body, 2), spec)
        return np.frombuffer(_in_order(body, ITEM_BYTES[spec.dtype]), carrier(spec.dtype)).reshape(spec.shape)

    def _opened(self, data: memoryview, spec: TensorSpec) -> bytes:
        """The squeezed bytes as they were; whatever they say, no more is allocated than they may be."""
        length = self._length(spec)
        try:
            declared = zstandard.get_frame_parameters(data).content_size
            if declared != length:
                raise self._damaged(spec, f"it holds {declared} bytes and must hold {length}")
            return zstandard.ZstdDecompressor().decompress(data, max_output_size=length, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise self._damaged(spec, str(error)) from None


def _by_bytes(data: bytes, size: int) -> bytes:
    """The first byte of every value, then the second of every value."""
    return data if size == 1 else np.frombuffer(data, np.uint8).reshape(-1, size).T.tobytes()


def _in_order(data: bytes, size: int) -> bytes:
    if size == 1:
        return data
    rows = np.frombuffer(data, np.uint8).reshape(size, -1)
    ordered = np.empty(rows.shape[::-1], np.uint8)
    # One by one: several times as fast as the whole table turned at once.
    for place, row in enumerate(rows):
        ordered[:, place] = row
    return ordered.tobytes()
