"""How a network is to be measured; known without PyTorch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from decc_core import ranges
from decc_core.errors import InvalidProfile
from decc_core.models.device import DeviceSettings

MAX_REPEATS = 10_000
MAX_NAME = 1000


@dataclass(frozen=True)
class ProfileSettings:
    """How to measure: on what, and in how many timed passes over the whole network.

    No pass begins after `longest_s`, except for the first; if that leaves none but those that warm up, the last counts.
    Where `requests_in_a_run` says how many a run has, passes are like it: the device rests before each row of so many,
    and each has another input than the one before. With `fastest`, the fastest of a few passes count, not the medians:
    what else a machine does only makes them longer.
    """

    device: str = "this-machine"
    runs_on: DeviceSettings = field(default_factory=DeviceSettings)
    repeats: int = 30
    warmup: int = 3
    longest_s: float = math.inf
    requests_in_a_run: int | None = None
    fastest: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.repeats <= MAX_REPEATS or not 0 <= self.warmup <= MAX_REPEATS:
            raise InvalidProfile(f"{ranges.shown(self.repeats)} repeats cannot be measured; choose 1 to {MAX_REPEATS}.")
        if self.requests_in_a_run is not None and not 1 <= self.requests_in_a_run <= MAX_REPEATS:
            raise InvalidProfile(
                f"A run has no {ranges.shown(self.requests_in_a_run)} requests; choose 1 to {MAX_REPEATS}."
            )
        if not self.longest_s >= 0:
            raise InvalidProfile(f"{self.longest_s} s are no time to measure in; choose 0 or more.")
        if len(self.device) > MAX_NAME:
            raise InvalidProfile(f"The device's name has {len(self.device)} letters; {MAX_NAME} are enough.")
