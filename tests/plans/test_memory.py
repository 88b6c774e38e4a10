"""What the edge holds at once: weights, and tensors that somebody still needs."""

from __future__ import annotations

import pytest

from decc_core.network.graph import INPUT, Layer, LayerGraph, TensorRef, TensorSpec
from decc_core.plans.memory import edge_memory_bytes
from decc_core.plans.plan import Execution, staged_plan
from decc_core.plans.schedule import schedule
from tests.builders import make_instance


def weighted_graph() -> LayerGraph:
    """x (10 B) -> a (20 B, weights w 100 B) -> b (30 B, weights w) -> y (1 B, weights v 7 B)."""

    def layer(name: str, parent: str, size: int, *parameters: str) -> Layer:
        refs = (TensorRef(parent),) if parent else ()
        spec = (TensorSpec((size,), "uint8"),)
        return Layer(name, "op" if parent else INPUT, refs, spec, parameters=parameters)

    layers = (layer("x", "", 10), layer("a", "x", 20, "w"), layer("b", "a", 30, "w"), layer("y", "b", 1, "v"))
    return LayerGraph("weighted", layers, (TensorRef("y"),), {"w": 100, "v": 7})


@pytest.mark.parametrize(
    ("cut", "requests", "expected"),
    [
        ({0}, 1, 10),
        ({0, 1}, 1, 100 + 10 + 20),
        ({0, 1, 2}, 1, 100 + 20 + 30),  # shared weights count once; x is gone when b runs
        ({0, 1, 2, 3}, 1, 107 + 20 + 30),
        ({0, 1, 2, 3}, 3, 107 + 20 + 30 + 2 * 10),  # two more inputs wait
    ],
)
def test_the_edge_holds_weights_once_and_tensors_while_somebody_needs_them(cut, requests, expected):
    times = {"a": 1, "b": 1, "y": 1}
    instance = make_instance(weighted_graph(), times, times, {"x": 1, "a": 1, "b": 1}, requests=requests)
    plan = staged_plan(instance, Execution.CONSECUTIVE, (frozenset(cut),) * requests)
    assert edge_memory_bytes(instance, plan, schedule(instance, plan)) == expected


def test_tensors_that_wait_for_the_uplink_count():
    instance = make_instance(weighted_graph(), {"a": 1}, {"b": 1, "y": 1}, {"a": 50}, requests=3)
    plan = staged_plan(instance, Execution.FRAME_PIPELINED, (frozenset({0, 1}),) * 3)
    # All three tensors of 20 B are made before the first has been sent; x of the last request is still there then.
    assert edge_memory_bytes(instance, plan, schedule(instance, plan)) == 100 + 3 * 20 + 10
