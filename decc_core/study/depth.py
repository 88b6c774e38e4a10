"""What crosses at every depth of a network, in every format: bytes, and what they do to its outputs.

At depth k the inputs and the first k computing layers, in stored order, are on the edge. These are the cuts of a chain,
and some of those of any other network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from decc_core.network.graph import LayerGraph


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


def wire_lines(
    depths: Depths,
    size_bytes: Mapping[str, Sequence[float | None]],
    agreement: Mapping[str, Sequence[float | None]],
) -> tuple[WireLine, ...]:
    """A line for each format, from the bytes of every tensor in it and the share of outputs that stay as they are.

    Where several tensors cross, their bytes add up, and the lowest agreement counts: each was measured by itself.
    """
    lines = []
    for wire, sizes in size_bytes.items():
        total, known = np.zeros(len(depths)), np.ones(len(depths), bool)
        lowest, measured = np.ones(len(depths)), np.ones(len(depths), bool)
        agrees = agreement.get(wire, (None,) * len(sizes))
        for size, agreed, begin, end in zip(sizes, agrees, depths.first, depths.stop, strict=True):
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
                wire,
                tuple(float(value) if there else None for value, there in zip(total, known, strict=True)),
                tuple(float(value) if there else None for value, there in zip(lowest, known & measured, strict=True)),
            )
        )
    return tuple(lines)
