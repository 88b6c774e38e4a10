"""Who hears how far something long is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Hears how much is done, how much there is to do, and what is going on."""

    def __call__(self, done: int, total: int, what: str, /) -> None: ...


def silent(done: int, total: int, what: str, /) -> None:
    """For whoever does not ask."""
