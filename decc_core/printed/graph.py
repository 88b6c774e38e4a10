"""Networks for print: boxes or dots, the lines between them, frames around groups that are open, and a legend."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

from decc_core.printed.sheet import INK, MUTED, TALLEST_MM, Sheet, drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Patch
    from matplotlib.path import Path

Point = tuple[float, float]
Box = tuple[float, float, float, float]
ROUND, LINE = "round", "line"
BELOW, BESIDE, ABOVE = "below", "beside", "above"
"""Where a label stands: in the row below the picture, left of a mark, or above one."""
NAMES_SHARE = 0.22
"""So much of the page's width the names beside the picture take at most."""
"""The shape of a mark or a sample that is no square."""
WEAK = "#8894A1"
"""Lines on which nothing crosses."""
LARGEST_MM = 0.3
"""A unit of a scene is at most so long, at letters of 7 points: a network of three layers is no poster."""
FRAME_TITLE = 22.0
"""Height of the strip in which a frame's title stands, in the units of a scene."""
LEAST = 0.62
"""So small may the letters in a box become before they are left out."""
DIAMOND = 0.75
"""Half the height of the diamond on a line that crosses, in millimetres, at letters of 7 points."""


class Mark(Protocol):
    """A box or a dot around its centre; `mixed` are shares of several colours from left to right."""

    @property
    def x(self) -> float: ...
    @property
    def y(self) -> float: ...
    @property
    def width(self) -> float: ...
    @property
    def height(self) -> float: ...
    @property
    def title(self) -> str: ...
    @property
    def caption(self) -> str: ...
    @property
    def fill(self) -> str: ...
    @property
    def ink(self) -> str: ...
    @property
    def shape(self) -> str: ...
    @property
    def accent(self) -> str: ...
    @property
    def mixed(self) -> Sequence[tuple[str, float]]: ...


class Line(Protocol):
    """Data flow through points; `strong` is what crosses from edge to cloud."""

    @property
    def points(self) -> Sequence[Point]: ...
    @property
    def strong(self) -> bool: ...
    @property
    def colour(self) -> str: ...


class Frame(Protocol):
    """The outline of an opened group, from its top left corner."""

    @property
    def x(self) -> float: ...
    @property
    def y(self) -> float: ...
    @property
    def width(self) -> float: ...
    @property
    def height(self) -> float: ...
    @property
    def title(self) -> str: ...


class Label(Protocol):
    """Text below the picture; or, on a `side` of its own, at the border of a mark, underlined in its `colour`."""

    @property
    def x(self) -> float: ...
    @property
    def y(self) -> float: ...
    @property
    def text(self) -> str: ...
    @property
    def side(self) -> str: ...
    @property
    def colour(self) -> str: ...


