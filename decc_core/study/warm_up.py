"""Plans small networks of every kind, so that all compiled loops are there: `python -m decc_core.study.warm_up`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from decc_core.network.graph import INPUT, Layer, LayerGraph, TensorRef, TensorSpec
from decc_core.problem.constraints import Constraints
from decc_core.problem.instance import CostInstance, Objective
from decc_core.study.compare import compare

Reads = Sequence[Sequence[int]]
"""The layers that each layer reads, by number."""
FORKS: Reads = ((), (0,), (0,), (1, 2), (3,), (3,), (4, 5), (6,))
TWO_RESULTS: Reads = ((), (0,), (0,), (1,), (1, 2), (2,), (3, 4))
LONG = 40
"""Branches of so many layers have too many cuts to be listed."""


def warm_up() -> None:
    """Load what the planner's loops were compiled to; where that never happened, compile it (a minute, once)."""
    for reads in (FORKS, TWO_RESULTS, _branches(inputs=1), _branches(inputs=3)):
        for requests in (1, 3):
            plain = _instance(reads, requests)
            compare(plain)
            compare(replace(plain, objective=Objective.THROUGHPUT))
            compare(replace(plain, constraints=Constraints(uplink_bytes=12, edge_memory_bytes=1_000)))


def _branches(inputs: int) -> Reads:
    """Three long branches, of one input or each of its own, that meet in the last layer."""
    reads: list[Sequence[int]] = [()] * inputs
    ends = []
    for branch in range(3):
        reads.append((branch % inputs,))
        reads += [(len(reads) - 1 + i,) for i in range(LONG - 1)]
        ends.append(len(reads) - 1)
    return (*reads, ends)


def _instance(reads: Reads, requests: int) -> CostInstance:
    """Times with work for edge, uplink and cloud, so that no search is over before it began."""
    tensor = (TensorSpec((1,), "float32"),)
    layers = tuple(
        Layer(f"n{i}", "op" if parents else INPUT, tuple(TensorRef(f"n{parent}") for parent in parents), tensor)
        for i, parents in enumerate(reads)
    )
    returned = sorted({*range(len(reads))}.difference(*reads))
    graph = LayerGraph("warm-up", layers, tuple(TensorRef(f"n{i}") for i in returned))
    edge = tuple(0 if layer.is_input else 700 + 10 * i for i, layer in enumerate(layers))
    cloud = tuple(time_ns // 4 for time_ns in edge)
    sent = tuple(max(1, 900 - 60 * i) for i in range(len(graph.tensors)))
    return CostInstance(graph, edge, cloud, sent, sent, (4,) * len(sent), half_rtt_ns=50, requests=requests)


if __name__ == "__main__":
    warm_up()
