"""What the layers of a network take on a device that nobody measured them on: an estimate from rates and bandwidth.

A layer takes the longer of two times, to compute what it computes and to move what it reads and writes, and what it
costs to start it (the roofline of Williams et al., CACM 2009, with an overhead). A device has three numbers of its own;
how well a library uses them for each kind of work is the engine's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from math import inf

from decc_core import ranges
from decc_core.errors import InvalidProfile
from decc_core.network.graph import Layer, LayerGraph
from decc_core.network.titles import operator_name
from decc_core.problem.profile import DeviceProfile, Provenance, ProvenanceKind


class WorkKind(str, Enum):
    """Kinds of work that libraries do with different success."""

    CONVOLUTION = "convolution"
    STEM = "convolution of an image"
    """Of three or four channels, which fill no vector."""
    WINOGRAD = "3x3 convolution"
    """Of stride 1, for which most libraries have a way with fewer multiplications."""
    GROUPED = "grouped convolution"
    PRODUCT = "matrix product"
    POOLING = "pooling"
    NORM = "normalisation"
    ACTIVATION = "activation"
    """Of one comparison; with normalisation what libraries fuse into the layer before."""
    MOVING = "moving"
    """Everything else: bound by memory."""
    VIEW = "view"
    """Another look at the same memory."""


_NAMES = {
    WorkKind.VIEW: "alias chunk detach dropout expand flatten getitem identity movedim permute reshape select slice "
    "split split_with_sizes squeeze swapaxes t transpose unbind unsqueeze view",
    WorkKind.NORM: "batch_norm batchnormalization",
    WorkKind.ACTIVATION: "clamp clip hardtanh leaky_relu leakyrelu prelu relu relu6",
    WorkKind.POOLING: "averagepool avg_pool1d avg_pool2d avg_pool3d lppool max_pool1d max_pool2d max_pool3d "
    "max_pool2d_with_indices max_pool3d_with_indices maxpool",
}
_OF_KIND = {name: kind for kind, names in _NAMES.items() for name in names.split()}
IMAGE_CHANNELS = 4
"""A convolution of no more channels is that of an image."""
POINT, SQUARE = 0.75, (4.0, 10.0)
"""Weights for each channel that a convolution reads and number that it gives: between the first two its kernel is 1x1,
below them its channels are in groups, and between the others its kernel is about 3x3."""


@dataclass(frozen=True)
class LayerWork:
    """What a layer computes (FLOPs) and moves (bytes read, weights included, and written).

    `width` is the smaller side of a convolution's matrix of weights, channels that it gives or weights for each of
    them; of a grouped one the channels, and 0 of other layers.
    """

    kind: WorkKind
    flops: int
    moved_bytes: int
    width: int = 0


@dataclass(frozen=True)
class Pace:
    """How well an engine does one kind of work, as shares of a device's rate, bandwidth and overhead."""

    rate: float = 1.0
    bandwidth: float = 1.0
    overhead: float = 1.0

    def __post_init__(self) -> None:
        if not (0 < self.rate < inf and 0 < self.bandwidth < inf and 0 <= self.overhead < inf):
            raise InvalidProfile("An engine's rates and bandwidths are above 0, and its overheads 0 or more.")


@dataclass(frozen=True)
class Engine:
    """A library on one kind of processor; kinds of work that are not named go at the pace of the device.

    Narrow convolutions are slower: `narrow` is the width at which half of the rate is reached. What is `fused` is done
    on the way by the layer before, and takes no time of its own.
    """

    name: str
    paces: dict[WorkKind, Pace] = field(default_factory=dict)
    narrow: float = 0.0
    fused: frozenset[WorkKind] = frozenset()

    def __post_init__(self) -> None:
        if not 0 <= self.narrow < inf:
            raise InvalidProfile(
                f"The engine {self.name} has a width of {ranges.shown(self.narrow)}; it must be 0 or more."
            )


