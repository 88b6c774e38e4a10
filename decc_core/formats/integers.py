"""Uniform quantisation: floats as whole numbers of a few bits, of one range for the tensor or one for each channel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from decc_core.formats.format import Format, Values
from decc_core.network.graph import FLOAT_DTYPES, TensorSpec

RANGE = np.dtype([("low", "<f4"), ("step", "<f4")])
"""What stands in front of the numbers for each range."""
SHRUNK = (1.0, 0.85, 0.7, 0.55, 0.42, 0.32, 0.24, 0.18, 0.12, 0.08)
"""Shares of the whole range among which a clipped one is looked for."""
SAMPLED = 1 << 15
"""Of so many values of the tensor."""
ROUNDING = 8 * 2.0**-23
"""Of single precision, as a share of the largest value."""


def channel_axis(spec: TensorSpec) -> int | None:
    """The axis of a tensor's channels: the second of images, the last of tokens; None where there are none."""
    if len(spec.shape) >= 4:
        return 1
    return 2 if len(spec.shape) == 3 else None


def as_float32(values: Values, spec: TensorSpec) -> NDArray[np.float32]:
    """The values in single precision; what is beyond it is infinite."""
    if spec.dtype == "bfloat16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    with np.errstate(over="ignore"):
        return values.astype(np.float32, copy=False)


def from_float32(values: NDArray[np.float32], spec: TensorSpec) -> Values:
    """Back from single precision; rounded to nearest, also for bfloat16."""
    if spec.dtype == "bfloat16":
        bits = np.ascontiguousarray(values).view(np.uint32)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    most = np.finfo(spec.dtype).max
    return (np.clip(values, -most, most) if spec.dtype == "float16" else values).astype(spec.dtype, copy=False)


def store_error(largest: float, spec: TensorSpec) -> float:
    """What rounding to the tensor's own dtype may add."""
    return largest * {"float16": 2.0**-11, "bfloat16": 2.0**-8}.get(spec.dtype, 0.0) + 2.0**-24


def in_rows(values: NDArray[np.float32], axis: int | None) -> NDArray[np.float32]:
    """One row for each range."""
    return values.reshape(1, -1) if axis is None else np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)


def ranges_of(rows: NDArray[np.float32], levels: int, clipped: bool) -> NDArray[np.void] | None:
    """Low end and step of every row's range; None where values are not finite, or their range is not."""
    low, high = rows.min(1), rows.max(1)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        return None
    found = _spread(low.astype(np.float64), high.astype(np.float64), levels)
    with np.errstate(over="ignore"):
        width = found["step"] * np.float32(levels - 1)
        fits = np.isfinite(width).all() and np.isfinite(found["low"] + width).all()
    if not fits:
        return None
    return _clipped(rows, low, high, levels) if clipped else found


def _spread(low: NDArray[np.float64], high: NDArray[np.float64], levels: int) -> NDArray[np.void]:
    found = np.zeros(len(low), RANGE)
    with np.errstate(over="ignore"):
        found["low"], found["step"] = low, (high - low) / (levels - 1)
    return found


