"""Places for the parts of a network: what follows each other from left to right, what is parallel below each other.

The nesting of segments and branches is the layout, so that an opened group stays in one piece. Only tangles, which
have no such order, are laid out by `fast_sugiyama`, on their transitive reduction. A long network continues in rows.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from itertools import pairwise

import networkx as nx

from app.figures.branch_graph import positions
from app.figures.layer_tree import Arrangement, Kind, Part
from app.figures.scene import FLOW, SKIP, WRAP, Point
from decc_core.graph import LayerGraph

GROUP_SIZE, LAYER_SIZE = (124.0, 44.0), (100.0, 40.0)
"""Width and height of a closed group and of a layer."""
GAP_X, GAP_Y = 26.0, 14.0
PAD_X, PAD_TOP, PAD_BOTTOM = 14.0, 26.0, 12.0
"""Room inside the frame of an opened group."""
BYPASS = 18.0
"""Height of the lane above a group for data that passes it by."""
ARCS = 46.0
"""Height above a tangle for its curves."""
GUTTER = 46.0
SIDE = 20.0
CANVAS = (780.0, 560.0)
"""The picture's usual size on the page, whose proportions decide into how many rows a network goes."""
MOST_ROWS = 16


@dataclass(frozen=True)
class Area:
    """A rectangle, from its top left corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def centre(self) -> Point:
        return self.x + self.width / 2, self.y + self.height / 2


@dataclass(frozen=True)
class Layout:
    """Areas of the marks and frames by id, and the way of each line by its ends, with the line's kind."""

    marks: dict[str, Area]
    frames: dict[str, Area]
    lines: dict[tuple[str, str], tuple[str, tuple[Point, ...]]]


@dataclass(eq=False)
class _Box:
    """A part with its size; `axis` is the height at which data enters and leaves, `lane` where it passes by."""

    part: Part
    parent: _Box | None = None
    width: float = 0.0
    height: float = 0.0
    axis: float = 0.0
    bypassed: bool = False
    inner: list[_Box] = field(default_factory=list)
    x: float = 0.0
    y: float = 0.0
    row: int = 0
    bends: dict[tuple[int, int], tuple[Point, ...]] = field(default_factory=dict)

    @property
    def arrangement(self) -> Arrangement:
        return self.part.arrangement

    @property
    def middle(self) -> float:
        """The axis on the page."""
        return self.y + self.axis

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def lane(self) -> float:
        return self.y - BYPASS / 2

    @property
    def above(self) -> float:
        """Room needed above the axis."""
        return self.axis + (BYPASS if self.bypassed else 0.0)

    @property
    def below(self) -> float:
        return self.height - self.axis

    def move(self, dx: float, dy: float) -> None:
        self.x += dx
        self.y += dy
        self.bends = {ends: tuple((x + dx, y + dy) for x, y in way) for ends, way in self.bends.items()}
        for box in self.inner:
            box.move(dx, dy)


def lay_out(graph: LayerGraph, tree: Part, opened: Set[str], canvas: Point = CANVAS) -> Layout:
    """Places of everything that is seen when these groups are open."""
    whole = _measured(graph, tree, opened, None)
    rows = _in_rows(whole, canvas) if tree.arrangement is Arrangement.SERIES else [Area(0, 0, whole.width, 0)]
    boxes = _flat(whole)
    marks = {box.part.id: Area(box.x, box.y, box.width, box.height) for box in boxes if not box.inner}
    frames = {box.part.id: Area(box.x, box.y, box.width, box.height) for box in boxes if box.inner and box.parent}
    home = {layer: box for box in boxes if not box.inner for layer in box.part.layers}
    return Layout(marks, frames, _Router(graph, home, rows).lines())


def _flat(box: _Box) -> list[_Box]:
    return [box, *(found for inner in box.inner for found in _flat(inner))]


def _measured(graph: LayerGraph, part: Part, opened: Set[str], parent: _Box | None) -> _Box:
    """The box of a part with everything in it, its top left corner at the origin."""
    box = _Box(part, parent)
    if parent is not None and (not part.parts or part.id not in opened):
        box.width, box.height = LAYER_SIZE if part.kind is Kind.LAYER else GROUP_SIZE
        box.axis = box.height / 2
        return box
    box.inner = [_measured(graph, inner, opened, box) for inner in part.parts]
    if part.arrangement is Arrangement.PARALLEL:
        _stack(box)
    elif part.arrangement is Arrangement.TANGLED:
        _untangle(graph, box)
    else:
        _line_up(graph, box)
    if parent is not None:
        for inner in box.inner:
            inner.move(PAD_X, PAD_TOP)
        box.bends = {ends: tuple((x + PAD_X, y + PAD_TOP) for x, y in way) for ends, way in box.bends.items()}
        box.width += 2 * PAD_X
        box.height += PAD_TOP + PAD_BOTTOM
        box.axis += PAD_TOP
    return box


