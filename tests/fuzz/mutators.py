"""Small damage to real files, made where a format's reader looks: fields and trees first, bytes as well.

Every mutator takes the file and a seeded `Random`, and gives another file; the same seed gives the same damage.
"""

from __future__ import annotations

import copy
import gzip
import io
import json
import pickletools
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any

import msgspec

Mutator = Callable[[bytes, random.Random], bytes]
LONGEST = 1 << 16
"""Longer files are cut: they would only take more time."""

INTEGERS = (
    0, 1, -1, 2, 7, 255, 256, 1 << 15, 1 << 31, (1 << 31) - 1, 1 << 32, 1 << 47, 1 << 62, (1 << 63) - 1,
    1 << 63, (1 << 64) - 1, -(1 << 63), 10**30,
)  # fmt: skip
REALS = (0.0, -0.0, 0.5, -1.5, 1e-320, 1e6, 1e300, -1e300)
TEXTS = (
    "", " ", "x", "\0", "\n", "\x1b[2J", "‮", "é", "😀", "\ud800", "<img src=x onerror=alert(1)>", "**bold**",
    "[link](javascript:alert(1))", "../../etc/passwd", "os.system", "torch.os.system", "__class__", "import",
    "NaN", "Infinity", "-Infinity", "1e999", "nan", "float32", "aten.relu.default",
    "torch.ops.aten.relu.default", "cpu", "meta", "as_int", "as_tensor", "s0", "a" * 2000, "a," * 300, "=1+1",
    "#",
)  # fmt: skip
VALUES: tuple[Any, ...] = (None, True, False, *INTEGERS, *REALS, *TEXTS, [], {}, [[]], [None], {"": None})
LITERALS = (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"1" + b"0" * 400, b'"\\ud800"', b'"\xff"', b"[" * 2000, b"//")


