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
from app.figures.layer_tree import Arrangement, Group, GroupKind
from app.figures.scene import FLOW, SKIP, WRAP, Point
from decc_core.network.graph import LayerGraph

GROUP_SIZE, LAYER_SIZE = (132.0, 44.0), (120.0, 40.0)
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
FEW_BOXES = 200
SHARES = (0.35, 0.5, 0.65, 0.8, 1.3)
"""Other widths of the canvas that are tried for so few boxes."""
WORTH_IT = 1.1
"""Another layout has to be that much larger, so that the usual one is seen where it is nearly as good."""


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
    """A part with its size; data enters at the height `axis`, leaves at `exit` and passes by on the `lane`.

    `row` is the part's row within its parent, `rows` are the areas of its own.
    """

    part: Group
    parent: _Box | None = None
    width: float = 0.0
    height: float = 0.0
    axis: float = 0.0
    exit: float = 0.0
    bypassed: bool = False
    inner: list[_Box] = field(default_factory=list)
    x: float = 0.0
    y: float = 0.0
    row: int = 0
    rows: list[Area] = field(default_factory=list)
    bends: dict[tuple[int, int], tuple[Point, ...]] = field(default_factory=dict)

    @property
    def arrangement(self) -> Arrangement:
        return self.part.arrangement

    @property
    def middle(self) -> float:
        """The axis on the page."""
        return self.y + self.axis

    @property
    def end(self) -> Point:
        """Where data leaves."""
        return self.right, self.y + self.exit

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
        self.shift(dx, dy)

    def shift(self, dx: float, dy: float) -> None:
        """Move what is inside."""
        self.bends = {ends: tuple((x + dx, y + dy) for x, y in way) for ends, way in self.bends.items()}
        self.rows = [Area(row.x + dx, row.y + dy, row.width, row.height) for row in self.rows]
        for box in self.inner:
            box.move(dx, dy)


def lay_out(graph: LayerGraph, tree: Group, opened: Set[str], canvas: Point = CANVAS) -> Layout:
    """Places of everything that is seen when these groups are open."""
    whole = _measured(graph, tree, opened, None, canvas)
    boxes = _flat(whole)
    if len(boxes) <= FEW_BOXES:
        # How wide an inner group may be decides what is left for those beside it; in a small network all are tried.
        others = [_measured(graph, tree, opened, None, (share * canvas[0], canvas[1])) for share in SHARES]
        best = max(others, key=lambda box: _fits(box, canvas))
        if _fits(best, canvas) > WORTH_IT * _fits(whole, canvas):
            whole, boxes = best, _flat(best)
    marks = {box.part.id: Area(box.x, box.y, box.width, box.height) for box in boxes if not box.inner}
    frames = {box.part.id: Area(box.x, box.y, box.width, box.height) for box in boxes if box.inner and box.parent}
    home = {layer: box for box in boxes if not box.inner for layer in box.part.layers}
    return Layout(marks, frames, _lines(graph, home))


def _fits(box: _Box, canvas: Point) -> float:
    """How large the box can be drawn on the canvas; full size is enough."""
    return min(canvas[0] / max(box.width, 1.0), canvas[1] / max(box.height, 1.0), 1.0)


def _flat(box: _Box) -> list[_Box]:
    return [box, *(box_inside for inner in box.inner for box_inside in _flat(inner))]


def _measured(graph: LayerGraph, part: Group, opened: Set[str], parent: _Box | None, canvas: Point) -> _Box:
    """The box of a part with everything in it, its top left corner at the origin; long ones fill the canvas in rows."""
    box = _Box(part, parent)
    if parent is not None and (not part.parts or part.id not in opened):
        box.width, box.height = LAYER_SIZE if part.kind is GroupKind.LAYER else GROUP_SIZE
        box.axis = box.exit = box.height / 2
        return box
    room = _room_inside(part, canvas)
    box.inner = [_measured(graph, inner, opened, box, room) for inner in part.parts]
    if part.arrangement is Arrangement.PARALLEL:
        _stack(box)
    elif part.arrangement is Arrangement.TANGLED:
        _untangle(graph, box)
    else:
        _line_up(graph, box)
        _in_rows(box, canvas)
    if parent is not None:
        box.shift(PAD_X, PAD_TOP)
        box.width += 2 * PAD_X
        box.height += PAD_TOP + PAD_BOTTOM
        box.axis += PAD_TOP
        box.exit += PAD_TOP
    return box


