"""What a graph viewer draws: marks, the lines between them, frames around groups, and the legend; colours included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Point = tuple[float, float]

SQUARE, ROUND = "square", "round"
"""Shapes of a mark: corners (the edge, or no placement at all) and full rounding (the cloud)."""
FLOW, SKIP, WRAP = "flow", "skip", "wrap"
"""Kinds of a line: from one neighbour to the next, past what stands between, and on to the next row."""
BELOW, BESIDE, ABOVE = "below", "beside", "above"
"""Where a label stands: in the row below the picture, left of a mark, and above one."""


@dataclass(frozen=True)
class Mark:
    """A box or dot around its centre; `lines` are its tooltip, `mixed` shares of several colours from left to right.

    A mark that is not at least as wide as a short word shows its title below itself. A `group` can be opened. An
    `accent` is the colour of a thin outline around the mark. `layers` are those that it stands for: pages mark the same
    ones in every picture.
    """

    id: str
    x: float
    y: float
    width: float
    height: float
    title: str = ""
    caption: str = ""
    lines: tuple[str, ...] = ()
    fill: str = ""
    ink: str = ""
    shape: str = SQUARE
    mixed: tuple[tuple[str, float], ...] = ()
    group: bool = False
    accent: str = ""
    layers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.shape not in (SQUARE, ROUND):
            raise ValueError(f"Mark '{self.id}' has shape '{self.shape}'; choose {SQUARE} or {ROUND}.")
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"Mark '{self.id}' is {self.width} by {self.height}; both must be above 0.")


@dataclass(frozen=True)
class Line:
    """Data flow between two marks through `points`; `strong` marks what crosses from edge to cloud.

    `label` is the tooltip of a strong line, one tensor a line of text; `layers` make its tensors. Other lines may have
    a `colour` of their own.
    """

    source: str
    target: str
    points: tuple[Point, ...]
    kind: str = FLOW
    strong: bool = False
    label: str = ""
    colour: str = ""
    layers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.points) < 2:
            raise ValueError(f"The line from '{self.source}' to '{self.target}' needs two points or more.")


@dataclass(frozen=True)
class Frame:
    """The outline of an opened group, from its top left corner; its title and a handle that closes it stand on top."""

    id: str
    x: float
    y: float
    width: float
    height: float
    title: str = ""


@dataclass(frozen=True)
class Label:
    """Text that keeps its size at every zoom; labels that would run into others are left out.

    It stands below the picture, or beside or above a mark, whose border is at `x` and `y`, with a stroke in `colour`.
    """

    x: float
    y: float
    text: str
    side: str = BELOW
    colour: str = ""


@dataclass(frozen=True)
class Swatch:
    """One entry of a legend of categories; the shape says the same as the colour where marks have shapes."""

    colour: str
    label: str
    shape: str = SQUARE


@dataclass(frozen=True)
class Legend:
    """Categories as swatches, or numbers as a ramp of colours with ticks between 0 and 1."""

    title: str
    swatches: tuple[Swatch, ...] = ()
    ramp: tuple[str, ...] = ()
    ticks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Scene:
    """One drawing; `strong_colour` is the colour of its strong lines."""

    marks: tuple[Mark, ...]
    lines: tuple[Line, ...]
    frames: tuple[Frame, ...] = ()
    labels: tuple[Label, ...] = ()
    legend: Legend | None = None
    strong_colour: str = ""

    def __post_init__(self) -> None:
        known = {mark.id for mark in self.marks}
        if len(known) < len(self.marks):
            raise ValueError("Two marks of a scene have the same id.")
        for line in self.lines:
            for end in (line.source, line.target):
                if end not in known:
                    raise ValueError(f"A line ends at '{end}', which is no mark of the scene.")


def as_data(scene: Scene) -> dict[str, Any]:
    """The scene as what JSON knows; written out, because `asdict` is slow for thousands of small pieces."""
    legend = scene.legend
    return {
        "marks": [
            {
                "id": mark.id,
                "x": round(mark.x, 1),
                "y": round(mark.y, 1),
                "w": round(mark.width, 1),
                "h": round(mark.height, 1),
                "title": mark.title,
                "caption": mark.caption,
                "lines": list(mark.lines),
                "fill": mark.fill,
                "ink": mark.ink,
                "shape": mark.shape,
                "mixed": [list(share) for share in mark.mixed],
                "group": mark.group,
                "accent": mark.accent,
                "layers": list(mark.layers),
            }
            for mark in scene.marks
        ],
        "lines": [
            {
                "source": line.source,
                "target": line.target,
                "points": [[round(x, 1), round(y, 1)] for x, y in line.points],
                "kind": line.kind,
                "strong": line.strong,
                "label": line.label,
                "colour": line.colour,
                "layers": list(line.layers),
            }
            for line in scene.lines
        ],
        "frames": [
            {
                "id": frame.id,
                "x": round(frame.x, 1),
                "y": round(frame.y, 1),
                "w": round(frame.width, 1),
                "h": round(frame.height, 1),
                "title": frame.title,
            }
            for frame in scene.frames
        ],
        "labels": [
            [round(label.x, 1), round(label.y, 1), label.text, label.side, label.colour] for label in scene.labels
        ],
        "legend": legend
        and {
            "title": legend.title,
            "swatches": [[swatch.colour, swatch.label, swatch.shape] for swatch in legend.swatches],
            "ramp": list(legend.ramp),
            "ticks": [list(tick) for tick in legend.ticks],
        },
        "strong": scene.strong_colour,
    }
