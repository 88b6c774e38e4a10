"""How much of a file that somebody sent is taken: safe defaults, each of which names itself when it is hit."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields

from decc_core.errors import InvalidInstance, UnreadableFile
from decc_core.ranges import is_count

GIB = 1 << 30
VARIABLE = "DECC_MAX_"
"""Environment variables with this prefix set a limit: `DECC_MAX_FILE_BYTES=200000000`."""
BYTES_PER_MB = 1e6
BEYOND = {
    "file_bytes": "has more than {} MB of data",
    "unpacked_bytes": "has more than {} MB when it is unpacked",
    "parameter_bytes": "has more than {} MB of weights",
    "tensor_bytes": "makes more than {} MB of tensors in one request",
    "layers": "has more than {} layers",
    "entries": "has more than {} parts",
    "time_s": "takes longer than {} s to read",
    "memory_bytes": "takes more than {} MB of memory to read",
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
        for limit in fields(self):
            if (value := getattr(self, limit.name)) <= 0:
                raise InvalidInstance(f"The limit {limit.name} is {value}; it must be above 0.")

    @classmethod
    def from_environment(cls) -> Limits:
        given: dict[str, int] = {}
        for limit in fields(cls):
            variable = VARIABLE + limit.name.upper()
            text = os.environ.get(variable)
            if text is None:
                continue
            if not is_count(text):
                raise InvalidInstance(f"{variable} is '{text}'; give a whole number.")
            given[limit.name] = int(text)
        return cls(**given)

    def require(self, **counts: int) -> None:
        """Refuse a file that is beyond one of the limits: `limits.require(layers=len(layers))`."""
        for name, count in counts.items():
            if count > getattr(self, name):
                raise self.exceeded(name, count)

    def exceeded(self, name: str, count: int | None = None, what: str = "") -> UnreadableFile:
        """Says that a file is beyond a limit, and how to raise it; without a count where nobody counts to the end."""
        limit = getattr(self, name)
        shown = f"{limit / BYTES_PER_MB:,g}" if name.endswith("_bytes") else f"{limit:,}"
        # A hostile shape has thousands of digits.
        enough = f"={count}" if count is not None and count < 1 << 63 else ""
        return UnreadableFile(
            f"The file {(what or BEYOND[name]).format(shown)}, which is the limit; "
            f"{VARIABLE}{name.upper()}{enough} raises it."
        )