def _line_up(graph: LayerGraph, box: _Box) -> None:
    """One after the other, with a common axis."""
    for i, inner in enumerate(box.inner):
        inner.bypassed = _is_bypassed(graph, box.part.parts, i)
    box.axis = max(inner.above for inner in box.inner)
    box.height = box.axis + max(inner.below for inner in box.inner)
    x = 0.0
    for i, inner in enumerate(box.inner):
        x += _gap(box.inner[i - 1], inner) if i else 0.0
        inner.move(x, box.axis - inner.axis)
        x += inner.width
    box.width = x


def _gap(before: _Box, after: _Box) -> float:
    """Lines that fan out to many lanes need more room."""
    stacked = max(one.height if one.inner and one.arrangement is Arrangement.PARALLEL else 0 for one in (before, after))
    return GAP_X + min(0.08 * stacked, 34.0)


def _is_bypassed(graph: LayerGraph, parts: Sequence[Part], i: int) -> bool:
    """Whether data passes a part of a series by: what comes after it reads more than it, or what comes before feeds
    more than it and nothing comes after."""
    inside = set(parts[i].layers)
    if parts[i].kind is Kind.LAYER:
        return False
    if i + 1 < len(parts):
        return not inside.issuperset(graph.parents[parts[i + 1].layers[0]])
    return i > 0 and not inside.issuperset(graph.children[parts[i - 1].layers[-1]])


def _stack(box: _Box) -> None:
    """Below each other, centred."""
    box.width = max(inner.width for inner in box.inner)
    y = 0.0
    for inner in box.inner:
        inner.move((box.width - inner.width) / 2, y)
        y += inner.height + GAP_Y
    box.height = y - GAP_Y
    box.axis = box.height / 2


def _untangle(graph: LayerGraph, box: _Box) -> None:
    """Ranks and lanes of the transitive reduction; above them there is room for the curves of the other lines."""
    home = {layer: i for i, inner in enumerate(box.inner) for layer in inner.part.layers}
    flow = nx.DiGraph()
    flow.add_nodes_from(range(len(box.inner)))
    flow.add_edges_from(
        (home[parent], home[layer])
        for layer in box.part.layers
        for parent in graph.parents[layer]
        if parent in home and home[parent] != home[layer]
    )
    reduced = sorted(nx.transitive_reduction(flow).edges)
    at, bends = positions(len(box.inner), reduced)
    step_x = max(inner.width for inner in box.inner) + GAP_X
    step_y = max(inner.height for inner in box.inner) + GAP_Y
    ys = [y for _, y in at.values()] + [y for way in bends.values() for _, y in way]
    left, top = min(x for x, _ in at.values()), max(ys)

    def on_page(point: Point) -> Point:
        x, y = point
        return (x - left + 0.5) * step_x - GAP_X / 2, ARCS + (top - y + 0.5) * step_y - GAP_Y / 2

    for i, inner in enumerate(box.inner):
        x, y = on_page(at[i])
        inner.move(x - inner.width / 2, y - inner.height / 2)
    box.bends = {ends: tuple(on_page(point) for point in bends.get(ends, ())) for ends in reduced}
    box.width = max(inner.right for inner in box.inner)
    box.height = ARCS + (top - min(ys) + 1) * step_y - GAP_Y
    box.axis = ARCS + (box.height - ARCS) / 2


def _in_rows(whole: _Box, canvas: Point) -> list[Area]:
    """Break the outermost series into the number of rows that fills the page best; return the rows' areas."""
    candidates = {tuple(map(tuple, _broken(whole.inner, whole.width / n))): None for n in range(1, MOST_ROWS + 1)}
    best = max(candidates, key=lambda rows: _scale(whole.inner, rows, canvas))
    areas: list[Area] = []
    top = 0.0
    for number, row in enumerate(best):
        boxes = [whole.inner[i] for i in row]
        above, below = max(box.above for box in boxes), max(box.below for box in boxes)
        left = boxes[0].x
        for box in boxes:
            box.move(-left, top + above - box.axis - box.y)
            for one in _flat(box):
                one.row = number
        areas.append(Area(0.0, top, boxes[-1].right, above + below))
        top += above + below + GUTTER
    return areas


def _broken(boxes: Sequence[_Box], width: float) -> list[list[int]]:
    """Indices of the boxes, row by row; a row ends only after a mark, so that a fan never lies in two rows."""
    rows: list[list[int]] = [[0]]
    for i, (before, after) in enumerate(pairwise(boxes), start=1):
        start = boxes[rows[-1][0]].x
        may_end = before.part.kind in (Kind.RUN, Kind.LAYER)
        if may_end and after.right - start > width * 1.02 + 1:
            rows.append([])
        rows[-1].append(i)
    return rows


def _scale(boxes: Sequence[_Box], rows: Sequence[Sequence[int]], canvas: Point) -> float:
    """How large the rows can be drawn on the canvas; full size is enough."""
    width = max(boxes[row[-1]].right - boxes[row[0]].x for row in rows) + 2 * SIDE
    height = sum(max(boxes[i].above for i in row) + max(boxes[i].below for i in row) + GUTTER for row in rows)
    return min(canvas[0] / width, canvas[1] / height, 1.0)


