"""The emulated link: when every chunk of a tensor leaves, so that it occupies the link just as the cost model says."""

from __future__ import annotations

import csv
import random
import time
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path

from decc_core.errors import InvalidInstance, UnreadableFile
from decc_core.problem.link import BPS_PER_MBPS, NS_PER_S, Link

CHUNK_S = 0.002
"""Chunks are as long as the link carries in this time, within the two limits below."""
MIN_CHUNK_BYTES, MAX_CHUNK_BYTES = 1448, 1 << 20
BITS_PER_BYTE = 8
LONGEST_SLEEP_NS = 50_000_000
"""Sleepers look up at least so often, to see whether the run was given up."""


@dataclass(frozen=True)
class Rate:
    """A rate over time: `bps[i]` holds from `from_s[i]` on, the last one for ever."""

    bps: tuple[float, ...]
    from_s: tuple[float, ...] = (0.0,)

    def __post_init__(self) -> None:
        if not self.bps or len(self.bps) != len(self.from_s) or self.from_s[0] != 0.0:
            raise InvalidInstance("A rate over time needs as many times as rates, and must begin at 0 s.")
        if any(later <= earlier for earlier, later in zip(self.from_s, self.from_s[1:], strict=False)):
            raise InvalidInstance("The times of a bandwidth trace must increase.")
        for rate in self.bps:
            if not isfinite(rate) or rate <= 0:
                raise InvalidInstance(f"A link of {rate} bit/s carries nothing; rates must be finite and above 0.")

    def at(self, time_s: float) -> float:
        return self.bps[max(0, bisect_right(self.from_s, time_s) - 1)]

    def sent_at(self, start_s: float, size_bytes: int) -> float:
        """When the last of so many bytes has left, if the first leaves at `start_s`."""
        bits, now = float(size_bytes * BITS_PER_BYTE), start_s
        step = max(0, bisect_right(self.from_s, now) - 1)
        for until, bps in zip(self.from_s[step + 1 :], self.bps[step:], strict=False):
            if now + bits / bps <= until:
                return now + bits / bps
            bits -= (until - now) * bps
            now = until
        return now + bits / self.bps[-1]

    def dilated(self, factor: float) -> Rate:
        """So many times slower, in time that runs so many times slower."""
        return Rate(tuple(rate / factor for rate in self.bps), tuple(start * factor for start in self.from_s))


@dataclass(frozen=True)
class LinkShape:
    """What the workers make of their connection: rate each way, round trip, overhead per tensor, and jitter.

    With `shaped` false nothing is imposed: tensors travel as fast as the real connection carries them. Jitter adds up
    to `jitter_s` to the way of each tensor, drawn with `seed`; tensors keep their order.
    """

    uplink: Rate
    downlink: Rate
    rtt_s: float = 0.0
    overhead_s: float = 0.0
    jitter_s: float = 0.0
    seed: int = 0
    shaped: bool = True

    def __post_init__(self) -> None:
        for name, time_s in (("RTT", self.rtt_s), ("overhead", self.overhead_s), ("jitter", self.jitter_s)):
            if not isfinite(time_s) or time_s < 0:
                raise InvalidInstance(f"The {name} of the link is {time_s} s; it must be finite and not negative.")

    @classmethod
    def of(cls, link: Link, trace: Rate | None = None, jitter_s: float = 0.0) -> LinkShape:
        """The link that the planner assumes; a recorded trace replaces the uplink's constant rate."""
        uplink = trace or Rate((link.uplink_bps,))
        return cls(uplink, Rate((link.downlink_bps,)), link.rtt_s, link.overhead_s, jitter_s)

    def dilated(self, factor: float) -> LinkShape:
        """The same link in a time that runs so many times slower."""
        return replace(
            self,
            uplink=self.uplink.dilated(factor),
            downlink=self.downlink.dilated(factor),
            rtt_s=self.rtt_s * factor,
            overhead_s=self.overhead_s * factor,
            jitter_s=self.jitter_s * factor,
        )


UNSHAPED = LinkShape(Rate((1e12,)), Rate((1e12,)), shaped=False)


def read_trace(path: Path) -> Rate:
    """A bandwidth trace from a CSV file with a line "seconds, Mbit/s" for each change; a heading is allowed."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file) if row and not row[0].lstrip().startswith("#")]
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"Cannot read the bandwidth trace {path}: {error}.") from None
    points = []
    for number, row in enumerate(rows, 1):
        try:
            points.append((float(row[0]), float(row[1])))
        except (ValueError, IndexError):
            if number > 1:
                raise UnreadableFile(
                    f"Line {number} of {path.name} is '{','.join(row)}'; write seconds and Mbit/s, as in: 2.5, 18.88."
                ) from None
    if not points:
        raise UnreadableFile(f"{path.name} holds no line with seconds and Mbit/s, as in: 0, 18.88.")
    first = points[0][0]
    return Rate(tuple(mbps * BPS_PER_MBPS for _, mbps in points), tuple(at - first for at, _ in points))


@dataclass
class Pacer:
    """Serial use of one direction of the link, at absolute deadlines: errors of single sleeps do not add up.

    A tensor that is ready at `ready_ns` occupies the link from then, or from the end of the one before; its bytes leave
    chunk by chunk, and the overhead follows them: in it the real connection hands over the last chunk.
    """

    rate: Rate
    shape: LinkShape
    zero_ns: int
    free_ns: int = field(init=False)
    due_ns: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.free_ns = self.zero_ns
        self._random = random.Random(self.shape.seed)

    def plan(self, size_bytes: int, ready_ns: int) -> Iterator[tuple[int, int, int]]:
        """First byte, end and deadline of each chunk; a tensor without bytes still makes one chunk.

        Afterwards `free_ns` tells when the link is free again and `due_ns` when the tensor is due on the other side.
        """
        start_ns = max(self.free_ns, ready_ns)
        start_s = (start_ns - self.zero_ns) / NS_PER_S
        wanted = int(self.rate.at(start_s) / BITS_PER_BYTE * CHUNK_S)
        length = min(max(wanted, MIN_CHUNK_BYTES), MAX_CHUNK_BYTES)
        sent_ns = self._ns(self.rate.sent_at(start_s, size_bytes))
        self.free_ns = sent_ns + round(self.shape.overhead_s * NS_PER_S)
        jitter_s = self._random.uniform(0, self.shape.jitter_s)
        self.due_ns = max(self.due_ns, self.free_ns + round((self.shape.rtt_s / 2 + jitter_s) * NS_PER_S))
        for first in range(0, max(size_bytes, 1), length):
            end = min(first + length, size_bytes)
            yield first, end, self._ns(self.rate.sent_at(start_s, end))

    def _ns(self, time_s: float) -> int:
        return self.zero_ns + round(time_s * NS_PER_S)


def sleep_until(deadline_ns: int) -> None:
    """Sleep to a point on the monotonic clock; returns at once where it has passed, and early where it is far away."""
    left_ns = min(deadline_ns - time.perf_counter_ns(), LONGEST_SLEEP_NS)
    if left_ns > 0:
        time.sleep(left_ns / NS_PER_S)
