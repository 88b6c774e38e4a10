"""The link, and what a tensor that crosses it costs the devices at its ends.

d bytes occupy the link for 8 d / rate + overhead seconds; propagation delays them and occupies nothing. Sending and
receiving them are work of the devices' processors.
"""

from __future__ import annotations

from dataclasses import dataclass

from decc_core import ranges
from decc_core.ranges import BPS_PER_MBPS as BPS_PER_MBPS

NS_PER_S = 1_000_000_000
MS_PER_S, BYTES_PER_MB = 1e3, 1e6
DEFAULT_OVERHEAD_S = 1e-4
"""Per-tensor occupancy of a link: half the round trip of one byte over a gRPC stream on loopback."""


@dataclass(frozen=True)
class Link:
    """A network between edge and cloud: rates, propagation, and a fixed occupancy per tensor."""

    uplink_bps: float
    downlink_bps: float
    rtt_s: float = 0.0
    overhead_s: float = DEFAULT_OVERHEAD_S

    def __post_init__(self) -> None:
        for name, rate in (("uplink", self.uplink_bps), ("downlink", self.downlink_bps)):
            ranges.require_rate(f"{name} rate", rate)
        for name, time_s in (("RTT", self.rtt_s), ("per-tensor overhead", self.overhead_s)):
            ranges.require_time(name, time_s)

    @classmethod
    def mbps(
        cls,
        uplink_mbps: float,
        downlink_mbps: float | None = None,
        rtt_ms: float = 0.0,
        overhead_ms: float = DEFAULT_OVERHEAD_S * MS_PER_S,
    ) -> Link:
        """A link in megabits per second and milliseconds; the downlink is as fast as the uplink unless given."""
        return cls(
            uplink_bps=uplink_mbps * BPS_PER_MBPS,
            downlink_bps=(uplink_mbps if downlink_mbps is None else downlink_mbps) * BPS_PER_MBPS,
            rtt_s=rtt_ms / MS_PER_S,
            overhead_s=overhead_ms / MS_PER_S,
        )

    def uplink_s(self, size_bytes: int) -> float:
        """How long a tensor occupies the uplink."""
        return 8 * size_bytes / self.uplink_bps + self.overhead_s

    def downlink_s(self, size_bytes: int) -> float:
        """How long a tensor occupies the downlink."""
        return 8 * size_bytes / self.downlink_bps + self.overhead_s


@dataclass(frozen=True)
class TensorWork:
    """Processor time that a device spends on a tensor that crosses, to send it as to receive it.

    It is work of the device like its layers; with `spare_core` another core does it beside them, and what it needs for
    each tensor only makes the tensor later. `source` tells where the figures come from.
    """

    per_tensor_s: float = 0.0
    per_byte_s: float = 0.0
    spare_core: bool = False
    source: str = "not charged"

    def __post_init__(self) -> None:
        ranges.require_time("processor time per tensor", self.per_tensor_s)
        ranges.require_time("processor time per byte", self.per_byte_s)

    @classmethod
    def ms(cls, per_tensor_ms: float, per_mb_ms: float) -> TensorWork:
        """In milliseconds for each tensor, and for each million of its bytes."""
        return cls(per_tensor_ms / MS_PER_S, per_mb_ms / MS_PER_S / BYTES_PER_MB, source="chosen")

    def busy_s(self, size_bytes: int) -> float:
        """How long a tensor occupies the cores that compute layers."""
        return 0.0 if self.spare_core else self.per_tensor_s + size_bytes * self.per_byte_s

    @property
    def delay_s(self) -> float:
        """How much later a tensor is because another core works on it."""
        return self.per_tensor_s if self.spare_core else 0.0

    def __str__(self) -> str:
        times = f"{self.per_tensor_s * MS_PER_S:.3g} ms for each tensor and {self.per_byte_s * 1e9:.3g} ms for each MB"
        return f"{times}{', on a core to spare' if self.spare_core else ''} ({self.source})"


FREE = TensorWork()
