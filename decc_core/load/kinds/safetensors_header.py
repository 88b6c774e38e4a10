"""What a safetensors file says that it holds, checked before anything is allocated for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec

from decc_core.errors import UnreadableFile
from decc_core.text import shown

MAX_HEADER_BYTES = 16 << 20
BYTES_OF = {
    "F64": 8, "I64": 8, "U64": 8, "C64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
    "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip


@dataclass(frozen=True)
class StoredTensor:
    dtype: str
    """As the format writes it: F32, BF16, ..."""
    shape: tuple[int, ...]


_Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]


class _Tensor(msgspec.Struct):
    dtype: str
    shape: Annotated[tuple[_Count, ...], msgspec.Meta(max_length=64)]
    data_offsets: tuple[_Count, _Count]


def looks_like(head: bytes, size: int) -> bool:
    """The length of a header, and the header's first character; nothing else begins so."""
    return len(head) > 8 and 2 <= int.from_bytes(head[:8], "little") < 1 << 32 and head[8:9] == b"{"


def read_header(path: Path, name: str) -> dict[str, StoredTensor]:
    """Dtype and shape of every tensor; refuses those that overlap, or whose place does not fit their shape."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        return _header(file, size, name)


def _header(file: BinaryIO, size: int, name: str) -> dict[str, StoredTensor]:
    length = int.from_bytes(file.read(8), "little")
    if length > size - 8:
        raise UnreadableFile(
            f"{shown(name)} is a safetensors file that breaks off inside its header; download or copy it again."
        )
    if length > MAX_HEADER_BYTES:
        raise UnreadableFile(
            f"{shown(name)} is a safetensors file with a header of {length} bytes; {MAX_HEADER_BYTES} are read at most."
        )
    try:
        entries = msgspec.json.decode(file.read(length), type=dict[str, msgspec.Raw])
        entries.pop("__metadata__", None)
        found = {key: msgspec.json.decode(raw, type=_Tensor) for key, raw in entries.items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UnreadableFile(
            f"{shown(name)} begins as a safetensors file does, but its header is not valid; save it again."
        ) from None
    _check_places(found, size - 8 - length, name)
    return {key: StoredTensor(tensor.dtype, tensor.shape) for key, tensor in found.items()}


def _check_places(tensors: dict[str, _Tensor], data_bytes: int, name: str) -> None:
    end = 0
    for key, tensor in sorted(tensors.items(), key=lambda item: item[1].data_offsets):
        start, stop = tensor.data_offsets
        if tensor.dtype not in BYTES_OF:
            raise UnreadableFile(f"{shown(name)} has a tensor {shown(key)} of the unknown kind {shown(tensor.dtype)}.")
        if math.prod(tensor.shape) * BYTES_OF[tensor.dtype] != stop - start:
            raise UnreadableFile(f"{shown(name)} has a tensor {shown(key)} whose size does not fit its shape.")
        if start != end:
            raise UnreadableFile(f"{shown(name)} has a tensor {shown(key)} that overlaps another, or leaves a hole.")
        end = stop
    if end != data_bytes:
        what = "breaks off inside its tensors" if end > data_bytes else "holds more bytes than its header says"
        raise UnreadableFile(f"{shown(name)} is a safetensors file that {what}; download or copy it again.")
