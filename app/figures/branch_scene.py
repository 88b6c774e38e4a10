"""The branch graph as a scene: squares on the edge, discs in the cloud, larger where they take longer."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from app.figures.branch_graph import Arrow, BranchGraph, Crossing, Point, RunNode
from app.figures.scene import ABOVE, BESIDE, FLOW, ROUND, SKIP, SQUARE, Label, Legend, Line, Mark, Scene, Swatch
from decc_core.network.titles import middle_left_out
from decc_core.network.work import Resource
from decc_core.pictures import COLOURS, tower_colour
from decc_core.text import bytes_text, duration

WIDTH, HEIGHT = 1000.0, 200.0
"""Room for the nodes on the page as it is seen most, in pixels; the viewer fits the scene into whatever there is."""
LONGEST_STEP, TALLEST_STEP = 110.0, 60.0
"""Largest distances of two ranks and of two lanes, so that a short network is not pulled apart."""
SMALLEST, LARGEST = 6.0, 27.0
"""Sizes of a node, as far as neighbours leave room."""
OUTLINE = 4.0
"""What the outline of a tower's mark takes around it."""
NAME_LETTERS, MOST_NAMES = 18, 60
"""Longest name of a tower, and so many are written: more have no room."""
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
        marks.append(_mark(picture, node, at((node.x, node.y)), size))
    lines = tuple(_line(picture, arrow, tuple(at(point) for point in arrow.points)) for arrow in picture.arrows)
    bottom = (high - low) * up + largest / 2
    labels = (*_names(picture, marks), *_labels(picture, across, bottom))
    return Scene(tuple(marks), lines, labels=labels, legend=_legend(picture), strong_colour=UPLINK)


def _line(picture: BranchGraph, arrow: Arrow, points: tuple[Point, ...]) -> Line:
    source, target = (picture.nodes[end] for end in (arrow.source, arrow.target))
    crossings = [picture.crossings[tensor] for tensor in arrow.tensors]
    tower = source.tower if source.tower == target.tower else None
    return Line(
        mark_id(source),
        mark_id(target),
        points,
        SKIP if arrow.skips else FLOW,
        bool(crossings),
        "\n".join(map(crossing_text, crossings)),
        "" if tower is None else tower_colour(tower),
        tuple(dict.fromkeys(crossing.producer for crossing in crossings)),
    )


def _names(picture: BranchGraph, marks: Sequence[Mark]) -> tuple[Label, ...]:
    """The names of the towers where their lanes start: left of the first mark, or above it where others stand there."""
    home = {layer: place for place, node in enumerate(picture.nodes) for layer in node.layers}
    starts: dict[int, list[int]] = {}
    for place, tower in enumerate(picture.towers):
        starts.setdefault(home[tower.layers[0]], []).append(place)
    first = min((mark.x for mark in marks), default=0.0)
    found = []
    for start, places in list(starts.items())[:MOST_NAMES]:
        mark, names = marks[start], ", ".join(picture.towers[place].name for place in places)
        text, colour = middle_left_out(names, NAME_LETTERS), tower_colour(places[0])
        if mark.x == first:
            found.append(Label(mark.x - mark.width / 2 - OUTLINE, mark.y, text, BESIDE, colour))
        else:
            found.append(Label(mark.x, mark.y - mark.height / 2 - OUTLINE, text, ABOVE, colour))
    return tuple(found)


def _legend(picture: BranchGraph) -> Legend:
    if not picture.towers:
        return LEGEND
    return replace(LEGEND, title=f"{LEGEND.title}; outlined: only one input reaches it")


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


def _mark(picture: BranchGraph, node: RunNode, at: Point, size: float) -> Mark:
    return Mark(
        id=mark_id(node),
        x=at[0],
        y=at[1],
        width=size,
        height=size,
        lines=_tooltip(picture, node),
        fill=COLOURS[node.resource],
        ink=INK,
        # Shape says the same as colour, for those who do not tell the colours apart.
        shape=SQUARE if node.resource is Resource.EDGE else ROUND,
        accent="" if node.tower is None else tower_colour(node.tower),
        layers=node.layers,
    )


def _tooltip(picture: BranchGraph, node: RunNode) -> tuple[str, ...]:
    many = f"{len(node.layers)} layers" if len(node.layers) > 1 else "1 layer"
    place = "on the edge" if node.resource is Resource.EDGE else "in the cloud"
    return (
        f"{node.title} {place}",
        f"{many}: {node.names}",
        *([f"only {picture.towers[node.tower].name} reaches it"] if node.tower is not None else []),
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
    return tuple(Label(node.x * across, bottom, node.label) for node in alone)
