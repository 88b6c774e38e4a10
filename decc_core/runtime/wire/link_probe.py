"""Measures a real link: round trip, rate each way, and what a tensor costs link and processors beside its bytes."""

from __future__ import annotations

import queue
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

from decc_core.errors import WireError
from decc_core.network.graph import TensorSpec
from decc_core.problem.link import NS_PER_S, Link, TensorWork
from decc_core.progress import Progress, silent
from decc_core.runtime.wire import messages as m
from decc_core.runtime.wire.assembly import Assembler, TensorChunk, TensorHead
from decc_core.runtime.wire.methods import PROBE
from decc_core.runtime.wire.pacing import LinkShape, Pacer, Rate, sleep_until
from decc_core.runtime.wire.pulse import Pulse
from decc_core.runtime.wire.transport import Address, Security, open_channel, start_call

ROUND_TRIPS = 50
SMALL_BYTES = 1 << 10
RAMP_S, BULK_S = 0.5, 2.0
BULK_BYTES = 1 << 18
TENSORS = ((100, 1 << 10), (8, 1 << 20))
"""How many tensors of how many bytes are sent each way, as in a run, to see what they cost the processors."""
MOST_TENSORS, MOST_TENSOR_BYTES, MOST_BYTES = 1000, 1 << 20, 1 << 24
"""Of a probe: how many tensors, of how many bytes each, and how many bytes they may take together here."""
AS_IN_A_RUN = LinkShape(Rate((200e6,)), Rate((200e6,)), overhead_s=0.003)
"""Fast enough to be over soon, and slow enough that no message waits for another."""


@dataclass(frozen=True)
class LinkMeasurement:
    """What a real link does; rates in bit/s, times in seconds, from so many round trips and bytes.

    `here` and `there` are what a tensor that crosses costs the processors of this end and of the worker's.
    """

    link: Link
    round_trips: int
    uplink_bytes: int
    downlink_bytes: int
    here: TensorWork
    there: TensorWork


def _tensors(count: int, size_bytes: int) -> Iterator[bytes]:
    """So many tensors as messages, at the pace of `AS_IN_A_RUN`."""
    data, head = bytes(size_bytes), TensorHead("uint8", (size_bytes,), (0,))
    pacer = Pacer(AS_IN_A_RUN.uplink, AS_IN_A_RUN, time.perf_counter_ns())
    for number in range(count):
        for first, end, deadline_ns in pacer.plan(size_bytes, 0):
            while time.perf_counter_ns() < deadline_ns:
                sleep_until(deadline_ns)
            due_ns = 0 if end == size_bytes else None
            yield m.encode(TensorChunk(number, 0, first, bytes(data[first:end]), None if first else head, due_ns))