def _clipped(rows: NDArray[np.float32], low: NDArray[Any], high: NDArray[Any], levels: int) -> NDArray[np.void]:
    """Ranges drawn in towards the median, step by step for as long as the squared error becomes smaller.

    A sample of the values stands for all, and beside it lie both ends of the range, which it may lack.
    """
    stride = max(1, rows.size // SAMPLED)
    sample = np.column_stack((rows[:, ::stride], low, high))
    middle = np.median(sample, axis=1).astype(np.float64)
    low, high = low.astype(np.float64), high.astype(np.float64)
    best, least = _spread(low, high, levels), np.full(len(rows), np.inf)
    going = np.arange(len(rows))
    for share in SHRUNK:
        inner_low, inner_high = (middle[going] + share * (end[going] - middle[going]) for end in (low, high))
        found = _spread(inner_low, inner_high, levels)
        with np.errstate(over="ignore"):
            off = levels_to_values(quantised(sample[going], found, levels), found) - sample[going]
            off *= off
            error = stride * off[:, :-2].sum(1, dtype=np.float64) + off[:, -2:].sum(1, dtype=np.float64)
        better = error < least[going]
        going = going[better]
        if not len(going):
            break
        best[going], least[going] = found[better], error[better]
    return best


def quantised(rows: NDArray[np.float32], found: NDArray[np.void], levels: int) -> NDArray[np.uint8]:
    """The number of the level nearest to each value."""
    step = found["step"]
    # Where all values are alike, or as good as, the low end stands for them.
    inverse = np.divide(1, step, out=np.zeros_like(step), where=step > np.finfo(np.float32).tiny)
    scaled = rows - found["low"][:, None]
    scaled *= inverse[:, None]
    scaled += np.float32(0.5)
    np.clip(scaled, 0, levels - 1, out=scaled)
    numbers: NDArray[np.uint8] = scaled.astype(np.uint8)
    return numbers


def levels_to_values(numbers: NDArray[np.uint8], found: NDArray[np.void]) -> NDArray[np.float32]:
    values = numbers.astype(np.float32)
    values *= found["step"][:, None]
    values += found["low"][:, None]
    return values


def most_error(rows: NDArray[np.float32], found: NDArray[np.void], levels: int, spec: TensorSpec) -> float:
    """Half a step, or how far a value lies outside of its range, and what rounding adds."""
    low = found["low"].astype(np.float64)
    high = low + found["step"].astype(np.float64) * (levels - 1)
    outside = np.maximum(low - rows.min(1), rows.max(1) - high)
    step = np.maximum(found["step"], np.finfo(np.float32).tiny).astype(np.float64)
    largest = float(np.abs(rows).max())
    return float(np.maximum(step / 2, outside).max()) + largest * ROUNDING + store_error(largest, spec)


class Integers(Format):
    """Floats as unsigned whole numbers, packed without gaps."""

    lossless = False

    def __init__(self, bits: int, per_channel: bool = False, clipped: bool = False) -> None:
        self.bits, self.levels, self.per_channel = bits, 1 << bits, per_channel
        self.clipped = clipped
        self.name = f"int{bits}{'-channel' if per_channel else ''}{'-clip' if clipped else ''}"

    def takes(self, spec: TensorSpec) -> bool:
        return spec.dtype in FLOAT_DTYPES and spec.n_elements > 0 and self._length(spec) < spec.size_bytes

    def certain_bytes(self, spec: TensorSpec) -> int | None:
        return 1 + self._length(spec) if self.takes(spec) else spec.size_bytes

    def most_error(self, values: Values, spec: TensorSpec) -> float:
        if not self.takes(spec):
            return 0.0
        rows = in_rows(as_float32(values, spec), self._axis(spec))
        found = ranges_of(rows, self.levels, self.clipped)
        return 0.0 if found is None else most_error(rows, found, self.levels, spec)

    def _axis(self, spec: TensorSpec) -> int | None:
        return channel_axis(spec) if self.per_channel else None

    def ranges(self, spec: TensorSpec) -> int:
        """How many ranges stand in front of the numbers."""
        axis = self._axis(spec)
        return 1 if axis is None else spec.shape[axis]

    def _length(self, spec: TensorSpec) -> int:
        return self.ranges(spec) * RANGE.itemsize + packed_bytes(spec.n_elements, self.bits)

    def _coded(self, values: Values, spec: TensorSpec) -> bytes | None:
        found = self.split(values, spec)
        return None if found is None else found[0].tobytes() + pack(found[1], self.bits).tobytes()

    def split(self, values: Values, spec: TensorSpec) -> tuple[NDArray[np.void], NDArray[np.uint8]] | None:
        """The ranges and the numbers, one in a byte; None where values have to stay plain."""
        rows = in_rows(as_float32(values, spec), self._axis(spec))
        found = ranges_of(rows, self.levels, self.clipped)
        return None if found is None else (found, quantised(rows, found, self.levels).reshape(-1))

    def _values(self, data: memoryview, spec: TensorSpec) -> Values:
        if len(data) != self._length(spec):
            raise self._damaged(spec, f"it has {len(data) + 1} bytes and must have {self._length(spec) + 1}")
        head = self.ranges(spec) * RANGE.itemsize
        numbers = unpack(np.frombuffer(data[head:], np.uint8), self.bits, spec.n_elements)
        return self.joined(np.frombuffer(data[:head], RANGE), numbers, spec)

    def joined(self, found: NDArray[np.void], numbers: NDArray[np.uint8], spec: TensorSpec) -> Values:
        """The values of ranges and numbers."""
        if not (np.isfinite(found["low"]).all() and np.isfinite(found["step"]).all()):
            raise self._damaged(spec, "a range in it is not finite")
        axis = self._axis(spec)
        with np.errstate(over="ignore"):
            rows = levels_to_values(numbers.reshape(len(found), -1), found)
            if axis is None:
                return from_float32(rows.reshape(spec.shape), spec)
            rest = tuple(size for i, size in enumerate(spec.shape) if i != axis)
            return from_float32(np.moveaxis(rows.reshape(len(found), *rest), 0, axis), spec)


def packed_bytes(count: int, bits: int) -> int:
    """Bytes of so many numbers; they are laid in whole groups."""
    return {8: count, 6: 3 * -(-count // 4), 4: -(-count // 2), 3: count, 2: -(-count // 4)}[bits]


def pack(numbers: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Numbers of a few bits without gaps: halves or quarters of them lie over each other, which is quick."""
    if bits == 8:
        return numbers
    parts = 2 if bits == 4 else 4
    size = -(-len(numbers) // parts)
    padded = np.zeros(parts * size, np.uint8)
    padded[: len(numbers)] = numbers
    part = padded.reshape(parts, size)
    packed: NDArray[np.uint8]
    if bits == 4:
        packed = part[0] | part[1] << 4
    elif bits == 2:
        packed = part[0] | part[1] << 2 | part[2] << 4 | part[3] << 6
    else:
        packed = np.concatenate([part[i] | (part[3] >> 2 * i & 3) << 6 for i in range(3)])
    return packed


def unpack(packed: NDArray[np.uint8], bits: int, count: int) -> NDArray[np.uint8]:
    """The first `count` numbers of what `pack` made."""
    if bits == 8:
        return packed
    if bits == 4:
        parts = [packed & 15, packed >> 4]
    elif bits == 2:
        parts = [packed >> 2 * i & 3 for i in range(4)]
    else:
        part = packed.reshape(3, -1)
        parts = [*(part & 63), part[0] >> 6 | part[1] >> 6 << 2 | part[2] >> 6 << 4]
    numbers: NDArray[np.uint8] = np.concatenate(parts)[:count]
    return numbers
