"""Numbers from outside: their digits are ASCII, and they lie in a range that means something.

Comparisons are written so that NaN fails them.
"""

from __future__ import annotations

import re

from decc_core.errors import DeccError, InvalidInstance

MAX_INT = 2**63 - 1
BPS_PER_MBPS = 1e6
LEAST_BPS, MOST_BPS = 1e-3, 1e18
"""Rates of a link: a byte in two hours, and more than any link carries."""
LONGEST_S = 1e9
"""Thirty years: no layer, round trip, recording or deadline is longer."""
LEAST_FACTOR, MOST_FACTOR = 1e-9, 1e9
"""How many times slower or faster something may be made."""
LONGEST_NUMBER = 400
_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)


def whole_number(text: str) -> int:
    """A whole number in ASCII digits; ValueError for anything else."""
    if len(text) > LONGEST_NUMBER or not _WHOLE.fullmatch(text.strip()):
        raise ValueError(f"{text[:40]!r} is no whole number")
    return int(text)


def number(text: str) -> float:
    """A number in ASCII digits; ValueError for anything else. Whoever takes it says which ones make sense."""
    if len(text) > LONGEST_NUMBER or not _NUMBER.fullmatch(text.strip()):
        raise ValueError(f"{text[:40]!r} is no number")
    return float(text)


def is_count(text: str) -> bool:
    """Whether a text is nothing but ASCII digits, and few enough of them to be a size or a count."""
    return 0 < len(text) <= 18 and text.isascii() and text.isdecimal()


def shown(value: float) -> str:
    """A number in a sentence; a whole one may be too large for the usual way to write it."""
    return f"{value:g}" if isinstance(value, float) or abs(value) <= MAX_INT else "a number of very many digits"


def require(
    what: str, value: float, least: float, most: float, unit: str = "", error: type[DeccError] = InvalidInstance
) -> None:
    """Refuse a value outside of a range, and NaN."""
    if not least <= value <= most:
        unit = f" {unit}" if unit else ""
        raise error(f"The {what} is {shown(value)}{unit}; it must lie between {least:g} and {most:g}{unit}.")


def require_time(what: str, time_s: float, longest_s: float = LONGEST_S) -> None:
    """Refuse a time that is negative, not finite, or longer than anything lasts."""
    if not 0 <= time_s <= longest_s:
        raise InvalidInstance(
            f"The {what} is {shown(time_s)} s; it must be finite, not negative, and at most {longest_s:g} s."
        )


def require_rate(what: str, bps: float, least: float = LEAST_BPS) -> None:
    """Refuse a rate that carries nothing, or more than any link."""
    if not least <= bps <= MOST_BPS:
        raise InvalidInstance(
            f"The {what} is {shown(bps / BPS_PER_MBPS)} Mbit/s; it must be finite and lie between "
            f"{least / BPS_PER_MBPS:g} and {MOST_BPS / BPS_PER_MBPS:g} Mbit/s."
        )