def _assembler(size_bytes: int) -> Assembler:
    many = min(MOST_TENSORS, MOST_BYTES // max(size_bytes, 1))
    spec = TensorSpec((size_bytes,), "uint8")
    return Assembler("probe", {(i, 0): spec for i in range(many)}, many)


def answer_probe(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
    """The worker's part: "e" is echoed, "u" is swallowed and counted, "d" asks for a flood of so many seconds.

    "c" asks for the processor time that this process took so far. "n" says of how many bytes tensors will be, "t" is
    a message of one, and "w" asks for so many.
    """
    swallowed, assembler = 0, _assembler(0)
    size_bytes = 0
    for data in requests:
        kind = data[:1]
        if kind == b"e":
            yield data
        elif kind == b"u":
            swallowed += len(data)
        elif kind == b"s":
            yield swallowed.to_bytes(8, "big")
            swallowed = 0
        elif kind == b"d":
            until, block = time.monotonic() + min(int.from_bytes(data[1:5], "big") / 1e3, 10.0), bytes(BULK_BYTES)
            while time.monotonic() < until and context.is_active():
                yield block
            yield b"s"
        elif kind == b"c":
            yield time.process_time_ns().to_bytes(8, "big")
        elif kind == b"n":
            size_bytes = min(int.from_bytes(data[1:5], "big"), MOST_TENSOR_BYTES)
            assembler = _assembler(size_bytes)
        elif kind == b"t":
            assembler.add(m.decode(data[1:], TensorChunk, "controller"))
        elif kind == b"w":
            yield from _tensors(min(int.from_bytes(data[1:5], "big"), MOST_TENSORS), size_bytes)
        else:
            raise WireError("A probe begins with an unknown letter.")


def measure_link(address: Address, security: Security, progress: Progress | None = None) -> LinkMeasurement:
    """Probe the way to a worker for about eight seconds."""
    report = progress or silent
    with _probing(address, security) as probe:
        report(0, 5, "round trip")
        rtt_s = probe.round_trip_s(1)
        report(1, 5, "uplink")
        up_bps, up_bytes = probe.uplink()
        report(2, 5, "downlink")
        down_bps, down_bytes = probe.downlink()
        report(3, 5, "overhead of small tensors")
        overhead_s = probe.overhead_s(up_bps, rtt_s)
        report(4, 5, "what tensors cost the processors")
        here, there = probe.work(f"measured to {address}")
        report(5, 5, "done")
    return LinkMeasurement(Link(up_bps, down_bps, rtt_s, overhead_s), ROUND_TRIPS, up_bytes, down_bytes, here, there)


def measure_work(address: Address, security: Security) -> TensorWork:
    """What a tensor that crosses costs a worker's processor; about two seconds."""
    with _probing(address, security) as probe:
        return probe.work("measured with the run")[1]


@contextmanager
def _probing(address: Address, security: Security) -> Iterator[_Probe]:
    channel, pulse = open_channel(address, security), Pulse("probed", address, security)
    probe = _Probe(channel, security, pulse)
    try:
        with pulse.watching(probe.call):
            yield probe
    finally:
        probe.close()
        pulse.close()
        channel.close()


class _Probe:
    """One stream to the worker; what is said next is decided from outside."""

    def __init__(self, channel: grpc.Channel, security: Security, pulse: Pulse) -> None:
        self.to_send: queue.SimpleQueue[Iterator[bytes] | None] = queue.SimpleQueue()
        self.call = start_call(channel, PROBE, self._outgoing(), security, PROBE.limit_s)
        self.answers = self._incoming(pulse)

    def _incoming(self, pulse: Pulse) -> Iterator[bytes]:
        for data in self.call:
            pulse.heard()
            yield data

    def _outgoing(self) -> Iterator[bytes]:
        while (said := self.to_send.get()) is not None:
            yield from said

    def say(self, *messages: bytes) -> None:
        self.to_send.put(iter(messages))

    def round_trip_s(self, size_bytes: int) -> float:
        laps = []
        for _ in range(ROUND_TRIPS):
            began = time.perf_counter()
            self.say(b"e" * size_bytes)
            next(self.answers)
            laps.append(time.perf_counter() - began)
        return statistics.median(laps)

    def uplink(self) -> tuple[float, int]:
        """Rate and bytes; the first half second, in which the connection finds its rate, does not count."""
        self._flood(RAMP_S)
        began = time.perf_counter()
        size = self._flood(BULK_S)
        return 8 * size / (time.perf_counter() - began), size

    def _flood(self, time_s: float) -> int:
        def blocks() -> Iterator[bytes]:
            until, block = time.perf_counter() + time_s, b"u" + bytes(BULK_BYTES)
            while time.perf_counter() < until:
                yield block
            yield b"s"

        self.to_send.put(blocks())
        return int.from_bytes(next(self.answers), "big")

    def downlink(self) -> tuple[float, int]:
        for time_s in (RAMP_S, BULK_S):
            self.say(b"d" + round(time_s * 1e3).to_bytes(4, "big"))
            began, size = time.perf_counter(), 0
            for block in self.answers:
                if block == b"s":
                    break
                size += len(block)
        return 8 * size / (time.perf_counter() - began), size

    def overhead_s(self, up_bps: float, rtt_s: float) -> float:
        """What each of many small tensors takes beside its bytes, sent one after the other."""
        count = 400
        began = time.perf_counter()
        self.say(*[b"u" + bytes(SMALL_BYTES)] * count, b"s")
        next(self.answers)
        spent_s = time.perf_counter() - began - rtt_s
        return max(0.0, spent_s / count - 8 * SMALL_BYTES / up_bps)

    def work(self, source: str) -> tuple[TensorWork, TensorWork]:
        """What tensors cost the processors of this end and of the other one, to send as to receive."""
        rows = []
        # What comes first meets memory that was never touched, and is not counted.
        for count, size_bytes in (TENSORS[-1], *TENSORS):
            before = self._processor_ns()
            self.say(b"n" + size_bytes.to_bytes(4, "big"))
            self.to_send.put(b"t" + message for message in _tensors(count, size_bytes))
            self._processor_ns()
            self.say(b"w" + count.to_bytes(4, "big"))
            assembler = _assembler(size_bytes)
            while len(assembler.done) < count:
                assembler.add(m.decode(next(self.answers), TensorChunk, "worker"))
            after = self._processor_ns()
            rows.append([(late - early) / NS_PER_S / (2 * count) for early, late in zip(before, after, strict=True)])
        (_, small), (_, large) = TENSORS
        _, of_small, of_large = rows
        per_byte_s = [max(0.0, (more - less) / (large - small)) for less, more in zip(of_small, of_large, strict=True)]
        per_tensor_s = [max(0.0, less - small * each) for less, each in zip(of_small, per_byte_s, strict=True)]
        here, there = (TensorWork(*both, source=source) for both in zip(per_tensor_s, per_byte_s, strict=True))
        return here, there

    def _processor_ns(self) -> tuple[int, int]:
        """What both processes took so far; all that was said before is done then."""
        self.say(b"c")
        there = int.from_bytes(next(self.answers), "big")
        return time.process_time_ns(), there

    def close(self) -> None:
        self.to_send.put(None)
        self.call.cancel()