class Swatch(Protocol):
    """One entry of a legend."""

    @property
    def colour(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def shape(self) -> str: ...


class Legend(Protocol):
    """Categories, or numbers as a ramp of colours with ticks between 0 and 1."""

    @property
    def title(self) -> str: ...
    @property
    def swatches(self) -> Sequence[Swatch]: ...
    @property
    def ramp(self) -> Sequence[str]: ...
    @property
    def ticks(self) -> Sequence[tuple[float, str]]: ...


class Scene(Protocol):
    """One drawing, y downwards."""

    @property
    def marks(self) -> Sequence[Mark]: ...
    @property
    def lines(self) -> Sequence[Line]: ...
    @property
    def frames(self) -> Sequence[Frame]: ...
    @property
    def labels(self) -> Sequence[Label]: ...
    @property
    def legend(self) -> Legend | None: ...
    @property
    def strong_colour(self) -> str: ...


def draw_scene(sheet: Sheet, scene: Scene) -> None:
    """The scene in the middle of the page, as large as there is room for; texts are clipped to theirs, or left out."""
    left, top, right, bottom = extent(scene)
    wide, high = max(right - left, 1.0), max(bottom - top, 1.0)
    largest = LARGEST_MM * sheet.points / 7
    names_mm = _names_mm(sheet, scene)
    above_mm, below_mm = _room_mm(sheet, scene, ABOVE), _room_mm(sheet, scene, BELOW)
    scale = min((0.95 * sheet.size.width_mm - names_mm) / wide, 0.85 * TALLEST_MM / high, largest)
    entries = _entries(sheet, scene.legend) if scene.legend else []
    axes = sheet.axes((scale * high + above_mm + below_mm) / sheet.line_mm + 1)
    axes.set_axis_off()
    sheet.legend(entries, scene.legend.title if scene.legend else "")
    sheet.settle()
    width_mm, height_mm = sheet.box_mm(axes)
    scale = min((0.98 * width_mm - names_mm) / wide, 0.96 * (height_mm - above_mm - below_mm) / high, largest)
    middle = (left - names_mm / scale + right) / 2
    axes.set_xlim(middle - width_mm / scale / 2, middle + width_mm / scale / 2)
    # What is left over stands half above and half below.
    spare = (height_mm - above_mm - below_mm) / scale - high
    axes.set_ylim(bottom + below_mm / scale + spare / 2, top - above_mm / scale - spare / 2)
    _lines(sheet, axes, scene, scale)
    for frame in scene.frames:
        _frame(sheet, axes, frame, scale)
    for mark in scene.marks:
        _mark(sheet, axes, mark, scale)
    _labels(sheet, axes, scene, scale)


def _names_mm(sheet: Sheet, scene: Scene) -> float:
    """Room for the names left of the picture."""
    names = [label.text for label in scene.labels if label.side == BESIDE]
    widest = max((sheet.width_mm(name, sheet.small) for name in names), default=0.0)
    return min(widest, NAMES_SHARE * sheet.size.width_mm) + 1.0 if names else 0.0


def _room_mm(sheet: Sheet, scene: Scene, side: str) -> float:
    """Room for labels above or below the picture."""
    return 1.5 * sheet.line_mm if any(label.side == side for label in scene.labels) else 0.3 * sheet.line_mm


def extent(scene: Scene) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of all that is drawn."""
    xs = [mark.x + half for mark in scene.marks for half in (-mark.width / 2, mark.width / 2)]
    ys = [mark.y + half for mark in scene.marks for half in (-mark.height / 2, mark.height / 2)]
    for frame in scene.frames:
        xs += [frame.x, frame.x + frame.width]
        ys += [frame.y, frame.y + frame.height]
    xs += [x for line in scene.lines for x, _ in line.points]
    ys += [y for line in scene.lines for _, y in line.points]
    return min(xs), min(ys), max(xs), max(ys)


def _lines(sheet: Sheet, axes: Axes, scene: Scene, scale: float) -> None:
    from matplotlib.collections import PathCollection

    weak = [line for line in scene.lines if not line.strong]
    strong = [line.points for line in scene.lines if line.strong]
    colour = scene.strong_colour or INK
    for paths, ink, width, above in (
        ([_way(line.points) for line in weak], [line.colour or WEAK for line in weak], 0.6, 1.0),
        ([_way(points) for points in strong], [colour], 2.0, 1.5),
    ):
        if not paths:
            continue
        drawn = PathCollection(
            paths, facecolors="none", edgecolors=ink, linewidths=sheet.thin(width), zorder=above,
            transform=axes.transData,
        )  # fmt: skip
        axes.add_collection(drawn, autolim=False)
    # The shape says the same as the colour.
    half = DIAMOND * sheet.points / 7 / scale
    for points in strong:
        x, y = _middle(points)
        axes.fill(
            [x, x + half, x, x - half], [y - half, y, y + half, y], facecolor=colour, edgecolor=INK,
            linewidth=sheet.thin(0.4), zorder=2.5,
        )  # fmt: skip


def _way(points: Sequence[Point]) -> Path:
    """Level at both ends of every piece, so that lines leave and enter marks straight."""
    from matplotlib.path import Path

    places, codes = [points[0]], [Path.MOVETO]
    for (x0, y0), (x, y) in pairwise(points):
        middle = (x0 + x) / 2
        places += [(middle, y0), (middle, y), (x, y)]
        codes += [Path.CURVE4] * 3
    return Path(places, codes)


def _middle(points: Sequence[Point]) -> Point:
    if len(points) % 2:
        return points[len(points) // 2]
    (x0, y0), (x, y) = points[len(points) // 2 - 1 : len(points) // 2 + 1]
    return (x0 + x) / 2, (y0 + y) / 2


def _frame(sheet: Sheet, axes: Axes, frame: Frame, scale: float) -> None:
    from matplotlib.patches import Rectangle

    outline = Rectangle(
        (frame.x, frame.y), frame.width, frame.height, facecolor="none", edgecolor=MUTED, linewidth=sheet.thin(0.5),
        linestyle=(0, (3, 2)), zorder=0.5,
    )  # fmt: skip
    axes.add_patch(outline)
    points = min(sheet.small, FRAME_TITLE * scale / (sheet.line_mm / sheet.points))
    title = sheet.fitted(frame.title, (frame.width - 8) * scale, points) if points >= LEAST * sheet.small else ""
    if title:
        y = frame.y + FRAME_TITLE / 2
        axes.text(frame.x + 4, y, title, fontsize=points, color=MUTED, ha="left", va="center", zorder=4)


def _mark(sheet: Sheet, axes: Axes, mark: Mark, scale: float) -> None:
    from matplotlib.patches import Rectangle

    whole = _shape(mark, facecolor=mark.fill or "#FFFFFF", edgecolor="none", zorder=3)
    axes.add_patch(whole)
    at = mark.x - mark.width / 2
    for colour, share in mark.mixed:
        part = Rectangle(
            (at, mark.y - mark.height / 2),
            share * mark.width,
            mark.height,
            facecolor=colour,
            edgecolor="none",
            zorder=3,
        )
        axes.add_patch(part)
        part.set_clip_path(whole)
        at += share * mark.width
    accent = mark.accent
    outline = {"edgecolor": accent or INK, "linewidth": sheet.thin(1.4 if accent else 0.4)}
    axes.add_patch(_shape(mark, facecolor="none", zorder=3.5, **outline))
    _texts(sheet, axes, mark, scale)


def _shape(mark: Mark, **look: Any) -> Patch:
    from matplotlib.patches import BoxStyle, FancyBboxPatch, Rectangle

    corner = mark.x - mark.width / 2, mark.y - mark.height / 2
    if mark.shape != ROUND:
        return Rectangle(corner, mark.width, mark.height, **look)
    style = BoxStyle.Round(pad=0, rounding_size=min(mark.width, mark.height) / 2)
    return FancyBboxPatch(corner, mark.width, mark.height, boxstyle=style, **look)


def _texts(sheet: Sheet, axes: Axes, mark: Mark, scale: float) -> None:
    """Title and caption where the box has room for both, else the title alone, in letters as large as it allows."""
    wide_mm, high_mm = 0.9 * mark.width * scale, 0.9 * mark.height * scale
    for texts in ((mark.title, mark.caption), (mark.title,)):
        wanted = [text for text in texts if text]
        per_point = sheet.line_mm / sheet.points
        points = min(sheet.small, high_mm / max(1, len(wanted)) / per_point)
        if not wanted or points < LEAST * sheet.small:
            continue
        # The title decides how small the letters get, as far as they may.
        widest = max(sheet.width_mm(text, points) for text in wanted)
        points = max(LEAST * sheet.small, points * min(1.0, wide_mm / widest))
        fitted = [sheet.fitted(text, wide_mm, points) for text in wanted]
        if not fitted[0]:
            return
        for place, text in enumerate(fitted):
            y = mark.y + (place - (len(fitted) - 1) / 2) * points * per_point / scale
            axes.text(mark.x, y, text, fontsize=points, color=mark.ink or INK, ha="center", va="center", zorder=4)
        return


def _labels(sheet: Sheet, axes: Axes, scene: Scene, scale: float) -> None:
    """Row by row from the left, those that run neither into others nor over marks; moved inside at the edges."""
    (low, high), tall = axes.get_xlim(), sheet.line_mm / scale
    letter = sheet.height_mm(sheet.small) / scale
    taken = [
        (mark.x - mark.width / 2, mark.x + mark.width / 2, mark.y - mark.height / 2, mark.y + mark.height / 2)
        for mark in scene.marks
    ]
    for label in sorted(scene.labels, key=lambda label: (label.y, label.x)):
        side, colour = label.side, label.colour
        text = drawable(label.text)
        if side != BELOW:
            text = sheet.fitted(text, NAMES_SHARE * sheet.size.width_mm, sheet.small)
        half = sheet.width_mm(text, sheet.small) / scale / 2
        left = label.x - half - 0.3 * letter
        # What has no room above a mark may have some left of it.
        places = {
            BESIDE: [(left, label.y)],
            ABOVE: [(label.x, label.y - 0.7 * tall), (left - letter, label.y + letter)],
        }
        for x, y in places.get(side, [(label.x, label.y + 0.8 * tall)]):
            inside = min(max(x, low + half), high - half)
            box = inside - half, inside + half, y - 0.45 * tall, y + 0.45 * tall
            if text and not any(_meet(box, other) for other in taken):
                axes.text(inside, y, text, fontsize=sheet.small, color=INK, ha="center", va="center", zorder=4)
                if colour:
                    # By its colour the reader finds the marks that are outlined in it.
                    ends, below = [inside - half, inside + half], [y + 0.45 * tall] * 2
                    axes.plot(ends, below, color=colour, linewidth=sheet.thin(1.2), zorder=4)
                taken.append((box[0] - 0.8 * letter, box[1] + 0.8 * letter, box[2], box[3]))
                break


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]


def _entries(sheet: Sheet, legend: Legend) -> list[tuple[Any, str]]:
    from matplotlib.colors import LinearSegmentedColormap, to_hex
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    thin = sheet.thin(0.4)

    def sample(colour: str, shape: str) -> Any:
        if shape == LINE:
            return Line2D(
                [], [], color=colour, linewidth=sheet.thin(2.0), marker="D", markersize=0.45 * sheet.points,
                markeredgecolor=INK, markeredgewidth=thin,
            )  # fmt: skip
        if shape == ROUND:
            return Line2D(
                [], [], linestyle="none", marker="o", markersize=0.8 * sheet.points, markerfacecolor=colour,
                markeredgecolor=INK, markeredgewidth=thin,
            )  # fmt: skip
        return Line2D(
            [], [], linestyle="none", marker="s", markersize=0.8 * sheet.points, markerfacecolor=colour,
            markeredgecolor=INK, markeredgewidth=thin,
        )  # fmt: skip

    entries = [(sample(swatch.colour, swatch.shape), swatch.label) for swatch in legend.swatches]
    if legend.ramp:
        ramp = LinearSegmentedColormap.from_list("ramp", list(legend.ramp))
        entries += [
            (Patch(facecolor=to_hex(ramp(at)), edgecolor=INK, linewidth=thin), text) for at, text in legend.ticks
        ]
    return entries
