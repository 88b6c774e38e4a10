"""Looks through the bytes of an ONNX file before any library builds objects from them: how much, and what, is in it.

A file of a few megabytes can make a million objects. The scan holds nothing but where it is, and stops at the first
limit; it refuses what may not be in a file at all, by the field in which that stands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from mmap import mmap

from decc_core.errors import RefusedFile, UnreadableFile
from decc_core.load.limits import Limits

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
FIELDS_A_LAYER = 100
"""A file has no more parts than this for each layer that is allowed: names, attributes, metadata, dimensions."""
NAME_BYTES = 1000
OUTPUTS_A_NODE = 1000
UNPACKED_BYTES = 128 << 20
"""Whole numbers that are not stored raw grow up to eight times when they are read."""
OUTERMOST_FIELDS = 200_000
BEGINNING_BYTES = 16
REMEDY = "export it again with torch.onnx.export(model, inputs, 'model.onnx', external_data=False)"

SUBGRAPHS = "holds several networks in one attribute, which no operator takes; export it again"
FUNCTION = "brings functions of its own, which are not taken; inline them with onnx.inliner.inline_local_functions"
SPARSE = "holds sparse tensors, which are not taken; store them as ordinary tensors"
TRAINING = "holds a training graph; export it for inference"
KIND = "holds something that is no tensor but a map, optional or sparse tensor; export tensors only"
STRINGS = "holds text as tensors, which is not taken; export numbers only"
SEGMENT = "holds tensors in segments, which are not taken; export it again"
DEVICES = "is divided over devices; export it for one"


@dataclass(frozen=True)
class _Kind:
    """A message: which fields are messages, which are text, names, or numbers; and which may not be there, and why."""

    name: str
    messages: Mapping[int, str] = field(default_factory=dict)
    texts: tuple[int, ...] = ()
    names: tuple[int, ...] = ()
    numbers: tuple[int, ...] = ()
    refused: Mapping[int, str] = field(default_factory=dict)
    most: Mapping[int, tuple[int, str]] = field(default_factory=dict)
    """How often a field may stand in one message, and what to say of more."""


_KINDS = {
    kind.name: kind
    for kind in (
        _Kind(
            "Model",
            {7: "Graph", 8: "Opset", 14: "Entry"},
            texts=(2, 3, 4, 6),
            refused={20: TRAINING, 25: FUNCTION, 26: DEVICES},
        ),
        _Kind("Opset", texts=(1,)),
        _Kind("Entry", texts=(1, 2)),
        _Kind(
            "Graph",
            {1: "Node", 5: "Tensor", 11: "Value", 12: "Value", 13: "Value", 14: "Annotation", 16: "Entry"},
            texts=(10,),
            names=(2,),
            refused={15: SPARSE},
        ),
        _Kind("Annotation", {2: "Entry"}, names=(1,)),
        _Kind(
            "Node",
            {5: "Attribute", 9: "Entry"},
            texts=(6,),
            names=(1, 2, 3, 4, 7, 8),
            most={
                2: (
                    OUTPUTS_A_NODE,
                    "A layer in the file gives more than {:,} tensors; networks have layers with fewer.",
                )
            },
            refused={10: DEVICES},
        ),
        _Kind(
            "Attribute",
            {5: "Tensor", 6: "Graph", 10: "Tensor"},
            texts=(13,),
            names=(1, 4, 9),
            numbers=(8,),
            refused={
                11: SUBGRAPHS,
                14: KIND,
                15: KIND,
                21: FUNCTION,
                22: SPARSE,
                23: SPARSE,
            },
        ),
        _Kind(
            "Tensor",
            {13: "Entry", 16: "Entry"},
            texts=(12,),
            names=(8,),
            numbers=(1, 5, 7, 11),
            refused={3: SEGMENT, 6: STRINGS},
        ),
        _Kind("Value", {2: "Type", 4: "Entry"}, texts=(3,), names=(1,)),
        _Kind("Type", {1: "TensorType", 4: "Sequence"}, texts=(6,), refused={5: KIND, 7: KIND, 8: KIND, 9: KIND}),
        _Kind("Sequence", {1: "Type"}),
        _Kind("TensorType", {2: "Shape"}),
        _Kind("Shape", {1: "Dimension"}),
        _Kind("Dimension", names=(2, 3)),
    )
}


_ONCE = {
    *(("Model", 7), ("Value", 2), ("Type", 1), ("Type", 4), ("Sequence", 1), ("TensorType", 2)),
    *(("Attribute", 5), ("Attribute", 6)),
}
DEEPEST = 40
"""Messages within messages; the branch of an If adds three."""
_MODEL = {1: VARINT, 5: VARINT} | dict.fromkeys((2, 3, 4, 6, 7, 8, 14, 20, 25, 26), BYTES)
"""Wire types of the fields of a Model."""
_GRAPH_BEGINS = (1, 2, 5, 10, 11, 12, 13, 14, 15, 16)
CUT_OFF = "The file ends within one of its parts; it was cut off."


@dataclass(frozen=True)
class Outline:
    """The outermost fields of a file: number -> wire type, and the first bytes of the first of each number."""

    fields: dict[int, int]
    beginnings: dict[int, bytes]
    whole: bool
    """The fields end where the file ends."""

    @property
    def is_onnx(self) -> bool:
        """Fields of a Model alone, a graph that begins as one, and a version; of a cut-off file, as far as it goes."""
        graph = self.beginnings.get(7, b"")
        begins_well = not graph or (graph[0] & 7 == BYTES and graph[0] >> 3 in _GRAPH_BEGINS)
        return (
            all(_MODEL.get(number) == wire for number, wire in self.fields.items())
            and 7 in self.fields
            and (1 in self.fields or 8 in self.fields)
            and begins_well
        )


def outline(data: bytes | mmap) -> Outline | None:
    """What is outermost in a protocol buffer, or None where the bytes are none; contents are skipped."""
    fields: dict[int, int] = {}
    beginnings: dict[int, bytes] = {}
    whole = True
    try:
        for count, (number, wire, at, stop) in enumerate(_fields(data, 0, len(data))):
            if fields.setdefault(number, wire) != wire or count >= OUTERMOST_FIELDS:
                return None
            beginnings.setdefault(number, data[at : min(stop, at + BEGINNING_BYTES)])
            whole = stop <= len(data)
    except _CutOff:
        whole = False
    except UnreadableFile:
        return None
    return Outline(fields, beginnings, whole)


def scan(data: bytes, limits: Limits) -> None:
    """Refuse a file that is no ONNX, has too many parts, or parts that are not taken; one pass, no copies."""
    _Scan(data, limits).message("Model", 0, len(data), 0)


class _Scan:
    def __init__(self, data: bytes, limits: Limits) -> None:
        self.data, self.limits = data, limits
        self.fields, self.nodes, self.unpacked = 0, 0, 0

    def message(self, name: str, at: int, end: int, depth: int) -> None:
        """Fields of one message; deeper ones by recursion, up to a depth."""
        if depth > DEEPEST:
            raise UnreadableFile("The file holds parts within parts deeper than exporters write; export it again.")
        kind, single, often = _KINDS[name], set[int](), Counter[int]()
        for number, wire, start, stop in _fields(self.data, at, end):
            self._count(name, number)
            if number in kind.refused:
                raise RefusedFile(f"The file {kind.refused[number]}.")
            if number in kind.most:
                often[number] += 1
                limit, sentence = kind.most[number]
                if often[number] > limit:
                    raise UnreadableFile(sentence.format(limit))
            if stop > end:
                raise _CutOff(CUT_OFF)
            inner = kind.messages.get(number)
            if wire != BYTES:
                if inner or number in kind.texts or number in kind.names:
                    raise _no_onnx()
            elif inner:
                if (name, number) in _ONCE and number in single:
                    raise UnreadableFile(f"The file has two {inner.lower()}s where one belongs.")
                single.add(number)
                self.message(inner, start, stop, depth + 1)
            else:
                self._text(kind, number, start, stop)

    def _count(self, name: str, number: int) -> None:
        self.fields += 1
        self.nodes += (name, number) == ("Graph", 1)
        if self.nodes > self.limits.layers:
            raise self.limits.exceeded("layers")
        if self.fields > FIELDS_A_LAYER * self.limits.layers:
            raise self.limits.exceeded("layers", what="has more parts than {} layers need")

    def _text(self, kind: _Kind, number: int, at: int, end: int) -> None:
        if number in kind.numbers:
            self.unpacked += end - at
            if self.unpacked > UNPACKED_BYTES:
                raise UnreadableFile(
                    f"The file holds more than {UNPACKED_BYTES >> 20} MiB of whole numbers one by one; "
                    "store its tensors as raw data (onnx.numpy_helper.from_array does)."
                )
        if number in kind.names and end - at > NAME_BYTES:
            raise UnreadableFile(
                f"A name or word in the file has {end - at:,} bytes; they have {NAME_BYTES:,} at most."
            )
        # What an attribute says in words is any bytes.
        if (kind.name, number) not in (("Attribute", 4), ("Attribute", 9)) and number in (*kind.names, *kind.texts):
            try:
                self.data[at:end].decode("utf-8")
            except UnicodeDecodeError:
                raise UnreadableFile("A name or text in the file is not UTF-8; it is damaged, or no ONNX.") from None


class _CutOff(UnreadableFile):
    """The bytes end where a field does not."""


def _fields(data: bytes | mmap, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, wire type, start and stop of every field; the last one's stop is behind the end where it was cut off."""
    while at < end:
        key, at = _varint(data, at, end)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            stop = _varint(data, at, end)[1]
        elif wire == BYTES:
            size, at = _varint(data, at, end)
            stop = at + size
        elif wire in (FIXED32, FIXED64):
            stop = at + (4 if wire == FIXED32 else 8)
        else:
            raise _no_onnx()
        if not 0 < number < 1 << 29:
            raise _no_onnx()
        yield number, wire, at, stop
        at = stop


def _varint(data: bytes | mmap, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise _no_onnx()
    raise _CutOff(CUT_OFF)


def _no_onnx() -> UnreadableFile:
    return UnreadableFile(f"This is not an ONNX file; {REMEDY}.")
