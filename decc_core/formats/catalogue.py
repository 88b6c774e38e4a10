"""All wire formats by name."""

from __future__ import annotations

from decc_core.errors import UnknownName
from decc_core.formats.entropy import Entropy
from decc_core.formats.format import Format
from decc_core.formats.integers import Integers
from decc_core.formats.jpeg import Jpeg
from decc_core.formats.plain import Half, Raw
from decc_core.formats.squeezed import Squeezed
from decc_core.text import shown

BITS = (8, 6, 4, 2)
CODED_BITS = (4, 3, 2)
QUALITIES = (95, 85, 75)
RAW = "raw"
ALIASES = {"fp32": RAW}
"""As earlier versions called it."""


def _all() -> dict[str, Format]:
    integers = [Integers(bits, channel, clip) for bits in BITS for channel in (False, True) for clip in (False, True)]
    plain: list[Raw | Half | Integers] = [Raw(), Half(), *integers]
    entropy = [Entropy(bits, channel) for bits in CODED_BITS for channel in (False, True)]
    return {one.name: one for one in (*plain, *(Squeezed(one) for one in plain), *entropy, *map(Jpeg, QUALITIES))}


_FORMATS = _all()
NAMES = tuple(_FORMATS)
"""Of every format, in the order in which they are listed."""
IMAGES = tuple(name for name, one in _FORMATS.items() if isinstance(one, Jpeg))
"""Formats for model inputs that are images of 8 bits."""
GRAMMAR = (
    "fp32, fp16, int8, int6, int4, int2, range4, range3, range2, zstd, jpeg95, jpeg85 and jpeg75; int8-channel has a "
    "range for each channel, int8-clip drops outliers, int8-channel-clip both, and int8+zstd is squeezed after that"
)
"""All names in one sentence."""
COMMON = (RAW, "fp16", "int8", "int4")


def canonical(name: str) -> str:
    """The name under which a format is listed; refuses what is none in a sentence with all that there are."""
    listed = ALIASES.get(name, name)
    if listed not in _FORMATS:
        raise UnknownName(f"There is no wire format {shown(name)}; choose one of {GRAMMAR}.")
    return listed


def find(name: str) -> Format:
    """A format by its name."""
    return _FORMATS[canonical(name)]
