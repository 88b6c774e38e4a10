"""Pictures as plain SVG text, for a file that opens without this page: a Gantt chart and a branch graph.

Colours of text and lines come from the style sheet around them (classes `text`, `muted`, `line`, `grid`, `bound`).
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from app.figures.branch_graph import BranchGraph, Node
from app.figures.gantt import Bar
from app.figures.style import COLOURS
from app.units import bytes_text, ns_text, time_unit
from decc_core.cost import NS_PER_S, RESOURCES
from decc_core.span import Resource

WIDTH = 1000.0
ROW, BAR = 38.0, 28.0
LEFT, RIGHT, TOP = 78.0, 12.0, 22.0
TICKS = 8
STEPS = (1, 2, 2.5, 5, 10)
NUMBERED = 16.0
"""A bar at least this wide has its request's number in it."""
GRAPH_HEIGHT = 240.0


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
    length_s, unit = time_unit(until_ns / NS_PER_S)
    ns_per_unit = length_s * NS_PER_S
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
        f"{ns_text(bar.start_ns)} to {ns_text(bar.end_ns)}"
    )


def svg_branches(picture: BranchGraph) -> str:
    """Runs of layers from left to right: squares on the edge, discs in the cloud; what crosses is thick."""
    xs = [node.x for node in picture.nodes]
    low, high = picture.extent
    across, up = (max(xs) - min(xs)) or 1.0, (high - low) or 1.0
    height = min(GRAPH_HEIGHT, 70 + 45 * (high - low + 1))
    radius = max(3.0, min(9.0, 380 / (across + 1), 0.35 * height / (high - low + 1)))

    def at(x: float, y: float) -> tuple[float, float]:
        return 24 + (x - min(xs)) / across * (WIDTH - 48), height - 24 - (y - low) / up * (height - 48)

    parts = []
    for arrow in sorted(picture.arrows, key=lambda arrow: bool(arrow.tensors)):
        path = "L".join("{:.1f} {:.1f}".format(*at(*point)) for point in arrow.points)
        crossing = [picture.crossings[tensor] for tensor in arrow.tensors]
        style = f'stroke="{COLOURS[Resource.UPLINK]}" stroke-width="4"' if crossing else 'class="line"'
        text = "; ".join(
            f"{one.name}: {bytes_text(one.size_bytes)}, {ns_text(one.uplink_ns)} on the uplink" for one in crossing
        )
        parts.append(f'<path d="M{path}" fill="none" {style}><title>{escape(text)}</title></path>')
    parts += [_node(node, *at(node.x, node.y), radius) for node in picture.nodes]
    return _svg(height, "Layers on the edge (squares) and in the cloud (discs)", parts)


def _node(node: Node, x: float, y: float, radius: float) -> str:
    place = "on the edge" if node.resource is Resource.EDGE else "in the cloud"
    times = f"edge {ns_text(node.edge_ns)}, cloud {ns_text(node.cloud_ns)}"
    text = f"{node.title} ({len(node.layers)} layers) {place}: {times}"
    colour = COLOURS[node.resource]
    if node.resource is Resource.EDGE:
        corner = f'x="{x - radius:.1f}" y="{y - radius:.1f}"'
        shape = f'<rect {corner} width="{2 * radius:.1f}" height="{2 * radius:.1f}" fill="{colour}"/>'
    else:
        shape = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour}"/>'
    return f"<g><title>{escape(text)}</title>{shape}</g>"
