"""Files that hold other files: archives, packed ones, tensors behind a header, messages, pairs."""

from __future__ import annotations

import gzip
import io
import random
import struct
import zipfile
import zlib

import msgspec

from tests.fuzz.damage.pickles import in_pickle
from tests.fuzz.damage.raw import INTEGERS, LONGEST, TEXTS, Mutator, either, of_bytes
from tests.fuzz.damage.trees import changed_tree, in_json
from tests.load.archives import zipped


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


def in_gzip(inner: Mutator) -> Mutator:
    """What is inside, packed again; or the packed bytes."""

    def mutated(data: bytes, rng: random.Random) -> bytes:
        unpacked = zlib.decompressobj(wbits=31).decompress(data, LONGEST)
        return gzip.compress(inner(unpacked, rng), 1, mtime=0)

    return mutated


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
        parts[at] = msgspec.msgpack.encode(changed_tree(tree, rng))
    return frames(parts)


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
