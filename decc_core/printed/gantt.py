"""Schedules for print: who works on which request, when; and plans over what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from decc_core.network.work import Resource
from decc_core.pictures import COLOURS, Bar, ink_on
from decc_core.printed.sheet import BOUND, INK, MUTED, PAPER, Sheet, drawable, tint
from decc_core.problem.instance import RESOURCES
from decc_core.text import time_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

THICK = 0.72
"""Height of a bar; the distance of two rows is 1."""
HALF = 0.4
"""The same of a planned or a measured bar, two of which share a row."""
PALE, PALER = 0.72, 0.3
"""Strength of every other request, and of what another plan has, too."""
MANY = 150
"""More bars than this on a row have no white border: it would be all that is seen of them."""
CODING = "\\\\\\\\"
"""The hatch of encoding and decoding."""
ROW_LINES, OTHER_LINES = 1.9, 2.8
"""Lines of text that a row is high, and those of the axis."""


class Stretch(Protocol):
    """A time on a resource."""

    @property
    def resource(self) -> Resource: ...
    @property
    def start_ns(self) -> int: ...
    @property
    def end_ns(self) -> int: ...


class Jump(Protocol):
    """Where the critical path goes from one resource to another."""

    @property
    def source(self) -> Resource: ...
    @property
    def end_ns(self) -> int: ...
    @property
    def target(self) -> Resource: ...
    @property
    def start_ns(self) -> int: ...


@dataclass(frozen=True)
class Timeline:
    """One schedule as it is drawn. `marked` says what the marked bars are, which are outlined; those that are not are
    pale where they are `faded`."""

    bars: Sequence[Bar]
    title: str = ""
    bound_ns: int | None = None
    gaps: Sequence[Stretch] = ()
    jumps: Sequence[Jump] = ()
    marked: str = ""
    faded: bool = False


def draw_timelines(sheet: Sheet, timelines: Sequence[Timeline], until_ns: int) -> None:
    """Schedules below each other on one axis of time, which ends at `until_ns`."""
    ns_per_unit, unit = time_unit(until_ns)
    lines = len(timelines) * (len(RESOURCES) * ROW_LINES + 1) + OTHER_LINES
    panels = sheet.panels(lines, [1.0] * len(timelines))
    for timeline, axes in zip(timelines, panels, strict=True):
        _rows(axes, HALF + 0.1)
        _bars(sheet, axes, timeline, ns_per_unit)
        if timeline.title:
            # Room for the title, which is clipped to it once that is known.
            axes.set_title(" ", fontsize=sheet.points, loc="left")
        sheet.grid(axes)
    bars = [bar for timeline in timelines for bar in timeline.bars]
    numbered = "; numbers are requests" if _several(bars) else ""
    sheet.time_axis(panels[-1], until_ns / ns_per_unit, f"time ({unit}){numbered}")
    sheet.legend(_entries(sheet, timelines))
    sheet.settle()
    for timeline, axes in zip(timelines, panels, strict=True):
        room_mm, _ = sheet.box_mm(axes)
        if timeline.title:
            title = sheet.fitted(timeline.title, room_mm, sheet.points)
            axes.set_title(title, fontsize=sheet.points, loc="left", color=INK)
        _numbers(sheet, axes, timeline, until_ns, ns_per_unit)


def _rows(axes: Axes, beside: float) -> None:
    axes.set_yticks(range(len(RESOURCES)), [resource.value for resource in RESOURCES])
    axes.set_ylim(len(RESOURCES) - 1 + beside, -beside)
    axes.tick_params(axis="y", length=0)


def _several(bars: Sequence[Bar]) -> bool:
    return len({request for bar in bars for request in bar.requests}) > 1


def _place(stretch: Stretch, ns_per_unit: float) -> tuple[float, float]:
    return stretch.start_ns / ns_per_unit, (stretch.end_ns - stretch.start_ns) / ns_per_unit


def _part(stretch: tuple[int, int], ns_per_unit: float) -> tuple[float, float]:
    return stretch[0] / ns_per_unit, (stretch[1] - stretch[0]) / ns_per_unit


def _bars(sheet: Sheet, axes: Axes, timeline: Timeline, ns_per_unit: float) -> None:
    for row, resource in enumerate(RESOURCES):
        at = (row - THICK / 2, THICK)
        mine = [bar for bar in timeline.bars if bar.resource is resource]
        thin = sheet.thin(0.4) if len(mine) <= MANY else 0.0
        axes.broken_barh(
            [_place(bar, ns_per_unit) for bar in mine],
            at,
            facecolors=[_colour(bar, timeline.faded) for bar in mine],
            edgecolors=PAPER if thin else "none",
            linewidth=thin,
            zorder=2,
        )
        if coding := [_part(stretch, ns_per_unit) for bar in mine for stretch in bar.coding]:
            axes.broken_barh(coding, at, facecolors="none", edgecolors=PAPER, hatch=CODING, linewidth=0, zorder=2.5)
        if outlined := [_place(bar, ns_per_unit) for bar in mine if bar.marked] if timeline.marked else []:
            width = sheet.thin(1.1 if len(outlined) <= 60 else 0.6)
            axes.broken_barh(outlined, at, facecolors="none", edgecolors=INK, linewidth=width, zorder=3)
        if gaps := [_place(gap, ns_per_unit) for gap in timeline.gaps if gap.resource is resource]:
            axes.broken_barh(
                gaps, at, facecolors="none", edgecolors="#C4CCD5", hatch=sheet.hatch, linewidth=0, zorder=1
            )
    for jump in timeline.jumps:
        axes.plot(
            [jump.end_ns / ns_per_unit, jump.start_ns / ns_per_unit],
            [RESOURCES.index(jump.source), RESOURCES.index(jump.target)],
            color=INK, linewidth=sheet.thin(0.8), linestyle=(0, (1, 1.5)), zorder=4,
        )  # fmt: skip
    if timeline.bound_ns is not None:
        axes.axvline(timeline.bound_ns / ns_per_unit, color=BOUND, linewidth=sheet.thin(1.2), linestyle=(0, (5, 3)))


def _colour(bar: Bar, faded: bool) -> str:
    if faded:
        return COLOURS[bar.resource] if bar.marked else tint(COLOURS[bar.resource], PALER)
    # Neighbouring requests alternate in strength, so that their border is seen without another colour.
    return tint(COLOURS[bar.resource], PALE) if bar.request % 2 else COLOURS[bar.resource]


def _entries(sheet: Sheet, timelines: Sequence[Timeline]) -> list[tuple[object, str]]:
    """What is not said by the axes."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    entries: list[tuple[object, str]] = []
    for marked in dict.fromkeys(timeline.marked for timeline in timelines if timeline.marked):
        entries.append((Patch(facecolor="none", edgecolor=INK, linewidth=sheet.thin(1.1)), marked))
    if any(timeline.jumps for timeline in timelines):
        dotted = Line2D([], [], color=INK, linewidth=sheet.thin(0.8), linestyle=(0, (1, 1.5)))
        entries.append((dotted, "its way to another row"))
    if any(bar.coding for timeline in timelines for bar in timeline.bars):
        coded = Patch(facecolor=COLOURS[Resource.EDGE], edgecolor=PAPER, hatch=CODING, linewidth=0)
        entries.append((coded, "coding for the link"))
    if any(timeline.gaps for timeline in timelines):
        entries.append((Patch(facecolor="none", edgecolor="#C4CCD5", hatch=sheet.hatch, linewidth=0), "idle"))
    if any(timeline.bound_ns is not None for timeline in timelines):
        dashed = Line2D([], [], color=BOUND, linewidth=sheet.thin(1.2), linestyle=(0, (5, 3)))
        entries.append((dashed, "proven lower bound"))
    return entries


