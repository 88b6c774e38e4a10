"""The last sentence: what nobody foresaw goes into a log file, and a user is told where it lies."""

from __future__ import annotations

import errno
import os
import platform
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from decc_core import __version__
from decc_core.errors import DeccError
from decc_core.text import first_line

LONGEST_TRACE = 1_000_000
"""Letters of a traceback; whatever failed may have failed with a very long text."""


def sentence(error: BaseException, what: str) -> str:
    """What a user is told of an error that is no `DeccError`; `what` was being done goes into the log with it."""
    name = type(error).__name__
    try:
        place = f"The details are in {_logged(error, what)}"
    except OSError as reason:
        # Said all the same: a full disk may be what it failed by.
        place = f"The details could not be written ({first_line(reason)}): {first_line(error)}"
    return (
        f"Something failed that DECC did not foresee ({name}). {place}; please report it with that file, and with what "
        "you did, to those who maintain DECC."
    )


LIMITS = (errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.ENOMEM, errno.EAGAIN, errno.EDQUOT)
NO_THREAD = "can't start new thread"


@contextmanager
def enough_for(what: str, kind: type[DeccError]) -> Iterator[None]:
    """Tells in a sentence, as an error of this kind, that memory, files, threads or the disk do not suffice."""
    try:
        yield
    except (MemoryError, OSError, RuntimeError) as error:
        short = isinstance(error, MemoryError) or NO_THREAD in str(error) or getattr(error, "errno", None) in LIMITS
        if not short or isinstance(error, DeccError):
            raise
        raise kind(
            f"The system does not give this process what {what} needs ({first_line(error) or 'memory'}); "
            "end other programs, or raise its limits, which `ulimit -a` shows."
        ) from error


def _logged(error: BaseException, what: str) -> str:
    """The path of a new file with the traceback, which nobody else may read: paths and names stand in it."""
    versions = f"DECC {__version__}, Python {platform.python_version()}, {platform.platform()}"
    details = "".join(traceback.format_exception(error))[-LONGEST_TRACE:]
    handle, path = tempfile.mkstemp(prefix="decc-", suffix=".log")
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"{datetime.now(UTC).isoformat(timespec='seconds')} {versions}\n{what}\n{details}")
    return path
