"""Which machine this is, as far as clocks go."""

from __future__ import annotations

from pathlib import Path

BOOT_FILE = Path("/proc/sys/kernel/random/boot_id")


def machine_id() -> str:
    """Equal for all processes that share a monotonic clock; empty where that is not known."""
    try:
        return BOOT_FILE.read_text().strip()
    except OSError:
        return ""
