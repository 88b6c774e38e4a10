"""The branch graph as a scene: squares on the edge, discs in the cloud, larger where they take longer."""

from __future__ import annotations

from collections.abc import Collection

from app.figures.branch_graph import BranchGraph, Crossing, Point, RunNode, short_title
from app.figures.scene import FLOW, ROUND, SKIP, SQUARE, Label, Legend, Line, Mark, Scene, Swatch
from decc_core.network.work import Resource
from decc_core.pictures import COLOURS
from decc_core.text import bytes_text, duration

WIDTH, HEIGHT = 1000.0, 200.0
"""Room for the nodes on the page as it is seen most, in pixels; the viewer fits the scene into whatever there is."""
LONGEST_STEP, TALLEST_STEP = 110.0, 60.0
"""Largest distances of two ranks and of two lanes, so that a short network is not pulled apart."""
SMALLEST, LARGEST = 6.0, 27.0
"""Sizes of a node, as far as neighbours leave room."""
INK = "#FFFFFF"
UPLINK = COLOURS[Resource.UPLINK]

LEGEND = Legend(
    "Larger: takes longer",
    (
        Swatch(COLOURS[Resource.EDGE], "on the edge"),
        Swatch(COLOURS[Resource.CLOUD], "in the cloud", ROUND),
        Swatch(UPLINK, "crossing tensor (uplink)", "line"),
    ),
)


def branch_scene(picture: BranchGraph) -> Scene:
    """The drawing of one cut, on the page and in the report."""
    low, high = picture.extent
    across = min(LONGEST_STEP, WIDTH / (max(node.x for node in picture.nodes) + 1))
    up = min(TALLEST_STEP, HEIGHT / max(high - low, 1.0))
    largest = max(SMALLEST, min(LARGEST, 0.62 * across, 0.75 * up))
    slowest = max((own_ns(node) for node in picture.nodes), default=0) or 1

    def at(point: Point) -> Point:
        return point[0] * across, (high - point[1]) * up

    marks = []
    for node in picture.nodes:
        share = (own_ns(node) / slowest) ** 0.5
        size = largest * (0.4 + 0.6 * share)
        marks.append(_mark(node, at((node.x, node.y)), size))
    lines = []
    for arrow in picture.arrows:
        source, target = (mark_id(picture.nodes[end]) for end in (arrow.source, arrow.target))
        crossings = "\n".join(crossing_text(picture.crossings[tensor]) for tensor in arrow.tensors)
        points = tuple(at(point) for point in arrow.points)
        lines.append(Line(source, target, points, SKIP if arrow.skips else FLOW, bool(arrow.tensors), crossings))
    bottom = (high - low) * up + largest / 2
    return Scene(
        tuple(marks), tuple(lines), labels=_labels(picture, across, bottom), legend=LEGEND, strong_colour=UPLINK
    )


def mark_id(node: RunNode) -> str:
    """A node keeps its name from cut to cut as long as it begins with the same layer."""
    return f"from-{node.layers[0]}"


def holding(picture: BranchGraph, layers: Collection[int]) -> tuple[str, ...]:
    """The marks in which any of these layers lie."""
    wanted = set(layers)
    return tuple(mark_id(node) for node in picture.nodes if not wanted.isdisjoint(node.layers))


def own_ns(node: RunNode) -> int:
    """Time on the side on which the node stands."""
    return node.edge_ns if node.resource is Resource.EDGE else node.cloud_ns


def _mark(node: RunNode, at: Point, size: float) -> Mark:
    return Mark(
        id=mark_id(node),
        x=at[0],
        y=at[1],
        width=size,
        height=size,
        lines=_tooltip(node),
        fill=COLOURS[node.resource],
        ink=INK,
        # Shape says the same as colour, for those who do not tell the colours apart.
        shape=SQUARE if node.resource is Resource.EDGE else ROUND,
    )


def _tooltip(node: RunNode) -> tuple[str, ...]:
    many = f"{len(node.layers)} layers" if len(node.layers) > 1 else "1 layer"
    place = "on the edge" if node.resource is Resource.EDGE else "in the cloud"
    return (
        f"{node.title} {place}",
        f"{many}: {node.names}",
        f"edge {duration(node.edge_ns)}, cloud {duration(node.cloud_ns)}",
        f"gives {bytes_text(node.out_bytes)}",
    )


def crossing_text(crossing: Crossing) -> str:
    return f"{crossing.name}: {bytes_text(crossing.size_bytes)}, {duration(crossing.uplink_ns)} on the uplink"


def _labels(picture: BranchGraph, across: float, bottom: float) -> tuple[Label, ...]:
    """Titles of the nodes that stand alone in their rank, in a row below the picture."""
    ranks: dict[float, int] = {}
    for node in picture.nodes:
        ranks[node.x] = ranks.get(node.x, 0) + 1
    alone = sorted((node for node in picture.nodes if ranks[node.x] == 1), key=lambda node: node.x)
    return tuple(Label(node.x * across, bottom, short_title(node.title)) for node in alone)
