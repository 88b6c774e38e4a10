"""What crosses at every depth of a network, in every format: bytes, and what they do to its outputs.

At depth k the inputs and the first k computing layers, in stored order, are on the edge. These are the cuts of a chain,
and some of those of any other network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from decc_core import formats
from decc_core.formats import RAW
from decc_core.network.graph import LayerGraph
from decc_core.problem.instance import CostInstance
from decc_core.problem.wire import CERTAIN, Travel, Wire, WireProfile, bits_of, tensor_name


@dataclass(frozen=True)
class Depths:
    """The depths of a network: the layer that is the last one on the edge, and how many tensors cross.

    `first` and `stop` hold for every tensor at which depths it crosses.
    """

    last_layer: tuple[int, ...]
    crossing: tuple[int, ...]
    first: tuple[int, ...]
    stop: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.last_layer)


@dataclass(frozen=True)
class WireLine:
    """One format over the depth; None where a tensor that crosses there does not travel so, or was not measured."""

    wire: str
    size_bytes: tuple[float | None, ...]
    agreement: tuple[float | None, ...]


@dataclass(frozen=True)
class Coded:
    """One format on every tensor: how many bytes it takes, and how much of the outputs it leaves, where known."""

    wire: str
    size_bytes: tuple[float | None, ...]
    agreement: tuple[float | None, ...]


def depths_of(graph: LayerGraph) -> Depths:
    """All depths at which something is left for the cloud."""
    computing = [place for place, layer in enumerate(graph.layers) if not layer.is_input]
    depth = {layer: k for k, layer in enumerate(computing, 1)}
    first = [depth.get(tensor.producer, 0) for tensor in graph.tensors]
    stop = [max((depth[layer] for layer in tensor.consumers), default=0) for tensor in graph.tensors]
    changes = np.zeros(len(computing) + 1, np.int64)
    for begin, end in zip(first, stop, strict=True):
        if end > begin:
            changes[begin] += 1
            changes[end] -= 1
    inputs = graph.inputs
    last = [inputs[-1] if inputs else 0, *computing[:-1]]
    return Depths(tuple(last), tuple(np.cumsum(changes)[:-1].tolist()), tuple(first), tuple(stop))


def wire_lines(depths: Depths, found: Sequence[Coded]) -> tuple[WireLine, ...]:
    """A line for each format, from what it does to every tensor.

    Where several tensors cross, their bytes add up, and the lowest agreement counts: each was measured by itself.
    """
    lines = []
    for one in found:
        total, known = np.zeros(len(depths)), np.ones(len(depths), bool)
        lowest, measured = np.ones(len(depths)), np.ones(len(depths), bool)
        for size, agreed, begin, end in zip(one.size_bytes, one.agreement, depths.first, depths.stop, strict=True):
            at = slice(begin, max(begin, end))
            if size is None:
                known[at] = False
            else:
                total[at] += size
            if agreed is None:
                measured[at] = False
            else:
                np.minimum(lowest[at], agreed, out=lowest[at])
        lines.append(
            WireLine(
                one.wire,
                tuple(float(value) if there else None for value, there in zip(total, known, strict=True)),
                tuple(float(value) if there else None for value, there in zip(lowest, known & measured, strict=True)),
            )
        )
    return tuple(lines)


def offered(graph: LayerGraph, profile: WireProfile | None) -> tuple[str, ...]:
    """Formats of which something is known for a network, raw first; those of images only where an input is one."""
    known = [RAW, *CERTAIN, *(profile.codings if profile else ())]
    inputs = [tensor.spec for tensor in graph.tensors if graph.layers[tensor.producer].is_input]
    images = {name for name in formats.IMAGES if any(formats.find(name).takes(spec) for spec in inputs)}
    return tuple(dict.fromkeys(name for name in known if name not in formats.IMAGES or name in images))


def coded(graph: LayerGraph, wire: str, profile: WireProfile | None, percentile: int) -> Coded:
    """What one format does to every tensor; what it does not take travels as it is, but for formats of images."""
    form = formats.find(wire)
    ways = Wire(wire, profile=profile, percentile=percentile).travels(graph, _size)
    measured = profile.codings.get(wire, {}) if profile else {}
    sizes: list[float | None] = []
    agrees: list[float | None] = []
    for i, (tensor, way) in enumerate(zip(graph.tensors, ways, strict=True)):
        taken = form.takes(tensor.spec) and (wire not in formats.IMAGES or graph.layers[tensor.producer].is_input)
        known = way.format == wire or not taken
        sizes.append(way.bytes if known and (taken or wire not in formats.IMAGES) else None)
        coding = measured.get(tensor_name(graph, i))
        agrees.append(1.0 if form.lossless or not taken else coding.kept if coding else None)
    return Coded(wire, tuple(sizes), tuple(agrees))


def _size(way: Travel) -> float:
    return float(way.bytes)


def planned(instance: CostInstance, profile: WireProfile | None, title: str) -> Coded:
    """The same of what an instance plans with, where every tensor may have a format of its own."""
    graph = instance.graph
    agrees: list[float | None] = []
    for i in range(len(graph.tensors)):
        name = instance.format_of(i)
        coding = profile.codings.get(name, {}).get(tensor_name(graph, i)) if profile else None
        # A format that need not exist has no accuracy, either.
        lossless = bits_of(name) is None and formats.find(name).lossless
        agrees.append(1.0 if lossless else coding.kept if coding else None)
    return Coded(title, tuple(map(float, instance.wire_bytes)), tuple(agrees))
