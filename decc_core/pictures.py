"""What a notebook shows of results: tables and a Gantt chart, as text and as HTML that needs no library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from decc_core.network.work import Resource, Span
from decc_core.problem.instance import RESOURCES
from decc_core.text import duration

# Okabe and Ito's palette: distinguishable with every common colour blindness. One colour per resource, everywhere.
COLOURS = {
    Resource.EDGE: "#0072B2",
    Resource.UPLINK: "#E69F00",
    Resource.CLOUD: "#009E73",
    Resource.DOWNLINK: "#CC79A7",
}
LEFT, WIDTH, ROW, BAR = 80.0, 820.0, 30.0, 22.0
TOP, BOTTOM = 18.0, 24.0
NUMBERED = 16.0
"""A bar at least this wide has its request's number in it."""
TICKS = 5

Cells = Sequence[str]


class Html(str):
    """Text that a notebook shows as HTML; what models have named is escaped before it gets here."""

    def _repr_html_(self) -> str:
        return str(self)


def text_table(header: Cells, rows: Sequence[Cells], left: int = 1) -> str:
    """Columns under each other; the first `left` ones are flush left, the others flush right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = []
    for cells in (header, *rows):
        padded = [
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def html_table(header: Cells, rows: Sequence[Cells], bold: int, left: int = 1) -> Html:
    """The same as HTML, one row in bold."""

    def line(tag: str, cells: Cells, weight: str) -> str:
        shared = f"padding:2px 8px;font-weight:{weight}"
        style = [f"text-align:{'left' if i < left else 'right'};{shared}" for i in range(len(cells))]
        return "".join(f'<{tag} style="{how}">{escape(cell)}</{tag}>' for how, cell in zip(style, cells, strict=True))

    body = "".join(f"<tr>{line('td', cells, 'bold' if i == bold else 'normal')}</tr>" for i, cells in enumerate(rows))
    return Html(f"<table><thead><tr>{line('th', header, 'bold')}</tr></thead><tbody>{body}</tbody></table>")


def paragraph(text: str) -> Html:
    return Html(f"<p>{escape(text)}</p>")


def gantt(spans: Mapping[Resource, Sequence[Span]], until_ns: int, bound_ns: int | None = None) -> Html:
    """Four rows against time, as SVG; numbers in the bars are requests, the dashed line is the proven bound.

    Text takes the colour of the page around it, so that it is read on light and on dark.
    """
    until_ns = max(until_ns, bound_ns or 0, 1)
    scale, unseen_ns = (WIDTH - LEFT - 40) / until_ns, until_ns // 1000
    bottom = TOP + ROW * len(RESOURCES)
    requests = {span.work.request for resource in RESOURCES for span in spans.get(resource, ())}
    parts = [_tick(until_ns * i // TICKS, scale, bottom) for i in range(TICKS + 1)]
    for row, resource in enumerate(RESOURCES):
        y = TOP + ROW * row + (ROW - BAR) / 2
        parts.append(f'<text x="{LEFT - 8:g}" y="{y + 15:g}" text-anchor="end">{resource.value}</text>')
        parts += [_bar(group, y, scale, len(requests) > 1) for group in _groups(spans.get(resource, ()), unseen_ns)]
    if bound_ns is not None:
        x = LEFT + bound_ns * scale
        dashed = 'stroke="currentColor" stroke-width="1.5" stroke-dasharray="5 4"'
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 4:g}" y2="{bottom:g}" {dashed}/>')
        parts.append(f'<text x="{x:.1f}" y="{TOP - 7:g}" text-anchor="end">proven lower bound</text>')
    return Html(
        f'<svg viewBox="0 0 {WIDTH:g} {bottom + BOTTOM:g}" width="100%" style="display:block;max-width:{WIDTH:g}px" '
        'fill="currentColor" font-family="sans-serif" font-size="12" role="img" '
        f'aria-label="Work on each resource against time">{"".join(parts)}</svg>'
    )


def _tick(at_ns: int, scale: float, bottom: float) -> str:
    x = LEFT + at_ns * scale
    return (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP:g}" y2="{bottom:g}" stroke="currentColor" opacity="0.15"/>'
        f'<text x="{x:.1f}" y="{bottom + 16:g}" text-anchor="middle">{duration(at_ns) if at_ns else "0"}</text>'
    )


def _groups(spans: Sequence[Span], unseen_ns: int) -> list[list[Span]]:
    """Runs of one request's work, with pauses too short to be seen: there are too many layers for a bar each."""
    found: list[list[Span]] = []
    for span in spans:
        last = found[-1][-1] if found else None
        if last is not None and last.work.request == span.work.request and span.start_ns - last.end_ns <= unseen_ns:
            found[-1].append(span)
        else:
            found.append([span])
    return found


def _bar(group: Sequence[Span], y: float, scale: float, several: bool) -> str:
    first, last = group[0], group[-1]
    x, width = LEFT + first.start_ns * scale, max(0.5, (last.end_ns - first.start_ns) * scale)
    what = "layer" if first.resource.computes else "tensor"
    told = (
        f"{first.resource.value}, request {first.work.request + 1}: "
        f"{len(group)} {what}{'s' if len(group) > 1 else ''}, {duration(first.start_ns)} to {duration(last.end_ns)}"
    )
    # Neighbouring requests alternate in strength, so that their border is seen without another colour.
    strength = 0.72 if first.work.request % 2 else 1
    number = ""
    if several and width >= NUMBERED:
        letters = "#FFFFFF" if first.resource.computes else "#1B2733"
        number = (
            f'<text x="{x + width / 2:.1f}" y="{y + 15:g}" text-anchor="middle" fill="{letters}">'
            f"{first.work.request + 1}</text>"
        )
    return (
        f'<g><title>{told}</title><rect x="{x:.2f}" y="{y:g}" width="{width:.2f}" height="{BAR:g}" '
        f'fill="{COLOURS[first.resource]}" opacity="{strength:g}"/>{number}</g>'
    )