@dataclass(frozen=True)
class Device:
    """A device for which times are estimated.

    `flops_per_s` and `bytes_per_s` are what it reaches, `overhead_s` is what starting a layer takes. Of the networks
    that were left out of the fit, half were estimated within `median_error` and four of five within `error`, as shares
    of the published time; `fitted_to` counts them, and with none the parameters follow from the data sheet.
    """

    name: str
    title: str
    engine: Engine
    flops_per_s: float
    bytes_per_s: float
    overhead_s: float
    median_error: float
    error: float
    fitted_to: int
    source: str

    def __post_init__(self) -> None:
        for what, value in (("rate", self.flops_per_s), ("bandwidth", self.bytes_per_s)):
            if not 0 < value < inf:
                raise InvalidProfile(f"The {what} of {self.title} is {ranges.shown(value)}; it must be above 0.")
        ranges.require_time(f"overhead of {self.title}", self.overhead_s)
        if not 0 <= self.median_error <= self.error < inf:
            raise InvalidProfile(f"The errors of {self.title} must be shares of a time, the second the larger.")

    def seconds(self, work: LayerWork) -> float:
        """How long a layer takes here."""
        if work.kind in self.engine.fused:
            return 0.0
        pace = self.engine.paces.get(work.kind, Pace())
        computing = work.flops / (self.flops_per_s * pace.rate)
        computing *= 1 + self.engine.narrow / work.width if work.width else 1
        moving = 0.0 if work.kind is WorkKind.VIEW else work.moved_bytes / (self.bytes_per_s * pace.bandwidth)
        return max(computing, moving) + self.overhead_s * pace.overhead


def works_of(graph: LayerGraph) -> dict[str, LayerWork]:
    """The work of every layer that computes, by name."""
    return {layer.name: _work_of(graph, layer) for layer in graph.layers if not layer.is_input}


def _work_of(graph: LayerGraph, layer: Layer) -> LayerWork:
    read = [graph.layers[graph.index[ref.layer]].outputs[ref.output] for ref in layer.inputs]
    weights = sum(graph.parameter_bytes.get(name, 0) for name in layer.parameters)
    moved = weights + sum(spec.size_bytes for spec in (*read, *layer.outputs))
    name = operator_name(layer.operator).lower()
    kind, width = _OF_KIND.get(name, WorkKind.MOVING), 0
    if layer.flops:
        kind = WorkKind.PRODUCT
        # Runtimes call fused and re-ordered convolutions `FusedConv+Relu`, `NhwcConv`, `QLinearConv`.
        if read and "conv" in name and len(read[0].shape) > 2 and layer.outputs[0].n_elements:
            given, taken = layer.outputs[0], read[0]
            weights_each = layer.flops / (2 * given.n_elements * max(1, taken.shape[1]))
            square = SQUARE[0] <= weights_each < SQUARE[1] and given.shape[-1] == taken.shape[-1]
            kind = WorkKind.WINOGRAD if square else WorkKind.CONVOLUTION
            kind = WorkKind.GROUPED if weights_each < POINT else kind
            kind = WorkKind.STEM if taken.shape[1] <= IMAGE_CHANNELS else kind
            width = given.shape[1]
            if kind is not WorkKind.GROUPED:
                width = min(width, round(weights_each * taken.shape[1]))
    return LayerWork(kind, layer.flops, moved, width)


def estimate(graph: LayerGraph, device: Device) -> DeviceProfile:
    """A profile of the network on the device that says of itself that it is estimated, and how far off that may be."""
    times = {name: device.seconds(work) for name, work in works_of(graph).items()}
    made = Provenance(ProvenanceKind.ESTIMATED, device.source, settings={"engine": device.engine.name})
    return DeviceProfile(
        device=device.title,
        graph_name=graph.name,
        graph_fingerprint=graph.fingerprint,
        median_s=times,
        p95_s=dict(times),
        whole_s=sum(times.values()),
        provenance=made,
        error=device.error,
    )
