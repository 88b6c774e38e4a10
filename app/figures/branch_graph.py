"""The network as branches: which runs of layers stand on the edge, which in the cloud, and what crosses between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import networkx as nx
from fast_sugiyama import from_edges

from decc_core.network.branches import Branch, chains, split_branches
from decc_core.network.graph import LayerGraph
from decc_core.network.titles import labels
from decc_core.network.towers import Tower, common_tower, towers
from decc_core.network.work import Resource
from decc_core.plans.plan import Plan
from decc_core.problem.instance import CostInstance, Cut, crossing_tensors

FEW_LAYERS = 48
"""Up to this many layers every layer is a node of its own; beyond it, runs of layers are."""
MANY_RANKS = 48
MANY_NODES = 120
"""A longer or wider picture would be too fine to read: small blocks become nodes."""
SMALL_SHARE = 8
"""A block is small up to this fraction of the network's layers."""

SPACING = 72.0
"""The layout library's distance between two ranks, and between two lanes."""

LABEL_LETTERS = 16
Run = tuple[int, ...]
Point = tuple[float, float]


@dataclass(frozen=True)
class RunNode:
    """A run of layers with one placement; `x` is its rank from the left, `y` its lane, `tower` the place of the tower
    that holds all of it."""

    layers: Run
    resource: Resource
    title: str
    edge_ns: int
    cloud_ns: int
    names: str = ""
    out_bytes: int = 0
    label: str = ""
    tower: int | None = None
    x: float = 0.0
    y: float = 0.0


@dataclass(frozen=True)
class Arrow:
    """Data flow between two nodes; `tensors` are those that cross the cut here, `points` the bends of the line."""

    source: int
    target: int
    tensors: tuple[int, ...] = ()
    points: tuple[tuple[float, float], ...] = ()
    skips: bool = False


@dataclass(frozen=True)
class Crossing:
    """A tensor that crosses the cut, and the layer that makes it."""

    name: str
    size_bytes: int
    uplink_ns: int
    producer: int


@dataclass(frozen=True)
class BranchGraph:
    """Nodes and arrows of one cut, laid out; `crossings` describes the crossing tensors by index."""

    nodes: tuple[RunNode, ...]
    arrows: tuple[Arrow, ...]
    crossings: dict[int, Crossing] = field(default_factory=dict)
    towers: tuple[Tower, ...] = ()

    @property
    def extent(self) -> tuple[float, float]:
        """The lowest and the highest place of anything drawn."""
        ys = [y for arrow in self.arrows for _, y in arrow.points] + [node.y for node in self.nodes]
        return min(ys), max(ys)


@dataclass(frozen=True)
class CutGroup:
    """A cut and the requests that are cut there."""

    cut: Cut
    requests: tuple[int, ...]


def cut_groups(plan: Plan) -> tuple[CutGroup, ...]:
    """The distinct cuts of a plan, in the order of their first request."""
    return tuple(CutGroup(cut, requests) for cut, requests in plan.groups().items())


def branch_rows(instance: CostInstance, cut: Cut) -> BranchGraph:
    """The picture's data for one cut."""
    graph = instance.graph
    runs = placed_runs(graph, cut)
    called = run_labels(graph, runs, LABEL_LETTERS)
    nodes = [_node(instance, cut, run, label) for run, label in zip(runs, called, strict=True)]
    arrows = _arrows(graph, runs, cut)
    crossings = {
        tensor: Crossing(
            graph.tensor_title(tensor, short=True),
            instance.wire_bytes[tensor],
            instance.uplink_ns[tensor],
            graph.tensors[tensor].producer,
        )
        for tensor in crossing_tensors(graph, cut)
    }
    nodes, arrows = _laid_out(nodes, arrows)
    return BranchGraph(tuple(nodes), tuple(arrows), crossings, towers(graph))


