"""A network small enough to plan on paper, and studies of it."""

from __future__ import annotations

from decc_core.network.graph import LayerGraph
from decc_core.problem.profile import DeviceProfile, Provenance, ProvenanceKind
from tests.builders import make_graph

MS = 1e-3
CHAIN = make_graph({"x": [], "a": ["x"], "b": ["a"]}, name="chain")
WIDE = make_graph({"x": [], "a": ["x"], "b": ["x"], "y": ["a", "b"]}, name="wide")
GRAPHS = {"chain": CHAIN, "wide": WIDE}


def profile(graph: LayerGraph, device: str, each_s: float) -> DeviceProfile:
    times = {layer.name: each_s for layer in graph.layers if not layer.is_input}
    where = Provenance(ProvenanceKind.MEASURED, "paper")
    return DeviceProfile(device, graph.name, graph.fingerprint, times, times, each_s * len(times), where)


def find(model: str, edge: str, cloud: str) -> tuple[LayerGraph, DeviceProfile, DeviceProfile]:
    """Every layer takes 100 ms on the edge and 1 ms in the cloud; all tensors have 4 bytes."""
    graph = GRAPHS[model]
    return graph, profile(graph, edge, 100 * MS), profile(graph, cloud, MS)


TEXT = """\
name = "small"
networks = ["chain", "wide"]
requests = [1, 2]
strategies = ["edge-only", "cloud-only", "dads-dsl", "decc"]

[[devices]]
edge = "slow"
cloud = "fast"
edge_slowdown = [1, 2]

[[links]]
uplink_mbps = [0.001, 0.032, 1]
rtt_ms = 10
overhead_ms = 0
"""
"""24 points: 2 networks, 2 numbers of requests, 2 slowdowns, 3 rates; at 0.032 Mbit/s a tensor takes 1 ms."""
