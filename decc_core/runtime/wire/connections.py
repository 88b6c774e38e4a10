"""What this process has open by TCP, seen by the numbers of its files: sockets of libraries, which hand none out."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OPEN_FILES = next((place for place in (Path("/proc/self/fd"), Path("/dev/fd")) if place.is_dir()), None)
"""Where a process sees what it has open; without it (Windows), nothing is seen."""


def open_numbers() -> list[int]:
    """The numbers of all open files; `OSError` where they cannot be seen for the moment."""
    return [int(file.name) for file in OPEN_FILES.iterdir()] if OPEN_FILES is not None else []


@contextmanager
def by_tcp(number: int) -> Iterator[socket.socket | None]:
    """A copy of what is open under a number, if that is a socket of TCP; what is set or ended by it, is so for both.

    Of nothing else a copy is made: closing one gives up a file's locks, and a pipe never ends while one is open.
    """
    try:
        copy = os.dup(number) if stat.S_ISSOCK(os.fstat(number).st_mode) else None
    except OSError as error:
        # Closed meanwhile; where no more files may be opened, whoever looks is not to take all for closed.
        if error.errno != errno.EBADF:
            raise
        copy = None
    if copy is None:
        yield None
        return
    try:
        found = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        yield None
        return
    with found:
        internet = found.family in (socket.AF_INET, socket.AF_INET6)
        yield found if internet and found.type == socket.SOCK_STREAM else None
