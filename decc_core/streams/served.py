"""A stream that was simulated, or run: when each request was finished, and the figures that follow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import comb, log

import numpy as np

from decc_core.errors import InvalidInstance
from decc_core.network.arrays import Ints, Mask
from decc_core.problem.instance import RESOURCES
from decc_core.problem.link import NS_PER_S
from decc_core.streams.arrivals import Arrivals
from decc_core.streams.engine import FOREVER, REFUSED

NEVER_NS = int(FOREVER) // 2
CONFIDENCE = 0.99
PERCENTILES = (50.0, 90.0, 95.0, 99.0)
GROWING = 0.005
"""Of the requests so many are left in the system at the end of the run, and more than in its first half."""


@dataclass(frozen=True, eq=False)
class Served:
    """What became of every request, in order of arrival: the place of its cut on the menu, and when it was finished.

    Where the edge had no memory for a request, it was refused and took none; its latency is beyond all deadlines.
    `loads_ns` are what each took of edge, uplink, cloud and downlink. `given_up_after` is how many requests came before
    the queues were longer than anything that could become of them, or None where all were served.
    """

    arrivals: Arrivals
    taken: Ints
    finish_ns: Ints
    loads_ns: Ints
    servers: int = 1
    given_up_after: int | None = None

    def __len__(self) -> int:
        return len(self.arrivals)

    @cached_property
    def latency_ns(self) -> Ints:
        """From the scheduled arrival to the result; none where the run was given up."""
        return self.finish_ns - self.arrivals.times_ns if self.given_up_after is None else np.zeros(0, np.int64)

    @cached_property
    def is_refused(self) -> Mask:
        """Which requests the edge had no memory for."""
        return np.asarray(self.taken == REFUSED)

    def percentile_ns(self, percentile: float) -> int | None:
        """The latency that so many per cent of the requests keep; None where these are too few, or not all served."""
        if len(self.latency_ns) < requests_needed(percentile):
            return None
        found = int(np.quantile(self.latency_ns, percentile / 100, method="higher"))
        return found if found < NEVER_NS else None

    def keep_rate(self, deadline_ns: int) -> float:
        """The share of the requests that are finished within the deadline."""
        return float((self.latency_ns <= deadline_ns).mean()) if len(self.latency_ns) else 0.0

    def goodput_hz(self, deadline_ns: int) -> float:
        """Requests per second that keep the deadline."""
        return self.arrivals.rate_hz * self.keep_rate(deadline_ns)

    @cached_property
    def in_system(self) -> Ints:
        """How many requests are there when each arrives, itself not counted."""
        if self.given_up_after is not None:
            return np.zeros(0, np.int64)
        # Who is refused was never in it.
        finish = np.where(self.is_refused, self.arrivals.times_ns, self.finish_ns)
        gone = np.searchsorted(np.sort(finish), self.arrivals.times_ns, side="right")
        # What is finished at once, as an input that is a result, is gone before it is counted.
        return np.asarray(np.maximum(0, np.arange(len(self)) - gone))

    def in_system_over_time(self) -> tuple[Ints, Ints]:
        """When somebody comes or is finished, up to the last arrival, and how many requests are there from then on."""
        if self.given_up_after is not None:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        # Who is refused, or finished at once, was never in it.
        there = ~self.is_refused & (self.finish_ns > self.arrivals.times_ns)
        came, gone = self.arrivals.times_ns[there], self.finish_ns[there]
        moments, which = np.unique(np.concatenate([came, gone]), return_inverse=True)
        changes = np.zeros(len(moments), np.int64)
        np.add.at(changes, which, np.repeat([1, -1], len(came)))
        until = moments <= self.arrivals.times_ns[-1]
        return moments[until], np.cumsum(changes)[until]

    @cached_property
    def grows(self) -> bool:
        """Whether the queues grow without end, as far as this run tells."""
        if self.given_up_after is not None:
            return True
        there = self.in_system
        quarter = max(1, len(there) // 4)
        first, last = there[: 2 * quarter].mean(), there[-quarter:].mean()
        return bool(last > GROWING * len(there) and last > 1.5 * first)

    @cached_property
    def utilisation(self) -> tuple[float, ...]:
        """The share of time in which each resource is busy, from the first arrival to the last."""
        lasts_ns = int(self.arrivals.times_ns[-1] - self.arrivals.times_ns[0])
        busy = self.loads_ns.sum(axis=0)
        servers = [self.servers if resource.value == "cloud" else self.arrivals.sources for resource in RESOURCES]
        return tuple(
            min(1.0, float(b) / (lasts_ns * n)) if lasts_ns else 1.0 for b, n in zip(busy, servers, strict=True)
        )

    @property
    def completed_hz(self) -> float:
        """Requests per second that are finished, from the first arrival to the last finish."""
        if self.given_up_after is not None:
            return 0.0
        finished = self.finish_ns[~self.is_refused]
        lasts_ns = int(finished.max() - self.arrivals.times_ns[0]) if len(finished) else 0
        if not len(finished):
            return 0.0
        return len(finished) * NS_PER_S / lasts_ns if lasts_ns else float("inf")


def requests_needed(percentile: float) -> int:
    """Requests below which a percentile cannot be told with 99 % confidence, one of them being above it.

    MLPerf Inference's rule: the smallest n with P(Binomial(n, 1 - p) <= 1) <= 1 - 0.99.
    """
    if not 0 < percentile < 100:
        raise InvalidInstance(f"{percentile} is no percentile; choose a number between 0 and 100.")
    above = 1 - percentile / 100
    # At most one of n above: from where none is, upwards.
    n = max(1, int(log(1 - CONFIDENCE) / log(1 - above)))
    while sum(comb(n, k) * above**k * (1 - above) ** (n - k) for k in (0, 1)) > 1 - CONFIDENCE:
        n += 1
    return n
