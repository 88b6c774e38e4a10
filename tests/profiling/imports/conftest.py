"""The network that most of these files are of."""

from __future__ import annotations

import pytest

from decc_core.network.graph import LayerGraph
from tests.builders import make_graph
from tests.profiling.imports.made import named_operators


@pytest.fixture
def chain() -> LayerGraph:
    """x -> conv -> relu -> view -> fc."""
    graph = make_graph({"x": [], "conv": ["x"], "relu": ["conv"], "view": ["relu"], "fc": ["view"]})
    operators = {
        "conv": "aten.conv2d.default",
        "relu": "aten.relu.default",
        "view": "aten.view.default",
        "fc": "aten.linear.default",
    }
    return named_operators(graph, operators, {"conv": 300, "fc": 100})
