"""A corpus of hostile `.pt2` files, each made from an honest one; a payload that runs creates the marker file.

`REFUSED` are files that must not be taken, `DISARMED` those of which everything dangerous is left out unread.
"""

# Importing these registers their files.
from tests.load.hostile_pt2 import archive, network, pickles, running_code, weights
from tests.load.hostile_pt2.base import (
    CONSTANTS,
    DISARMED,
    NETWORK,
    REFUSED,
    SAMPLES,
    WEIGHTS,
    Honest,
    changed,
    example,
    honest,
    ints,
    packed,
    parts_of,
    pickled,
    saved,
    source_code,
)

__all__ = [
    "CONSTANTS", "DISARMED", "NETWORK", "REFUSED", "SAMPLES", "WEIGHTS", "Honest", "archive", "changed", "example",
    "honest", "ints", "network", "packed", "parts_of", "pickled", "pickles", "running_code", "saved", "source_code",
    "weights",
]  # fmt: skip
