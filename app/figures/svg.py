"""A scene as plain SVG text, for a file that opens without this page.

Colours of text and lines come from the style sheet around it (classes `muted` and `line`).
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise

from app.figures.scene import ABOVE, BELOW, BESIDE, ROUND, Label, Line, Mark, Point, Scene

WIDTH = 1000.0
GRAPH_HEIGHT = 240.0
SIDE, MARGIN, LABELS = 44.0, 10.0, 24.0
"""Room around a scene, and below it for its labels."""
LETTER = 6.4
"""Width of a letter of a label."""
NAME_GAP, NAME_HEIGHT = 9.0, 13.0
"""Between a mark and the name beside it, and what such a name needs in height."""
ACCENT = 3.0
"""Between a mark and the outline in its tower's colour."""


def svg_scene(scene: Scene, title: str) -> str:
    """A scene as the viewer draws it, with tooltips but without its legend, which stands above several of them."""
    left, top, right, bottom = extent(scene)
    # Names left of the first marks need room of their own, those above the topmost a line.
    start = max([SIDE, *(LETTER * len(label.text) + 2 * NAME_GAP for label in scene.labels if label.side == BESIDE)])
    over = LABELS / 2 if any(label.side == ABOVE for label in scene.labels) else 0.0
    scale = min((WIDTH - start - SIDE) / max(right - left, 1.0), GRAPH_HEIGHT / max(bottom - top, 1.0), 1.25)
    aside = start + (WIDTH - start - SIDE - scale * (right - left)) / 2 - scale * left
    below = MARGIN + over - scale * top

    def at(point: Point) -> Point:
        return point[0] * scale + aside, point[1] * scale + below

    # Strong lines on top.
    lines = sorted(scene.lines, key=lambda line: line.strong)
    parts = [_way(line, [at(point) for point in line.points], scene) for line in lines]
    parts += [_mark(mark, at((mark.x, mark.y)), scale) for mark in scene.marks]
    labels = [(*at((label.x, label.y)), label.text) for label in scene.labels if label.side == BELOW]
    parts += [
        f'<text class="muted" x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{escape(text)}</text>'
        for x, y, text in spaced(labels)
    ]
    parts += [_name(label, at((label.x, label.y))) for label in apart(scene.labels, scale)]
    height = scale * (bottom - top) + 2 * MARGIN + LABELS + over
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {height:g}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def extent(scene: Scene) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of marks and lines."""
    xs = [mark.x + half for mark in scene.marks for half in (-mark.width / 2, mark.width / 2)]
    ys = [mark.y + half for mark in scene.marks for half in (-mark.height / 2, mark.height / 2)]
    points = [point for line in scene.lines for point in line.points]
    xs += [x for x, _ in points]
    ys += [y for _, y in points] + [label.y for label in scene.labels if label.side == BELOW]
    return min(xs), min(ys), max(xs), max(ys)


def spaced(labels: Sequence[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """Labels, from left to right, that do not run into each other."""
    kept, free_from = [], float("-inf")
    for x, y, text in labels:
        half = (len(text) + 2) * LETTER / 2
        if x - half >= free_from:
            kept.append((x, y, text))
            free_from = x + half
    return kept


def apart(labels: Sequence[Label], scale: float) -> list[Label]:
    """Names beside or above marks, from top to bottom, that do not run into each other."""
    kept: list[Label] = []
    free = {BESIDE: float("-inf"), ABOVE: float("-inf")}
    for label in sorted((label for label in labels if label.side != BELOW), key=lambda label: label.y):
        if label.y * scale >= free[label.side]:
            kept.append(label)
            free[label.side] = label.y * scale + NAME_HEIGHT
    return kept


def _name(label: Label, at: Point) -> str:
    """A name with a stroke in its colour, left of a mark or above it."""
    x, y = (at[0] - NAME_GAP, at[1] + 4) if label.side == BESIDE else (at[0], at[1] - NAME_GAP)
    anchor = "end" if label.side == BESIDE else "middle"
    stroke = f'<rect x="{x + 3:.1f}" y="{y - 10:.1f}" width="3" height="13" fill="{label.colour}"/>'
    text = f'<text class="muted" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(label.text)}</text>'
    return text + (stroke if label.side == BESIDE else "")


def _way(line: Line, points: Sequence[Point], scene: Scene) -> str:
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x, y) in pairwise(points):
        # Level at both ends of every piece, so that lines leave and enter marks straight.
        middle = (x0 + x) / 2
        path += f"C{middle:.1f} {y0:.1f} {middle:.1f} {y:.1f} {x:.1f} {y:.1f}"
    if not line.strong:
        own = f' style="stroke:{line.colour};stroke-width:2"' if line.colour else ""
        return f'<path d="{path}" fill="none" class="line"{own}/>'
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
        f'{radius} fill="{mark.fill}"/>{_accent(mark, at, scale)}</g>'
    )


def _accent(mark: Mark, at: Point, scale: float) -> str:
    """A thin outline a little outside of the mark."""
    if not mark.accent:
        return ""
    width, height = mark.width * scale + 2 * ACCENT, mark.height * scale + 2 * ACCENT
    radius = min(width, height) / 2 if mark.shape == ROUND else 3
    return (
        f'<rect x="{at[0] - width / 2:.1f}" y="{at[1] - height / 2:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'rx="{radius:.1f}" fill="none" stroke="{mark.accent}" stroke-width="2"/>'
    )