class _Router:
    """Finds the way of every line between the boxes that hold the layers."""

    def __init__(self, graph: LayerGraph, home: dict[int, _Box], rows: Sequence[Area]) -> None:
        self.graph, self.home, self.rows = graph, home, rows
        self.right = max(row.width for row in rows) + SIDE

    def lines(self) -> dict[tuple[str, str], tuple[str, tuple[Point, ...]]]:
        found: dict[tuple[str, str], tuple[str, tuple[Point, ...]]] = {}
        for child, parents in enumerate(self.graph.parents):
            for parent in parents:
                source, target = self.home[parent], self.home[child]
                ends = (source.part.id, target.part.id)
                if source is not target and ends not in found:
                    found[ends] = self._way(source, target)
        return found

    def _way(self, source: _Box, target: _Box) -> tuple[str, tuple[Point, ...]]:
        ups, downs = _outwards(source), _outwards(target)
        common = next(box for box in ups if any(box is other for other in downs))
        ups, downs = _below(ups, common), _below(downs, common)
        way = _Way([(source.right, source.middle)])
        for inner, outer in pairwise(ups):
            way.leave(inner, outer)
        self._across(way, common, ups[-1], downs[-1])
        for outer, inner in pairwise(reversed(downs)):
            way.enter(inner, outer)
        return way.kind, (*way.points, (target.x, target.middle))

    def _across(self, way: _Way, common: _Box, before: _Box, after: _Box) -> None:
        """From one part of a group to a later one."""
        i, j = _place(common, before), _place(common, after)
        if common.arrangement is Arrangement.TANGLED:
            if (i, j) in common.bends:
                way.points.extend(common.bends[i, j])
            else:
                way.arc(common, before.right, after.x)
        elif common.arrangement is Arrangement.SERIES:
            between = common.inner[i + 1 : j]
            way.pass_by([box for box in between if box.row == before.row])
            if before.row != after.row:
                self._next_row(way, after)
                way.pass_by([box for box in between if box.row != before.row])

    def _next_row(self, way: _Way, after: _Box) -> None:
        row = self.rows[after.row]
        gutter = row.y - GUTTER / 2
        height = after.middle
        way.kind = WRAP
        right = min(self.right, self.rows[after.row - 1].width + SIDE)
        way.points += [(right, way.points[-1][1]), (right, gutter), (row.x - SIDE, gutter), (row.x - SIDE, height)]


class _Way:
    """The points of a line as it grows."""

    def __init__(self, points: list[Point]) -> None:
        self.points = points
        self.kind = FLOW

    def leave(self, inner: _Box, outer: _Box) -> None:
        """Out of a group: straight to its end, past whatever stands behind."""
        if outer.arrangement is Arrangement.SERIES:
            self.pass_by(outer.inner[_place(outer, inner) + 1 :])
        elif outer.arrangement is Arrangement.PARALLEL:
            self.points.append((outer.right - PAD_X, self.points[-1][1]))
        elif inner.right < outer.right - PAD_X - 1:
            self.arc(outer, inner.right, outer.right - PAD_X)

    def enter(self, inner: _Box, outer: _Box) -> None:
        """Into a group: along the lane of the branch, past whatever stands before."""
        if outer.arrangement is Arrangement.SERIES:
            self.pass_by(outer.inner[: _place(outer, inner)])
        elif outer.arrangement is Arrangement.PARALLEL:
            self.points.append((outer.x + PAD_X, inner.middle))
        elif inner.x > outer.x + PAD_X + 1:
            self.arc(outer, outer.x + PAD_X, inner.x)

    def pass_by(self, boxes: Sequence[_Box]) -> None:
        for box in boxes:
            self.points += [(box.x, box.lane), (box.right, box.lane)]
            self._skips()

    def arc(self, tangle: _Box, start: float, end: float) -> None:
        """Over a tangle, the higher the longer."""
        side = min(60.0, 0.3 * (end - start))
        rise = min(ARCS - 8, 8 + 1.2 * abs(end - start) ** 0.5)
        height = min(box.y for box in tangle.inner) - rise
        self.points += [(start + side, height), (end - side, height)]
        self._skips()

    def _skips(self) -> None:
        self.kind = SKIP if self.kind == FLOW else self.kind


def _outwards(box: _Box) -> list[_Box]:
    found = [box]
    while found[-1].parent is not None:
        found.append(found[-1].parent)
    return found


def _below(boxes: Sequence[_Box], common: _Box) -> list[_Box]:
    """The boxes inside of the common one."""
    return [box for box in boxes if box is not common][: next(i for i, box in enumerate(boxes) if box is common)]


def _place(outer: _Box, inner: _Box) -> int:
    return next(i for i, box in enumerate(outer.inner) if box is inner)
