"""What is refused in the archive itself: names, sizes, tables, and files that are none."""

from __future__ import annotations

import pickle
import struct
import zipfile
from pathlib import Path

import torch

from tests.load.archives import zipped
from tests.load.foreign_files import Marker
from tests.load.hostile_pt2.base import (
    NETWORK,
    REFUSED,
    ROOT,
    SAMPLES,
    Honest,
    Maker,
    Parts,
    honest,
    packed,
    refused,
    saved,
)


def entry_named(name: str) -> Maker:
    def make(parts: Parts, marker: Path) -> bytes:
        return zipped([*((f"{ROOT}/{part}", content) for part, content in parts.items()), (name, b"evil")])

    return make


for name in (
    f"{ROOT}/../../evil",
    "../evil",
    "/tmp/evil",
    "C:/evil",
    "C:\\evil",
    f"{ROOT}\\..\\evil",
    f"{ROOT}/evil\0.txt",
    f"{ROOT}//evil",
    f"{ROOT}/./evil",
    f"{ROOT}/folder/",
    "evil",
    "other/evil",
    f"{ROOT}/" + "a" * 5_000,
    f"{ROOT}/\x1b[31m",
    f"{ROOT}/<script>alert(1)</script>",
):
    REFUSED[f"a part named {name[:30]!r}"] = entry_named(name)


@refused
def a_name_that_is_not_unicode(parts, marker):
    return packed(parts, "néé").replace("néé".encode(), b"n\xff\xfe\xff\xfe")


@refused
def a_name_in_an_old_alphabet(parts, marker):
    return packed(parts, "xyz").replace(b"xyz/", b"x\x81z/")


@refused
def a_part_twice(parts, marker):
    return entry_named(f"{ROOT}/{NETWORK}")(parts, marker)


@refused
def a_bomb_of_zeros(parts, marker):
    entries = [(f"{ROOT}/{name}", content) for name, content in parts.items()]
    return zipped([*entries, (f"{ROOT}/data/weights/weight_9", b"\0" * (64 << 20))], zipfile.ZIP_DEFLATED)


@refused
def a_bomb_inside_a_bomb(parts, marker):
    inner = zipped([("a", b"\0" * (64 << 20))], zipfile.ZIP_DEFLATED)
    return packed(parts | {"data/weights/inner.zip": inner})


@refused
def parts_on_top_of_each_other(parts, marker):
    """Two entries of the table of contents share one content, as the densest bombs do."""
    archive = bytearray(packed(parts | {SAMPLES: b""}))
    first, second = found_all(archive, b"PK\x01\x02")[:2]
    archive[second + 42 : second + 46] = archive[first + 42 : first + 46]
    return bytes(archive)


def patched(signature: bytes, offset: int, value: int) -> Maker:
    """The second part's header with another number."""

    def make(parts: Parts, marker: Path) -> bytes:
        archive = bytearray(packed(parts | {SAMPLES: b""}))
        at = found_all(archive, signature)[1] + offset
        struct.pack_into("<I", archive, at, value)
        return bytes(archive)

    return make


def found_all(archive: bytearray, signature: bytes) -> list[int]:
    places, at = [], archive.find(signature)
    while at >= 0:
        places.append(at)
        at = archive.find(signature, at + 1)
    return places


REFUSED["a table that says that a part is shorter"] = patched(b"PK\x01\x02", 24, 1)
REFUSED["a table that says that a part is enormous"] = patched(b"PK\x01\x02", 24, 0xFFFFFFF0)
REFUSED["a table that says that a part is enormous when packed"] = patched(b"PK\x01\x02", 20, 0xFFFFFFF0)
REFUSED["a table with another checksum"] = patched(b"PK\x01\x02", 16, 1)
REFUSED["a table that leads behind the end"] = patched(b"PK\x01\x02", 42, 0x7FFFFFFF)
REFUSED["a part that says that it is shorter"] = patched(b"PK\x03\x04", 22, 1)
REFUSED["a part that says that it is enormous"] = patched(b"PK\x03\x04", 18, 0xFFFFFFF0)
REFUSED["a part that says that it is encrypted"] = patched(b"PK\x03\x04", 6, 1)


def end_with(offset: int, form: str, value: int) -> Maker:
    def make(parts: Parts, marker: Path) -> bytes:
        archive = bytearray(packed(parts))
        struct.pack_into(form, archive, archive.rfind(b"PK\x05\x06") + offset, value)
        return bytes(archive)

    return make


REFUSED["an end that counts more parts"] = end_with(10, "<H", 9999)
REFUSED["an end that counts fewer parts"] = end_with(10, "<H", 1)
REFUSED["an end with a shorter table"] = end_with(12, "<I", 46)
REFUSED["an end with a table elsewhere"] = end_with(16, "<I", 0)
REFUSED["an end with a comment"] = end_with(20, "<H", 9)


@refused
def a_damaged_weight(parts, marker):
    archive = bytearray(packed(parts))
    at = archive.find(parts["data/weights/weight_0"])
    archive[at] ^= 1
    return bytes(archive)


@refused
def an_empty_file(parts, marker):
    return b""


@refused
def text_instead_of_an_archive(parts, marker):
    return b"<html><script>alert(1)</script></html>"


@refused
def two_letters(parts, marker):
    return b"PK"


@refused
def only_the_beginning_of_an_archive(parts, marker):
    return b"PK\x03\x04"


@refused
def an_archive_of_nothing(parts, marker):
    return zipped([])


@refused
def half_a_file(parts, marker):
    return honest()[: len(honest()) // 2]


@refused
def a_file_without_its_last_byte(parts, marker):
    return honest()[:-1]


@refused
def a_file_with_something_behind(parts, marker):
    return honest() + pickle.dumps(Marker(marker))


@refused
def a_file_with_something_in_front(parts, marker):
    return b"#!/bin/sh\n" + honest()


@refused
def a_width_that_varies(parts, marker):
    dims = {"image": {3: torch.export.Dim("width", min=4, max=80)}}
    return saved(Honest(), (torch.randn(4, 3, 8, 8),), dynamic_shapes=dims)
