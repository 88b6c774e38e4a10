"""Which layers a layer waits for."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from decc_core.graph import LayerGraph


@lru_cache(maxsize=16)
def ancestors(graph: LayerGraph) -> NDArray[np.bool_]:
    """Row v marks v and everything that v waits for; the transpose marks what waits for v. Shape (layers, layers)."""
    above = np.eye(len(graph.layers), dtype=np.bool_)
    for layer, parents in enumerate(graph.parents):
        for parent in parents:
            above[layer] |= above[parent]
    above.flags.writeable = False
    return above
