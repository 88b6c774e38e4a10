"""Pictures as plain SVG text, for a file that opens without this page: a Gantt chart and a scene.

Colours of text and lines come from the style sheet around them (classes `text`, `muted`, `line`, `grid`, `bound`).
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise

from app.figures.gantt import Bar
from app.figures.scene import ROUND, Line, Mark, Point, Scene
from app.figures.style import COLOURS
from decc_core.problem.instance import RESOURCES
from decc_core.text import bytes_text, duration, time_unit

WIDTH = 1000.0
ROW, BAR = 38.0, 28.0
LEFT, RIGHT, TOP = 78.0, 12.0, 22.0
TICKS = 8
STEPS = (1, 2, 2.5, 5, 10)
NUMBERED = 16.0
"""A bar at least this wide has its request's number in it."""
GRAPH_HEIGHT = 240.0
SIDE, MARGIN, LABELS = 44.0, 10.0, 24.0
"""Room around a scene, and below it for its labels."""
LETTER = 6.4
"""Width of a letter of a label."""


def svg_gantt(bars: Sequence[Bar], until_ns: int, bound_ns: int | None) -> str:
    """Four rows against time, as `draw_gantt` draws them; hovering over a bar tells what it is."""
    until_ns = max(until_ns, bound_ns or 0, 1)
    scale = (WIDTH - LEFT - RIGHT) / until_ns
    bottom = TOP + ROW * len(RESOURCES)
    several = len({bar.request for bar in bars}) > 1
    parts = [_axis(until_ns, scale, bottom)]
    for row, resource in enumerate(RESOURCES):
        middle = TOP + ROW * row + ROW / 2
        parts.append(
            f'<text class="text" x="{LEFT - 10:g}" y="{middle + 5:.1f}" text-anchor="end">{resource.value}</text>'
        )
        parts += [
            _bar(bar, LEFT + bar.start_ns * scale, scale, middle, several) for bar in bars if bar.resource is resource
        ]
    if bound_ns is not None:
        at = LEFT + bound_ns * scale
        parts.append(f'<line class="bound" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP - 6:g}" y2="{bottom:g}"/>')
        parts.append(f'<text class="bound" x="{at:.1f}" y="{TOP - 9:g}" text-anchor="end">proven lower bound</text>')
    return _svg(bottom + 40, "Schedule: work on each resource against time", parts)


def _svg(height: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {height:g}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def _axis(until_ns: int, scale: float, bottom: float) -> str:
    ns_per_unit, unit = time_unit(until_ns)
    step = _step(until_ns / ns_per_unit)
    parts = []
    for i in range(int(until_ns / ns_per_unit / step) + 1):
        at = LEFT + i * step * ns_per_unit * scale
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP:g}" y2="{bottom:g}"/>')
        parts.append(f'<text class="muted" x="{at:.1f}" y="{bottom + 16:g}" text-anchor="middle">{i * step:g}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text class="muted" x="{middle:g}" y="{bottom + 34:g}" text-anchor="middle">time ({unit})</text>')
    return "".join(parts)


def _step(length: float) -> float:
    """A round distance of ticks."""
    size = 1e-9
    while True:
        for step in STEPS:
            if length / (step * size) <= TICKS:
                return step * size
        size *= 10


def _bar(bar: Bar, x: float, scale: float, middle: float, several: bool) -> str:
    width = max(0.4, (bar.end_ns - bar.start_ns) * scale)
    strength = ' opacity="0.72"' if bar.request % 2 else ""
    number = ""
    if several and width >= NUMBERED:
        letters = "#FFFFFF" if bar.resource.computes else "#1B2733"
        place = f'x="{x + width / 2:.1f}" y="{middle + 5:.1f}" text-anchor="middle"'
        number = f'<text {place} fill="{letters}">{bar.request + 1}</text>'
    return (
        f'<g><title>{escape(_bar_text(bar))}</title><rect class="bar" x="{x:.2f}" y="{middle - BAR / 2:.1f}" '
        f'width="{width:.2f}" height="{BAR:g}" fill="{COLOURS[bar.resource]}"{strength}/>{number}</g>'
    )


