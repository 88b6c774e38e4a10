"""Which protobuf message a file holds, told by the numbers and wire types of its fields; nothing is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

MAX_FIELDS = 200_000
VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5
ONNX_MODEL = {1: VARINT, 2: BYTES, 3: BYTES, 4: BYTES, 5: VARINT, 6: BYTES, 7: BYTES, 8: BYTES, 14: BYTES, 20: BYTES,
              25: BYTES, 26: BYTES}  # fmt: skip
ONNX_GRAPH_FIRST = {1, 2, 5, 10, 11, 12, 13, 14, 15, 16}
HEAD = 16


@dataclass(frozen=True)
class Message:
    """The outermost fields of a file: number -> wire type, and the first bytes of the first of each number."""

    fields: dict[int, int]
    heads: dict[int, bytes]
    whole: bool
    """The fields end where the file ends."""


def message(file: BinaryIO, size: int) -> Message | None:
    """The outermost fields, or None where the bytes are none; contents are skipped, so this costs little."""
    file.seek(0)
    fields: dict[int, int] = {}
    heads: dict[int, bytes] = {}
    at = 0
    for _ in range(MAX_FIELDS):
        if at == size:
            return Message(fields, heads, True)
        tag = _varint(file)
        if tag is None:
            return Message(fields, heads, False)
        number, wire = tag >> 3, tag & 7
        if number == 0 or number > 1 << 20 or fields.setdefault(number, wire) != wire:
            return None
        if wire == VARINT:
            value = _varint(file)
            if value is None:
                return Message(fields, heads, False)
            heads.setdefault(number, value.to_bytes(10, "little"))
            at = file.tell()
            continue
        length = {FIXED_64: 8, FIXED_32: 4}.get(wire) if wire != BYTES else _varint(file)
        if length is None:
            return None if wire != BYTES else Message(fields, heads, False)
        at = file.tell()
        heads.setdefault(number, file.read(min(HEAD, length)))
        at += length
        if at > size:
            return Message(fields, heads, False)
        file.seek(at)
    return None


def is_onnx(found: Message) -> bool:
    """The fields of onnx.ModelProto, with a graph or as far as a broken-off file goes."""
    if not found.fields or any(ONNX_MODEL.get(number) != wire for number, wire in found.fields.items()):
        return False
    graph = found.heads.get(7, b"")
    starts_well = not graph or (graph[0] & 7 == BYTES and graph[0] >> 3 in ONNX_GRAPH_FIRST)
    return starts_well and 7 in found.fields and (1 in found.fields or 8 in found.fields)


def is_saved_model(found: Message) -> bool:
    """tensorflow.SavedModel: a schema version, and meta graphs."""
    return found.fields == {1: VARINT, 2: BYTES} and found.heads.get(2, b"")[:1] in (b"\x0a", b"\x12")


def is_frozen_graph(found: Message) -> bool:
    """tensorflow.GraphDef: nodes that begin with a name, then perhaps versions and a library."""
    nodes = found.fields.get(1) == BYTES and found.fields.items() <= {(1, BYTES), (2, BYTES), (3, VARINT), (4, BYTES)}
    head = found.heads.get(1, b"")
    return nodes and found.whole and head[:1] == b"\x0a" and head[2:].split(b"\x12")[0].isascii()


def is_core_ml(found: Message) -> bool:
    """CoreML.Model: a version, a description, and one model whose field number is at least 200."""
    return found.fields.get(1) == VARINT and found.fields.get(2) == BYTES and any(n >= 200 for n in found.fields)


def _varint(file: BinaryIO) -> int | None:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << shift
        if not byte[0] & 0x80:
            return value
    return None
