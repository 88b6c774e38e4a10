"""Weights that an ONNX file keeps in files beside it: which files, and their bytes, once all claims are checked.

A name in a file is a claim, too: it may lead anywhere. Only plain names are taken, and only of files that whoever reads
the network has chosen.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from decc_core.errors import NeedsFiles, RefusedFile, UnreadableFile
from decc_core.files import reason
from decc_core.load.limits import Limits
from decc_core.load.onnx.checks import TYPED, claimed_bytes
from decc_core.load.onnx.nodes import tensors
from decc_core.load.onnx.scan import REMEDY
from decc_core.ranges import is_count
from decc_core.text import shown

MAX_PROTOBUF = (1 << 31) - 1
LONGEST_NAME = 255


def require_plain(name: str) -> None:
    """Refuse a name that is more than the name of a file in the same folder."""
    if name in ("", ".", "..") or len(name.encode()) > LONGEST_NAME or any(c in "/\\:" or c < " " for c in name):
        raise RefusedFile(
            f"The file keeps weights in {shown(name)}, but only files of its own folder are read; {REMEDY}."
        )


def missing(name: str) -> RefusedFile:
    """Says that a file with weights is not there, and what to do."""
    return RefusedFile(
        f"The file keeps weights in {shown(name)}, which is not there; put both into one folder, or drop both on the "
        f"page together, or {REMEDY}."
    )


def take_in(proto: Any, beside: Mapping[str, Path], limits: Limits) -> None:
    """Put weights that are kept in other files into the network, in place; raises `NeedsFiles` where files lack."""
    kept = [(tensor, what) for tensor, what in tensors(proto.graph) if tensor.data_location or tensor.external_data]
    if not kept:
        return
    places: dict[str, list[tuple[Any, str, int, int]]] = {}
    for tensor, what in kept:
        name, offset, length = _place(tensor, what)
        size = claimed_bytes(tensor, what)
        if any(len(getattr(tensor, field)) for field in ("raw_data", *TYPED)) or length not in (None, size):
            raise UnreadableFile(
                f"{what} says that it has the shape {list(tensor.dims)}, which is {size:,} bytes, and is kept in "
                f"{shown(name)} with another size; export the network again."
            )
        places.setdefault(name, []).append((tensor, what, offset, size))
    if lacking := next((name for name in places if name not in beside), None):
        raise NeedsFiles(str(missing(lacking)), tuple(places))
    total = sum(size for inside in places.values() for *_, size in inside)
    limits.require(parameter_bytes=total)
    if total + proto.ByteSize() > MAX_PROTOBUF:
        raise UnreadableFile("The network has more than the 2 GiB that ONNX Runtime optimises; export a smaller one.")
    for name, inside in places.items():
        try:
            _read(beside[name], name, inside)
        except OSError as error:
            raise UnreadableFile(f"Cannot read {shown(name)}: {reason(error)}.") from None


def _place(tensor: Any, what: str) -> tuple[str, int, int | None]:
    """The name of the file, where the tensor begins in it, and how long it claims to be."""
    said = {entry.key: entry.value for entry in tensor.external_data}
    name = said.get("location", "")
    if not name:
        raise RefusedFile(f"{what} is kept in another file, and it is not said in which; {REMEDY}.")
    require_plain(name)
    numbers = said.get("offset", "0"), said.get("length", "0")
    if not all(map(is_count, numbers)):
        raise UnreadableFile(f"{what} is kept at an impossible place in {shown(name)}; export the network again.")
    return name, int(numbers[0]), int(numbers[1]) if "length" in said else None


def _read(path: Path, name: str, inside: list[tuple[Any, str, int, int]]) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableFile(f"Cannot read {shown(name)}: it is no ordinary file.")
        for tensor, what, offset, size in inside:
            file.seek(offset)
            content = file.read(size) if offset + size <= status.st_size else b""
            if len(content) != size:
                raise UnreadableFile(f"{what} is kept in {shown(name)}, which ends before it; the file was cut off.")
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")
            tensor.raw_data = content
