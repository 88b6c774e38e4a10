"""A scene as plain SVG text, for a file that opens without this page.

Colours of text and lines come from the style sheet around it (classes `muted` and `line`).
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise

from app.figures.scene import ROUND, Line, Mark, Point, Scene

WIDTH = 1000.0
GRAPH_HEIGHT = 240.0
SIDE, MARGIN, LABELS = 44.0, 10.0, 24.0
"""Room around a scene, and below it for its labels."""
LETTER = 6.4
"""Width of a letter of a label."""


def svg_scene(scene: Scene, title: str) -> str:
    """A scene as the viewer draws it, with tooltips but without its legend, which stands above several of them."""
    left, top, right, bottom = extent(scene)
    scale = min((WIDTH - 2 * SIDE) / max(right - left, 1.0), GRAPH_HEIGHT / max(bottom - top, 1.0), 1.25)
    aside = (WIDTH - scale * (right - left)) / 2 - scale * left
    below = MARGIN - scale * top

    def at(point: Point) -> Point:
        return point[0] * scale + aside, point[1] * scale + below

    # Strong lines on top.
    lines = sorted(scene.lines, key=lambda line: line.strong)
    parts = [_way(line, [at(point) for point in line.points], scene) for line in lines]
    parts += [_mark(mark, at((mark.x, mark.y)), scale) for mark in scene.marks]
    labels = [(*at((label.x, label.y)), label.text) for label in scene.labels]
    parts += [
        f'<text class="muted" x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{escape(text)}</text>'
        for x, y, text in spaced(labels)
    ]
    height = scale * (bottom - top) + 2 * MARGIN + LABELS
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
    ys += [y for _, y in points] + [label.y for label in scene.labels]
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
