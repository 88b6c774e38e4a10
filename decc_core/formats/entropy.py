"""Clip, quantise coarsely, and code the numbers in as many bits as their frequencies ask for.

After Cohen, Choi and Bajić, "Lightweight compression of intermediate neural network features for collaborative
intelligence" (2021). Departures: clipping from the mean deviation, per tensor or per channel; the frequencies are
counted and sent along; the coder is a range coder, without contexts.
"""

from __future__ import annotations

import constriction
import numpy as np
from numpy.typing import NDArray

from decc_core.formats.format import Format, Values
from decc_core.formats.integers import RANGE, Integers
from decc_core.network.graph import TensorSpec

COUNT = np.dtype("<u4")
WORD = np.dtype("<u4")


class Entropy(Format):
    """Clipped numbers of a few bits, range coded: ranges, how often there is each number, and the coder's words."""

    lossless = False

    def __init__(self, bits: int, per_channel: bool = False) -> None:
        self.inner = Integers(bits, per_channel, clipped=True)
        self.name = f"range{bits}{'-channel' if per_channel else ''}"

    def takes(self, spec: TensorSpec) -> bool:
        return self.inner.takes(spec) and spec.n_elements <= np.iinfo(COUNT).max

    def certain_bytes(self, spec: TensorSpec) -> int | None:
        return None if self.takes(spec) else spec.size_bytes

    def most_error(self, values: Values, spec: TensorSpec) -> float:
        return self.inner.most_error(values, spec)

    def _coded(self, values: Values, spec: TensorSpec) -> bytes | None:
        found = self.inner.split(values, spec)
        if found is None:
            return None
        ranges, numbers = found
        counts = np.bincount(numbers, minlength=self.inner.levels)
        words = np.zeros(0, WORD)
        # Where all numbers are the same the counts say everything.
        if np.count_nonzero(counts) > 1:
            coder = constriction.stream.queue.RangeEncoder()
            coder.encode(numbers.astype(np.int32), _model(counts))
            words = coder.get_compressed().astype(WORD)
        return ranges.tobytes() + np.append(counts, len(words)).astype(COUNT).tobytes() + words.tobytes()

    def _values(self, data: memoryview, spec: TensorSpec) -> Values:
        levels, first = self.inner.levels, self.inner.ranges(spec) * RANGE.itemsize
        head = first + (levels + 1) * COUNT.itemsize
        if len(data) < head:
            raise self._damaged(spec, f"it has {len(data) + 1} bytes and must have at least {head + 1}")
        told = np.frombuffer(data[first:head], COUNT).astype(np.int64)
        counts, length = told[:-1], int(told[-1]) * WORD.itemsize
        if len(data) != head + length:
            raise self._damaged(spec, f"it has {len(data) - head} bytes behind its counts and must have {length}")
        if counts.sum() != spec.n_elements:
            raise self._damaged(spec, f"it counts {counts.sum()} values and must have {spec.n_elements}")
        if np.count_nonzero(counts) == 1:
            numbers = np.full(spec.n_elements, counts.argmax(), np.uint8)
        else:
            numbers = self._numbers(np.frombuffer(data[head:], WORD), counts, spec)
        return self.inner.joined(np.frombuffer(data[:first], RANGE), numbers, spec)

    def _numbers(self, words: NDArray[np.uint32], counts: NDArray[np.int64], spec: TensorSpec) -> NDArray[np.uint8]:
        try:
            decoder = constriction.stream.queue.RangeDecoder(words.astype(np.uint32))
            numbers: NDArray[np.uint8] = decoder.decode(_model(counts), spec.n_elements).astype(np.uint8)
        except (ValueError, AssertionError) as error:
            raise self._damaged(spec, str(error)) from None
        if not np.array_equal(np.bincount(numbers, minlength=self.inner.levels), counts):
            raise self._damaged(spec, "its values are others than it counts")
        return numbers


def _model(counts: NDArray[np.int64]) -> constriction.stream.model.Categorical:
    """Both ends make the same of the same counts."""
    return constriction.stream.model.Categorical(counts / counts.sum(), perfect=False)
