"""The table of contents of a zip archive, read by hand so that no claim in it costs time or memory."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from decc_core.errors import UnreadableFile
from decc_core.load.limits import Limits, setting
from decc_core.text import shown

MAX_TABLE_BYTES = 32 << 20
MAX_NAME_BYTES = 4096
END, END_64, LOCATOR_64, CENTRAL, LOCAL = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x01\x02", b"PK\x03\x04"
STORED, DEFLATED = 0, 8
ENCRYPTED = 1
WIDE = 1
FULL_32 = 0xFFFFFFFF
AGAIN = "download or copy it again"


@dataclass(frozen=True)
class Entry:
    name: str
    size: int
    """Bytes when unpacked, as the table says."""
    packed: int
    method: int
    flags: int
    offset: int


def listing(file: BinaryIO, name: str, limits: Limits) -> list[Entry]:
    """All entries, in the table's order; `name` is what messages call the file."""
    count, size, offset = _end(file, name)
    if count > limits.entries:
        raise UnreadableFile(
            f"{shown(name)} is an archive of {count} parts, above the limit of {limits.entries}; "
            f"set {setting('entries')} to allow more."
        )
    if size > MAX_TABLE_BYTES:
        raise UnreadableFile(f"{shown(name)} is an archive whose table of contents alone has {size} bytes.")
    file.seek(offset)
    table = file.read(size)
    entries, at = [], 0
    for _ in range(count):
        entry, at = _entry(table, at, name)
        entries.append(entry)
    seen: set[str] = set()
    for entry in entries:
        if entry.name in seen:
            raise UnreadableFile(f"{shown(name)} is an archive that holds {shown(entry.name)} twice; pack it again.")
        seen.add(entry.name)
    return entries


def content(file: BinaryIO, entry: Entry, max_bytes: int, name: str) -> bytes:
    """The first bytes of an entry, unpacked; never more than asked for."""
    file.seek(min(entry.offset, file.seek(0, 2)))
    head = file.read(30)
    if len(head) < 30 or not head.startswith(LOCAL) or entry.flags & ENCRYPTED:
        raise UnreadableFile(f"{shown(name)} is an archive whose part {shown(entry.name)} cannot be read; {AGAIN}.")
    name_length, extra_length = struct.unpack_from("<HH", head, 26)
    file.seek(name_length + extra_length, 1)
    if entry.method == STORED:
        return file.read(min(max_bytes, entry.size, entry.packed))
    if entry.method == DEFLATED:
        try:
            return zlib.decompressobj(-15).decompress(file.read(min(entry.packed, max_bytes)), max_bytes)
        except zlib.error:
            pass
    raise UnreadableFile(f"{shown(name)} is an archive whose part {shown(entry.name)} cannot be unpacked; {AGAIN}.")


def _end(file: BinaryIO, name: str) -> tuple[int, int, int]:
    """Number of entries, and size and offset of the table; checked against where the table has to end."""
    length = file.seek(0, 2)
    tail_start = max(0, length - 22 - 0xFFFF)
    file.seek(tail_start)
    tail = file.read()
    at = tail.rfind(END)
    if at < 0 or len(tail) - at < 22:
        raise UnreadableFile(f"{shown(name)} is an archive without its end, as a broken-off download is; {AGAIN}.")
    count, size, offset = struct.unpack_from("<HII", tail, at + 10)
    table_end = tail_start + at
    if at >= 20 and tail[at - 20 : at - 16] == LOCATOR_64:
        record = struct.unpack_from("<Q", tail, at - 12)[0]
        if record + 56 > length:
            raise UnreadableFile(f"{shown(name)} is an archive whose end is damaged; {AGAIN}.")
        file.seek(record)
        found = file.read(56)
        if not found.startswith(END_64):
            raise UnreadableFile(f"{shown(name)} is an archive whose end is damaged; {AGAIN}.")
        count, size, offset = struct.unpack_from("<QQQ", found, 32)
        table_end = record
    if offset + size != table_end:
        raise UnreadableFile(f"{shown(name)} is an archive whose table of contents is not where it says; {AGAIN}.")
    return count, size, offset


def _entry(table: bytes, at: int, name: str) -> tuple[Entry, int]:
    if table[at : at + 4] != CENTRAL or len(table) < at + 46:
        raise UnreadableFile(f"{shown(name)} is an archive whose table of contents is damaged; {AGAIN}.")
    flags, method = struct.unpack_from("<HH", table, at + 8)
    packed, size, name_length, extra_length, comment_length = struct.unpack_from("<IIHHH", table, at + 20)
    offset = struct.unpack_from("<I", table, at + 42)[0]
    raw = table[at + 46 : at + 46 + name_length]
    if name_length > MAX_NAME_BYTES or len(raw) < name_length:
        raise UnreadableFile(f"{shown(name)} is an archive with a name of {name_length} bytes; pack it again.")
    extra = table[at + 46 + name_length : at + 46 + name_length + extra_length]
    size, packed, offset = _wide(extra, size, packed, offset)
    entry = Entry(raw.decode("utf-8", "replace"), size, packed, method, flags, offset)
    return entry, at + 46 + name_length + extra_length + comment_length


def _wide(extra: bytes, *fields: int) -> tuple[int, ...]:
    """The sizes and the offset, those of 64 bits from the extra field that holds them in this order."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == WIDE:
            data = extra[at + 4 : at + 4 + length]
            wide = iter([value for (value,) in struct.iter_unpack("<Q", data[: len(data) // 8 * 8])])
            return tuple(next(wide, value) if value == FULL_32 else value for value in fields)
        at += 4 + length
    return fields
