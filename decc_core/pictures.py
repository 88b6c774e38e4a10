"""What is drawn of results without any library: colours, tables and a Gantt chart, as text, HTML and SVG."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from decc_core.network.work import Resource, Span, Work
from decc_core.problem.instance import RESOURCES
from decc_core.text import bytes_text, duration, ranges_text, time_unit

# Okabe and Ito's palette: distinguishable with every common colour blindness. One colour per resource, everywhere.
COLOURS = {
    Resource.EDGE: "#0072B2",
    Resource.UPLINK: "#E69F00",
    Resource.CLOUD: "#009E73",
    Resource.DOWNLINK: "#CC79A7",
}
TOWER_COLOURS = ("#EE6677", "#8899FF", "#AA4411", "#885588", "#BB7711", "#5555CC", "#9977BB", "#7777EE")
"""One for each tower of a network of several inputs, in turn. Found by a search: seen on light and on dark, as far
apart as eight can be under simulated colour blindness, and away from the colours of the resources."""
INKS = ("#14202B", "#FFFFFF")
LEFT, RIGHT, WIDTH = 80.0, 12.0, 1000.0
ROW, BAR = 34.0, 26.0
TOP, BOTTOM = 20.0, 40.0
NUMBERED = 16.0
"""A bar at least this wide has its request's number in it."""
CODING = 0.4
"""How strongly coding for the link is laid over a bar."""
TICKS = 8
STEPS = (1, 2, 2.5, 5, 10)
FINE = 1000
"""What is shorter than this fraction of the time axis cannot be seen."""


def tower_colour(place: int) -> str:
    """The colour of a tower by its place among the network's towers."""
    return TOWER_COLOURS[place % len(TOWER_COLOURS)]


def channels(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of "#RRGGBB"."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def contrast(a: str, b: str) -> float:
    """Contrast ratio as WCAG 2 defines it: 4.5 is enough for text."""

    def luminance(colour: str) -> float:
        parts = (value / 255 for value in channels(colour))
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def ink_on(*colours: str) -> str:
    """Dark or light text, whichever is read better on the worst of these colours."""
    return max(INKS, key=lambda ink: min(contrast(ink, colour) for colour in colours))


@dataclass(frozen=True)
class Bar:
    """A bar of a Gantt chart: one span, or several that follow each other on one resource.

    `first` and `last` are the names of layers or tensors, where they are known; several requests share a bar only
    where theirs would be too thin to be seen. `layers` are the indices of the layers that it stands for, those that
    make its tensors on a link; `tower` is the name of the tower in which all of them lie, `module` the one that all of
    them are part of, where there is one. `coding` are the stretches in which it codes tensors for the link, or decodes
    them.
    """

    resource: Resource
    requests: tuple[int, ...]
    start_ns: int
    end_ns: int
    items: int = 1
    first: str = ""
    last: str = ""
    size_bytes: int = 0
    marked: bool = False
    layers: tuple[int, ...] = ()
    tower: str = ""
    module: str = ""
    coding: tuple[tuple[int, int], ...] = ()

    @property
    def request(self) -> int:
        return self.requests[0]

    @property
    def duration_ns(self) -> int:
        return self.end_ns - self.start_ns

    @property
    def lines(self) -> tuple[str, str, str]:
        """What is said of the bar: whose it is, what is done, and when."""
        noun = "request" if len(self.requests) == 1 else "requests"
        whose = f"{self.resource.value}, {noun} {ranges_text([request + 1 for request in self.requests])}"
        kind = "layer" if self.resource.computes else "tensor"
        ends = " … ".join(dict.fromkeys((self.first, self.last)))
        names = self.first if self.items == 1 else self.module or ends
        what = f"{kind} {names}" if self.items == 1 else f"{self.items} {kind}s{': ' if names else ''}{names}"
        size = f", {bytes_text(self.size_bytes)}" if self.size_bytes else ""
        return (
            f"{whose}, {self.tower}" if self.tower else whose,
            f"{what.strip()}{size}",
            f"{duration(self.start_ns)} to {duration(self.end_ns)}: {duration(self.duration_ns)}{self._coding_text}",
        )

    @property
    def _coding_text(self) -> str:
        coding_ns = sum(end - start for start, end in self.coding)
        what = "encoding" if self.resource is Resource.EDGE else "decoding"
        return f", {duration(coding_ns)} of it {what}" if coding_ns else ""


def span_groups(
    spans: Sequence[Span],
    unseen_ns: int = 0,
    marked: Collection[tuple[Resource, Work]] = (),
    part_of: Callable[[Span], object] | None = None,
) -> list[list[Span]]:
    """Runs of one request's work, all marked or none, of one part if that matters, without a pause that could be
    seen."""
    groups: list[list[Span]] = []
    for span in spans:
        before = groups[-1][-1] if groups else None
        if (
            before is not None
            and before.work.request == span.work.request
            and span.start_ns - before.end_ns <= unseen_ns
            and ((span.resource, before.work) in marked) is ((span.resource, span.work) in marked)
            and (part_of is None or part_of(before) == part_of(span))
        ):
            groups[-1].append(span)
        else:
            groups.append([span])
    return groups


Coding = Mapping[tuple[Resource, Work], tuple[int, int]]
"""When each piece of work codes tensors for the link, where it does."""


def coded_in(group: Sequence[Span], coding: Coding) -> tuple[tuple[int, int], ...]:
    """The stretches of some work in which tensors are coded."""
    return tuple(coding[key] for span in group if (key := (span.resource, span.work)) in coding) if coding else ()


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


def gantt(
    spans: Mapping[Resource, Sequence[Span]], until_ns: int, bound_ns: int | None = None, coding: Coding | None = None
) -> Html:
    """Spans as a chart of four rows against time; there are too many layers for a bar each."""
    bars = [
        Bar(
            resource,
            (group[0].work.request,),
            group[0].start_ns,
            group[-1].end_ns,
            len(group),
            coding=coded_in(group, coding or {}),
        )
        for resource in RESOURCES
        for group in span_groups(spans.get(resource, ()), max(until_ns, bound_ns or 0) // FINE)
    ]
    return Html(svg_gantt(bars, until_ns, bound_ns))


def svg_gantt(bars: Sequence[Bar], until_ns: int, bound_ns: int | None) -> str:
    """Four rows against time; numbers in the bars are requests, the dashed line is the proven bound.

    Text takes the colour of the page around it, so that it is read on light and on dark; a style sheet may colour the
    classes `grid`, `bar` and `bound`.
    """
    until_ns = max(until_ns, bound_ns or 0, 1)
    scale = (WIDTH - LEFT - RIGHT) / until_ns
    bottom = TOP + ROW * len(RESOURCES)
    several = len({request for bar in bars for request in bar.requests}) > 1
    parts = [_axis(until_ns, scale, bottom)]
    for row, resource in enumerate(RESOURCES):
        y = TOP + ROW * row + (ROW - BAR) / 2
        parts.append(f'<text x="{LEFT - 8:g}" y="{y + 18:g}" text-anchor="end">{resource.value}</text>')
        parts += [_bar(bar, y, scale, several) for bar in bars if bar.resource is resource]
    if bound_ns is not None:
        x = LEFT + bound_ns * scale
        dashed = 'class="bound" stroke="currentColor" stroke-width="1.5" stroke-dasharray="5 4"'
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 5:g}" y2="{bottom:g}" {dashed}/>')
        parts.append(f'<text class="bound" x="{x:.1f}" y="{TOP - 8:g}" text-anchor="end">proven lower bound</text>')
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {bottom + BOTTOM:g}" width="100%" style="display:block;max-width:{WIDTH:g}px" '
        'fill="currentColor" font-family="sans-serif" font-size="13" role="img" '
        f'aria-label="Work on each resource against time">{"".join(parts)}</svg>'
    )