def _room_inside(part: Group, canvas: Point) -> Point:
    """What of the canvas each inner part may fill: branches share its height, the parts of a tangle keep one row."""
    if part.arrangement is Arrangement.PARALLEL:
        return canvas[0], canvas[1] / len(part.parts)
    return canvas if part.arrangement is Arrangement.SERIES else (float("inf"), float("inf"))


def _line_up(graph: LayerGraph, box: _Box) -> None:
    """One after the other; their heights are set row by row."""
    x = 0.0
    for i, inner in enumerate(box.inner):
        inner.bypassed = _is_bypassed(graph, box.part.parts, i)
        x += _gap(box.inner[i - 1], inner) if i else 0.0
        inner.move(x, 0.0)
        x += inner.width
    box.width = x


def _gap(before: _Box, after: _Box) -> float:
    """Lines that fan out to many lanes need more room."""
    stacked = max(box.height if box.inner and box.arrangement is Arrangement.PARALLEL else 0 for box in (before, after))
    climb = abs(before.exit - before.axis)
    return GAP_X + min(0.08 * max(stacked, climb), 34.0)


def _is_bypassed(graph: LayerGraph, parts: Sequence[Group], i: int) -> bool:
    """Whether data passes a part of a series by: what comes after it reads more than it, or what comes before feeds
    more than it and nothing comes after."""
    inside = set(parts[i].layers)
    if parts[i].kind is GroupKind.LAYER:
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
    box.axis = box.exit = box.height / 2


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
    box.axis = box.exit = ARCS + (box.height - ARCS) / 2


def _in_rows(box: _Box, canvas: Point) -> None:
    """Break a series into the number of rows that fills the canvas best, and set the heights of its parts."""
    side = SIDE if len(rows := _best_rows(box, canvas)) > 1 else 0.0
    top = 0.0
    for number, row in enumerate(rows):
        boxes = [box.inner[i] for i in row]
        above, below = max(member.above for member in boxes), max(member.below for member in boxes)
        left = boxes[0].x
        for member in boxes:
            member.move(side - left, top + above - member.axis - member.y)
            member.row = number
        box.rows.append(Area(side, top, boxes[-1].right - side, above + below))
        top += above + below + GUTTER
    box.width = max(row.width for row in box.rows) + 2 * side
    box.height = top - GUTTER
    box.axis, box.exit = box.inner[0].middle, box.inner[-1].end[1]


def _best_rows(box: _Box, canvas: Point) -> list[list[int]]:
    candidates = [_broken(box.inner, box.width / n) for n in range(1, MOST_ROWS + 1)]
    scales = [_scale(box.inner, rows, canvas) for rows in candidates]
    # Inside of a group a line that is a little too long is read more easily than rows.
    enough = max(scales) * (1.0 if box.parent is None else 0.75)
    return next(rows for rows, scale in zip(candidates, scales, strict=True) if scale >= enough)


def _broken(boxes: Sequence[_Box], width: float) -> list[list[int]]:
    """Indices of the boxes, row by row; a row ends only after a mark, so that a fan never lies in two rows."""
    rows: list[list[int]] = [[0]]
    for i, (before, after) in enumerate(pairwise(boxes), start=1):
        start = boxes[rows[-1][0]].x
        may_end = before.part.kind in (GroupKind.RUN, GroupKind.LAYER)
        if may_end and after.right - start > width * 1.02 + 1:
            rows.append([])
        rows[-1].append(i)
    return rows


