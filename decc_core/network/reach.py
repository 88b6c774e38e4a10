"""Which layers a layer waits for."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from decc_core.network.graph import LayerGraph


@lru_cache(maxsize=4)
def ancestors(graph: LayerGraph) -> NDArray[np.float64]:
    """Row v holds 1 for v and all that v waits for, column v for what waits for v; shape (layers, layers)."""
    above = np.eye(len(graph.layers), dtype=np.float64)
    for layer, parents in enumerate(graph.parents):
        for parent in parents:
            np.maximum(above[layer], above[parent], out=above[layer])
    above.flags.writeable = False
    return above
