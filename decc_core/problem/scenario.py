"""The scenario: what somebody chose to plan, on the page, on the command line or in a benchmark.

It makes the instance, and says itself as options of `decc`, as parameters of the page's address, and in JSON.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import TypeVar

from decc_core import ranges
from decc_core.errors import InvalidInstance, UnknownName
from decc_core.network.graph import LayerGraph
from decc_core.problem.constraints import Constraints, first_layers, named_layers, readers_of_inputs
from decc_core.problem.instance import CostInstance, Objective, Results, require_requests
from decc_core.problem.link import BYTES_PER_MB, DEFAULT_OVERHEAD_S, FREE, MS_PER_S, Link, TensorWork
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.wire import FP32, PERCENTILES, Wire, WireProfile
from decc_core.text import listed

DEFAULT_EDGE = "cpu-1-thread"
DEFAULT_CLOUD = "cpu-2-threads-channels-last"
INPUTS = "inputs"
"""As what is kept on the edge: raw inputs never leave."""
FIRST_LAYER = "the first layer stays on the edge"
NAMED = 3
"""So many kept layers are named in words; of more, the others are counted."""
BYTES_PER_KB = 1e3
MOST_MB = 1e12
"""As a limit; more than any network has."""
AS_THE_UPLINK = "same"
CHARGED = {"edge_tensor_ms": 0.4, "edge_mb_ms": 2.0, "cloud_tensor_ms": 0.4, "cloud_mb_ms": 2.0}
"""What sending and receiving take of a core, where nobody measured it: DECC's workers on two cores of an AMD EPYC."""
TEXTS = (
    *("model", "edge", "cloud", "wire", "input_wire", "wire_profile", "objective", "results"),
    *("keep_on_edge", "keep_in_cloud"),
)
OPTIONAL = (
    *("downlink_mbps", "keep_on_edge", "keep_in_cloud", "edge_memory_mb", "uplink_kb"),
    *("input_wire", "wire_profile", "min_agreement"),
)
WHOLE = ("requests", "wire_percentile")
Choice = str | float | int | None
Named = TypeVar("Named", bound=Enum)


