"""Pieces of work on the four serial resources, planned or measured."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import NamedTuple


class Resource(str, Enum):
    """The four resources; each is serial."""

    EDGE = "edge"
    UPLINK = "uplink"
    CLOUD = "cloud"
    DOWNLINK = "downlink"

    @property
    def computes(self) -> bool:
        """Whether its work is layers; the links' work is tensors."""
        return self in (Resource.EDGE, Resource.CLOUD)


class Work(NamedTuple):
    """One piece of work: a layer index (edge, cloud) or a tensor index (uplink, downlink) of one request."""

    request: int
    item: int


@lru_cache(maxsize=2048)
def works(request: int, items: int) -> tuple[Work, ...]:
    """The pieces of work 0 up to `items` of one request; made once, because plans hold very many of them."""
    return tuple(Work(request, item) for item in range(items))


@dataclass(frozen=True)
class Span:
    """One piece of work on one resource, with start and end in nanoseconds."""

    resource: Resource
    work: Work
    start_ns: int
    end_ns: int

    def __post_init__(self) -> None:
        if not 0 <= self.start_ns <= self.end_ns:
            raise ValueError(f"A span of {self.resource.value} runs from {self.start_ns} to {self.end_ns} ns.")
