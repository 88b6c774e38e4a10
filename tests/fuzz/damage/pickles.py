"""Pickles, opcode by opcode."""

from __future__ import annotations

import io
import pickletools
import random
from contextlib import suppress
from itertools import pairwise

from tests.fuzz.damage.raw import of_bytes

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
