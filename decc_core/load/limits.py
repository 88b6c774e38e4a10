"""How much of a file that somebody sent is taken: safe defaults, each of which names itself when it is hit."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import Any

from decc_core.errors import InvalidInstance

GIB = 1 << 30
VARIABLE = "DECC_MAX_"
"""Environment variables with this prefix set a limit: `DECC_MAX_FILE_BYTES=200000000`."""

BYTES_PER_MB = 1e6
COUNTED = {
    "file_bytes": "MB of data",
    "parameter_bytes": "MB of weights",
    "tensor_bytes": "MB of tensors in one request",
    "layers": "layers",
    "entries": "parts",
}


@dataclass(frozen=True)
class Limits:
    """What one file may hold and use; `DECC_MAX_...` in the environment, or an argument, changes a limit."""

    file_bytes: int = 1_000_000_000
    unpacked_bytes: int = 3 * GIB
    """Of all parts of an archive together."""
    parameter_bytes: int = 2 * GIB
    """Of all weights together, unpacked."""
    tensor_bytes: int = 4 * GIB
    """Of all tensors that one request makes, inputs and outputs of every layer together."""
    layers: int = 20_000
    entries: int = 100_000
    """Parts of an archive."""
    time_s: int = 120
    memory_bytes: int = 12 * GIB
    """Of the process that reads the file."""

    def __post_init__(self) -> None:
        for one in fields(self):
            if getattr(self, one.name) <= 0:
                raise InvalidInstance(f"The limit {one.name} is {getattr(self, one.name)}; it must be above 0.")

    @classmethod
    def from_environment(cls) -> Limits:
        found: dict[str, Any] = {}
        for one in fields(cls):
            variable = VARIABLE + one.name.upper()
            text = os.environ.get(variable)
            if text is None:
                continue
            if not text.isdecimal():
                raise InvalidInstance(f"{variable} is '{text}'; give a whole number.")
            found[one.name] = int(text)
        return cls(**found)

    def exceeded(self, file: str, name: str, found: int) -> str:
        """The sentence that says that a file is beyond a limit, and how to raise it."""
        scale = BYTES_PER_MB if name.endswith("_bytes") else 1
        limit = getattr(self, name) / scale
        return (
            f"{file} has {found / scale:,.0f} {COUNTED[name]}, more than the limit of {limit:,.0f}; "
            f"raise it with {setting(name)}={found}."
        )


def setting(name: str) -> str:
    """The variable that raises a limit, for messages that say that it was hit."""
    return VARIABLE + name.upper()
