"""A graph as flat arrays says what the graph says."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from decc_core.network.arrays import as_mask, topology
from tests.builders import make_graph, random_graph


def lists(first, flat) -> list[list[int]]:
    return [flat[a:b].tolist() for a, b in pairwise(first)]


def test_a_fork_on_paper():
    arrays = topology(make_graph({"x": [], "a": ["x"], "b": ["x"], "y": ["a", "b"]}, outputs=["b", "y"]))
    assert (arrays.n_layers, arrays.n_tensors) == (4, 4)
    assert arrays.is_input.tolist() == [True, False, False, False]
    assert arrays.is_output.tolist() == [False, False, True, True]
    assert lists(arrays.read_first, arrays.reads) == [[], [0], [0], [1, 2]]
    assert lists(arrays.consumer_first, arrays.consumers) == [[1, 2], [3], [3], []]
    assert arrays.last_reader.tolist() == [2, 3, 3, -1]


@pytest.mark.parametrize("seed", range(20))
def test_every_list_is_that_of_the_graph(seed):
    rng = random.Random(seed)
    graph = random_graph(rng, rng.randint(1, 40))
    arrays = topology(graph)
    assert lists(arrays.child_first, arrays.children) == [list(children) for children in graph.children]
    assert lists(arrays.parent_first, arrays.parents) == [list(parents) for parents in graph.parents]
    assert lists(arrays.consumer_first, arrays.consumers) == [list(tensor.consumers) for tensor in graph.tensors]
    assert arrays.producer.tolist() == [tensor.producer for tensor in graph.tensors]
    made = [list(range(a, b)) for a, b in pairwise(arrays.made_first)]
    assert made == [list(tensors) for tensors in graph.tensors_of]
    assert lists(arrays.read_first, arrays.reads) == [
        [i for i, tensor in enumerate(graph.tensors) if layer in tensor.consumers] for layer in range(len(graph))
    ]


def test_a_mask_marks_the_layers_of_a_cut():
    assert as_mask(4, frozenset({0, 2})).tolist() == [True, False, True, False]
