"""Two profiles of one network side by side: times, spread, ratio and share of each layer, or of groups of layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from decc_core.network.graph import Layer, LayerGraph
from decc_core.problem.profile import DeviceProfile

MAX_MODULES = 48
"""Modules are taken as deep as that they are no more than this."""


class GroupBy(str, Enum):
    """What one row of times stands for."""

    LAYER = "layer"
    MODULE = "module"
    OPERATOR = "operator"


@dataclass(frozen=True)
class LayerTimes:
    """Seconds of one layer on two devices, or sums over a group of layers.

    The 95th percentiles are those of one layer; a group has none, because percentiles do not add up.
    """

    title: str
    module_path: str
    operator: str
    layers: int
    edge_s: float
    cloud_s: float
    edge_p95_s: float | None = None
    cloud_p95_s: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many times longer the edge takes; None where the cloud takes no time."""
        return self.edge_s / self.cloud_s if self.cloud_s > 0 else None

    @property
    def edge_spread(self) -> float | None:
        return _spread(self.edge_p95_s, self.edge_s)

    @property
    def cloud_spread(self) -> float | None:
        return _spread(self.cloud_p95_s, self.cloud_s)


def _spread(p95_s: float | None, median_s: float) -> float | None:
    """The 95th percentile as a multiple of the median; None where there is nothing to compare."""
    return p95_s / median_s if p95_s is not None and median_s > 0 else None


def layer_times(
    graph: LayerGraph, edge: DeviceProfile, cloud: DeviceProfile, by: GroupBy = GroupBy.LAYER
) -> tuple[LayerTimes, ...]:
    """One row for each layer but the inputs, in stored order, or one for each group, in order of its first layer."""
    edge.require_graph(graph)
    cloud.require_graph(graph)
    layers = [layer for layer in graph.layers if not layer.is_input]
    if by is GroupBy.LAYER:
        return tuple(_row(graph.titles[graph.index[layer.name]], layer, edge, cloud) for layer in layers)
    key = _module_key(layers) if by is GroupBy.MODULE else lambda layer: layer.operator
    groups: dict[str, list[Layer]] = {}
    for layer in layers:
        groups.setdefault(key(layer), []).append(layer)
    return tuple(_group(title, members, edge, cloud, by) for title, members in groups.items())


def _row(title: str, layer: Layer, edge: DeviceProfile, cloud: DeviceProfile) -> LayerTimes:
    name = layer.name
    return LayerTimes(
        title=title,
        module_path=layer.module_path,
        operator=layer.operator,
        layers=1,
        edge_s=edge.median_s[name],
        cloud_s=cloud.median_s[name],
        edge_p95_s=edge.p95_s.get(name),
        cloud_p95_s=cloud.p95_s.get(name),
    )


def _group(title: str, members: Sequence[Layer], edge: DeviceProfile, cloud: DeviceProfile, by: GroupBy) -> LayerTimes:
    operators = dict.fromkeys(layer.operator for layer in members)
    return LayerTimes(
        title=title,
        module_path=title if by is GroupBy.MODULE else "",
        operator=", ".join(operators),
        layers=len(members),
        edge_s=sum(edge.median_s[layer.name] for layer in members),
        cloud_s=sum(cloud.median_s[layer.name] for layer in members),
    )


def _module_key(layers: Iterable[Layer]) -> Callable[[Layer], str]:
    """The module of a layer, as deep as the number of modules stays readable."""
    paths = [layer.module_path.split(".") for layer in layers]
    deepest = max((len(path) for path in paths), default=1)
    depth = 1
    while depth < deepest and len({tuple(path[: depth + 1]) for path in paths}) <= MAX_MODULES:
        depth += 1
    return lambda layer: ".".join(layer.module_path.split(".")[:depth])


def overall_ratio(rows: Sequence[LayerTimes]) -> float | None:
    """How many times longer the edge takes for everything."""
    edge, cloud = sum(row.edge_s for row in rows), sum(row.cloud_s for row in rows)
    return edge / cloud if cloud > 0 else None


def fewest_for_half(times_s: Iterable[float]) -> int:
    """How many of the longest times add up to at least half of all."""
    ordered = sorted(times_s, reverse=True)
    half, so_far_s = sum(ordered) / 2, 0.0
    for count, time_s in enumerate(ordered, start=1):
        so_far_s += time_s
        if so_far_s >= half:
            return count
    return len(ordered)


def usual_ratios(rows: Sequence[LayerTimes], tail: float = 0.1) -> tuple[float, float] | None:
    """The ratios between which the middle of the layers lies, `tail` of them left out at each end.

    Layers that take no time on the edge, fused into others there, say nothing.
    """
    ratios = sorted(row.ratio for row in rows if row.ratio)
    if not ratios:
        return None
    last = len(ratios) - 1
    return ratios[round(tail * last)], ratios[round((1 - tail) * last)]
