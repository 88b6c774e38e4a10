"""The layer graph refuses nonsense and identifies itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from decc_core.errors import InvalidGraph
from decc_core.network.graph import INPUT, Layer, LayerGraph, TensorRef, TensorSpec
from tests.builders import make_graph

SPEC = (TensorSpec((2, 3), "float32"),)


def test_bytes_follow_shape_and_dtype():
    assert TensorSpec((1, 3, 224, 224), "uint8").size_bytes == 150_528
    assert TensorSpec((1, 3, 224, 224), "float32").size_bytes == 602_112
    assert TensorSpec((0, 7), "float64").size_bytes == 0


def test_a_tensor_with_several_readers_is_one_tensor():
    graph = make_graph({"x": [], "a": ["x"], "b": ["x"], "y": ["a", "b"]})
    assert [(t.producer, t.consumers, t.is_output) for t in graph.tensors] == [
        (0, (1, 2), False),
        (1, (3,), False),
        (2, (3,), False),
        (3, (), True),
    ]


def test_outputs_that_nobody_needs_are_no_tensors():
    norm = Layer("norm", "norm", (TensorRef("x"),), SPEC * 3)
    graph = LayerGraph("g", (Layer("x", INPUT, (), SPEC), norm), (TensorRef("norm", 1),))
    assert [(t.producer, t.output) for t in graph.tensors] == [(0, 0), (1, 1)]
    assert graph.tensor_name(1) == "norm:1"


@pytest.mark.parametrize(
    ("layers", "outputs", "message"),
    [
        ((Layer("x", INPUT, (), SPEC),), (), "has no output"),
        ((Layer("x", INPUT, (), SPEC), Layer("x", INPUT, (), SPEC)), (TensorRef("x"),), "names must be unique"),
        ((Layer("y", "op", (TensorRef("z"),), SPEC),), (TensorRef("y"),), "'z', which is missing"),
        (
            (Layer("x", INPUT, (), SPEC), Layer("y", "op", (TensorRef("x"),), SPEC)),
            (TensorRef("x"),),
            "'y' leads to no",
        ),
        ((Layer("x", INPUT, (), SPEC),), (TensorRef("x", 3),), "reads output 3 of 'x'"),
    ],
)
def test_malformed_graphs_are_refused_naming_the_culprit(layers, outputs, message):
    with pytest.raises(InvalidGraph, match=message):
        LayerGraph("g", layers, outputs)


def test_malformed_layers_are_refused():
    with pytest.raises(InvalidGraph, match="fold it into a constant"):
        Layer("mask", "arange", (), SPEC)
    with pytest.raises(InvalidGraph, match="no output tensor"):
        Layer("x", INPUT, (), ())
    with pytest.raises(InvalidGraph, match="Unknown dtype 'float7'"):
        TensorSpec((1,), "float7")
    with pytest.raises(InvalidGraph, match="negative size"):
        TensorSpec((-1,), "uint8")


def test_the_fingerprint_sees_names_operators_shapes_and_edges_but_not_the_title():
    graph = make_graph({"x": [], "a": ["x"], "y": ["a"]})
    assert replace(graph, name="other").fingerprint == graph.fingerprint
    assert make_graph({"x": [], "b": ["x"], "y": ["b"]}).fingerprint != graph.fingerprint
    assert make_graph({"x": [], "a": ["x"], "y": ["a", "x"]}).fingerprint != graph.fingerprint
    reshaped = (graph.layers[0], replace(graph.layers[1], outputs=SPEC), graph.layers[2])
    assert replace(graph, layers=reshaped).fingerprint != graph.fingerprint
