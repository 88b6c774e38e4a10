"""Numbers and foreign names in sentences: times, sizes and rates with a unit, and names made fit to show.

A name that comes from a file is shown short, on one line, and without what a terminal would act on.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, isfinite, log10

TIME_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"))
"""Nanoseconds of each unit."""
PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
MINUS = "−"
LONGEST = 80
LONGEST_REASON = 160
FIRST = 5


def duration(time_ns: float) -> str:
    """A time with three digits and a fitting unit."""
    if time_ns == 0:
        return "0 s"
    ns_per_unit, unit = time_unit(time_ns)
    return f"{three_digits(time_ns / ns_per_unit)} {unit}" if time_ns >= ns_per_unit else f"{time_ns:.0f} ns"


def duration_s(time_s: float) -> str:
    """The same of a time in seconds."""
    return duration(1e9 * time_s)


def roughly(time_s: float) -> str:
    """A time that nobody knows exactly."""
    if time_s < 90:
        return f"{max(1, round(time_s))} s"
    return f"{time_s / 60:.0f} min" if time_s < 5400 else f"{time_s / 3600:.1f} h"


def time_unit(time_ns: float) -> tuple[float, str]:
    """The unit in which a time, and everything beside it on an axis, reads best: its nanoseconds and its name."""
    return next((unit for unit in TIME_UNITS if time_ns >= unit[0]), TIME_UNITS[-1])


def three_digits(value: float, thousands: str = "") -> str:
    """Three significant digits, without an exponent; `thousands` separates groups of digits."""
    if not isfinite(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    size = abs(value)
    # By the rounded number: 99.97 reads 100, not 100.0.
    digits = 0 if size >= 99.95 else 1 if size >= 9.995 else 2
    return f"{value:{thousands}.{digits}f}".replace("-", MINUS)


def rounded(value: float) -> str:
    """A number of a table as a person would round it: three digits, two of a small one; 0 only where it is 0."""
    if value == 0:
        return "0"
    if abs(value) < 1e-4:
        return "< 0.0001" if value > 0 else f"> {MINUS}0.0001"
    if abs(value) < 0.01:
        return f"{value:.2g}".replace("-", MINUS)
    return three_digits(value, ",")


def written(value: float, digits: int = 6) -> str:
    """A number for a file that programs read: so many digits, without an exponent and trailing zeros."""
    if not isfinite(value) or value == 0:
        return f"{value:g}"
    places = max(0, digits - 1 - floor(log10(abs(value))))
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def figure(name: str, value: str | float) -> str:
    """A figure of a table's row as text, by the unit at the end of its name."""
    if isinstance(value, str):
        return value
    if name.endswith("_s"):
        return duration_s(value)
    if name.endswith("_bytes"):
        return f"{rounded(value / 1e3)} kB"
    if name.endswith("_rps"):
        # A slow rate is one, too.
        return three_digits(value, ",") if value >= 1 else f"{value:.3g}"
    return gap_text(value)


def size_unit(size_bytes: float) -> tuple[float, str]:
    """The unit in which a size, and everything beside it on an axis, reads best: its bytes and its name."""
    return next(((bytes_, f"{prefix}B") for bytes_, prefix in PREFIXES if size_bytes >= bytes_), (1.0, "B"))


def bytes_text(size: int) -> str:
    return _with_prefix(size, "B")


def flops_text(flops: int) -> str:
    """Floating-point operations."""
    return _with_prefix(flops, "FLOP")


def _with_prefix(value: int, unit: str) -> str:
    """Three digits with a prefix of SI; below a thousand all digits."""
    for length, prefix in PREFIXES:
        if value >= length:
            return f"{three_digits(value / length)} {prefix}{unit}"
    return f"{value} {unit}"


def rate_text(mbps: float) -> str:
    return f"{mbps:g} Mbit/s"


def gain_text(ratio: float) -> str:
    return f"{three_digits(ratio, ',')}×"


def gap_text(gap: float) -> str:
    """A gap in per cent; less than can be shown is not said to be nothing."""
    if gap == 0:
        return "0 %"
    return "< 0.01 %" if gap < 1e-4 else f"{three_digits(100 * gap, ',')} %"


def change_text(change: float) -> str:
    """By how much something differs, in per cent with its sign: '+1.6 %', '−40 %', '< 0.1 %' for next to nothing."""
    size = abs(change)
    if size < 0.0005:
        return "0 %" if change == 0 else "< 0.1 %"
    return f"{'+' if change > 0 else MINUS}{100 * size:,.{1 if size < 0.0995 else 0}f} %"


def ranges_text(numbers: Sequence[int]) -> str:
    """Sorted numbers with neighbours joined: (1, 2, 3, 5) reads "1–3, 5"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)


def shown(name: str) -> str:
    """The name in quotes, without what a terminal would act on, and cut where it is long."""
    return f"'{_plain(name, LONGEST)}'"


def first_line(error: BaseException) -> str:
    """What a library says, as part of a sentence: the first line's first one, short and plain, without a full stop."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return _plain(line.split(". ")[0], LONGEST_REASON).rstrip(".")


def printable(text: str) -> str:
    """The text on one line, without what a terminal would act on or cannot write."""
    return "".join(char if char.isprintable() else " " if char.isspace() else "?" for char in text)


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


def counted(number: int, noun: str) -> str:
    """As in '1 request' and '8 requests'."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
