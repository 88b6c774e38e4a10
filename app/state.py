"""What a visitor can choose: the labelled scenarios, the steps of the controls, the network presets, and names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import floor, log10
from pathlib import Path
from typing import Any

from decc_core import library
from decc_core.problem.instance import Objective, Results
from decc_core.problem.link import WireDtype
from decc_core.problem.scenario import MOST_MB, Choice, Scenario, layer_names

ASSETS = Path(__file__).resolve().parents[1] / "assets"
MAX_REQUESTS = 64
OWN = "own: "
"""Marks a visitor's own networks and profiles among those that everybody has."""
MAX_OVERHEAD_MS = 100.0
OVERHEADS_MS = ("overhead_ms", "edge_tensor_ms", "edge_mb_ms", "cloud_tensor_ms", "cloud_mb_ms")


@dataclass(frozen=True)
class Example:
    """A labelled scenario that sets every control; the note says openly what to expect."""

    label: str
    note: str
    scenario: Scenario


EXAMPLES = (
    Example(
        "Four cameras, one request",
        "A multi-view network: its towers are independent branches, so that edge, link and cloud work at once. No "
        "baseline overlaps anything within one request.",
        Scenario("multiview4", cloud_speedup=4.0, uplink_mbps=18.88, rtt_ms=10.0),
    ),
    Example(
        "GoogLeNet, 8 requests",
        "Several requests in flight: mixing early and late cuts keeps edge and link busy, twice as fast as DADS. JPS "
        "mixes cuts, too, and does as well here.",
        Scenario("googlenet", cloud_speedup=4.0, uplink_mbps=18.88, rtt_ms=10.0, requests=8),
    ),
    Example(
        "Image and sound, one request",
        "Two towers of different kinds: while one is computed on the edge, the other is on its way.",
        Scenario("two_tower", cloud_speedup=4.0, uplink_mbps=18.88, rtt_ms=10.0),
    ),
    Example(
        "No split helps: GoogLeNet",
        "Chosen to show that a split is often useless: for one request of a common network one device alone wins.",
        Scenario("googlenet", cloud_speedup=4.0, uplink_mbps=5.85, rtt_ms=10.0),
    ),
)
OPENING = EXAMPLES[0]
"""What the bare address shows."""
LEFT_OUT = EXAMPLES[1].scenario
"""What an address leaves out is as here, whatever the page opens with: links given away go on saying what they said."""


def example_of(scenario: Scenario) -> Example | None:
    """The example that has exactly these settings."""
    return next((example for example in EXAMPLES if example.scenario == scenario), None)


@dataclass(frozen=True)
class NetworkPreset:
    """A link with a name: rates each way and round trip, where they were published, and which figures they are.

    Papers often give the uplink alone: then the way back is as fast, and the round trip stays as it was chosen.
    """

    name: str
    uplink_mbps: float
    source: str
    figure: str
    downlink_mbps: float | None = None
    rtt_ms: float | None = None

    @property
    def measured(self) -> bool:
        """Whether all three were measured together."""
        return self.rtt_ms is not None

    @property
    def choices(self) -> dict[str, float | None]:
        """What it sets, by the names of a scenario."""
        link = {"uplink_mbps": self.uplink_mbps, "downlink_mbps": self.downlink_mbps, "rtt_ms": self.rtt_ms}
        return link if self.measured else {key: link[key] for key in ("uplink_mbps", "downlink_mbps")}

    def __str__(self) -> str:
        if not self.measured:
            return f"up and down {self.uplink_mbps:g} Mbit/s"
        return f"up {self.uplink_mbps:g}, down {self.downlink_mbps:g} Mbit/s, round trip {self.rtt_ms:g} ms"


def _read_presets() -> tuple[NetworkPreset, ...]:
    rows: list[dict[str, Any]] = json.loads((ASSETS / "networks.json").read_text(encoding="utf-8"))
    # A control takes either whole numbers or others.
    return tuple(
        NetworkPreset(**{key: float(value) if isinstance(value, int) else value for key, value in row.items()})
        for row in rows
    )


NETWORK_PRESETS = _read_presets()


def preset_of(scenario: Scenario) -> NetworkPreset | None:
    """The preset that stands so in the scenario, with all that it sets."""
    chosen = scenario.choices()
    return next((one for one in NETWORK_PRESETS if one.choices == {key: chosen[key] for key in one.choices}), None)


def log_steps(low: float, high: float, per_decade: tuple[float, ...], extra: tuple[float, ...] = ()) -> list[float]:
    """Round numbers from low to high in equal ratios, with some more between them."""
    decades = range(floor(log10(low)), floor(log10(high)) + 1)
    steps = {float(f"{step * 10.0**decade:.4g}") for decade in decades for step in per_decade}
    return sorted({step for step in steps | set(extra) if low <= step <= high})


