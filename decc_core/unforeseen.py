"""The last sentence: what nobody foresaw goes into a log file, and a user is told where it lies."""

from __future__ import annotations

import os
import platform
import tempfile
import traceback
from datetime import UTC, datetime

from decc_core import __version__
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


def _logged(error: BaseException, what: str) -> str:
    """The path of a new file with the traceback, which nobody else may read: paths and names stand in it."""
    versions = f"DECC {__version__}, Python {platform.python_version()}, {platform.platform()}"
    details = "".join(traceback.format_exception(error))[-LONGEST_TRACE:]
    handle, path = tempfile.mkstemp(prefix="decc-", suffix=".log")
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"{datetime.now(UTC).isoformat(timespec='seconds')} {versions}\n{what}\n{details}")
    return path
