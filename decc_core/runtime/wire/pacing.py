"""The emulated link: when every chunk of a tensor leaves, so that it occupies the link just as the cost model says."""

from __future__ import annotations

import random
import time
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from decc_core import files, ranges
from decc_core.errors import InvalidInstance, UnreadableFile
from decc_core.problem.link import BPS_PER_MBPS, NS_PER_S, Link
from decc_core.ranges import number
from decc_core.text import shown

CHUNK_S, LAST_CHUNK_S = 0.05, 0.002
"""Chunks are as long as the link carries in this time, within the two limits below. Each message costs the cores that
compute about the same, whatever its size, and the receiver counts a tensor from when it is due: only what is still to
come then, the last chunk, has to be short."""
MIN_CHUNK_BYTES, MAX_CHUNK_BYTES = 1448, 1 << 20
BITS_PER_BYTE = 8
MAX_TRACE_BYTES, LONGEST_LINE = 16_000_000, 1000
MAX_POINTS = 100_000
"""Of a trace: it travels to the workers in one message."""
LEAST_DILATED_BPS = ranges.LEAST_BPS / ranges.MOST_FACTOR
LONGEST_DILATED_S = ranges.LONGEST_S * ranges.MOST_FACTOR
"""A run that is stretched stretches the link, too."""
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
        if not all(earlier < later for earlier, later in zip(self.from_s, self.from_s[1:], strict=False)):
            raise InvalidInstance("The times of a bandwidth trace must increase.")
        ranges.require_time("last time of a bandwidth trace", self.from_s[-1], longest_s=LONGEST_DILATED_S)
        for rate in self.bps:
            ranges.require_rate("rate of the link", rate, LEAST_DILATED_BPS)

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
            ranges.require_time(f"{name} of the link", time_s, longest_s=LONGEST_DILATED_S)

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
    text = files.read_text(path, MAX_TRACE_BYTES, "the bandwidth trace")
    lines = [
        (count, line)
        for count, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if len(lines) > MAX_POINTS:
        raise UnreadableFile(f"{path.name} has {len(lines):,} lines; a bandwidth trace has at most {MAX_POINTS:,}.")
    times_s: list[float] = []
    rates_bps: list[float] = []
    for place, (count, line) in enumerate(lines):
        try:
            at_s, mbps = (number(cell.strip().strip('"')) for cell in line[:LONGEST_LINE].split(",")[:2])
        except ValueError:
            if place:
                raise UnreadableFile(
                    f"Line {count} of {path.name} is {shown(line)}; write seconds and Mbit/s, as in: 2.5, 18.88."
                ) from None
            continue
        if not abs(at_s) <= ranges.LONGEST_S:
            raise UnreadableFile(f"Line {count} of {path.name} is at {at_s:g} s, which is no time of a recording.")
        ranges.require_rate(f"rate in line {count} of {path.name}", mbps * BPS_PER_MBPS)
        times_s.append(at_s)
        rates_bps.append(mbps * BPS_PER_MBPS)
    if not times_s:
        raise UnreadableFile(f"{path.name} holds no line with seconds and Mbit/s, as in: 0, 18.88.")
    return Rate(tuple(rates_bps), tuple(at_s - times_s[0] for at_s in times_s))


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
        bytes_per_s = self.rate.at(start_s) / BITS_PER_BYTE
        length, last = (
            min(max(int(bytes_per_s * time_s), MIN_CHUNK_BYTES), MAX_CHUNK_BYTES) for time_s in (CHUNK_S, LAST_CHUNK_S)
        )
        sent_ns = self._ns(self.rate.sent_at(start_s, size_bytes))
        self.free_ns = sent_ns + round(self.shape.overhead_s * NS_PER_S)
        jitter_s = self._random.uniform(0, self.shape.jitter_s)
        self.due_ns = max(self.due_ns, self.free_ns + round((self.shape.rtt_s / 2 + jitter_s) * NS_PER_S))
        before_last = max(size_bytes - last, 0)
        for first in range(0, before_last, length):
            end = min(first + length, before_last)
            yield first, end, self._ns(self.rate.sent_at(start_s, end))
        yield before_last, size_bytes, sent_ns

    def _ns(self, time_s: float) -> int:
        return self.zero_ns + round(time_s * NS_PER_S)


def sleep_until(deadline_ns: int) -> None:
    """Sleep to a point on the monotonic clock; returns at once where it has passed, and early where it is far away."""
    left_ns = min(deadline_ns - time.perf_counter_ns(), LONGEST_SLEEP_NS)
    if left_ns > 0:
        time.sleep(left_ns / NS_PER_S)