RATES = log_steps(0.1, 1000, (1, 1.25, 1.6, 2, 2.5, 3.2, 4, 5, 6.3, 8), tuple(p.uplink_mbps for p in NETWORK_PRESETS))
RAW_BITS = 32.0
"""Of a float on the wire as it is."""
FACTORS = log_steps(0.1, 100, (1, 1.5, 2, 3, 4, 5, 6, 8))
BETWEEN = {
    "uplink_mbps": (0.01, 100_000.0),
    "downlink_mbps": (0.01, 100_000.0),
    "rtt_ms": (0.0, 10_000.0),
    "edge_slowdown": (0.001, 1000.0),
    "cloud_speedup": (0.001, 1000.0),
    "edge_memory_mb": (0.0, MOST_MB),
    "uplink_kb": (0.0, MOST_MB),
}
"""What may be typed, or stand in an address; the steps of the controls lie within it."""
KEPT = ("keep_on_edge", "keep_in_cloud")
LONGEST_NAMES = 20_000
"""Letters of all layers that are kept on one side."""
ROUND_TRIPS = [0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 500.0]


def checked(key: str, value: Choice) -> Choice:
    """A value that the control of this name can show; others are refused in a sentence.

    Whether a network has the layers that are named is not known here: who makes the instance says so.
    """
    allowed: dict[str, Any] = {
        "model": library.shipped_models(),
        "wire": list(WireDtype),
        "objective": list(Objective),
        "results": list(Results),
        "requests": range(1, MAX_REQUESTS + 1),
    }
    own = key == "model" and str(value).startswith(OWN)
    if key in allowed and value not in allowed[key] and not own:
        raise ValueError(f"The link says {key}={value}, which the page does not offer.")
    if key in BETWEEN and value is not None:
        low, high = BETWEEN[key]
        if not (isinstance(value, float) and low <= value <= high):
            raise ValueError(f"The link says {key}={value}, which is not between {low:g} and {high:g}.")
    if key in OVERHEADS_MS and not (isinstance(value, float) and 0 <= value <= MAX_OVERHEAD_MS):
        raise ValueError(f"The link says {key}={value}, which is not between 0 and {MAX_OVERHEAD_MS:g} ms.")
    if key in KEPT and value is not None:
        if len(str(value)) > LONGEST_NAMES:
            raise ValueError(f"The link says {key} in {len(str(value)):,} letters; it takes {LONGEST_NAMES:,}.")
        return value if layer_names(str(value)) else None
    return value


# What the names of the shipped networks do not say; networks that are not listed come last.
NETWORK_NOTES = {
    "multiview4": "4 cameras",
    "multiview6": "6 cameras",
    "multiview12": "12 cameras",
    "two_tower": "image and sound",
    "siamese": "two images",
    "googlenet": "inception",
    "inception_v3": "inception",
    "squeezenet1_1": "fire modules",
    "shufflenet_v2_x1_0": "two halves",
    "resnet18": "residual",
    "resnet50": "residual",
    "densenet121": "dense blocks",
    "efficientnet_b0": "mobile",
    "efficientnet_lite0": "mobile",
    "mobilenet_v2": "mobile",
    "deeplabv3_mobilenet_v3_large": "segmentation",
    "alexnet": "chain",
    "vgg16": "chain",
    "vit_b_16": "transformer",
    "swin_t": "transformer",
}


def network_order(names: tuple[str, ...]) -> list[str]:
    """Networks of one kind next to each other."""
    known = list(NETWORK_NOTES)
    return sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))


def title_of(model: str) -> str:
    """A network in a heading."""
    return f"{model.removeprefix(OWN)} (your model)" if model.startswith(OWN) else model


def network_label(name: str) -> str:
    note = "your model" if name.startswith(OWN) else NETWORK_NOTES.get(name)
    name = name.removeprefix(OWN)
    return f"{name} · {note}" if note else name


def _device_labels() -> dict[str, str]:
    rows: dict[str, dict[str, Any]] = json.loads((ASSETS / "devices.json").read_text(encoding="utf-8"))
    return {name: str(row["label"]) for name, row in rows.items()}


DEVICE_LABELS = {
    "cpu-1-thread": "CPU, 1 thread",
    "cpu-2-threads-channels-last": "CPU, 2 threads, channels last",
    "server-cpu-16-threads": "Server CPU, 16 threads",
    "h100-gpu": "NVIDIA H100 GPU",
    **_device_labels(),
}


FACTOR_OF = {"edge": "edge_slowdown", "cloud": "cloud_speedup"}


def chosen_device(role: str, name: str) -> dict[str, object]:
    """The controls of a device that was chosen: it has its own times, without a factor that was meant for another."""
    return {role: name, FACTOR_OF[role]: 1.0}


ESTIMATED = " · estimated"


def device_label(name: str) -> str:
    if name in library.catalogue():
        return library.catalogue()[name].title + ESTIMATED
    return DEVICE_LABELS.get(name, name)
