"""How a network is to be measured; known without PyTorch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from decc_core.errors import InvalidProfile
from decc_core.models.device import DeviceSettings

MAX_REPEATS = 10_000


@dataclass(frozen=True)
class ProfileSettings:
    """How to measure: on what, and in how many timed passes over the whole network.

    No pass begins after `longest_s`, except for the first; if that leaves none but those that warm up, the last counts.
    """

    device: str = "this-machine"
    runs_on: DeviceSettings = field(default_factory=DeviceSettings)
    repeats: int = 30
    warmup: int = 3
    longest_s: float = math.inf

    def __post_init__(self) -> None:
        if not 1 <= self.repeats <= MAX_REPEATS or self.warmup < 0:
            raise InvalidProfile(f"{self.repeats} repeats cannot be measured; choose 1 to {MAX_REPEATS}.")
