"""What a plan must keep beside being legal: where layers run, how much the edge remembers, how much is sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from decc_core import ranges
from decc_core.errors import InvalidInstance, UnknownName
from decc_core.network.graph import LayerGraph


@dataclass(frozen=True)
class Constraints:
    """Pins by layer index and limits in bytes; None means no limit.

    `edge_memory_bytes` bounds the parameters on the edge, each counted once, plus all live tensors of the requests in
    flight at any time. `uplink_bytes` bounds what each request sends.
    """

    on_edge: frozenset[int] = frozenset()
    in_cloud: frozenset[int] = frozenset()
    edge_memory_bytes: int | None = None
    uplink_bytes: int | None = None

    def __post_init__(self) -> None:
        for name, limit in (("edge memory", self.edge_memory_bytes), ("uplink", self.uplink_bytes)):
            if limit is not None and not 0 <= limit <= ranges.MAX_INT:
                raise InvalidInstance(
                    f"The {name} limit is {ranges.shown(limit)} bytes; it must not be negative, nor more than any "
                    "network has."
                )

    @property
    def is_free(self) -> bool:
        """Whether every plan keeps them."""
        return self == UNCONSTRAINED


UNCONSTRAINED = Constraints()


def readers_of_inputs(graph: LayerGraph) -> frozenset[int]:
    """Pinned to the edge, these keep raw inputs from leaving it."""
    return frozenset(child for layer in graph.inputs for child in graph.children[layer])


def first_layers(graph: LayerGraph, count: int) -> frozenset[int]:
    """The first layers of the stored order, inputs not counted."""
    computing = [i for i in range(len(graph.layers)) if i not in set(graph.inputs)]
    if not 0 <= count <= len(computing):
        raise InvalidInstance(f"{count} layers cannot be kept on the edge; '{graph.name}' has {len(computing)}.")
    return frozenset(computing[:count])


def named_layers(graph: LayerGraph, names: Iterable[str]) -> frozenset[int]:
    """Layers by their names or titles."""
    named = {name: graph.layer_called(name) for name in names}
    for name, layer in named.items():
        if layer is None:
            close = [title for title in graph.titles if name in title] or list(graph.titles)
            raise UnknownName(f"'{graph.name}' has no layer '{name}'; it has {', '.join(close[:5])}, ...")
    return frozenset(layer for layer in named.values() if layer is not None)


def closure(layers: Iterable[int], neighbours: Sequence[Sequence[int]]) -> frozenset[int]:
    """The layers and everything that they lead to over `neighbours`."""
    reached: set[int] = set()
    open_layers = list(layers)
    while open_layers:
        layer = open_layers.pop()
        if layer not in reached:
            reached.add(layer)
            open_layers.extend(neighbours[layer])
    return frozenset(reached)
