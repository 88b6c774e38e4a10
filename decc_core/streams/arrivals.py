"""When requests arrive: processes, seeded, and times from elsewhere; in integer nanoseconds, sorted, from 0 on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from decc_core import ranges
from decc_core.errors import InvalidInstance
from decc_core.network.arrays import Ints
from decc_core.problem.link import NS_PER_S

MAX_ARRIVALS = 5_000_000
MAX_SOURCES = 1024
RATES_HZ = (1e-6, 1e7)


class Process(StrEnum):
    """How the time between two arrivals varies; its coefficient of variation (CV) is 0, 1 or chosen."""

    CONSTANT = "constant"
    POISSON = "poisson"
    GAMMA = "gamma"


@dataclass(frozen=True)
class Arrivals:
    """Arrival times in nanoseconds, and the source of each request, numbered from 0."""

    times_ns: Ints
    source: Ints

    def __post_init__(self) -> None:
        if self.times_ns.shape != self.source.shape or self.times_ns.ndim != 1:
            raise InvalidInstance("Arrivals need one source for each time.")
        if not 1 <= len(self.times_ns) <= MAX_ARRIVALS:
            raise InvalidInstance(f"{len(self.times_ns):,} arrivals cannot be simulated; choose 1 to {MAX_ARRIVALS:,}.")
        if self.times_ns[0] < 0 or (np.diff(self.times_ns) < 0).any():
            raise InvalidInstance("Arrival times must begin at 0 or later, and must not go back.")
        if self.source.min() < 0 or self.source.max() >= MAX_SOURCES:
            raise InvalidInstance(f"Sources are numbered from 0 to {MAX_SOURCES - 1}.")

    def __len__(self) -> int:
        return len(self.times_ns)

    @property
    def sources(self) -> int:
        return int(self.source.max()) + 1

    @property
    def rate_hz(self) -> float:
        """Requests per second of all sources together, from the first to the last arrival."""
        lasts_ns = int(self.times_ns[-1] - self.times_ns[0])
        return (len(self) - 1) * NS_PER_S / lasts_ns if lasts_ns else float("inf")

    @property
    def gaps_ns(self) -> Ints:
        """Times from one request of a source to its next, of all sources."""
        order = np.argsort(self.source, kind="stable")
        gaps = np.diff(self.times_ns[order])[np.diff(self.source[order]) == 0]
        return np.asarray(gaps) if len(gaps) else np.zeros(1, np.int64)

    def stretched(self, factor: float) -> Arrivals:
        """The same arrivals, so many times as far apart."""
        return Arrivals(np.round(self.times_ns * factor).astype(np.int64), self.source)


def arrivals(
    process: Process, rate_hz: float, requests: int, sources: int = 1, cv: float = 3.0, seed: int = 0
) -> Arrivals:
    """So many requests in all, at a rate of all sources together; every source is a process of its own.

    Constant sources are shifted against each other by chance, as cameras are. `cv` counts for the Gamma process, whose
    shape is 1 / cv^2. The same seed at another rate gives the same arrivals, stretched.
    """
    ranges.require("rate", rate_hz, *RATES_HZ, "requests/s")
    ranges.require("coefficient of variation", cv, 0.01, 100, "")
    if not 1 <= requests <= MAX_ARRIVALS or not 1 <= sources <= min(requests, MAX_SOURCES):
        raise InvalidInstance(
            f"{requests:,} requests of {sources:,} sources cannot be simulated; choose at most {MAX_ARRIVALS:,} of at "
            f"most {MAX_SOURCES:,} sources, and no fewer requests than sources."
        )
    rng = np.random.default_rng(seed)
    # In mean gaps of one source; a few more each, as some sources are behind when the last request comes.
    spare = 0 if sources == 1 else 8 + int(4 * max(1.0, cv) * np.sqrt(requests / sources))
    each = -(-requests // sources) + spare
    if process is Process.CONSTANT:
        gaps = np.ones((sources, each))
    elif process is Process.POISSON:
        gaps = rng.exponential(1.0, (sources, each))
    else:
        gaps = rng.gamma(1 / cv**2, cv**2, (sources, each))
    starts = np.zeros((sources, 1)) if process is Process.CONSTANT and sources == 1 else rng.uniform(0, 1, (sources, 1))
    if process is not Process.CONSTANT:
        starts = gaps[:, :1]
    times = starts + np.concatenate([np.zeros((sources, 1)), np.cumsum(gaps[:, 1:], axis=1)], axis=1)
    order = np.argsort(times, axis=None, kind="stable")[:requests]
    source, _ = np.unravel_index(order, times.shape)
    in_ns = np.round(times.reshape(-1)[order] * (sources * NS_PER_S / rate_hz)).astype(np.int64)
    return Arrivals(in_ns, np.asarray(source, np.int64))


def arrivals_at(times_s: Sequence[float]) -> Arrivals:
    """Times from elsewhere, in seconds, of one source; they count from the first."""
    times = np.asarray(times_s, np.float64)
    if not len(times) or not np.isfinite(times).all():
        raise InvalidInstance("Arrival times must be finite numbers of seconds, and at least one.")
    times = np.sort(times) - times.min()
    if times[-1] * NS_PER_S > ranges.MAX_INT / 4:
        raise InvalidInstance(f"The last arrival is {times[-1]:.3g} s after the first, which is too long to simulate.")
    return Arrivals(np.round(times * NS_PER_S).astype(np.int64), np.zeros(len(times), np.int64))