def _axis(until_ns: int, scale: float, bottom: float) -> str:
    """Lines and numbers at round distances, and the unit below."""
    ns_per_unit, unit = time_unit(until_ns)
    length, size = until_ns / ns_per_unit, 1e-9
    while length / (STEPS[-1] * size) > TICKS:
        size *= 10
    step = next(step * size for step in STEPS if length / (step * size) <= TICKS)
    parts = []
    for i in range(int(length / step) + 1):
        x = LEFT + i * step * ns_per_unit * scale
        grid = 'class="grid" stroke="currentColor" stroke-opacity="0.15"'
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP:g}" y2="{bottom:g}" {grid}/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16:g}" text-anchor="middle">{i * step:g}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle:g}" y="{bottom + 34:g}" text-anchor="middle">time ({unit})</text>')
    return "".join(parts)


def _bar(bar: Bar, y: float, scale: float, several: bool) -> str:
    x, width = LEFT + bar.start_ns * scale, max(0.5, bar.duration_ns * scale)
    colour = COLOURS[bar.resource]
    # Neighbouring requests alternate in strength, so that their border is seen without another colour.
    strength = ' opacity="0.72"' if bar.request % 2 else ""
    number = ""
    if several and width >= NUMBERED and len(bar.requests) == 1:
        place = f'x="{x + width / 2:.1f}" y="{y + 18:g}" text-anchor="middle"'
        number = f'<text {place} fill="{ink_on(colour)}">{bar.request + 1}</text>'
    coding = "".join(
        f'<rect x="{LEFT + start * scale:.2f}" y="{y:g}" width="{(end - start) * scale:.2f}" height="{BAR:g}" '
        f'fill="{ink_on(colour)}" opacity="{CODING:g}"/>'
        for start, end in bar.coding
    )
    return (
        f'<g><title>{escape("; ".join(bar.lines))}</title><rect class="bar" x="{x:.2f}" y="{y:g}" '
        f'width="{width:.2f}" height="{BAR:g}" fill="{colour}"{strength}/>{coding}{number}</g>'
    )
