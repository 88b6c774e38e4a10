"""Tensors as they are, and floats of half the length: formats whose messages begin with no mark."""

from __future__ import annotations

import numpy as np

from decc_core.formats.format import Buffer, Format, Values, carrier
from decc_core.network.graph import TensorSpec

HALVED = ("float32", "float64")
LARGEST = 65_504
"""Of half floats."""
REL_ERROR, ABS_ERROR = 2.0**-11, 2.0**-25
"""Of rounding to a half float: relative, and absolute near 0."""


class Raw(Format):
    """Every value as it is."""

    name = "raw"
    lossless = True

    def takes(self, spec: TensorSpec) -> bool:
        return False

    def certain_bytes(self, spec: TensorSpec) -> int | None:
        return spec.size_bytes

    def _coded(self, values: Values, spec: TensorSpec) -> bytes | None:
        return None

    def _values(self, data: memoryview, spec: TensorSpec) -> Values:
        return self._plain(data, spec)


class Half(Format):
    """Floats of 32 and 64 bits as half floats; a tensor with a finite value that no half float holds stays plain.

    Its messages have no mark, as the length says which of both it is.
    """

    name = "fp16"
    lossless = False

    def takes(self, spec: TensorSpec) -> bool:
        return spec.dtype in HALVED

    def certain_bytes(self, spec: TensorSpec) -> int | None:
        return 2 * spec.n_elements if self.takes(spec) else spec.size_bytes

    def most_bytes(self, spec: TensorSpec) -> int:
        return spec.size_bytes

    def most_error(self, values: Values, spec: TensorSpec) -> float:
        if not self.takes(spec) or not values.size:
            return 0.0
        finite = np.abs(values[np.isfinite(values)])
        return float(finite.max(initial=0.0)) * REL_ERROR + ABS_ERROR

    def encode(self, values: Values, spec: TensorSpec) -> bytes:
        return super().encode(values, spec)[1 if self.takes(spec) else 0 :]

    def decode(self, data: Buffer, spec: TensorSpec) -> Values:
        given = memoryview(data).cast("B")
        if self.takes(spec) and len(given) == 2 * spec.n_elements:
            return self._values(given, spec)
        return self._plain(given, spec)

    def _coded(self, values: Values, spec: TensorSpec) -> bytes | None:
        with np.errstate(over="ignore"):
            halves = values.astype(np.float16)
        # Of NaN neither holds, and of values that fit both do: then there is nothing to look for.
        fits = values.size == 0 or (values.min() > -LARGEST and values.max() < LARGEST)
        if not fits and not np.array_equal(np.isinf(halves), np.isinf(values)):
            return None
        return halves.tobytes()

    def _values(self, data: memoryview, spec: TensorSpec) -> Values:
        return np.frombuffer(data, np.float16).astype(carrier(spec.dtype)).reshape(spec.shape)
