"""Archives are looked into without trusting a number in them; what is used of one has to be sound."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib

import pytest

from decc_core.errors import UnreadableFile
from decc_core.load.limits import Limits
from decc_core.load.zips import opened
from tests.load.archives import zipped

LIMITS = Limits()
LONG = random.Random(0).randbytes(2_500_000)
PARTS = {"net/a": b"first", "net/folder/b": LONG, "net/empty": b""}


def archive(content: bytes, limits: Limits = LIMITS):
    return opened(io.BytesIO(content), limits)


def entry_at(content: bytes, number: int = 0) -> int:
    """Where a part's entry in the table of contents begins."""
    at = -1
    for _ in range(number + 1):
        at = content.index(b"PK\x01\x02", at + 1)
    return at


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_parts_come_back_as_they_were_packed(packing):
    sound = archive(zipped(PARTS, packing)).sound(LIMITS)
    assert {name: sound.read(name, len(LONG)) for name in sound.parts} == {
        name.removeprefix("net/"): content for name, content in PARTS.items()
    }
    assert max(map(len, sound.chunks("folder/b"))) <= 1 << 20


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_of_a_part_no_more_is_unpacked_than_is_asked_for(packing):
    looked_into = archive(zipped(PARTS, packing))
    assert looked_into.beginning("net/folder/b", 300) == LONG[:300]
    assert looked_into.beginning("net/a", 300) == b"first"
    with pytest.raises(UnreadableFile, match="has 2500000 bytes; at most 300 are taken"):
        looked_into.read("net/folder/b", 300)


def test_a_comment_behind_the_end_is_no_obstacle_to_looking_but_makes_an_archive_unsound():
    buffer = io.BytesIO(zipped(PARTS))
    with zipfile.ZipFile(buffer, "a") as commented:
        commented.comment = b"PK\x05\x06 is not the end"
    looked_into = archive(buffer.getvalue())
    assert set(looked_into.parts) == set(PARTS)
    with pytest.raises(UnreadableFile, match="behind the archive's end"):
        looked_into.sound(LIMITS)


def test_an_end_whose_numbers_look_like_an_end_is_found():
    table_at = struct.unpack("<I", b"PK\x05\x06")[0]
    with pytest.raises(UnreadableFile, match="not where the archive says"):
        archive(zipped(PARTS)[:-6] + struct.pack("<IH", table_at, 0))


def test_an_archive_that_lies_about_its_number_of_parts_is_refused():
    content = bytearray(zipped(PARTS))
    for count in (1, 4, 60_000):
        struct.pack_into("<H", content, len(content) - 12, count)
        with pytest.raises(UnreadableFile, match=r"another number of parts|table of contents is damaged"):
            archive(bytes(content))


def test_an_archive_with_more_parts_than_16_bits_count_is_read():
    assert len(archive(zipped({f"{i}.png": b"" for i in range(66_000)})).parts) == 66_000


def test_a_part_that_lies_about_where_it_is_is_refused():
    content = bytearray(zipped({"m/a": b"pt2"}))
    entry, wide = entry_at(content), struct.pack("<HHQ", 1, 8, (1 << 64) - 1)
    struct.pack_into("<H", content, entry + 30, len(wide))
    struct.pack_into("<I", content, entry + 42, 0xFFFFFFFF)
    content[entry + 46 + len("m/a") : entry + 46 + len("m/a")] = wide
    end = len(content) - 22
    struct.pack_into("<I", content, end + 12, end - entry)
    looked_into = archive(bytes(content))
    assert looked_into.parts["m/a"].offset == (1 << 64) - 1
    with pytest.raises(UnreadableFile, match="'m/a' is not where the archive says"):
        looked_into.beginning("m/a", 3)


def test_two_parts_of_one_name_are_refused():
    with pytest.raises(UnreadableFile, match="'net/a' is there twice"):
        archive(zipped([("net/a", b"1"), ("net/a", b"2")]))


def test_content_that_is_not_as_announced_is_refused():
    content = bytearray(zipped({"net/a": b"first"}))
    struct.pack_into("<I", content, entry_at(content) + 16, zlib.crc32(b"other"))
    struct.pack_into("<I", content, 14, zlib.crc32(b"other"))
    damaged = archive(bytes(content)).sound(LIMITS)
    with pytest.raises(UnreadableFile, match="not the size and the checksum"):
        damaged.read("a", 5)


def test_more_is_never_unpacked_than_is_announced():
    bomb = zlib.compress(bytes(50_000_000))[2:-4]
    content = bytearray(zipped({"net/a": bytes(len(bomb))}))
    at = content.index(bytes(len(bomb)), 30)
    content[at : at + len(bomb)] = bomb
    for header in (8, entry_at(content) + 10):
        struct.pack_into("<H", content, header, zipfile.ZIP_DEFLATED)
    chunks = archive(bytes(content)).sound(LIMITS).chunks("a")
    with pytest.raises(UnreadableFile, match="not the size and the checksum"):
        next(chunks)


def test_a_table_of_contents_is_bounded_by_the_limit_of_parts():
    with pytest.raises(UnreadableFile, match="more than 2 parts, which is the limit; DECC_MAX_ENTRIES=3 raises it"):
        archive(zipped(PARTS), Limits(entries=2))
    with pytest.raises(UnreadableFile, match="more than 1 parts"):
        archive(zipped({"n" * 5000: b""}), Limits(entries=1))
