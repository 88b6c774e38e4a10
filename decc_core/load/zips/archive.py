"""A zip archive that somebody sent, read without trusting one number in it."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from decc_core.errors import UnreadableFile
from decc_core.load.limits import Limits, setting

RATIO = 100
"""How many times larger than packed a part may be; trained weights reach less than 2."""
CHUNK = 1 << 20
NAME_BYTES = 512
LOCAL = struct.Struct("<IHHHHHIIIHH")
END = struct.Struct("<IHHHHIIH")
END_64 = struct.Struct("<IQHHIIQQQQ")
LOCATOR_64 = struct.Struct("<IIQI")
DESCRIPTOR, UTF8, LEVEL = 0x8, 0x800, 0x6
"""Flags of an entry: sizes follow the content; the name is UTF-8; how hard it was packed. No other is taken."""
ELSEWHERE = 0xFFFFFFFF
"""Stands in place of a size that is written in a longer field."""
MALFORMED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError)


def shown(text: str, most: int = 80) -> str:
    """A name out of a hostile file as it may stand in a message: short, in quotes, nothing but printable characters."""
    cut = text if len(text) <= most else text[:most] + "…"
    return "'" + "".join(letter if letter.isprintable() else "?" for letter in cut) + "'"


class Archive:
    """The parts of an archive with one root folder, by their names below it."""

    def __init__(self, zipped: zipfile.ZipFile, parts: dict[str, zipfile.ZipInfo]) -> None:
        self.zipped, self.parts = zipped, parts

    def size(self, name: str) -> int:
        return self.parts[name].file_size

    def chunks(self, name: str) -> Iterator[bytes]:
        """The unpacked content, at most a megabyte at a time; refused where size or checksum are not as announced."""
        left = self.size(name)
        try:
            with self.zipped.open(self.parts[name]) as content:
                while chunk := content.read(CHUNK):
                    left -= len(chunk)
                    yield chunk
        except MALFORMED:
            raise UnreadableFile(f"{_part(name)} is damaged; save the file again, and send all of it.") from None
        if left:
            raise UnreadableFile(f"{_part(name)} is not as long as the archive says; save the file again.")

    def read(self, name: str, most: int) -> bytes:
        """The whole content of a small part."""
        if self.size(name) > most:
            raise UnreadableFile(f"{_part(name)} has {self.size(name)} bytes; at most {most} are taken.")
        return b"".join(self.chunks(name))


def _part(name: str) -> str:
    return f"The archive's part {shown(name)}"


@contextmanager
def opened(path: Path, limits: Limits) -> Iterator[Archive]:
    """The archive in a file, after everything that can be checked without unpacking has been."""
    try:
        file = path.open("rb")
    except (OSError, ValueError):
        raise UnreadableFile("The file cannot be opened; send it again.") from None
    with file:
        directory, count = _directory(file, limits)
        try:
            zipped = zipfile.ZipFile(file)
        except UnicodeDecodeError:
            raise UnreadableFile(
                "The archive holds a name that is not UTF-8; save it with torch.export.save."
            ) from None
        except (*MALFORMED, struct.error):
            raise UnreadableFile("The archive's table of contents is damaged; save the file again.") from None
        with zipped:
            entries = zipped.infolist()
            if len(entries) != count:
                raise UnreadableFile("The archive holds another number of parts than it says; save the file again.")
            _check_sizes(entries, limits)
            _check_places(file, entries, directory)
            yield Archive(zipped, _named(entries))


def _directory(file: IO[bytes], limits: Limits) -> tuple[int, int]:
    """Where the table of contents starts, and how many parts it holds.

    Their number is bounded before the standard library makes an object for each.
    """
    size = file.seek(0, 2)
    if size == 0:
        raise UnreadableFile("The file is empty; save it with torch.export.save, and send all of it.")
    if size > limits.file_bytes:
        raise UnreadableFile(
            f"The file has {size} bytes; at most {limits.file_bytes} are taken "
            f"(set {setting('file_bytes')} to change it)."
        )
    file.seek(0)
    if file.read(4) != b"PK\x03\x04":
        raise UnreadableFile("The file is no .pt2 archive; save the network with torch.export.save.")
    if size < END.size:
        raise UnreadableFile("The archive is cut off; send all of the file.")
    end_at = size - END.size
    file.seek(end_at)
    signature, disk, first_disk, _, count, length, start, comment = END.unpack(file.read(END.size))
    if signature != 0x06054B50 or disk or first_disk or comment:
        raise UnreadableFile(
            "The archive is cut off, or something stands behind its end; send the file as it was saved."
        )
    if (long := _long_end(file, end_at)) is not None:
        count, length, start, end_at = long
    if start + length != end_at or count == 0:
        raise UnreadableFile("The archive's table of contents is not where the archive says; save the file again.")
    allowed = f"at most {limits.entries} parts are taken (set {setting('entries')} to change it)"
    if count > limits.entries or length > limits.entries * 2 * NAME_BYTES:
        raise UnreadableFile(f"The archive says that it holds {count} parts; {allowed}.")
    file.seek(start)
    # Every entry starts with this; names that hold it can only make the count too high.
    if file.read(length).count(b"PK\x01\x02") > limits.entries:
        raise UnreadableFile(f"The archive holds more parts than it says; {allowed}.")
    return start, count


def _long_end(file: IO[bytes], end_at: int) -> tuple[int, int, int, int] | None:
    """Number of parts, length and start of the table, and its end, from the longer record that torch writes."""
    at = end_at - LOCATOR_64.size - END_64.size
    if at < 0:
        return None
    file.seek(at)
    record = END_64.unpack(file.read(END_64.size))
    locator = LOCATOR_64.unpack(file.read(LOCATOR_64.size))
    if locator[0] != 0x07064B50:
        return None
    if record[0] != 0x06064B50 or locator[2] != at or record[1] != END_64.size - 12 or record[4] or record[5]:
        raise UnreadableFile("The archive's end is damaged; save the file again.")
    return record[7], record[8], record[9], at


def _check_sizes(entries: list[zipfile.ZipInfo], limits: Limits) -> None:
    total = 0
    for entry in entries:
        total += entry.file_size
        part = _part(entry.orig_filename)
        if entry.flag_bits & ~(DESCRIPTOR | UTF8 | LEVEL):
            raise UnreadableFile(f"{part} is encrypted or of an unknown kind; save the file with torch.export.save.")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UnreadableFile(f"{part} is packed in an unusual way; save the file with torch.export.save.")
        if entry.compress_type == zipfile.ZIP_STORED and entry.file_size != entry.compress_size:
            raise UnreadableFile(f"{part} is announced with two sizes; save the file again.")
        if entry.file_size > RATIO * entry.compress_size:
            raise UnreadableFile(
                f"{part} would grow more than {RATIO} times when unpacked; save it without compression."
            )
    if total > limits.unpacked_bytes:
        raise UnreadableFile(
            f"The archive's parts have {total} bytes together; at most {limits.unpacked_bytes} are taken "
            f"(set {setting('unpacked_bytes')} to change it)."
        )


def _check_places(file: IO[bytes], entries: list[zipfile.ZipInfo], directory: int) -> None:
    """No two parts share bytes, and what stands before each says the same as the table of contents."""
    ordered = sorted(entries, key=lambda entry: entry.header_offset)
    ends = [entry.header_offset for entry in ordered[1:]] + [directory]
    for entry, next_at in zip(ordered, ends, strict=True):
        part = _part(entry.orig_filename)
        file.seek(entry.header_offset)
        header = file.read(LOCAL.size)
        if len(header) < LOCAL.size or header[:4] != b"PK\x03\x04":
            raise UnreadableFile(f"{part} is not where the archive says; save the file again.")
        _, _, flags, method, _, _, checksum, packed, unpacked, name_bytes, extra_bytes = LOCAL.unpack(header)
        name = file.read(name_bytes)
        known = (flags, method, name) == (entry.flag_bits, entry.compress_type, _raw_name(entry))
        expected = (entry.CRC, entry.compress_size, entry.file_size)
        later = bool(flags & DESCRIPTOR)
        if not known or not all(
            said in (found, ELSEWHERE) or (said == 0 and later)
            for said, found in zip((checksum, packed, unpacked), expected, strict=True)
        ):
            raise UnreadableFile(f"{part} is announced twice with different sizes or names; save the file again.")
        start = entry.header_offset + LOCAL.size + name_bytes + extra_bytes
        if start + entry.compress_size > next_at:
            raise UnreadableFile(f"{part} overlaps another part; save the file again.")


def _raw_name(entry: zipfile.ZipInfo) -> bytes:
    return entry.orig_filename.encode("utf-8" if entry.flag_bits & UTF8 else "cp437", errors="replace")


def _named(entries: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """The parts by their names below the one root folder."""
    parts: dict[str, zipfile.ZipInfo] = {}
    roots = set()
    for entry in entries:
        name = entry.orig_filename
        root, _, below = name.partition("/")
        if not entry.flag_bits & UTF8 and not name.isascii():
            raise UnreadableFile(f"{_part(name)} has a name that is not UTF-8; save it with torch.export.save.")
        if not below and _plain(f"{root}/{root}"):
            raise UnreadableFile(
                f"{_part(name)} lies in no folder, as in files of an older torch, which are pickled; load the file in "
                "your own torch and save the network again with a current one."
            )
        if len(name) > NAME_BYTES or not _plain(name):
            raise UnreadableFile(
                f"{_part(name)} has a name that leads elsewhere; save the file with torch.export.save."
            )
        roots.add(root)
        if len(roots) > 1:
            raise UnreadableFile(
                f"{_part(name)} lies outside the archive's one folder; save it with torch.export.save."
            )
        if below in parts:
            raise UnreadableFile(f"{_part(name)} is there twice; save the file again.")
        parts[below] = entry
    return parts


def _plain(name: str) -> bool:
    folders = name.split("/")
    bad = any(part in ("", ".", "..") for part in folders) or folders[0].endswith(":")
    return not bad and name.isprintable() and "\\" not in name and len(folders) > 1