def _numbers(sheet: Sheet, axes: Axes, timeline: Timeline, until_ns: int, ns_per_unit: float) -> None:
    """The number of its request in every bar that has room for it, and before it the name of its tower."""
    wide_mm, high_mm = sheet.box_mm(axes)
    several = _several(timeline.bars)
    mm_per_ns = wide_mm / (1.005 * until_ns)
    points = min(sheet.small, 0.8 * THICK * high_mm / len(RESOURCES) / (sheet.line_mm / sheet.points))
    for bar in timeline.bars:
        number = str(bar.request + 1) if several and len(bar.requests) == 1 else ""
        named = " · ".join(filter(None, (drawable(bar.tower), number)))
        room_mm = bar.duration_ns * mm_per_ns - 0.6
        text = next((text for text in (named, number) if text and sheet.width_mm(text, points) <= room_mm), "")
        if not text:
            continue
        axes.text(
            (bar.start_ns + bar.duration_ns / 2) / ns_per_unit,
            RESOURCES.index(bar.resource),
            text,
            fontsize=points,
            color=ink_on(_colour(bar, timeline.faded)),
            ha="center",
            va="center",
            zorder=5,
        )


def draw_overlay(sheet: Sheet, planned: Sequence[Bar], measured: Sequence[Bar], until_ns: int) -> None:
    """Two rows for each resource: outlines are planned, filled bars are measured and stand right below them."""
    from matplotlib.patches import Patch

    ns_per_unit, unit = time_unit(until_ns)
    axes = sheet.axes(len(RESOURCES) * 2 * 1.3 + OTHER_LINES)
    _rows(axes, 2 * HALF - 0.25)
    for row, resource in enumerate(RESOURCES):
        colour = COLOURS[resource]
        for bars, top, filled in ((planned, row - HALF, False), (measured, row + 0.02, True)):
            mine = [_place(bar, ns_per_unit) for bar in bars if bar.resource is resource]
            coding = [_part(stretch, ns_per_unit) for bar in bars if bar.resource is resource for stretch in bar.coding]
            thin = 0.4 if filled else 1.1
            axes.broken_barh(
                mine,
                (top, HALF - 0.04),
                facecolors=colour if filled else "none",
                edgecolors=(PAPER if len(mine) <= MANY else colour) if filled else colour,
                linewidth=sheet.thin(thin if len(mine) <= MANY else thin / 2),
                zorder=2,
            )
            axes.broken_barh(
                coding,
                (top, HALF - 0.04),
                facecolors="none",
                edgecolors=PAPER if filled else colour,
                hatch=CODING,
                linewidth=0,
                zorder=3,
            )
    sheet.time_axis(axes, until_ns / ns_per_unit, f"time ({unit})")
    outline = Patch(facecolor="none", edgecolor=MUTED, linewidth=sheet.thin(1.1))
    entries: list[tuple[object, str]] = [(outline, "planned"), (Patch(facecolor=MUTED), "measured")]
    if any(bar.coding for bar in (*planned, *measured)):
        entries.append((Patch(facecolor="none", edgecolor=MUTED, hatch=CODING, linewidth=0), "coding for the link"))
    sheet.legend(entries)
    sheet.settle()
