"""Bytes as they lie in a file, and the values that every kind of damage likes to put in."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

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