def _scale(boxes: Sequence[_Box], rows: Sequence[Sequence[int]], canvas: Point) -> float:
    """How large the rows can be drawn on the canvas; full size is enough."""
    width = max(boxes[row[-1]].right - boxes[row[0]].x for row in rows) + 2 * SIDE
    height = sum(max(boxes[i].above for i in row) + max(boxes[i].below for i in row) + GUTTER for row in rows)
    return min(canvas[0] / width, canvas[1] / height, 1.0)


Ways = dict[tuple[str, str], tuple[str, tuple[Point, ...]]]


def _lines(graph: LayerGraph, home: dict[int, _Box]) -> Ways:
    """The way of every line between the boxes that hold the layers."""
    ways: Ways = {}
    for child, parents in enumerate(graph.parents):
        for parent in parents:
            source, target = home[parent], home[child]
            ends = (source.part.id, target.part.id)
            if source is not target and ends not in ways:
                ways[ends] = _way(source, target)
    return ways


def _way(source: _Box, target: _Box) -> tuple[str, tuple[Point, ...]]:
    ups, downs = _outwards(source), _outwards(target)
    common = next(box for box in ups if any(box is other for other in downs))
    ups, downs = _below(ups, common), _below(downs, common)
    way = _Way([source.end])
    for inner, outer in pairwise(ups):
        way.leave(inner, outer)
    way.across(common, ups[-1], downs[-1])
    for outer, inner in pairwise(reversed(downs)):
        way.enter(inner, outer)
    return way.kind, (*way.points, (target.x, target.middle))


class _Way:
    """The points of a line as it grows."""

    def __init__(self, points: list[Point]) -> None:
        self.points = points
        self.kind = FLOW

    def across(self, common: _Box, before: _Box, after: _Box) -> None:
        """From one part of a group to a later one."""
        i, j = _place(common, before), _place(common, after)
        if common.arrangement is Arrangement.TANGLED:
            if (i, j) in common.bends:
                self.points.extend(common.bends[i, j])
            else:
                self.arc(common, before.right, after.x)
        elif common.arrangement is Arrangement.SERIES:
            between = common.inner[i + 1 : j]
            self.pass_by([box for box in between if box.row == before.row])
            if before.row != after.row:
                self.next_row(common, after)
                self.pass_by([box for box in between if box.row != before.row])

    def next_row(self, common: _Box, after: _Box) -> None:
        """Around the end of a row to the beginning of the next, as a line of text goes on."""
        above, row = common.rows[after.row - 1], common.rows[after.row]
        right, left, gutter = above.x + above.width + SIDE, row.x - SIDE, row.y - GUTTER / 2
        self.points += [(right, self.points[-1][1]), (right, gutter), (left, gutter), (left, after.middle)]
        self.kind = WRAP

    def leave(self, inner: _Box, outer: _Box) -> None:
        """Out of a group: straight to its end, past whatever stands behind."""
        if outer.arrangement is Arrangement.SERIES:
            self.pass_by([box for box in outer.inner[_place(outer, inner) + 1 :] if box.row == inner.row])
            if len(outer.rows) > 1:
                self.points.append((outer.right - PAD_X, self.points[-1][1]))
        elif outer.arrangement is Arrangement.PARALLEL:
            self.points.append((outer.right - PAD_X, self.points[-1][1]))
        elif inner.right < outer.right - PAD_X - 1:
            self.arc(outer, inner.right, outer.right - PAD_X)

    def enter(self, inner: _Box, outer: _Box) -> None:
        """Into a group: along the lane of the branch, past whatever stands before."""
        if outer.arrangement is Arrangement.SERIES:
            self.pass_by([box for box in outer.inner[: _place(outer, inner)] if box.row == inner.row])
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
    boxes = [box]
    while boxes[-1].parent is not None:
        boxes.append(boxes[-1].parent)
    return boxes


def _below(boxes: Sequence[_Box], common: _Box) -> list[_Box]:
    """The boxes inside of the common one."""
    return [box for box in boxes if box is not common][: next(i for i, box in enumerate(boxes) if box is common)]


def _place(outer: _Box, inner: _Box) -> int:
    return next(i for i, box in enumerate(outer.inner) if box is inner)
