"""The emulated link: when every chunk of a tensor leaves, so that it occupies the link just as the cost model says."""

from __future__ import annotations

import random
import re
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
LINES_PER_POINT = 4
"""With comments and empty lines; where there are more, nobody looks at each."""
LATEST_S = 1e10
"""Of a stamp in a trace, which may count from 1970."""
LINE_END = re.compile(r"\r\n?|\n")
BEGINS_LIKE_A_NUMBER = re.compile(r"[+-]?[.,]?[0-9]|[+-]?(nan|inf|infinity)$", re.IGNORECASE)
"""What has such a cell is no heading."""
DECIMAL_COMMA = re.compile(r"([0-9]),([0-9])")
LEAST_DILATED_BPS = ranges.LEAST_BPS / ranges.MOST_FACTOR
LONGEST_DILATED_S = ranges.LONGEST_S * ranges.MOST_FACTOR
"""A run that is stretched stretches the link, too."""
LONGEST_SLEEP_NS = 50_000_000
"""Sleepers look up at least so often, to see whether the run was given up."""


@dataclass(frozen=True)
class Rate:
    """A rate over time: `bps[i]` holds from `from_s[i]` on, the last one for ever. A rate of 0 is an outage.

    The last rate carries something: after it, whatever waits would wait for ever.
    """

    bps: tuple[float, ...]
    from_s: tuple[float, ...] = (0.0,)

    def __post_init__(self) -> None:
        if not self.bps or len(self.bps) != len(self.from_s) or self.from_s[0] != 0.0:
            raise InvalidInstance("A rate over time needs as many times as rates, and must begin at 0 s.")
        if not all(earlier < later for earlier, later in zip(self.from_s, self.from_s[1:], strict=False)):
            raise InvalidInstance("The times of a bandwidth trace must increase.")
        ranges.require_time("last time of a bandwidth trace", self.from_s[-1], longest_s=LONGEST_DILATED_S)
        for rate in self.bps:
            if rate != 0:
                ranges.require_rate("rate of the link", rate, LEAST_DILATED_BPS)
        if self.bps[-1] == 0:
            raise InvalidInstance("The last rate of a bandwidth trace is 0: nothing would arrive any more.")

    def at(self, time_s: float) -> float:
        """The rate at a time; in an outage the one after it, at which what waits will leave."""
        step = max(0, bisect_right(self.from_s, time_s) - 1)
        return next(bps for bps in self.bps[step:] if bps)

    def sent_at(self, start_s: float, size_bytes: int) -> float:
        """When the last of so many bytes has left, if they are ready at `start_s`; nothing leaves in an outage."""
        bits, now = float(size_bytes * BITS_PER_BYTE), start_s
        step = max(0, bisect_right(self.from_s, now) - 1)
        for until, bps in zip(self.from_s[step + 1 :], self.bps[step:], strict=False):
            if bps and now + bits / bps <= until:
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
    """A bandwidth trace from a file, as `trace_of` reads it."""
    return trace_of(files.read_text(path, MAX_TRACE_BYTES, "the bandwidth trace"), path.name)


def trace_of(text: str, name: str) -> Rate:
    """A bandwidth trace from a line "seconds, Mbit/s" for each change; a heading and comments are allowed.

    Commas, semicolons, tabs or spaces part the two, the same ones in every line; but for commas, a number may have a
    decimal comma. A rate of 0 is an outage. Times count from the first one. Raises a `DeccError` that names the line.
    """
    if (many := text.count("\n") + text.count("\r")) > LINES_PER_POINT * MAX_POINTS:
        raise UnreadableFile(f"{name} has {many:,} lines; a bandwidth trace has at most {MAX_POINTS:,}.")
    lines = [
        (count, content)
        for count, line in enumerate(LINE_END.split(text), 1)
        if (content := line[:LONGEST_LINE].split("#")[0].strip())
    ]
    if len(lines) > MAX_POINTS:
        raise UnreadableFile(f"{name} has {len(lines):,} lines; a bandwidth trace has at most {MAX_POINTS:,}.")
    first = lines[0][1] if lines else ""
    has_heading = not any(map(BEGINS_LIKE_A_NUMBER.match, _cells(first, _separator(first))))
    lines = lines[has_heading:]
    if not lines:
        raise UnreadableFile(f"{name} holds no line with seconds and Mbit/s, as in: 0, 18.88.")
    separator = _separator(lines[0][1])
    columns = len(_cells(first, separator)) if has_heading else 2
    times_s: list[float] = []
    rates_bps: list[float] = []
    for count, line in lines:
        at_s, mbps = _row(line, separator, columns, f"Line {count} of {name}")
        if not abs(at_s) <= LATEST_S:
            raise UnreadableFile(
                f"Line {count} of {name} is at {at_s:g} s, which is no time of a recording; write seconds."
            )
        if times_s and not at_s > times_s[-1]:
            raise InvalidInstance(
                f"Line {count} of {name} is at {at_s:.17g} s, and the one before it at {times_s[-1]:.17g} s; "
                "the times of a bandwidth trace must increase."
            )
        if mbps != 0:
            ranges.require_rate(f"rate in line {count} of {name}", mbps * BPS_PER_MBPS)
        times_s.append(at_s)
        rates_bps.append(mbps * BPS_PER_MBPS)
    if rates_bps[-1] == 0:
        raise InvalidInstance(
            f"Line {lines[-1][0]} of {name} ends the trace with a rate of 0, after which nothing would arrive any "
            "more; add a line with the rate that the link has afterwards."
        )
    return Rate(tuple(rates_bps), tuple(at_s - times_s[0] for at_s in times_s))


def _separator(line: str) -> str | None:
    """What parts the cells of a line; None for white space."""
    return next((character for character in "\t;," if character in line), None)


def _cells(line: str, separator: str | None) -> list[str]:
    return [cell.strip().strip('"').strip() for cell in line.split(separator)]


def _row(line: str, separator: str | None, columns: int, where: str) -> tuple[float, float]:
    """Seconds and Mbit/s; more numbers than that are taken only where a heading names as many columns."""
    cells = _cells(line, separator)
    try:
        numbers = [number(cell if separator == "," else DECIMAL_COMMA.sub(r"\1.\2", cell)) for cell in cells[:2]]
        more = any(map(BEGINS_LIKE_A_NUMBER.match, cells[columns:]))
    except ValueError:
        numbers, more = [], False
    if len(numbers) == 2 and not more:
        return numbers[0], numbers[1]
    wanted = "write seconds and Mbit/s, as in: 2.5, 18.88."
    if len(numbers) == 1 and line.isascii() and line.isdecimal():
        # As Mahimahi has them; a column of rates looks alike.
        wanted = f"of times at which packets leave, count the bits in each second, and {wanted}"
    elif more:
        wanted = f"which of its numbers are meant is not clear: {wanted}"
    raise UnreadableFile(f"{where} is {shown(line)}; {wanted}")


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
