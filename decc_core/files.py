"""The one reader of files that users name: ordinary files only, of bounded size, and none that makes us wait.

A path may lead to a pipe that nobody writes to, to a device, or to more than there is memory for. Whatever it leads to,
the answer is the content, or one sentence that names it.
"""

from __future__ import annotations

import codecs
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from decc_core.errors import UnreadableFile
from decc_core.text import bytes_text

SETTINGS_BYTES = 1_000_000
"""Of a file that somebody writes by hand: a token, a certificate, a network preset."""
CHUNK_BYTES = 1 << 20
LONGEST_PATH = 400
"""Letters of it in a sentence."""
LONGEST_S = 60.0
"""A file that has not been read by then lies on a network or a disk that hangs."""


def read(path: Path, limit_bytes: int | None = None, what: str = "") -> bytes:
    """The content of an ordinary file of at most so many bytes; `what` it is stands before its name in sentences."""
    named = _named(path, what)
    content, ends_s = bytearray(), time.monotonic() + LONGEST_S
    try:
        handle = _opened(path, named)
        try:
            size = os.fstat(handle).st_size
            if limit_bytes is None:
                limit_bytes = size
            # More than a file says that it holds is read of none.
            while len(content) <= limit_bytes and size <= limit_bytes:
                chunk = os.read(handle, min(CHUNK_BYTES, limit_bytes + 1 - len(content)))
                if not chunk:
                    return bytes(content)
                content += chunk
                if time.monotonic() > ends_s:
                    raise UnreadableFile(f"Cannot read {named}: it took longer than {LONGEST_S:g} s; copy it here.")
        finally:
            os.close(handle)
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"Cannot read {named}: {reason(error)}.") from None
    raise UnreadableFile(f"Cannot read {named}: it has more than {bytes_text(limit_bytes)}, the limit for such files.")


def read_text(path: Path, limit_bytes: int, what: str = "") -> str:
    """The same as text in UTF-8, with or without a byte order mark."""
    return text_of(read(path, limit_bytes, what), _named(path, what))


def text_of(data: bytes, named: str) -> str:
    """The content of a file as text in UTF-8, with or without a byte order mark; `named` is it in a sentence."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        kind = (
            "no UTF-8 text, but UTF-16" if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "no UTF-8 text"
        )
        raise UnreadableFile(f"Cannot read {named}: it is {kind}; save it as UTF-8.") from None


def is_file(name: str) -> bool:
    """Whether a name stands for an ordinary file; what no file can be called stands for none."""
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False


def is_folder(name: str) -> bool:
    """Whether a name stands for a folder."""
    try:
        return Path(name).is_dir()
    except (OSError, ValueError):
        return False


def require(path: Path, what: str = "") -> None:
    """Refuse what could not be read, before anything that takes long is begun."""
    named = _named(path, what)
    try:
        os.close(_opened(path, named))
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"Cannot read {named}: {reason(error)}.") from None


def require_place(path: Path | None) -> None:
    """Refuse a file that could not be written, before anything that takes long is begun; folders above it are made."""
    if path is None:
        return
    try:
        above = next((folder for folder in path.absolute().parents if folder.exists()), path)
        if path.is_dir():
            why = "it is a folder; name a file"
        elif not above.is_dir():
            why = f"{above} is no folder"
        elif not os.access(path if path.exists() else above, os.W_OK):
            why = "it may not be written there" if not path.exists() else "it may not be written over"
        else:
            return
    except (OSError, ValueError) as error:
        why = reason(error)
    raise UnreadableFile(f"Cannot write {_named(path, '')}: {why}.")


def create(path: Path, content: bytes, private: bool = False) -> None:
    """Write a file that is not there yet, with the folders above it; a private one is for its owner's eyes alone."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Never through a link, and never over what has come there meanwhile.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o644)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
    except FileExistsError:
        raise UnreadableFile(f"{_named(path, '')} is there already, and is not written over; move it away.") from None
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"Cannot write {_named(path, '')}: {reason(error)}.") from None


def replace(path: Path, content: bytes) -> None:
    """Write a file as a whole or not at all: under its name stands the old or the new one, whatever happens.

    The folders above it are made.
    """
    target = path.resolve()
    new = target.with_name(f"{target.name}.new")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with new.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(target)
    except (OSError, ValueError) as error:
        with suppress(OSError, ValueError):
            new.unlink()
        raise UnreadableFile(f"Cannot write {_named(path, '')}: {reason(error)}.") from None


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Holds a file's lock, which ends with this process at the latest; False where another process has it.

    The file is made, with the folders above it. Where the system has no such locks, nobody is kept out.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"Cannot write {_named(path, '')}: {reason(error)}.") from None
    try:
        try:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:
            pass
        except OSError:
            yield False
            return
        yield True
    finally:
        os.close(handle)


def in_folder(folder: Path, suffixes: tuple[str, ...], most: int, what: str = "the folder") -> list[Path]:
    """The files of a folder that end so, by name; not of one that holds more than `most` entries."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for count, entry in enumerate(entries):
                if count == most:
                    raise UnreadableFile(f"{what} {folder} holds more than {most:,} files; name one that holds fewer.")
                if entry.name.lower().endswith(suffixes):
                    found.append(folder / entry.name)
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"Cannot read {_named(folder, what)}: {reason(error)}.") from None
    return sorted(found)


def reason(error: OSError | ValueError) -> str:
    """Why the system does not give a file, in its own words."""
    return (isinstance(error, OSError) and error.strerror) or "the system gives no reason"


def _named(path: Path, what: str) -> str:
    """What a sentence calls the file; of a path that is too long to be one its end."""
    text = str(path)
    return f"{what} {text if len(text) <= LONGEST_PATH else f'…{text[-LONGEST_PATH:]}'}".strip()


def _opened(path: Path, named: str) -> int:
    """Looked at before it is opened: opening alone rewinds a tape, and waits at a pipe."""
    _require_ordinary(path.stat(), named)
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        # What stood there a moment ago may have been replaced.
        _require_ordinary(os.fstat(handle), named)
    except UnreadableFile:
        os.close(handle)
        raise
    return handle


def _require_ordinary(status: os.stat_result, named: str) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise UnreadableFile(f"Cannot read {named}: it is a folder; name a file.")
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableFile(f"Cannot read {named}: it is no ordinary file; copy its content into one.")
