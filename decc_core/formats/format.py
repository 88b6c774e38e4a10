"""The face of all wire formats: a tensor's values become bytes, and values again.

Both ends know a tensor's dtype and shape. Dtypes that a format does not take travel as they are, without any mark; of
those that it takes each message begins with one byte that says whether the values were coded or had to stay plain.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decc_core.errors import WireError
from decc_core.network.graph import ITEM_BYTES, TensorSpec

Values = NDArray[Any]
Buffer = bytes | bytearray | memoryview

PLAIN, CODED = 0, 1
"""The first byte of a message."""


def carrier(dtype: str) -> np.dtype[Any]:
    """The numpy dtype that holds a tensor's values; numpy has no bfloat16, whose 16 bits travel as whole numbers."""
    return np.dtype("uint16" if dtype == "bfloat16" else dtype)


class Format(ABC):
    """One way to code tensors. `lossless` is whether every tensor comes back bit for bit."""

    name: str
    lossless: bool

    @abstractmethod
    def takes(self, spec: TensorSpec) -> bool:
        """Whether tensors of this dtype and shape are coded at all; others travel as they are."""

    @abstractmethod
    def certain_bytes(self, spec: TensorSpec) -> int | None:
        """How long a coded message is, where that is known without the values."""

    @abstractmethod
    def _coded(self, values: Values, spec: TensorSpec) -> bytes | None:
        """The values coded, or None where they have to stay plain."""

    @abstractmethod
    def _values(self, data: memoryview, spec: TensorSpec) -> Values:
        """The values of a coded message, of the spec's shape; raises `WireError` before it allocates for others."""

    def most_error(self, values: Values, spec: TensorSpec) -> float:
        """How far the largest difference may be between these values and what arrives; infinite where unbounded."""
        return 0.0 if self.lossless or not self.takes(spec) else inf

    def most_bytes(self, spec: TensorSpec) -> int:
        """No message of such a tensor is longer."""
        return spec.size_bytes + (1 if self.takes(spec) else 0)

    def encode(self, values: Values, spec: TensorSpec) -> bytes:
        """The message of a tensor. `values` may lie in memory as they like; their dtype is the spec's `carrier`."""
        if values.dtype != carrier(spec.dtype) or values.shape != spec.shape:
            raise WireError(
                f"A tensor of shape {values.shape} and {values.dtype} is to be coded as one of {spec.shape} and "
                f"{spec.dtype}."
            )
        values = np.ascontiguousarray(values).reshape(spec.shape)
        if not self.takes(spec):
            return values.tobytes()
        coded = self._coded(values, spec)
        if coded is None or len(coded) >= spec.size_bytes:
            return b"%c" % PLAIN + values.tobytes()
        return b"%c" % CODED + coded

    def decode(self, data: Buffer, spec: TensorSpec) -> Values:
        """The values of a message, of the spec's shape and its `carrier` dtype; raises `WireError` for anything else.

        No message makes it allocate more than the tensor, and what coding that takes, needs.
        """
        given = memoryview(data).cast("B")
        if not self.takes(spec):
            return self._plain(given, spec)
        if len(given) > self.most_bytes(spec) or not given:
            raise self._damaged(spec, f"it has {len(given)} bytes and must have 1 to {self.most_bytes(spec)}")
        if given[0] == PLAIN:
            return self._plain(given[1:], spec)
        if given[0] != CODED:
            raise self._damaged(spec, f"it begins with {given[0]}, which is no mark of the format")
        return self._values(given[1:], spec)

    def _plain(self, data: memoryview, spec: TensorSpec) -> Values:
        if len(data) != spec.size_bytes:
            raise self._damaged(spec, f"it has {len(data)} bytes of values and must have {spec.size_bytes}")
        return np.frombuffer(data, carrier(spec.dtype)).reshape(spec.shape)

    def _damaged(self, spec: TensorSpec, why: str) -> WireError:
        return WireError(
            f"A tensor of shape {list(spec.shape)} and {spec.dtype} cannot be decoded as {self.name}: {why}; "
            "the message was damaged, or both ends use different versions."
        )


def item_bytes(spec: TensorSpec) -> int:
    return ITEM_BYTES[spec.dtype]