@dataclass(frozen=True)
class Scenario:
    """Everything that can be chosen, in the units in which it is shown; None means no limit, or as the uplink.

    `model`, `edge` and `cloud` are names or files, by which the caller finds the graph and the profiles. What is kept
    on the edge is 'inputs', the number of the first layers, or names of layers, comma-separated; in the cloud, names.
    Then processor time of each device for a tensor that crosses, and for a million of its bytes. `wire` and what
    follows these four say how tensors travel, as `Wire` has it; `wire_profile` is the name or file by which the caller
    finds the wire profile, and `measured` what was found, which is no choice of its own.
    """

    model: str
    edge: str = DEFAULT_EDGE
    cloud: str = DEFAULT_CLOUD
    edge_slowdown: float = 1.0
    cloud_speedup: float = 1.0
    uplink_mbps: float = 18.88
    downlink_mbps: float | None = None
    rtt_ms: float = 0.0
    overhead_ms: float = DEFAULT_OVERHEAD_S * MS_PER_S
    requests: int = 1
    wire: str = FP32
    objective: Objective = Objective.MAKESPAN
    results: Results = Results.EDGE
    keep_on_edge: str | None = None
    keep_in_cloud: str | None = None
    edge_memory_mb: float | None = None
    uplink_kb: float | None = None
    edge_tensor_ms: float = 0.0
    edge_mb_ms: float = 0.0
    cloud_tensor_ms: float = 0.0
    cloud_mb_ms: float = 0.0
    input_wire: str | None = None
    wire_profile: str | None = None
    min_agreement: float | None = None
    wire_percentile: int = PERCENTILES[0]
    measured: WireProfile | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        # Controls of a page hold both as text.
        object.__setattr__(self, "objective", choice(Objective, self.objective, "objective"))
        object.__setattr__(self, "results", choice(Results, self.results, "place for results"))
        for what, factor in (("cloud speed-up", self.cloud_speedup), ("edge slowdown", self.edge_slowdown)):
            if not ranges.LEAST_FACTOR <= factor <= ranges.MOST_FACTOR:
                raise InvalidInstance(
                    f"The {what} is {ranges.shown(factor)}; choose a number above 0, from {ranges.LEAST_FACTOR:g} to "
                    f"{ranges.MOST_FACTOR:g}."
                )
        for what, limit in (("edge memory limit", self.edge_memory_mb), ("uplink limit", self.uplink_kb)):
            if limit is not None and not 0 <= limit <= MOST_MB:
                raise InvalidInstance(
                    f"The {what} is {ranges.shown(limit)}; it must be finite, not negative, and at most {MOST_MB:g}."
                )
        require_requests(self.requests)
        # Rates and times of the link are refused now, and not when the first instance is made.
        _ = self.link, self.edge_work, self.cloud_work, self.travel

    @property
    def travel(self) -> Wire:
        """How tensors travel; coding takes as much longer or shorter as layers do."""
        return Wire(
            self.wire,
            self.input_wire,
            self.measured,
            self.min_agreement,
            self.wire_percentile,
            edge_factor=self.edge_slowdown,
            cloud_factor=1 / self.cloud_speedup,
        )

    @property
    def edge_work(self) -> TensorWork:
        """What it costs the edge to send or to receive a tensor."""
        return self._work(self.edge_tensor_ms, self.edge_mb_ms)

    @property
    def cloud_work(self) -> TensorWork:
        """What it costs the cloud to send or to receive a tensor."""
        return self._work(self.cloud_tensor_ms, self.cloud_mb_ms)

    @staticmethod
    def _work(tensor_ms: float, mb_ms: float) -> TensorWork:
        return TensorWork.ms(tensor_ms, mb_ms) if tensor_ms or mb_ms else FREE

    @property
    def link(self) -> Link:
        return Link.mbps(self.uplink_mbps, self.downlink_mbps, self.rtt_ms, self.overhead_ms)

    def scaled(self, edge: DeviceProfile, cloud: DeviceProfile) -> tuple[DeviceProfile, DeviceProfile]:
        """The profiles of both devices under the scenario's factors; as they are where a factor is 1."""
        if self.edge_slowdown != 1:
            edge = edge.scaled(self.edge_slowdown, f"{edge.device}, {self.edge_slowdown:g} times slower")
        if self.cloud_speedup != 1:
            cloud = cloud.scaled(1 / self.cloud_speedup, f"{cloud.device}, {self.cloud_speedup:g} times faster")
        return edge, cloud

    def constraints(self, graph: LayerGraph) -> Constraints:
        """What a plan must keep, in layers of the graph and bytes; names that it lacks are refused."""
        if self.keep_on_edge == INPUTS:
            on_edge = readers_of_inputs(graph)
        elif self.keep_on_edge is not None and ranges.is_count(self.keep_on_edge):
            on_edge = first_layers(graph, int(self.keep_on_edge))
        else:
            on_edge = named_layers(graph, layer_names(self.keep_on_edge))
        return Constraints(
            on_edge=on_edge,
            in_cloud=named_layers(graph, layer_names(self.keep_in_cloud)),
            edge_memory_bytes=None if self.edge_memory_mb is None else round(self.edge_memory_mb * BYTES_PER_MB),
            uplink_bytes=None if self.uplink_kb is None else round(self.uplink_kb * BYTES_PER_KB),
        )

    @property
    def limits(self) -> tuple[str, ...]:
        """What a plan must keep, in words; layers as somebody named them."""
        words: list[str] = []
        kept = self.keep_on_edge
        if kept == INPUTS:
            words.append("raw inputs never leave the edge")
        elif kept is not None and ranges.is_count(kept):
            first = int(kept)
            if first:
                words.append(f"the first {first:,} layers stay on the edge" if first > 1 else FIRST_LAYER)
        else:
            words += _stay(kept, "on the edge")
        words += _stay(self.keep_in_cloud, "in the cloud")
        if self.edge_memory_mb is not None:
            words.append(f"at most {self.edge_memory_mb:g} MB of weights and live tensors on the edge")
        if self.uplink_kb is not None:
            words.append(f"at most {self.uplink_kb:g} kB up per request")
        return tuple(words)

    def instance(
        self,
        graph: LayerGraph,
        edge: DeviceProfile,
        cloud: DeviceProfile,
        edge_work: TensorWork | None = None,
        cloud_work: TensorWork | None = None,
    ) -> CostInstance:
        """The scenario in integer nanoseconds, on its network and the profiles of its devices, not scaled before.

        What a tensor costs a device may be known better than it was chosen, where it was measured.
        """
        return CostInstance.build(
            graph,
            *self.scaled(edge, cloud),
            self.link,
            requests=self.requests,
            wire=self._travel_between(edge, cloud),
            objective=self.objective,
            constraints=self.constraints(graph),
            edge_work=edge_work or self.edge_work,
            cloud_work=cloud_work or self.cloud_work,
            results=self.results,
        )

    def _travel_between(self, edge: DeviceProfile, cloud: DeviceProfile) -> Wire:
        """How tensors travel between these devices: those on which the network is slower than where coding was
        measured code more slowly, too; a faster one, which may be a GPU, codes on a processor as fast as that."""
        wire, measured_s = self.travel, self.measured.whole_s if self.measured is not None else 0.0
        if not measured_s:
            return wire
        return replace(
            wire,
            edge_factor=wire.edge_factor * max(1.0, edge.whole_s / measured_s),
            cloud_factor=wire.cloud_factor * max(1.0, cloud.whole_s / measured_s),
        )

    def choices(self) -> dict[str, Choice]:
        """Every choice by its name, those of a few as text."""
        chosen = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "measured"}
        return {name: str(value) if isinstance(value, Enum) else value for name, value in chosen.items()}

    def options(self) -> dict[str, str]:
        """The options of a `decc` command that plans the same; the network stands before them, without a flag."""
        return {
            f"--{name.replace('_', '-')}": _text(value)
            for name, value in self.choices().items()
            if name != "model" and value is not None
        }

    def parameters(self, opening: Scenario) -> dict[str, str]:
        """What differs from the opening scenario of a page, as the parameters of its address; `parsed` reads them."""
        known = opening.choices()
        return {name: _text(value) for name, value in self.choices().items() if value != known[name]}

    def description(self, graph: LayerGraph) -> dict[str, Choice]:
        """The scenario on its network, as it stands in JSON output."""
        network: dict[str, Choice] = {
            "model": graph.name, "fingerprint": graph.fingerprint, "layers": len(graph.layers)
        }  # fmt: skip
        downlink_mbps = self.uplink_mbps if self.downlink_mbps is None else self.downlink_mbps
        return {**network, **self.choices(), **network, "downlink_mbps": downlink_mbps}


def parsed(name: str, text: str) -> Choice:
    """The choice that a parameter of an address stands for; ValueError where a number is none."""
    if name in OPTIONAL and text == AS_THE_UPLINK:
        return None
    if name in TEXTS:
        return text
    return ranges.whole_number(text) if name in WHOLE else ranges.number(text)


def choice(kind: type[Named], value: object, what: str) -> Named:
    """A member of an enumeration by its value; refuses others in a sentence with all that there are."""
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(str(member.value) for member in kind)
        raise UnknownName(f"There is no {what} '{value}'; choose one of {known}.") from None


def layer_names(text: str | None) -> list[str]:
    """The layers that a text names, comma-separated."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _stay(text: str | None, where: str) -> list[str]:
    kept = layer_names(text)
    return [f"{listed(kept, NAMED)} {'stay' if len(kept) > 1 else 'stays'} {where}"] if kept else []


def _text(value: Choice) -> str:
    """As short as it can be read back exactly."""
    if value is None:
        return AS_THE_UPLINK
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
