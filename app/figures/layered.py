"""Layered layout of a DAG: `fast_sugiyama` where it can be installed, plain ranks and lanes on Python 3.10."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import networkx as nx

SPACING = 72.0
"""The library's distance between two ranks, and between two lanes."""

Component = tuple[list[tuple[Any, tuple[float, float]]], float, float, list[tuple[Any, Any]] | None]


def plain_layout(edges: Sequence[tuple[str, str]]) -> list[Component]:
    """Every node at its longest distance from a source, the nodes of a rank side by side and centred; no bends."""
    ranks = [sorted(rank) for rank in nx.topological_generations(nx.DiGraph(edges))]
    width, height = max(len(rank) for rank in ranks) * SPACING, (len(ranks) - 1) * SPACING
    points = [
        (name, ((width - len(rank) * SPACING) / 2 + lane * SPACING, height - depth * SPACING))
        for depth, rank in enumerate(ranks)
        for lane, name in enumerate(rank)
    ]
    return [(points, width, height, None)]


try:
    from fast_sugiyama import from_edges
except ImportError:  # the library needs Python 3.11
    from_edges = plain_layout
