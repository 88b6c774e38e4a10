"""A layer graph as flat arrays, for the loops that planning spends its time in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from decc_core.network.graph import LayerGraph

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Topology(NamedTuple):
    """Who makes and who reads what; ragged lists are stored flat, list i being `flat[first[i]:first[i + 1]]`.

    `made_first` ranges over the tensors that a layer makes (tensors are sorted by producer), `reads` lists the tensors
    that a layer reads, `consumers` the layers that read a tensor, `children` and `parents` the layers after and before
    a layer. `last_reader` is the last layer in stored order that reads a tensor, or -1.
    """

    is_input: Mask
    producer: Ints
    is_output: Mask
    made_first: Ints
    read_first: Ints
    reads: Ints
    last_reader: Ints
    consumer_first: Ints
    consumers: Ints
    child_first: Ints
    children: Ints
    parent_first: Ints
    parents: Ints

    @property
    def n_layers(self) -> int:
        return len(self.is_input)

    @property
    def n_tensors(self) -> int:
        return len(self.producer)


@lru_cache(maxsize=8)
def topology(graph: LayerGraph) -> Topology:
    n = len(graph.layers)
    reads: list[list[int]] = [[] for _ in range(n)]
    for i, tensor in enumerate(graph.tensors):
        for consumer in tensor.consumers:
            reads[consumer].append(i)
    is_input = np.zeros(n, np.bool_)
    is_input[list(graph.inputs)] = True
    producer = np.array([tensor.producer for tensor in graph.tensors], np.int64)
    read_first, flat_reads = _ragged(reads)
    consumer_first, consumers = _ragged([tensor.consumers for tensor in graph.tensors])
    child_first, children = _ragged(graph.children)
    parent_first, parents = _ragged(graph.parents)
    return Topology(
        is_input=is_input,
        producer=producer,
        is_output=np.array([tensor.is_output for tensor in graph.tensors], np.bool_),
        made_first=np.searchsorted(producer, np.arange(n + 1)).astype(np.int64),
        read_first=read_first,
        reads=flat_reads,
        last_reader=np.array([max(tensor.consumers, default=-1) for tensor in graph.tensors], np.int64),
        consumer_first=consumer_first,
        consumers=consumers,
        child_first=child_first,
        children=children,
        parent_first=parent_first,
        parents=parents,
    )


def _ragged(lists: Sequence[Sequence[int]]) -> tuple[Ints, Ints]:
    first = np.zeros(len(lists) + 1, np.int64)
    np.cumsum([len(items) for items in lists], out=first[1:])
    return first, np.array([item for items in lists for item in items], np.int64)


def as_mask(n_layers: int, cut: frozenset[int]) -> Mask:
    """Which layers of a cut run on the edge."""
    mask = np.zeros(n_layers, np.bool_)
    mask[list(cut)] = True
    return mask
