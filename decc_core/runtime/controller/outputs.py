"""What a run returned, beside what the unsplit model returns; plain bytes and NumPy, so that no torch is needed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decc_core.errors import WorkerFailed
from decc_core.files import reason
from decc_core.network.graph import FLOAT_DTYPES, TensorSpec
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


OTHER_KERNELS = 0.01
"""By so much of an output's largest value kernels of another device, which round and sum otherwise, may change it."""


class Verdict(StrEnum):
    """What a run's outputs are beside the unsplit model's.

    Bit-identical: every bit, and no tensor was coded with loss. Within tolerance: what formats and kernels explain.
    Different: more than that, so that something is wrong.
    """

    IDENTICAL = "bit-identical"
    TOLERATED = "within tolerance"
    DIFFERENT = "different"


@dataclass(frozen=True)
class Distance:
    """How far outputs are from the reference: equal bit for bit, largest difference, same first choice.

    `explained` is whether other kernels may make such a difference: it is small beside each output's largest value.
    """

    equal: bool
    max_abs: float
    same_top1: bool
    explained: bool = False


def judged(differences: Mapping[int, Distance], from_formats: Mapping[int, Distance], lossy: bool) -> Verdict:
    """What outputs are, by their distances from the unsplit model's and from what formats give without a link.

    What formats explain is what the same cut and formats give on one device: from that outputs may differ by no more
    than kernels of another device explain.
    """
    if not lossy and all(distance.equal for distance in differences.values()):
        return Verdict.IDENTICAL
    explained = all(
        distance.explained or (number in from_formats and from_formats[number].explained)
        for number, distance in differences.items()
    )
    return Verdict.TOLERATED if explained else Verdict.DIFFERENT


def compare_outputs(given: Outputs, reference: Outputs) -> Distance:
    """Compare all outputs of one request; NaN equals NaN, and a missing output is infinitely far."""
    if given.keys() != reference.keys():
        return Distance(False, float("inf"), False)
    tensors = [_compare(given[tensor].array(), reference[tensor].array()) for tensor in reference]
    return Distance(
        all(tensor.equal for tensor in tensors),
        max((tensor.max_abs for tensor in tensors), default=0.0),
        all(tensor.same_top1 for tensor in tensors),
        all(tensor.explained for tensor in tensors),
    )


def _compare(given: NDArray[Any], reference: NDArray[Any]) -> Distance:
    if given.shape != reference.shape or given.dtype != reference.dtype:
        return Distance(False, float("inf"), False)
    if np.ascontiguousarray(given).tobytes() == np.ascontiguousarray(reference).tobytes():
        return Distance(True, 0.0, True, True)
    wide = np.complex128 if np.iscomplexobj(given) else np.float64
    difference = np.abs(given.astype(wide) - reference.astype(wide))
    difference[np.isnan(given) & np.isnan(reference)] = 0.0
    top1 = bool(np.argmax(given) == np.argmax(reference)) if not np.iscomplexobj(given) else False
    max_abs = float(np.nan_to_num(difference, nan=np.inf).max())
    largest = float(np.abs(reference.astype(wide)).max(where=np.isfinite(reference), initial=0.0))
    return Distance(False, max_abs, top1, max_abs <= OTHER_KERNELS * largest)


def is_classifier(outputs: Sequence[TensorSpec]) -> bool:
    """Whether a network returns one score for each of several classes, and nothing else."""
    (one, *more) = outputs
    return not more and one.dtype in FLOAT_DTYPES and len(one.shape) == 2 and one.shape[0] == 1 and one.shape[1] > 1


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WorkerFailed(f"The unsplit model's outputs cannot be kept in a file: {reason(error)}.") from None


class References:
    """What the unsplit model returns, request by request; kept in a file without a name, as it may be large."""

    def __init__(self) -> None:
        """`WorkerFailed` where there is no place for such a file."""
        with _told():
            # Open for as long as this object is there.
            self._file = tempfile.TemporaryFile(prefix="decc-references-")  # noqa: SIM115
        self._places: dict[int, dict[int, tuple[TensorHead, int, int]]] = {}

    def __contains__(self, request: int) -> bool:
        return request in self._places

    def keep(self, request: int, outputs: Outputs) -> None:
        """Write a request's outputs down; `WorkerFailed` where the disk does not take them."""
        places = {}
        with _told():
            for tensor, output in outputs.items():
                places[tensor] = (output.head, self._file.tell(), len(output.data))
                self._file.write(output.data)
            self._file.flush()
        self._places[request] = places

    def of(self, request: int) -> Outputs:
        """A request's outputs, read again."""
        return {
            tensor: Output(head, os.pread(self._file.fileno(), size, start))
            for tensor, (head, start, size) in self._places[request].items()
        }

    def close(self) -> None:
        """Let go of the file; what a full disk did not take need not be written any more."""
        with suppress(OSError):
            self._file.close()


class OutputsReader:
    """Puts the chunks of outputs together, and hands them on, request by request."""

    def __init__(
        self,
        specs: Mapping[int, TensorSpec],
        requests: int,
        sender: str,
        complete: Callable[[int, Outputs], None],
    ) -> None:
        expected = {(request, tensor): spec for request in range(requests) for tensor, spec in specs.items()}
        self.assembler = Assembler(f"results from the {sender}", expected, requests)
        self.open: dict[int, Outputs] = {}
        self.complete = complete

    def take(self, event: Any) -> None:
        """A chunk, or the end, of one request's outputs; other events are not for us."""
        if isinstance(event, TensorChunk):
            complete = self.assembler.add(event)
            if complete is not None:
                self.open.setdefault(event.request, {})[event.tensor] = Output(complete[0], bytes(complete[1]))
        elif isinstance(event, m.Done):
            self.complete(event.request, self.open.pop(event.request, {}))
