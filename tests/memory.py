"""How much memory this process holds, and held at most since it was last asked to forget (Linux; elsewhere, ever)."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path

PAGE = resource.getpagesize()
STATM, CLEAR = Path("/proc/self/statm"), Path("/proc/self/clear_refs")


def forget_peak() -> None:
    """Let the peak begin anew."""
    with suppress(OSError), CLEAR.open("wb", buffering=0) as reset:
        reset.write(b"5")


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def resident_bytes() -> int:
    with suppress(OSError), STATM.open("rb", buffering=0) as told:
        return int(told.read().split()[1]) * PAGE
    return peak_bytes()