def _bar_text(bar: Bar) -> str:
    what = bar.first if bar.items == 1 else f"{bar.first} … {bar.last}"
    kind = "layer" if bar.resource.computes else "tensor"
    size = "" if bar.resource.computes else f", {bytes_text(bar.size_bytes)}"
    return (
        f"{bar.resource.value}, request {bar.request + 1}: {kind}{'s' if bar.items > 1 else ''} {what}{size}, "
        f"{duration(bar.start_ns)} to {duration(bar.end_ns)}"
    )


def svg_scene(scene: Scene, title: str) -> str:
    """A scene as the viewer draws it, with tooltips but without its legend, which stands above several of them."""
    left, top, right, bottom = extent(scene)
    scale = min((WIDTH - 2 * SIDE) / max(right - left, 1.0), GRAPH_HEIGHT / max(bottom - top, 1.0), 1.25)
    aside = (WIDTH - scale * (right - left)) / 2 - scale * left
    below = MARGIN - scale * top

    def at(point: Point) -> Point:
        return point[0] * scale + aside, point[1] * scale + below

    parts = [_way(line, [at(point) for point in line.points], scene) for line in sorted(scene.lines, key=_strong)]
    parts += [_mark(mark, at((mark.x, mark.y)), scale) for mark in scene.marks]
    labels = [(*at((label.x, label.y)), label.text) for label in scene.labels]
    parts += [
        f'<text class="muted" x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{escape(text)}</text>'
        for x, y, text in spaced(labels)
    ]
    return _svg(scale * (bottom - top) + 2 * MARGIN + LABELS, title, parts)


def _strong(line: Line) -> bool:
    return line.strong


def extent(scene: Scene) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of marks and lines."""
    xs = [mark.x + half for mark in scene.marks for half in (-mark.width / 2, mark.width / 2)]
    ys = [mark.y + half for mark in scene.marks for half in (-mark.height / 2, mark.height / 2)]
    points = [point for line in scene.lines for point in line.points]
    xs += [x for x, _ in points]
    ys += [y for _, y in points] + [label.y for label in scene.labels]
    return min(xs), min(ys), max(xs), max(ys)


def spaced(labels: Sequence[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """Labels, from left to right, that do not run into each other."""
    found, free_from = [], float("-inf")
    for x, y, text in labels:
        half = (len(text) + 2) * LETTER / 2
        if x - half >= free_from:
            found.append((x, y, text))
            free_from = x + half
    return found


def _way(line: Line, points: Sequence[Point], scene: Scene) -> str:
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x, y) in pairwise(points):
        # Level at both ends of every piece, so that lines leave and enter marks straight.
        middle = (x0 + x) / 2
        path += f"C{middle:.1f} {y0:.1f} {middle:.1f} {y:.1f} {x:.1f} {y:.1f}"
    if not line.strong:
        return f'<path d="{path}" fill="none" class="line"/>'
    colour = scene.strong_colour
    x, y = middle_of(points)
    diamond = f'<path d="M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z" fill="{colour}"/>'
    tip = f"<title>{escape(line.label)}</title>"
    return f'<g>{tip}<path d="{path}" fill="none" stroke="{colour}" stroke-width="4"/>{diamond}</g>'


def middle_of(points: Sequence[Point]) -> Point:
    if len(points) % 2:
        return points[len(points) // 2]
    (x0, y0), (x, y) = points[len(points) // 2 - 1 : len(points) // 2 + 1]
    return (x0 + x) / 2, (y0 + y) / 2


def _mark(mark: Mark, at: Point, scale: float) -> str:
    width, height = mark.width * scale, mark.height * scale
    radius = f' rx="{min(width, height) / 2:.1f}"' if mark.shape == ROUND else ""
    return (
        f"<g><title>{escape('; '.join(mark.lines))}</title>"
        f'<rect x="{at[0] - width / 2:.1f}" y="{at[1] - height / 2:.1f}" width="{width:.1f}" height="{height:.1f}"'
        f'{radius} fill="{mark.fill}"/></g>'
    )
