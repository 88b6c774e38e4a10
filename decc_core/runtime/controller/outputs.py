"""What a run returned, beside what the unsplit model returns; plain bytes and NumPy, so that no torch is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decc_core.network.graph import TensorSpec
from decc_core.runtime.wire import messages as m
from decc_core.runtime.wire.assembly import Assembler, TensorChunk, TensorHead


@dataclass(frozen=True)
class Output:
    """One tensor as it came over the wire."""

    head: TensorHead
    data: bytes

    def array(self) -> NDArray[Any]:
        """As a NumPy array in logical order; bfloat16 becomes float32."""
        shape = [self.head.shape[dim] for dim in self.head.order]
        if self.head.dtype == "bfloat16":
            flat = (np.frombuffer(self.data, np.uint16).astype(np.uint32) << 16).view(np.float32)
        else:
            flat = np.frombuffer(self.data, np.dtype(self.head.dtype))
        array: NDArray[Any] = flat.reshape(shape).transpose(np.argsort(self.head.order))
        return array


Outputs = dict[int, Output]
"""A request's outputs by the index of their tensor."""


@dataclass(frozen=True)
class Distance:
    """How far outputs are from the reference: equal bit for bit, largest difference, same first choice."""

    equal: bool
    max_abs: float
    same_top1: bool


def compare_outputs(given: Outputs, reference: Outputs) -> Distance:
    """Compare all outputs of one request; NaN equals NaN, and a missing output is infinitely far."""
    if given.keys() != reference.keys():
        return Distance(False, float("inf"), False)
    tensors = [_compare(given[tensor].array(), reference[tensor].array()) for tensor in reference]
    return Distance(
        all(tensor.equal for tensor in tensors),
        max((tensor.max_abs for tensor in tensors), default=0.0),
        all(tensor.same_top1 for tensor in tensors),
    )


def _compare(given: NDArray[Any], reference: NDArray[Any]) -> Distance:
    if given.shape != reference.shape or given.dtype != reference.dtype:
        return Distance(False, float("inf"), False)
    if np.ascontiguousarray(given).tobytes() == np.ascontiguousarray(reference).tobytes():
        return Distance(True, 0.0, True)
    wide = np.complex128 if np.iscomplexobj(given) else np.float64
    difference = np.abs(given.astype(wide) - reference.astype(wide))
    difference[np.isnan(given) & np.isnan(reference)] = 0.0
    top1 = bool(np.argmax(given) == np.argmax(reference)) if not np.iscomplexobj(given) else False
    return Distance(False, float(np.nan_to_num(difference, nan=np.inf).max()), top1)


class OutputsReader:
    """Puts the chunks of outputs together, request by request."""

    def __init__(self, specs: Mapping[int, TensorSpec], requests: int, sender: str) -> None:
        expected = {(request, tensor): spec for request in range(requests) for tensor, spec in specs.items()}
        self.assembler = Assembler(f"results from the {sender}", expected, requests)
        self.open: dict[int, Outputs] = {}
        self.done: dict[int, Outputs] = {}

    def take(self, event: Any) -> None:
        """A chunk, or the end, of one request's outputs; other events are not for us."""
        if isinstance(event, TensorChunk):
            complete = self.assembler.add(event)
            if complete is not None:
                self.open.setdefault(event.request, {})[event.tensor] = Output(complete[0], bytes(complete[1]))
        elif isinstance(event, m.Done):
            self.done[event.request] = self.open.pop(event.request, {})
