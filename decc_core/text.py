"""Numbers and foreign names in sentences: durations with a unit, three digits, and names made fit to show.

A name that comes from a file is shown short, on one line, and without what a terminal would act on.
"""

from __future__ import annotations

from collections.abc import Sequence

TIME_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"))
"""Nanoseconds of each unit."""
LONGEST = 80
LONGEST_REASON = 160
FIRST = 5


def duration(time_ns: float) -> str:
    """A time with three digits and a fitting unit."""
    for length_ns, unit in TIME_UNITS:
        if time_ns >= length_ns:
            return f"{three_digits(time_ns / length_ns)} {unit}"
    return f"{time_ns:.0f} ns"


def three_digits(value: float) -> str:
    """Three significant digits, without an exponent."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}"


def shown(name: str) -> str:
    """The name in quotes, without what a terminal would act on, and cut where it is long."""
    return f"'{_plain(name, LONGEST)}'"


def first_line(error: BaseException) -> str:
    """What a library says, as part of a sentence: the first line's first one, short and plain, without a full stop."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return _plain(line.split(". ")[0], LONGEST_REASON).rstrip(".")


def _plain(text: str, longest: int) -> str:
    clean = "".join(char if char.isprintable() else "?" for char in text[: longest + 1])
    return clean if len(clean) <= longest else f"{clean[:longest]}…"


def listed(names: Sequence[str], first: int = FIRST) -> str:
    """The first few names, and how many more there are."""
    told = ", ".join(shown(name) for name in names[:first])
    return told if len(names) <= first else f"{told} and {len(names) - first:,} more"


def file_name(path: str) -> str:
    """The last part of a path that somebody sent, in either system's spelling, without what no name needs."""
    part = path.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(char for char in part if char.isprintable()).strip()[:LONGEST] or "file"


def network_name(file: str) -> str:
    """What a network is called: the name of its file without the suffix."""
    name = file_name(file)
    return name.rsplit(".", 1)[0].strip() if "." in name[1:] else name


def tensors(count: int) -> str:
    return f"{count} tensor" if count == 1 else f"{count} tensors"
