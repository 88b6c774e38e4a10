"""All wire formats by name."""

from __future__ import annotations

from decc_core.errors import UnknownName
from decc_core.formats.format import Format
from decc_core.formats.integers import Integers
from decc_core.formats.plain import Half, Raw
from decc_core.text import shown

BITS = (8, 6, 4, 2)
RAW = "raw"
ALIASES = {"fp32": RAW}
"""As earlier versions called it."""


def _all() -> dict[str, Format]:
    integers = [Integers(bits, channel, clip) for bits in BITS for channel in (False, True) for clip in (False, True)]
    return {one.name: one for one in (Raw(), Half(), *integers)}


_FORMATS = _all()
NAMES = tuple(_FORMATS)
"""Of every format, in the order in which they are listed."""
IMAGES: tuple[str, ...] = ()
"""Formats for model inputs that are images of 8 bits."""
COMMON = (RAW, "fp16", "int8", "int4")


def canonical(name: str) -> str:
    """The name under which a format is listed; refuses what is none in a sentence with all that there are."""
    listed = ALIASES.get(name, name)
    if listed not in _FORMATS:
        raise UnknownName(f"There is no wire format {shown(name)}; choose one of {', '.join(NAMES)}.")
    return listed


def find(name: str) -> Format:
    """A format by its name."""
    return _FORMATS[canonical(name)]
