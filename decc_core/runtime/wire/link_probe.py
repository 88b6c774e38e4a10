"""Measures a real link: round trip, rate each way, and what a tensor costs beside its bytes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

import grpc

from decc_core.errors import WireError
from decc_core.problem.link import Link
from decc_core.progress import Progress, silent
from decc_core.runtime.wire.methods import PROBE
from decc_core.runtime.wire.pulse import Pulse
from decc_core.runtime.wire.transport import Address, Security, open_channel, start_call

ROUND_TRIPS = 50
SMALL_BYTES = 1 << 10
RAMP_S, BULK_S = 0.5, 2.0
BULK_BYTES = 1 << 18


@dataclass(frozen=True)
class LinkMeasurement:
    """What a real link does; rates in bit/s, times in seconds, from so many round trips and bytes."""

    link: Link
    round_trips: int
    uplink_bytes: int
    downlink_bytes: int


def answer_probe(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
    """The worker's part: "e" is echoed, "u" is swallowed and counted, "d" asks for a flood of so many seconds."""
    swallowed = 0
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
        else:
            raise WireError("A probe begins with an unknown letter.")


def measure_link(address: Address, security: Security, progress: Progress | None = None) -> LinkMeasurement:
    """Probe the way to a worker for about six seconds."""
    report = progress or silent
    channel, pulse = open_channel(address, security), Pulse("probed", address, security)
    probe = _Probe(channel, security, pulse)
    try:
        with pulse.watching(probe.call):
            report(0, 4, "round trip")
            rtt_s = probe.round_trip_s(1)
            report(1, 4, "uplink")
            up_bps, up_bytes = probe.uplink()
            report(2, 4, "downlink")
            down_bps, down_bytes = probe.downlink()
            report(3, 4, "overhead of small tensors")
            overhead_s = probe.overhead_s(up_bps, rtt_s)
            report(4, 4, "done")
    finally:
        probe.close()
        pulse.close()
        channel.close()
    return LinkMeasurement(Link(up_bps, down_bps, rtt_s, overhead_s), ROUND_TRIPS, up_bytes, down_bytes)


class _Probe:
    """One stream to the worker; what is said next is decided from outside."""

    def __init__(self, channel: grpc.Channel, security: Security, pulse: Pulse) -> None:
        self.to_send: list[Iterator[bytes]] = []
        self.closed = False
        self.call = start_call(channel, PROBE, self._outgoing(), security, PROBE.limit_s)
        self.answers = self._incoming(pulse)

    def _incoming(self, pulse: Pulse) -> Iterator[bytes]:
        for data in self.call:
            pulse.heard()
            yield data

    def _outgoing(self) -> Iterator[bytes]:
        while not self.closed:
            if self.to_send:
                yield from self.to_send.pop(0)
            else:
                time.sleep(0.0001)

    def round_trip_s(self, size_bytes: int) -> float:
        laps = []
        for _ in range(ROUND_TRIPS):
            began = time.perf_counter()
            self.to_send.append(iter([b"e" * size_bytes]))
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

        self.to_send.append(blocks())
        return int.from_bytes(next(self.answers), "big")

    def downlink(self) -> tuple[float, int]:
        for time_s in (RAMP_S, BULK_S):
            self.to_send.append(iter([b"d" + round(time_s * 1e3).to_bytes(4, "big")]))
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
        self.to_send.append(iter([b"u" + bytes(SMALL_BYTES)] * count + [b"s"]))
        next(self.answers)
        spent_s = time.perf_counter() - began - rtt_s
        return max(0.0, spent_s / count - 8 * SMALL_BYTES / up_bps)

    def close(self) -> None:
        self.closed = True
        self.call.cancel()