def of_bytes(data: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, cut out, doubled or moved."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        start = rng.randrange(len(found) + 1)
        end = min(len(found), start + rng.choice((1, 1, 2, 4, 8, 64, 1024)))
        rng.choice(_EDITS)(found, start, end, rng)
    return bytes(found[:LONGEST])


def _replaced(found: bytearray, start: int, end: int, rng: random.Random) -> None:
    found[start:end] = rng.randbytes(end - start)


def _nasty_byte(found: bytearray, start: int, end: int, rng: random.Random) -> None:
    found[start : start + 1] = bytes([rng.choice((0, 1, 10, 34, 44, 0x7F, 0x80, 0xFE, 0xFF))])


def _one_bit(found: bytearray, start: int, end: int, rng: random.Random) -> None:
    if start < len(found):
        found[start] ^= 1 << rng.randrange(8)


def _number(found: bytearray, start: int, end: int, rng: random.Random) -> None:
    size, value = rng.choice((1, 2, 4, 8)), rng.choice(INTEGERS)
    found[start : start + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, rng.choice(("little", "big")))


def _word(found: bytearray, start: int, end: int, rng: random.Random) -> None:
    found[start:start] = rng.choice(TEXTS).encode("utf-8", "surrogatepass")


def _gone(found: bytearray, start: int, end: int, rng: random.Random) -> None:
    del found[start:end]


def _doubled(found: bytearray, start: int, end: int, rng: random.Random) -> None:
    found[start:start] = found[start:end] * rng.choice((1, 1, 2, 50))


def _moved(found: bytearray, start: int, end: int, rng: random.Random) -> None:
    part = found[start:end]
    del found[start:end]
    at = rng.randrange(len(found) + 1)
    found[at:at] = part


def _cut(found: bytearray, start: int, end: int, rng: random.Random) -> None:
    if rng.random() < 0.3:
        del found[start:]


_EDITS = (
    _replaced,
    _nasty_byte,
    _nasty_byte,
    _one_bit,
    _one_bit,
    _number,
    _number,
    _word,
    _gone,
    _doubled,
    _moved,
    _cut,
)


def either(inner: Mutator, share: float = 0.85) -> Mutator:
    """Mostly the inner structure, sometimes the bytes as they lie in the file."""

    def mutated(data: bytes, rng: random.Random) -> bytes:
        if rng.random() < share:
            # Damage to damage: the file of an earlier round need not have the structure any more.
            with suppress(Exception):
                return inner(data, rng)[:LONGEST]
        return of_bytes(data, rng)

    return mutated


# JSON


def in_json(data: bytes, rng: random.Random) -> bytes:
    """Values, keys and whole branches of the tree changed; now and then a literal that JSON does not have."""
    tree = json.loads(data)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        tree = _changed_tree(tree, rng)
    text = json.dumps(tree, ensure_ascii=rng.random() < 0.8).encode("utf-8", "surrogatepass")
    if rng.random() < 0.05:
        at = rng.choice([i for i, byte in enumerate(text) if byte in b":,["] or [0])
        text = text[: at + 1] + rng.choice(LITERALS) + text[at + 1 :]
    return text


def _changed_tree(tree: Any, rng: random.Random) -> Any:
    if not isinstance(tree, (dict, list)) or not tree or rng.random() < 0.005:
        return rng.choice(VALUES)
    holder, key = _place(tree, rng)
    rng.choice(_BRANCH_EDITS)(holder, key, tree, rng)
    return tree


def _place(tree: Any, rng: random.Random) -> tuple[Any, Any]:
    """A dictionary or list somewhere in the tree, and one of its keys."""
    while True:
        key = rng.choice(list(tree)) if isinstance(tree, dict) else rng.randrange(len(tree))
        inside = tree[key]
        if not isinstance(inside, (dict, list)) or not inside or rng.random() < 0.1:
            return tree, key
        tree = inside


def _set_value(holder: Any, key: Any, tree: Any, rng: random.Random) -> None:
    holder[key] = copy.deepcopy(rng.choice(VALUES))


def _near(holder: Any, key: Any, tree: Any, rng: random.Random) -> None:
    """A value that is nearly right."""
    value = holder[key]
    if isinstance(value, bool):
        holder[key] = not value
    elif isinstance(value, int):
        holder[key] = rng.choice((value + 1, value - 1, -value, value * 2, value << 32, str(value), float(value)))
    elif isinstance(value, float):
        holder[key] = rng.choice((-value, value * 1e9, int(value), str(value)))
    elif isinstance(value, str):
        at = rng.randrange(len(value) + 1)
        holder[key] = value[:at] + rng.choice(TEXTS) + value[at + rng.randrange(2) :]
    elif isinstance(value, list):
        rng.shuffle(value)
    else:
        holder[key] = [value]


def _copied(holder: Any, key: Any, tree: Any, rng: random.Random) -> None:
    """Another value of the same file: names keep their meaning, and references lead elsewhere."""
    other, at = _place(tree, rng)
    holder[key] = copy.deepcopy(other[at])


def _taken_out(holder: Any, key: Any, tree: Any, rng: random.Random) -> None:
    del holder[key]


def _again(holder: Any, key: Any, tree: Any, rng: random.Random) -> None:
    if isinstance(holder, list):
        size = len(json.dumps(holder[key]))
        times = rng.choice((1, 1, 2, 300)) if size < 500 else 1
        holder[key:key] = [copy.deepcopy(holder[key]) for _ in range(times)]
    else:
        holder[f"{key}{rng.choice(TEXTS)}"] = copy.deepcopy(holder[key])


def _renamed(holder: Any, key: Any, tree: Any, rng: random.Random) -> None:
    if isinstance(holder, dict):
        name = rng.choice((rng.choice(TEXTS), rng.choice(list(holder))))
        holder[name] = holder.pop(key)


def _nested(holder: Any, key: Any, tree: Any, rng: random.Random) -> None:
    wrap = rng.choice((lambda value: [value], lambda value: {"items": [value]}, lambda value: {str(key): value}))
    for _ in range(rng.choice((1, 2, 100, 300))):
        holder[key] = wrap(holder[key])


_BRANCH_EDITS = (
    _set_value, _set_value, _set_value, _near, _near, _near, _near, _copied, _copied, _taken_out, _again,
    _renamed, _nested,
)  # fmt: skip


# Messages between workers


def frames(parts: list[bytes]) -> bytes:
    """Several messages as one file."""
    return b"".join(struct.pack("<I", len(part)) + part for part in parts)


def unframed(data: bytes) -> list[bytes]:
    """The messages again; any bytes are some."""
    found, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        found.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def in_messages(data: bytes, rng: random.Random) -> bytes:
    """Values inside a message, or messages in another order, twice, or not at all."""
    parts = unframed(data)
    at = rng.randrange(len(parts))
    choice = rng.randrange(6)
    if choice == 0 and len(parts) > 1:
        del parts[at]
    elif choice == 1:
        parts.insert(rng.randrange(len(parts) + 1), parts[at])
    elif choice == 2:
        parts[at] = of_bytes(parts[at], rng)
    else:
        tree = msgspec.msgpack.decode(parts[at])
        parts[at] = msgspec.msgpack.encode(_changed_tree(tree, rng))
    return frames(parts)


# Zip archives


def in_zip(data: bytes, rng: random.Random) -> bytes:
    """The content of one part, or names, order, packing and number of parts; then packed again, mostly with care."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    packing = zipfile.ZIP_STORED
    if rng.random() < 0.8:
        at = rng.choice([i for i, (name, _) in enumerate(parts) if name.endswith((".json", ".pkl"))] or [0])
        at = rng.choice((at, at, at, rng.randrange(len(parts))))
        parts[at] = (parts[at][0], _part(*parts[at], rng))
    else:
        packing = _rearranged(parts, rng)
    packed = zipped(parts, packing)
    return of_bytes(packed, rng) if rng.random() < 0.1 else packed


def _part(name: str, content: bytes, rng: random.Random) -> bytes:
    inner = in_json if name.endswith(".json") else in_pickle if name.endswith(".pkl") else of_bytes
    return either(inner)(content, rng)


def _rearranged(parts: list[tuple[str, bytes]], rng: random.Random) -> int:
    at = rng.randrange(len(parts))
    name, content = parts[at]
    root = name.split("/")[0]
    choice = rng.randrange(6)
    if choice == 0 and len(parts) > 1:
        del parts[at]
    elif choice == 1:
        parts.append((name, content))
    elif choice == 2:
        parts[at] = (rng.choice((rng.choice(TEXTS), f"{root}/{rng.choice(TEXTS)}", parts[0][0])), content)
    elif choice == 3:
        parts.append((f"{root}/data/weights/weight_{rng.randrange(99)}", bytes(rng.choice((0, 4, 64, 1 << 16)))))
    elif choice == 4:
        other = rng.randrange(len(parts))
        parts[at], parts[other] = (name, parts[other][1]), (parts[other][0], content)
    else:
        return zipfile.ZIP_DEFLATED
    return zipfile.ZIP_STORED


def zipped(parts: list[tuple[str, bytes]], packing: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of these parts, whatever they are called."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        for name, content in parts:
            entry = zipfile.ZipInfo("a")
            entry.filename, entry.compress_type = name, packing
            # Two parts of one name are what is wanted here, without a warning.
            archive.NameToInfo.clear()
            with archive.open(entry, "w") as part:
                part.write(content)
    return buffer.getvalue()


# Protocol buffers


def in_protobuf(data: bytes, rng: random.Random) -> bytes:
    """Fields of a message, or of one inside it: dropped, doubled, renumbered, replaced by others of the file."""
    texts: list[bytes] = []
    return _message(data, rng, rng.choice((1, 2, 3, 4, 5, 6)), texts)


Field = tuple[int, int, int | bytes]


def _message(data: bytes, rng: random.Random, depth: int, texts: list[bytes]) -> bytes:
    fields = _fields(data)
    texts += [value for _, wire, value in fields if wire == 2 and isinstance(value, bytes) and len(value) < 100]
    inner = [i for i, (_, wire, value) in enumerate(fields) if wire == 2 and value]
    if depth > 1 and inner:
        at = rng.choice(inner)
        number, wire, value = fields[at]
        assert isinstance(value, bytes)
        with suppress(ValueError):
            fields[at] = (number, wire, _message(value, rng, depth - 1, texts))
            return _written(fields)
    _change_fields(fields, rng, texts)
    return _written(fields)


def _change_fields(fields: list[Field], rng: random.Random, texts: list[bytes]) -> None:
    at = rng.randrange(len(fields))
    number, wire, value = fields[at]
    choice = rng.randrange(9)
    if choice == 0:
        del fields[at]
    elif choice == 1:
        fields[at:at] = [fields[at]] * rng.choice((1, 1, 2, 500))
    elif choice == 2:
        fields[at] = (rng.choice((number + 1, number - 1, rng.randrange(30), 1 << 28)), wire, value)
    elif choice == 3:
        rng.shuffle(fields)
    elif choice == 4:
        fields.append((rng.randrange(1, 30), 0, rng.choice(INTEGERS) & ((1 << 64) - 1)))
    elif choice == 5:
        fields.append((rng.randrange(1, 30), 2, rng.choice(texts or [b""])))
    elif isinstance(value, int):
        near = rng.choice((value + 1, value - 1, value ^ 1, rng.randrange(30), rng.choice(INTEGERS)))
        fields[at] = (number, wire, near & ((1 << 64) - 1))
    else:
        text = rng.choice(TEXTS).encode("utf-8", "surrogatepass")
        fields[at] = (number, wire, rng.choice((rng.choice(texts or [b""]), text, of_bytes(value, rng))))


def _fields(data: bytes) -> list[Field]:
    found: list[Field] = []
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        value: int | bytes
        if wire == 0:
            value, at = _varint(data, at)
        elif wire == 2:
            size, at = _varint(data, at)
            value, at = data[at : at + size], at + size
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            value, at = data[at : at + size], at + size
        else:
            raise ValueError("no message")
        if at > len(data) or not number:
            raise ValueError("no message")
        found.append((number, wire, value))
    if not found:
        raise ValueError("no message")
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at
    raise ValueError("no number")


def _as_varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _written(fields: list[Field]) -> bytes:
    found = bytearray()
    for number, wire, value in fields:
        found += _as_varint(max(number, 0) << 3 | wire)
        if isinstance(value, int):
            found += _as_varint(value)
        else:
            found += (_as_varint(len(value)) if wire == 2 else b"") + value
    return bytes(found)


# Pickles


OPCODES = (
    b"cos\nsystem\n", b"\x8c\x02os\x8c\x06system\x93", b"ios\nsystem\n", b"(S'id'\nios\nsystem\n", b"\x82\x07",
    b"\x83\x07\x00", b"\x84\x07\x00\x00\x00", b"\x94", b"q\x00", b"q\x05", b"r\xff\xff\xff\x7f", b"p0\n",
    b"p99999999999999999999\n", b"h\x00", b"h\x05", b"j\xff\xff\xff\x7f", b"g0\n", b"2", b"0", b"1", b"(",
    b"t", b"l", b"d", b"R", b"b", b"\x81", b"\x92", b"o", b"Q", b"P1\n", b"\x80\x05", b"\x80\xff",
    b"\x95\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x96\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff", b"B\xff\xff\xff\xff", b"T\xff\xff\xff\xff", b"X\xff\xff\xff\x7f",
    b"\x8d" + b"\xff" * 8, b"\x97", b"\x98", b"I01\n", b"I99999999999999999999999\n", b"L1L\n", b"Fnan\n",
    b"S'os'\n", b"V\\u006fs\n", b"Vos\n", b"N", b"\x88", b"\x8a\xff" + b"\xff" * 255, b"\x8b\xff\xff\xff\x7f",
    b"}", b"]", b")", b"s", b"u", b"a", b"e", b"\x8f", b"\x90", b"\x91", b".",
    b"ctorch._utils\n_rebuild_tensor_v2\n", b"ccollections\nOrderedDict\n", b"c\xff\n\xff\n",
    b"c\x1b[2J\n<script>\n",
)  # fmt: skip


def in_pickle(data: bytes, rng: random.Random) -> bytes:
    """Opcodes dropped, doubled, swapped, and put in from a list of bad ones; legacy files have several pickles."""
    starts = [0]
    with suppress(Exception):
        file = io.BytesIO(data)
        while file.tell() < len(data):
            starts += [at for _, _, at in pickletools.genops(file) if at is not None and at > starts[-1]]
    bounds = [*starts, len(data)]
    chunks = [data[start:end] for start, end in pairwise(bounds)]
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(chunks) + 1)
        choice = rng.randrange(5)
        if choice == 0 and len(chunks) > 1:
            del chunks[at : at + 1]
        elif choice == 1:
            chunks[at:at] = [rng.choice(chunks)] * rng.choice((1, 1, 2, 500))
        elif choice == 2 and at < len(chunks):
            chunks[at] = of_bytes(chunks[at], rng)
        else:
            chunks[at:at] = rng.choices(OPCODES, k=rng.choice((1, 1, 2, 3)))
    return b"".join(chunks)


# Other containers


def in_safetensors(data: bytes, rng: random.Random) -> bytes:
    """The JSON header changed and its length mostly right; the tensors behind it longer or shorter."""
    length = int.from_bytes(data[:8], "little")
    header, tensors = data[8 : 8 + length], data[8 + length :]
    if rng.random() < 0.8:
        header = either(in_json)(header, rng)
    if rng.random() < 0.2:
        tensors = tensors[: rng.randrange(len(tensors) + 1)] + bytes(rng.choice((0, 1, 4, 100)))
    length = len(header) if rng.random() < 0.9 else rng.choice(INTEGERS) & ((1 << 64) - 1)
    return struct.pack("<Q", length) + header + tensors


def pair(first: bytes, second: bytes) -> bytes:
    """Two files as one, for readers that take two."""
    return struct.pack("<I", len(first)) + first + second


def parted(data: bytes) -> tuple[bytes, bytes]:
    """The two files again; any bytes are two files."""
    length = int.from_bytes(data[:4], "little")
    return data[4 : 4 + length], data[4 + length :]


def in_pair(first: Mutator, second: Mutator) -> Mutator:
    """One of two files, mostly the first."""

    def mutated(data: bytes, rng: random.Random) -> bytes:
        one, two = parted(data)
        return pair(first(one, rng), two) if rng.random() < 0.8 else pair(one, second(two, rng))

    return mutated


CELLS = (
    "0", "1", "-1", "0.5", "1e-3", "1e6", "1e7", "1e999", "nan", "inf", "0,5", "1_000", "٣", "½", '"', '""',
    '"a', "a\nb", "#", "", " ", "layer", "median_s", "median_us", "p95_s", "p95_µs", ";", ",", "\t", "\r",
    "\0", "9" * 100,
)  # fmt: skip


def in_table(data: bytes, rng: random.Random) -> bytes:
    """Cells and lines of a table changed, swapped, doubled; other delimiters."""
    lines = [line.split(",") for line in data.decode("utf-8", "surrogateescape").split("\n")]
    for _ in range(rng.choice((1, 1, 2, 4))):
        line = rng.choice(lines)
        at, choice = rng.randrange(len(line)), rng.randrange(7)
        if choice < 3:
            line[at] = rng.choice((rng.choice(CELLS), rng.choice(TEXTS), line[at] + rng.choice(CELLS)))
        elif choice == 3:
            line.insert(at, rng.choice(CELLS))
        elif choice == 4:
            lines.insert(rng.randrange(len(lines)), list(line))
        elif choice == 5 and len(lines) > 1:
            lines.remove(line)
        else:
            rng.shuffle(line)
    text = rng.choice((",", ",", ",", ";", "\t")).join
    return rng.choice(("\n", "\n", "\r\n", "\r")).join(map(text, lines)).encode("utf-8", "surrogateescape")


def in_gzip(inner: Mutator) -> Mutator:
    """What is inside, packed again; or the packed bytes."""

    def mutated(data: bytes, rng: random.Random) -> bytes:
        unpacked = zlib.decompressobj(wbits=31).decompress(data, LONGEST)
        return gzip.compress(inner(unpacked, rng), 1, mtime=0)

    return mutated


def in_trace(data: bytes, rng: random.Random) -> bytes:
    """The JSON of a trace, and often its events: others in their places, equal times, times inside each other."""
    tree = json.loads(data)
    events = tree["traceEvents"] if isinstance(tree, dict) else tree
    for _ in range(rng.choice((0, 1, 1, 3))):
        one, other = rng.choice(events), rng.choice(events)
        key = rng.choice(("ts", "dur", "name", "cat", "tid", "pid", "args", "ph"))
        if rng.random() < 0.3:
            one[key] = copy.deepcopy(rng.choice(VALUES))
        elif key in other:
            one[key] = copy.deepcopy(other[key])
        if rng.random() < 0.2:
            events += copy.deepcopy(events[: rng.choice((1, 10, 100))])
    text = json.dumps(tree).encode()
    return in_json(text, rng) if rng.random() < 0.5 else text
