"""An instance small enough to draw by hand."""

from __future__ import annotations

import pytest

from decc_core.problem.instance import CostInstance
from tests.builders import make_graph, make_instance


@pytest.fixture
def diamond() -> CostInstance:
    """Two branches between x and y; a is dear on the edge, b costs nothing there."""
    graph = make_graph({"x": [], "a": ["x"], "b": ["x"], "y": ["a", "b"]})
    return make_instance(
        graph,
        edge={"a": 10, "b": 2, "y": 4},
        cloud={"a": 3, "b": 1, "y": 1},
        uplink={"x": 5, "a": 5, "b": 1, "y": 1},
        downlink=1,
        requests=2,
    )