def placed_runs(graph: LayerGraph, cut: Cut) -> tuple[Run, ...]:
    """The layers as runs: each lies on one side of the cut, and no two runs wait for each other.

    Runs follow the chains; in a network too long or too wide to read that way, small blocks are runs too.
    """
    if len(graph) <= FEW_LAYERS:
        return tuple((layer,) for layer in range(len(graph)))
    whole = split_branches(graph)
    runs = _runs(graph, chains(whole), cut)
    if len(runs) > MANY_NODES or nx.dag_longest_path_length(_quotient(graph, runs)) >= MANY_RANKS:
        runs = _runs(graph, _blocks(whole, cut, len(graph) // SMALL_SHARE), cut)
    return tuple(sorted(runs))


def _runs(graph: LayerGraph, parts: Iterable[Run], cut: Cut) -> list[Run]:
    return acyclic(graph, [run for part in parts for run in _by_placement(part, cut)])


def _blocks(whole: Branch, cut: Cut, small: int) -> list[Run]:
    """Chains as `chains` gives them, but a small segment on one side of the cut forms one run with its last waist."""
    blocks: list[Run] = []
    waiting = [whole]
    while waiting:
        branch = waiting.pop()
        blocks += branch.lanes
        segments = {segment.end: segment for segment in branch.segments}
        run: list[int] = []
        for waist in (*branch.waists, None):
            segment = segments.get(waist)
            closing = () if waist is None else (waist,)
            if segment is None:
                run.extend(closing)
                continue
            blocks.append(tuple(run))
            interior = tuple(sorted(layer for inner in segment.branches for layer in inner.layers))
            if len(interior) <= small and len({layer in cut for layer in interior}) == 1:
                blocks.append(interior + closing)
                run = []
            else:
                waiting += segment.branches
                run = [*closing]
        blocks.append(tuple(run))
    return [run for run in blocks if run]


def _by_placement(chain: Run, cut: Cut) -> Iterable[Run]:
    for side in (True, False):
        run = tuple(layer for layer in chain if (layer in cut) is side)
        if run:
            yield run


def acyclic(graph: LayerGraph, runs: Sequence[Run]) -> list[Run]:
    """Runs that wait for each other (lanes with paths between them) are split where data leaves or enters them.

    The runs may be those of a part of the graph.
    """
    quotient = _quotient(graph, runs)
    kept: list[Run] = []
    for component in nx.strongly_connected_components(quotient):
        for i in component:
            kept.extend([runs[i]] if len(component) == 1 else _series(graph, runs[i]))
    return kept


def _series(graph: LayerGraph, run: Run) -> list[Run]:
    """Pieces of a run inside which every layer feeds only the next and reads only the one before."""
    pieces = [[run[0]]]
    for before, after in pairwise(run):
        if graph.children[before] == (after,) and graph.parents[after] == (before,):
            pieces[-1].append(after)
        else:
            pieces.append([after])
    return [tuple(piece) for piece in pieces]


def _quotient(graph: LayerGraph, runs: Sequence[Run]) -> nx.DiGraph:
    home = {layer: i for i, run in enumerate(runs) for layer in run}
    quotient = nx.DiGraph()
    quotient.add_nodes_from(range(len(runs)))
    quotient.add_edges_from(
        (home[parent], home[child])
        for child in home
        for parent in graph.parents[child]
        if parent in home and home[parent] != home[child]
    )
    return quotient


def _node(instance: CostInstance, cut: Cut, run: Run, label: str) -> RunNode:
    names = [instance.graph.titles[layer] for layer in run]
    return RunNode(
        layers=run,
        resource=Resource.EDGE if run[0] in cut else Resource.CLOUD,
        title=instance.graph.run_title(run),
        label=label,
        edge_ns=sum(instance.edge_ns[layer] for layer in run),
        cloud_ns=sum(instance.cloud_ns[layer] for layer in run),
        names=", ".join(names) if len(names) <= 4 else f"{names[0]}, {names[1]}, … {names[-1]}",
        out_bytes=out_bytes(instance, run),
        tower=common_tower(instance.graph, run),
    )


def out_bytes(instance: CostInstance, run: Run) -> int:
    """Bytes, as on the wire, of the tensors that leave a run; those of the model's outputs included."""
    inside = set(run)
    return sum(
        instance.wire_bytes[i]
        for layer in run
        for i in instance.graph.tensors_of[layer]
        if instance.graph.tensors[i].is_output or not inside.issuperset(instance.graph.tensors[i].consumers)
    )


def run_labels(graph: LayerGraph, runs: Sequence[Run], letters: int) -> tuple[str, ...]:
    """What runs of layers that are shown together are called where space is short, each so that no other is meant."""
    names = [graph.run_names(run) for run in runs]
    # A module that lies in several of the runs tells none of them; the first layer does.
    many = Counter(names)
    return labels(
        [own if many[own] == 1 else (graph.titles[run[0]],) for own, run in zip(names, runs, strict=True)], letters
    )


def _arrows(graph: LayerGraph, runs: Sequence[Run], cut: Cut) -> list[Arrow]:
    """One arrow per pair of nodes with data flow; a crossing tensor with several readers stands on several arrows."""
    home = {layer: i for i, run in enumerate(runs) for layer in run}
    carried: dict[tuple[int, int], list[int]] = {}
    for i, tensor in enumerate(graph.tensors):
        for consumer in tensor.consumers:
            if home[consumer] != home[tensor.producer]:
                crossing = carried.setdefault((home[tensor.producer], home[consumer]), [])
                if tensor.producer in cut and consumer not in cut and i not in crossing:
                    crossing.append(i)
    return [Arrow(source, target, tuple(tensors)) for (source, target), tensors in carried.items()]


def _laid_out(nodes: Sequence[RunNode], arrows: Sequence[Arrow]) -> tuple[list[RunNode], list[Arrow]]:
    """Layers from left to right on the transitive reduction; the arrows it leaves out become curves."""
    quotient = nx.DiGraph((arrow.source, arrow.target) for arrow in arrows)
    reduced = set(nx.transitive_reduction(quotient).edges) if arrows else set()
    at, bends = positions(len(nodes), sorted(reduced))
    at, bends = _in_order(nodes, at, bends)
    placed = [replace(node, x=at[i][0], y=at[i][1]) for i, node in enumerate(nodes)]
    drawn = []
    for arrow in arrows:
        ends = (at[arrow.source], at[arrow.target])
        skips = (arrow.source, arrow.target) not in reduced
        points = _arc(*ends) if skips else (ends[0], *bends.get((arrow.source, arrow.target), ()), ends[1])
        drawn.append(replace(arrow, points=points, skips=skips))
    return placed, drawn


Bends = dict[tuple[int, int], tuple[Point, ...]]


def _in_order(nodes: Sequence[RunNode], at: dict[int, Point], bends: Bends) -> tuple[dict[int, Point], Bends]:
    """Towers below each other in the order of their inputs, where each lies in a band of its own before all else."""
    heights: dict[int, list[float]] = {}
    for i, node in enumerate(nodes):
        if node.tower is not None:
            heights.setdefault(node.tower, []).append(at[i][1])
    for (source, _), points in bends.items():
        if (tower := nodes[source].tower) is not None:
            heights[tower] += [y for _, y in points]
    bands = {tower: (min(ys), max(ys)) for tower, ys in heights.items()}
    stacked = sorted(bands.values(), reverse=True)
    last = max((at[i][0] for i, node in enumerate(nodes) if node.tower is not None), default=0.0)
    mixed = any(at[i][0] <= last for i, node in enumerate(nodes) if node.tower is None)
    if mixed or any(upper[0] <= lower[1] for upper, lower in pairwise(stacked)):
        return at, bends
    gaps = [upper[0] - lower[1] for upper, lower in pairwise(stacked)]
    moves: dict[int | None, float] = {None: 0.0}
    top = stacked[0][1] if stacked else 0.0
    for tower, gap in zip(sorted(bands), [*gaps, 0.0], strict=True) if bands else ():
        low, high = bands[tower]
        moves[tower] = top - high
        top -= high - low + gap
    moved = {i: (x, y + moves[nodes[i].tower]) for i, (x, y) in at.items()}
    return moved, {
        ends: tuple((x, y + moves[nodes[ends[0]].tower]) for x, y in points) for ends, points in bends.items()
    }


def positions(
    count: int, edges: Sequence[tuple[int, int]]
) -> tuple[dict[int, Point], dict[tuple[int, int], tuple[Point, ...]]]:
    """Places of the nodes, and of the bends of each edge; components stand below each other."""
    at: dict[int, Point] = {}
    bends: dict[tuple[int, int], tuple[Point, ...]] = {}
    below = 0.0
    # RunNode ids go in as text, so that the integer ids of the library's bend points cannot be mistaken for them.
    for points, width, height, segments in from_edges([(str(a), str(b)) for a, b in edges]) if edges else ():
        # The library lays out from top to bottom; turned by a quarter, the first lane stays on top.
        turned = {name: ((height - y) / SPACING, below - x / SPACING) for name, (x, y) in points}
        at.update({int(name): place for name, place in turned.items() if isinstance(name, str)})
        bends.update(_bends(turned, segments or ()))
        below -= width / SPACING + 1
    for i in range(count):
        if i not in at:
            at[i] = (0.0, below)
            below -= 1
    return at, bends


def _bends(
    turned: dict[str | int, Point], segments: Iterable[tuple[str | int, str | int]]
) -> dict[tuple[int, int], tuple[Point, ...]]:
    """The bend points of each edge, from the pieces into which the library divides it."""
    onward = {source: target for source, target in segments if isinstance(source, int)}
    bends = {}
    for source, target in segments:
        if isinstance(source, int):
            continue
        points = []
        while isinstance(target, int):
            points.append(turned[target])
            target = onward[target]
        bends[int(source), int(target)] = tuple(points)
    return bends


def _arc(start: Point, end: Point) -> tuple[Point, ...]:
    """A way over whatever stands between two nodes: up, along, and down again."""
    rise = min(2.5, 0.35 * abs(end[0] - start[0]) ** 0.5 + 0.2)
    top = max(start[1], end[1]) + rise
    lead = min(1.0, abs(end[0] - start[0]) / 3)
    return start, (start[0] + lead, top), (end[0] - lead, top), end
