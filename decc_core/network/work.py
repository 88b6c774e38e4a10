"""Work on the four serial resources, planned or measured."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
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
    """What a resource does in one go: a layer (edge, cloud) or a tensor (uplink, downlink) of one request, by index."""

    request: int
    item: int


@dataclass(frozen=True, slots=True)
class Span:
    """Work on one resource, with start and end in nanoseconds."""

    resource: Resource
    work: Work
    start_ns: int
    end_ns: int

    def __post_init__(self) -> None:
        if not 0 <= self.start_ns <= self.end_ns:
            raise ValueError(f"A span of {self.resource.value} runs from {self.start_ns} to {self.end_ns} ns.")

    @property
    def duration_ns(self) -> int:
        return self.end_ns - self.start_ns
