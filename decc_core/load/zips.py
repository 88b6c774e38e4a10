"""Zip archives that somebody sent, read without trusting one number in them.

Whatever a table of contents claims, no more is read, unpacked or kept than the limits allow. Any archive can be looked
into, to tell what it is; those whose parts are used have to be sound in every byte.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from decc_core.errors import UnreadableFile
from decc_core.load.limits import Limits
from decc_core.text import shown

BEGINNING, STORED = b"PK\x03\x04", 0
RATIO = 100
"""How many times larger than packed a part may be; trained weights reach less than 2."""
CHUNK = 1 << 20
NAME_BYTES = 512
TABLE_BYTES_PER_PART = 1024
AGAIN = "download or copy it again"

_LOCAL, _ENTRY = struct.Struct("<4sHHHHHIIIHH"), struct.Struct("<4s6H3I5HII")
_END, _END_64, _LOCATOR_64 = struct.Struct("<4sHHHHIIH"), struct.Struct("<4sQHHIIQQQQ"), struct.Struct("<4sIQI")
_DEFLATED = 8
_ENCRYPTED, _DESCRIPTOR, _UTF8, _LEVEL = 0x1, 0x8, 0x800, 0x6
"""Flags of a part; with the second its sizes follow its content, the last says how hard it was packed."""
_ELSEWHERE = 0xFFFFFFFF
"""Stands in place of a size that is written in a longer field."""
_LONG_FIELD = 1


@dataclass(frozen=True)
class Part:
    """A part of an archive, as the table of contents tells it."""

    name: str
    written: bytes
    """The name in the file; what is no UTF-8 in it is replaced in the other."""
    size: int
    packed: int
    method: int
    flags: int
    checksum: int
    offset: int

    def __str__(self) -> str:
        return f"The archive's part {shown(self.name)}"


class Archive:
    """The parts of an open archive by their names."""

    def __init__(self, file: BinaryIO, parts: dict[str, Part], table_at: int, comment_bytes: int = 0) -> None:
        self.file, self.parts = file, parts
        self.table_at, self.comment_bytes = table_at, comment_bytes

    def beginning(self, name: str, most: int) -> bytes:
        """The first bytes of a part, whether or not the archive is sound."""
        part, content = self.parts[name], bytearray()
        most = min(most, part.size)
        for chunk in self._unpacked(part):
            content += chunk
            if len(content) >= most:
                break
        return bytes(content[:most])

    def chunks(self, name: str) -> Iterator[bytes]:
        """The unpacked content, at most a megabyte at a time; refused where size or checksum are not as announced."""
        part, size, checksum = self.parts[name], 0, 0
        for chunk in self._unpacked(part):
            size, checksum = size + len(chunk), zlib.crc32(chunk, checksum)
            if size > part.size:
                break
            yield chunk
        if (size, checksum) != (part.size, part.checksum):
            raise UnreadableFile(f"{part} has not the size and the checksum that the archive says; {AGAIN}.")

    def read(self, name: str, most: int) -> bytes:
        """The whole content of a small part."""
        if (part := self.parts[name]).size > most:
            raise UnreadableFile(f"{part} has {part.size} bytes; at most {most} are taken.")
        return b"".join(self.chunks(name))

    def _unpacked(self, part: Part) -> Iterator[bytes]:
        if part.flags & _ENCRYPTED or part.method not in (STORED, _DEFLATED):
            raise UnreadableFile(f"{part} is encrypted, or packed in an unusual way; pack it again.")
        *_, name_bytes, extra_bytes = self._header(part)
        at, left, waiting = part.offset + _LOCAL.size + name_bytes + extra_bytes, part.packed, b""
        inflate = zlib.decompressobj(-15) if part.method == _DEFLATED else None
        while True:
            if left and not waiting:
                self.file.seek(at)
                waiting = self.file.read(min(CHUNK, left))
                at, left = at + len(waiting), left - len(waiting) if waiting else 0
            chunk, rest = waiting, b""
            if inflate is not None:
                try:
                    chunk = inflate.decompress(waiting, CHUNK)
                except zlib.error:
                    raise UnreadableFile(f"{part} cannot be unpacked; {AGAIN}.") from None
                rest = inflate.unconsumed_tail
            if chunk:
                yield chunk
            if not (chunk or rest or left) or (inflate is not None and inflate.eof):
                return
            waiting = rest

    def _header(self, part: Part) -> tuple[Any, ...]:
        """What stands before the content of a part; the file is left behind it."""
        header = b""
        if part.offset < self.table_at:
            self.file.seek(part.offset)
            header = self.file.read(_LOCAL.size)
        if len(header) < _LOCAL.size or not header.startswith(BEGINNING):
            raise UnreadableFile(f"{part} is not where the archive says; {AGAIN}.")
        return _LOCAL.unpack(header)

    def sound(self, limits: Limits) -> Archive:
        """The parts by their names below the one root folder, when all holds that can be known without unpacking."""
        if self.comment_bytes:
            raise UnreadableFile("Something stands behind the archive's end; send the file as it was saved.")
        limits.require(unpacked_bytes=sum(part.size for part in self.parts.values()))
        ordered = sorted(self.parts.values(), key=lambda part: part.offset)
        ends = [part.offset for part in ordered[1:]] + [self.table_at]
        for part, next_at in zip(ordered, ends, strict=True):
            _require_ordinary(part)
            self._require_alone(part, next_at)
        return Archive(self.file, _below_one_root(self.parts.values()), self.table_at)

    def _require_alone(self, part: Part, next_at: int) -> None:
        """It shares no byte with the next, and what stands before it says the same as the table of contents."""
        _, _, flags, method, _, _, checksum, packed, size, name_bytes, extra_bytes = self._header(part)
        known = (flags, method, self.file.read(name_bytes)) == (part.flags, part.method, part.written)
        told = zip((checksum, packed, size), (part.checksum, part.packed, part.size), strict=True)
        if not known or not all(
            here in (there, _ELSEWHERE) or (here == 0 and flags & _DESCRIPTOR) for here, there in told
        ):
            raise UnreadableFile(f"{part} is announced twice with different sizes or names; save the file again.")
        if part.offset + _LOCAL.size + name_bytes + extra_bytes + part.packed > next_at:
            raise UnreadableFile(f"{part} overlaps another part; save the file again.")


def opened(file: BinaryIO, limits: Limits) -> Archive:
    """The archive in a file, of whose table nothing is believed but where names and contents are said to lie."""
    file.seek(0)
    if file.read(len(BEGINNING)) != BEGINNING:
        raise UnreadableFile("The file is empty, or no archive; save the network with torch.export.save.")
    count, table_bytes, table_at, comment_bytes = _end(file)
    limits.require(entries=count)
    if table_bytes > limits.entries * TABLE_BYTES_PER_PART:
        raise limits.exceeded("entries")
    file.seek(table_at)
    table, at = file.read(table_bytes), 0
    parts: dict[str, Part] = {}
    for _ in range(count):
        if len(table) < at + _ENTRY.size or not table.startswith(b"PK\x01\x02", at):
            raise UnreadableFile(f"The archive's table of contents is damaged; {AGAIN}.")
        _, _, _, flags, method, _, _, checksum, packed, size, *lengths, _, _, _, offset = _ENTRY.unpack_from(table, at)
        name_at = at + _ENTRY.size
        extra_at, comment_at, at = (name_at + sum(lengths[:n]) for n in (1, 2, 3))
        written = table[name_at:extra_at]
        name = written.decode("utf-8", "replace")
        if name in parts:
            raise UnreadableFile(f"The archive's part {shown(name)} is there twice; pack it again.")
        size, packed, offset = _long(table[extra_at:comment_at], size, packed, offset)
        parts[name] = Part(name, written, size, packed, method, flags, checksum, offset)
    if at != len(table):
        raise UnreadableFile(f"The archive holds another number of parts than it says; {AGAIN}.")
    return Archive(file, parts, table_at, comment_bytes)


def _end(file: BinaryIO) -> tuple[int, int, int, int]:
    """Number of parts, length and start of the table, and bytes of the comment that ends the file."""
    length = file.seek(0, 2)
    tail_at = max(0, length - _END.size - 0xFFFF)
    file.seek(tail_at)
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06", 0, max(0, len(tail) - _END.size + 4))
    if at < 0:
        raise UnreadableFile(f"The archive has no end, as a download that broke off; {AGAIN}.")
    _, disk, first_disk, _, count, table_bytes, start, comment_bytes = _END.unpack_from(tail, at)
    behind, end = len(tail) - at - _END.size, tail_at + at
    long_at = end - _LOCATOR_64.size - _END_64.size
    if long_at >= 0:
        file.seek(long_at)
        record = _END_64.unpack(file.read(_END_64.size))
        locator = _LOCATOR_64.unpack(file.read(_LOCATOR_64.size))
        if locator[0] == b"PK\x06\x07":
            if record[:2] != (b"PK\x06\x06", _END_64.size - 12) or locator[2] != long_at:
                raise UnreadableFile(f"The archive's end is damaged; {AGAIN}.")
            disk, first_disk, count, table_bytes, start, end = record[4], record[5], *record[7:10], long_at
    if disk or first_disk or start + table_bytes != end:
        raise UnreadableFile(f"The archive's table of contents is not where the archive says; {AGAIN}.")
    return count, table_bytes, start, max(behind, comment_bytes)


def _long(extra: bytes, *told: int) -> tuple[int, ...]:
    """The sizes and the offset, those of 64 bits from the extra field that holds them in this order."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == _LONG_FIELD:
            data = extra[at + 4 : at + 4 + length]
            long = iter([value for (value,) in struct.iter_unpack("<Q", data[: len(data) // 8 * 8])])
            return tuple(next(long, value) if value == _ELSEWHERE else value for value in told)
        at += 4 + length
    return told


def _require_ordinary(part: Part) -> None:
    if part.flags & ~(_DESCRIPTOR | _UTF8 | _LEVEL):
        raise UnreadableFile(f"{part} is encrypted or of an unknown kind; save the file with torch.export.save.")
    if part.method not in (STORED, _DEFLATED):
        raise UnreadableFile(f"{part} is packed in an unusual way; save the file with torch.export.save.")
    if part.method == STORED and part.size != part.packed:
        raise UnreadableFile(f"{part} is announced with two sizes; save the file again.")
    if part.size > RATIO * part.packed:
        raise UnreadableFile(f"{part} would grow more than {RATIO} times when unpacked; save it without compression.")
    if part.name.encode() != part.written or not (part.flags & _UTF8 or part.name.isascii()):
        raise UnreadableFile(f"{part} has a name that is not UTF-8; save it with torch.export.save.")


def _below_one_root(parts: Iterable[Part]) -> dict[str, Part]:
    below: dict[str, Part] = {}
    roots = set()
    for part in parts:
        root, slash, name = part.name.partition("/")
        if not slash and _leads_nowhere_else(f"{root}/{root}"):
            raise UnreadableFile(
                f"{part} lies in no folder, as in files of an older torch, which are pickled; load the file in your "
                "own torch and save the network again with a current one."
            )
        if len(part.name) > NAME_BYTES or not _leads_nowhere_else(part.name):
            raise UnreadableFile(f"{part} has a name that leads elsewhere; save the file with torch.export.save.")
        roots.add(root)
        if len(roots) > 1:
            raise UnreadableFile(f"{part} lies outside the archive's one folder; save it with torch.export.save.")
        below[name] = part
    return below


def _leads_nowhere_else(name: str) -> bool:
    folders = name.split("/")
    bad = any(folder in ("", ".", "..") for folder in folders) or folders[0].endswith(":")
    return not bad and name.isprintable() and "\\" not in name and len(folders) > 1
