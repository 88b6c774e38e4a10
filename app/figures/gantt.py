"""The Gantt chart of a schedule: who works on which request, when, on each of the four resources."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from app.figures.style import COLOURS, Theme, figure_layout
from app.text import in_chart
from decc_core.network.work import Resource, Span, Work
from decc_core.plans.plan import item_name
from decc_core.plans.schedule import Schedule
from decc_core.plans.trace import Trace
from decc_core.problem.instance import RESOURCES, CostInstance
from decc_core.study.critical import CriticalPath, Idle
from decc_core.text import bytes_text, duration, time_unit

MANY_SPANS = 60
"""A resource with more spans than this is drawn with its neighbours of one request merged."""


@dataclass(frozen=True)
class Bar:
    """A bar: one span, or several that follow each other without a pause on one resource for one request."""

    resource: Resource
    request: int
    start_ns: int
    end_ns: int
    first: str
    last: str
    items: int
    size_bytes: int
    marked: bool = False


class Marking(Enum):
    """What marked bars stand for: outlined as the critical path, or in full colour as what another plan lacks."""

    CRITICAL = "critical"
    DIFFERENT = "different"


@dataclass(frozen=True)
class Gap:
    """A time at which a resource does nothing."""

    resource: Resource
    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class Jump:
    """Where the critical path goes from one resource to another."""

    source: Resource
    end_ns: int
    target: Resource
    start_ns: int


def gap_rows(idle: Mapping[Resource, Idle]) -> tuple[Gap, ...]:
    return tuple(Gap(resource, *gap) for resource, found in idle.items() for gap in found.gaps_ns)


def jump_rows(path: CriticalPath) -> tuple[Jump, ...]:
    """The jumps between work that is drawn, that is, takes time."""
    spans = [step.span for step in path.steps if step.span.end_ns > step.span.start_ns]
    return tuple(
        Jump(a.resource, a.end_ns, b.resource, b.start_ns) for a, b in pairwise(spans) if a.resource is not b.resource
    )


def gantt_rows(
    instance: CostInstance,
    timing: Schedule | Trace,
    many: int = MANY_SPANS,
    marked: Collection[tuple[Resource, Work]] = frozenset(),
) -> tuple[Bar, ...]:
    """The bars of a schedule, planned or measured; spans that take no time are left out.

    `marked` work stands in bars of its own.
    """
    bars: list[Bar] = []
    for resource in RESOURCES:
        spans = [span for span in timing.spans[resource] if span.end_ns > span.start_ns]
        groups = _merged(spans, marked) if len(spans) > many else [[span] for span in spans]
        bars.extend(_bar(instance, resource, group, (resource, group[0].work) in marked) for group in groups)
    return tuple(bars)


def _merged(spans: Sequence[Span], marked: Collection[tuple[Resource, Work]]) -> list[list[Span]]:
    """Runs of spans of one request, all marked or none, in which each starts when the one before ends."""
    groups: list[list[Span]] = []
    for span in spans:
        before = groups[-1][-1] if groups else None
        if (
            before is not None
            and before.work.request == span.work.request
            and before.end_ns == span.start_ns
            and ((span.resource, before.work) in marked) is ((span.resource, span.work) in marked)
        ):
            groups[-1].append(span)
        else:
            groups.append([span])
    return groups


def _bar(instance: CostInstance, resource: Resource, group: Sequence[Span], marked: bool) -> Bar:
    first, last = group[0], group[-1]
    return Bar(
        resource=resource,
        request=first.work.request,
        start_ns=first.start_ns,
        end_ns=last.end_ns,
        first=item_name(instance.graph, resource, first.work.item),
        last=item_name(instance.graph, resource, last.work.item),
        items=len(group),
        size_bytes=0 if resource.computes else sum(instance.wire_bytes[span.work.item] for span in group),
        marked=marked,
    )


def draw_gantt(
    bars: Sequence[Bar],
    makespan_ns: int,
    bound_ns: int | None,
    theme: Theme,
    height: int = 240,
    until_ns: int | None = None,
    marking: Marking | None = None,
    gaps: Sequence[Gap] = (),
    jumps: Sequence[Jump] = (),
    named: bool = False,
) -> go.Figure:
    """Four rows against time; the request's number stands in its bar, the proven bound is a dashed line.

    `until_ns` fixes the end of the time axis, so that two charts can be compared. `marking` says what marked bars stand
    for; `gaps` are hatched, and `jumps` of the critical path are dotted lines between the rows. Where bars are `named`,
    each says its layer or tensor, too.
    """
    ns_per_unit, unit = time_unit(until_ns or makespan_ns)
    several = len({bar.request for bar in bars}) > 1
    least_ns = 0 if named else makespan_ns / 60

    def label(bar: Bar) -> str:
        number = str(bar.request + 1) if several and bar.end_ns - bar.start_ns >= least_ns else ""
        return f"{in_chart(bar.first)}{number}" if named else number

    traces = [
        _trace(resource, [bar for bar in bars if bar.resource is resource], ns_per_unit, label, theme, marking)
        for resource in RESOURCES
    ]
    if gaps:
        traces.append(_hatched(gaps, ns_per_unit, until_ns or makespan_ns, theme))
    if jumps:
        traces.append(_jumps(jumps, ns_per_unit, theme))
    order = [resource.value for resource in reversed(RESOURCES)]
    end = {} if until_ns is None else {"range": [0, 1.01 * until_ns / ns_per_unit]}
    layout = figure_layout(theme, height, barmode="overlay", bargap=0.2, showlegend=False)
    layout["xaxis"] = {
        "title": {"text": f"time ({unit})", "standoff": 6},
        "automargin": True,
        "rangemode": "tozero",
        "gridcolor": theme.grid,
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": theme.grid,
        **end,
    }
    layout["yaxis"] = {
        "categoryorder": "array",
        "categoryarray": order,
        "fixedrange": True,
        "showgrid": False,
        "ticksuffix": "  ",
        "automargin": True,
        "range": [-0.5, len(order) - 0.5],
    }
    if bound_ns is not None:
        layout.update(_bound(bound_ns / ns_per_unit, theme))
    # Made at once: Plotly takes several times as long for a figure that is changed piece by piece.
    return go.Figure(data=traces, layout=layout)


def _trace(
    resource: Resource,
    bars: Sequence[Bar],
    ns_per_unit: float,
    label: Callable[[Bar], str],
    theme: Theme,
    marking: Marking | None,
) -> dict[str, Any]:
    # An invisible bar keeps the row of a resource that has nothing to do.
    shown = bars or [Bar(resource, 0, 0, 0, "", "", 0, 0)]
    return {
        "type": "bar",
        "orientation": "h",
        "y": [resource.value] * len(shown),
        "base": [bar.start_ns / ns_per_unit for bar in shown],
        "x": [(bar.end_ns - bar.start_ns) / ns_per_unit for bar in shown],
        "text": [label(bar) if bars else "" for bar in shown],
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textangle": 0,
        "constraintext": "none",
        "textfont": {"color": _text_colours(resource, shown, theme, marking), "size": 12},
        "marker": {
            "color": COLOURS[resource],
            "opacity": [_opacity(bar, marking) for bar in shown],
            "line": _outlines(shown, theme, marking),
        },
        "customdata": [hover_text(bar) for bar in shown],
        "hovertemplate": "%{customdata}<extra></extra>" if bars else None,
        "hoverinfo": None if bars else "skip",
    }


def _opacity(bar: Bar, marking: Marking | None) -> float:
    if marking is Marking.DIFFERENT:
        return 1.0 if bar.marked else 0.3
    # Neighbouring requests alternate in strength, so that their border is seen without another colour.
    return 0.72 if bar.request % 2 else 1.0


def _text_colours(resource: Resource, bars: Sequence[Bar], theme: Theme, marking: Marking | None) -> str | list[str]:
    on_full = "#FFFFFF" if resource.computes else "#1B2733"
    if marking is not Marking.DIFFERENT:
        return on_full
    return [on_full if bar.marked else theme.muted for bar in bars]


def _outlines(bars: Sequence[Bar], theme: Theme, marking: Marking | None) -> dict[str, Any]:
    """Marked bars stand out by an outline, too, not by their strength alone."""
    thin = 1.0 if len(bars) <= 150 else 0.0
    if marking is None or not any(bar.marked for bar in bars):
        return {"color": theme.page, "width": thin}
    thick = 2.0 if len(bars) <= 60 and marking is Marking.CRITICAL else 1.0
    return {
        "color": [theme.text if bar.marked else theme.page for bar in bars],
        "width": [thick if bar.marked else thin for bar in bars],
    }


def _hatched(gaps: Sequence[Gap], ns_per_unit: float, length_ns: int, theme: Theme) -> dict[str, Any]:
    """Idle time; its length is written where there is room."""
    return {
        "type": "bar",
        "orientation": "h",
        "y": [gap.resource.value for gap in gaps],
        "base": [gap.start_ns / ns_per_unit for gap in gaps],
        "x": [(gap.end_ns - gap.start_ns) / ns_per_unit for gap in gaps],
        "text": [
            f"idle {duration(gap.end_ns - gap.start_ns)}" if gap.end_ns - gap.start_ns > 0.1 * length_ns else ""
            for gap in gaps
        ],
        "textposition": "inside",
        # At its start, where the line of the bound rarely stands.
        "insidetextanchor": "start",
        "textangle": 0,
        "constraintext": "none",
        "textfont": {"color": theme.muted, "size": 11},
        "marker": {
            "color": "rgba(0,0,0,0)",
            "pattern": {"shape": "/", "fgcolor": theme.grid, "size": 7, "solidity": 0.25},
            "line": {"width": 0},
        },
        "customdata": [
            f"<b>{gap.resource.value}: idle</b><br>{duration(gap.start_ns)} to {duration(gap.end_ns)}: "
            f"{duration(gap.end_ns - gap.start_ns)}"
            for gap in gaps
        ],
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _jumps(jumps: Sequence[Jump], ns_per_unit: float, theme: Theme) -> dict[str, Any]:
    """How the critical path goes on between the rows; a slanted line waits for propagation."""
    xs: list[float | None] = []
    ys: list[str | None] = []
    for jump in jumps:
        xs.extend((jump.end_ns / ns_per_unit, jump.start_ns / ns_per_unit, None))
        ys.extend((jump.source.value, jump.target.value, None))
    line = {"color": theme.text, "width": 1.5, "dash": "dot"}
    return {
        "type": "scatter",
        "x": xs,
        "y": ys,
        "mode": "lines",
        "line": line,
        "hoverinfo": "skip",
        "showlegend": False,
    }


def hover_text(bar: Bar) -> str:
    """What is said of a bar under the pointer."""
    what = in_chart(bar.first if bar.items == 1 else f"{bar.first} … {bar.last}")
    kind = "layer" if bar.resource.computes else "tensor"
    count = f" ({bar.items} {kind}s)" if bar.items > 1 else ""
    size = "" if bar.resource.computes else f"<br>{bytes_text(bar.size_bytes)}"
    return (
        f"<b>{bar.resource.value}, request {bar.request + 1}</b><br>{kind} {what}{count}{size}<br>"
        f"{duration(bar.start_ns)} to {duration(bar.end_ns)}: {duration(bar.end_ns - bar.start_ns)}"
    )


def _bound(at: float, theme: Theme) -> dict[str, Any]:
    """The line of the bound and its name."""
    line = {"color": theme.bound, "width": 2, "dash": "dash"}
    name = {
        "text": "proven lower bound",
        "font": {"color": theme.bound, "size": 12},
        "x": at,
        "xref": "x",
        "xanchor": "right",
        "y": 1.0,
        "yref": "paper",
        "yanchor": "bottom",
        "showarrow": False,
    }
    across = {"type": "line", "x0": at, "x1": at, "xref": "x", "y0": 0, "y1": 1, "yref": "y domain", "line": line}
    return {"shapes": [across], "annotations": [name]}
