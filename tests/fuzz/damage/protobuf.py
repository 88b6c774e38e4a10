"""Protocol buffers, read without their schema."""

from __future__ import annotations

import random
from contextlib import suppress

from tests.fuzz.damage.raw import INTEGERS, TEXTS, of_bytes


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
