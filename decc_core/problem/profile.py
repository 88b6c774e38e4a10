"""Measured seconds per layer on one device, with spread and provenance."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from math import inf

from decc_core import ranges
from decc_core.errors import InvalidProfile
from decc_core.network.graph import LayerGraph

DOUBTFUL = 2.0
"""How far the layers' sum and the whole may lie apart; networks of many tiny layers come to 1.4 on a quiet machine."""


class ProvenanceKind(str, Enum):
    """Where the times of a profile come from."""

    MEASURED = "measured"
    SCALED = "scaled"
    ESTIMATED = "estimated"


@dataclass(frozen=True)
class Provenance:
    """How a profile came about: measured on a described machine, scaled from one, or estimated, and from what."""

    kind: ProvenanceKind
    source: str
    machine: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DeviceProfile:
    """Seconds per layer of one graph on one device.

    `median_s` is calibrated: its sum equals `whole_s`, the measured time of the whole model, and `calibration` is the
    factor that made it so. `p95_s` holds the 95th percentile of each layer, under the same factor. `error` is how far
    off the whole may be, as a share of it; 0 where it was measured.
    """

    device: str
    graph_name: str
    graph_fingerprint: str
    median_s: dict[str, float]
    p95_s: dict[str, float]
    whole_s: float
    provenance: Provenance
    calibration: float = 1.0
    error: float = 0.0

    def __post_init__(self) -> None:
        for what, times in (("median", self.median_s), ("p95", self.p95_s)):
            for layer, time_s in times.items():
                if not 0 <= time_s <= ranges.LONGEST_S:
                    raise InvalidProfile(
                        f"Layer '{layer}' has a {what} time of {time_s} s on {self.device}; "
                        f"times must be finite, not negative, and at most {ranges.LONGEST_S:g} s."
                    )
        for what, value in (
            ("whole-model time", self.whole_s),
            ("calibration", self.calibration),
            ("error", self.error),
        ):
            if not 0 <= value <= ranges.LONGEST_S:
                raise InvalidProfile(
                    f"The {what} of {self.device} is {ranges.shown(value)}; it must be finite, not negative, and at "
                    f"most {ranges.LONGEST_S:g}."
                )

    def __repr__(self) -> str:
        return (
            f"<profile of '{self.graph_name}' on {self.device}: {self.whole_s * 1e3:.4g} ms, "
            f"{len(self.median_s)} layers, {self.provenance.kind.value}>"
        )

    @property
    def origin(self) -> str:
        """Where the times come from, and how far off they may be: 'measured: ...', 'estimated within 31 %: ...'."""
        kind, source = self.provenance.kind.value, self.provenance.source
        within = f" within {self.error:.0%}".replace("%", " %") if self.error else ""
        return f"{kind}{within}: {source}"

    @property
    def doubt(self) -> str:
        """Why the times cannot be believed, if they cannot: words that go into a sentence."""
        apart = max(self.calibration, 1 / self.calibration) if self.calibration else inf
        if apart <= DOUBTFUL:
            return ""
        return f"the layers one by one and the whole network differ {apart:.1f} times"

    @property
    def total_s(self) -> float:
        """Sum of the layers' medians."""
        return sum(self.median_s.values())

    def require_graph(self, graph: LayerGraph) -> None:
        """Refuse this profile, naming a layer, unless it belongs to `graph` and covers every layer."""
        missing = [layer.name for layer in graph.layers if not layer.is_input and layer.name not in self.median_s]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise InvalidProfile(
                f"The profile of {self.device} for '{self.graph_name}' has no time for layer '{missing[0]}'{more} "
                f"of graph '{graph.name}'; profile that graph again."
            )
        surplus = [name for name in self.median_s if name not in graph.index]
        if surplus:
            raise InvalidProfile(
                f"The profile of {self.device} for '{self.graph_name}' times layer '{surplus[0]}', "
                f"which graph '{graph.name}' does not have; profile that graph again."
            )
        if self.graph_fingerprint != graph.fingerprint:
            raise InvalidProfile(
                f"The profile of {self.device} was made for another version of '{self.graph_name}' (fingerprint "
                f"{self.graph_fingerprint[:8]}, layer '{graph.layers[-1].name}' onwards may differ); this graph is "
                f"'{graph.name}' ({graph.fingerprint[:8]}). Profile it again."
            )

    def scaled(self, factor: float, source: str, device: str | None = None) -> DeviceProfile:
        """All times multiplied by `factor`; `source` says why."""
        if not 0 < factor < inf:
            raise InvalidProfile(f"A profile cannot be scaled by {factor:g}; choose a factor above 0.")
        # What was never measured stays so.
        estimated = self.provenance.kind is ProvenanceKind.ESTIMATED
        kind = ProvenanceKind.ESTIMATED if estimated else ProvenanceKind.SCALED
        return replace(
            self,
            device=device or self.device,
            median_s={layer: time_s * factor for layer, time_s in self.median_s.items()},
            p95_s={layer: time_s * factor for layer, time_s in self.p95_s.items()},
            whole_s=self.whole_s * factor,
            provenance=replace(self.provenance, kind=kind, source=source),
        )

    def scaled_to_total(self, total_s: float, source: str, device: str | None = None) -> DeviceProfile:
        """Scaled so that the whole model takes `total_s`, a published figure whose `source` is named."""
        if self.whole_s <= 0:
            raise InvalidProfile(
                f"The profile of {self.device} has a total of 0 s and cannot be scaled to {total_s} s."
            )
        # Whatever its layers are, the whole is known now.
        return replace(self.scaled(total_s / self.whole_s, source, device), error=0.0)
