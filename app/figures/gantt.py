"""The Gantt chart of a schedule: who works on which request, when, on each of the four resources."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from app.figures.style import Theme, figure_layout
from app.text import in_chart
from decc_core.network.graph import LayerGraph
from decc_core.network.titles import shared_module
from decc_core.network.towers import common_tower, tower_of, towers
from decc_core.network.work import Resource, Span, Work
from decc_core.pictures import COLOURS, FINE, Bar, ink_on, span_groups
from decc_core.plans.plan import Plan, item_name
from decc_core.plans.schedule import Schedule
from decc_core.plans.trace import Trace
from decc_core.problem.instance import RESOURCES, CostInstance, Objective
from decc_core.study.critical import CriticalPath, Idle, critical_path, idle_times
from decc_core.text import duration, time_unit

MANY_SPANS = 60
"""A resource with more spans than this is drawn with its neighbours of one request merged."""
MOST_BARS = 600
"""With more bars than this on a resource, those too thin to be seen share one."""
WIDE = 60
"""A bar of at least this fraction of the time axis has room for its request's number."""
LETTERS = 110
"""So many letters have room along the time axis."""

Marked = Collection[tuple[Resource, Work]]


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

    @property
    def duration_ns(self) -> int:
        return self.end_ns - self.start_ns


@dataclass(frozen=True)
class Jump:
    """Where the critical path goes from one resource to another."""

    source: Resource
    end_ns: int
    target: Resource
    start_ns: int


def gantt(
    instance: CostInstance,
    timing: Schedule | Trace,
    theme: Theme,
    *,
    path: CriticalPath | None = None,
    different: Marked | None = None,
    bound_ns: int | None = None,
    until_ns: int | None = None,
    height: int = 240,
    named: bool = False,
) -> go.Figure:
    """The chart of a schedule, with its critical path and idle time, or what another plan lacks, if given."""
    marking = Marking.CRITICAL if path is not None else Marking.DIFFERENT if different is not None else None
    return draw_gantt(
        gantt_rows(instance, timing, marked=path.work if path is not None else different or ()),
        timing.makespan_ns,
        bound_ns,
        theme,
        height,
        until_ns,
        marking,
        gaps=gap_rows(idle_times(timing)) if path is not None else (),
        jumps=jump_rows(path) if path is not None else (),
        named=named,
    )


def plan_chart(
    instance: CostInstance, plan: Plan, timing: Schedule, bound_ns: int, critical: bool, theme: Theme
) -> tuple[go.Figure, str]:
    """A plan's schedule under the bound of its makespan; if asked for with its critical path, which is told, too."""
    path = critical_path(instance, plan, timing) if critical else None
    bound = bound_ns if instance.objective is Objective.MAKESPAN else None
    figure = gantt(instance, timing, theme, path=path, bound_ns=bound)
    return figure, path_in_words(path, instance.objective) if path is not None else ""


def path_in_words(path: CriticalPath, objective: Objective) -> str:
    """How the makespan divides over what the critical path passes."""

    def share(time_ns: int) -> str:
        part = time_ns / path.makespan_ns
        return f"{100 * part:.0f} %" if part >= 0.005 else "< 1 %"

    names = [*(resource.value for resource in RESOURCES), "propagation"]
    parts = zip(names, [*path.load_ns, path.propagation_ns], strict=True)
    shares = [f"{name} {duration(ns)} ({share(ns)})" for name, ns in parts if ns]
    repeated = " For throughput the busiest row counts, not this path." if objective is Objective.THROUGHPUT else ""
    return f"The critical path (outlined) takes {duration(path.makespan_ns)}: {', '.join(shares)}.{repeated}"


def gap_rows(idle: Mapping[Resource, Idle]) -> tuple[Gap, ...]:
    """Idle times; where there are many, those that can be seen."""
    gaps = [Gap(resource, *gap) for resource, times in idle.items() for gap in times.gaps_ns]
    if len(gaps) > MOST_BARS:
        unseen_ns = max(gap.end_ns for gap in gaps) // FINE
        gaps = [gap for gap in gaps if gap.duration_ns > unseen_ns]
    return tuple(gaps)


def jump_rows(path: CriticalPath) -> tuple[Jump, ...]:
    """The jumps between work that is drawn, that is, takes time; where there are many, no two at the same place."""
    spans = [step.span for step in path.steps if step.span.end_ns > step.span.start_ns]
    jumps = [
        Jump(a.resource, a.end_ns, b.resource, b.start_ns) for a, b in pairwise(spans) if a.resource is not b.resource
    ]
    if len(jumps) > MOST_BARS:
        unseen_ns = path.makespan_ns // FINE or 1
        jumps = list({(jump.source, jump.target, jump.end_ns // unseen_ns): jump for jump in jumps}.values())
    return tuple(jumps)


def gantt_rows(
    instance: CostInstance, timing: Schedule | Trace, many: int = MANY_SPANS, marked: Marked = ()
) -> tuple[Bar, ...]:
    """The bars of a schedule, planned or measured; spans that take no time are left out.

    `marked` work stands in bars of its own, unless these would be too thin to be seen.
    """
    part_of = _towers_of_work(instance.graph)
    bars: list[Bar] = []
    for resource in RESOURCES:
        spans = [span for span in timing.spans[resource] if span.end_ns > span.start_ns]
        groups = span_groups(spans, 0, marked) if len(spans) > many else [[span] for span in spans]
        if part_of is not None and len(spans) > many:
            # Who is who: the work of two towers shares no bar, unless they take turns too often.
            apart = span_groups(spans, 0, marked, part_of)
            groups = apart if len(apart) <= MOST_BARS else groups
        if len(groups) > MOST_BARS:
            groups = _without_thin(groups, timing.makespan_ns // FINE)
        bars.extend(_bar(instance, resource, group, marked) for group in groups)
    return tuple(bars)


def _towers_of_work(graph: LayerGraph) -> Callable[[Span], object] | None:
    """The tower to which a piece of work belongs, in a network that has some."""
    if not towers(graph):
        return None
    of_layer = dict(enumerate(tower_of(graph)))
    of_tensor = {i: of_layer[tensor.producer] for i, tensor in enumerate(graph.tensors)}
    return lambda span: (of_layer if span.resource.computes else of_tensor).get(span.work.item)


def _layers(instance: CostInstance, spans: Iterable[Span]) -> tuple[int, ...]:
    """The layers that some work stands for: those that are computed, or that make what is sent."""
    graph = instance.graph
    items = {(span.resource.computes, span.work.item) for span in spans}
    known = (
        (is_layer, item) for is_layer, item in items if 0 <= item < len(graph.layers if is_layer else graph.tensors)
    )
    return tuple(sorted({item if is_layer else graph.tensors[item].producer for is_layer, item in known}))


def _without_thin(groups: Sequence[list[Span]], unseen_ns: int) -> list[list[Span]]:
    """Neighbours that together cannot be seen are one group, whatever their requests."""
    joined: list[list[Span]] = []
    for group in groups:
        if joined and group[-1].end_ns - joined[-1][0].start_ns <= unseen_ns:
            joined[-1].extend(group)
        else:
            joined.append([*group])
    return joined


def _bar(instance: CostInstance, resource: Resource, group: Sequence[Span], marked: Marked) -> Bar:
    first, last = group[0], group[-1]
    layers = _layers(instance, group)
    tower = common_tower(instance.graph, layers)
    return Bar(
        resource=resource,
        requests=tuple(sorted({span.work.request for span in group})),
        start_ns=first.start_ns,
        end_ns=last.end_ns,
        items=len(group),
        first=item_name(instance.graph, resource, first.work.item),
        last=item_name(instance.graph, resource, last.work.item),
        size_bytes=0 if resource.computes else sum(instance.wire_bytes[span.work.item] for span in group),
        marked=bool(marked) and any((resource, span.work) in marked for span in group),
        layers=layers,
        tower="" if tower is None else towers(instance.graph)[tower].name,
        module=shared_module([instance.graph.layers[layer].module_path for layer in layers]),
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
    numbers = request_numbers(bars, 0 if named else makespan_ns)
    labels = {bar: f"{in_chart(bar.first)}{number}" if named else number for bar, number in numbers.items()}
    traces = [
        _row(resource, [bar for bar in bars if bar.resource is resource], labels, ns_per_unit, theme, marking)
        for resource in RESOURCES
    ]
    if gaps:
        traces.append(_hatched(gaps, ns_per_unit, until_ns or makespan_ns, theme))
    if jumps:
        traces.append(_dotted(jumps, ns_per_unit, theme))
    layout = figure_layout(theme, height, barmode="overlay", bargap=0.2, showlegend=False)
    layout["xaxis"] = time_axis(f"time ({unit})", theme, until_ns and until_ns / ns_per_unit)
    layout["yaxis"] = {
        "categoryorder": "array",
        "categoryarray": [resource.value for resource in reversed(RESOURCES)],
        "fixedrange": True,
        "showgrid": False,
        "ticksuffix": "  ",
        "automargin": True,
        "range": [-0.5, len(RESOURCES) - 0.5],
    }
    if bound_ns is not None:
        layout.update(_bound(bound_ns / ns_per_unit, theme))
    # Made at once: Plotly takes several times as long for a figure that is changed piece by piece.
    return go.Figure(data=traces, layout=layout)


def request_numbers(bars: Sequence[Bar], until_ns: int) -> dict[Bar, str]:
    """The number of its request for each bar that has room for one, where there are several; before it the name of its
    tower, where that has room, too."""
    several = len({request for bar in bars for request in bar.requests}) > 1
    texts = {}
    for bar in bars:
        number = str(bar.request + 1) if several and len(bar.requests) == 1 else ""
        text = " · ".join(filter(None, (in_chart(bar.tower), number)))
        named = bar.tower and 0 < until_ns * len(text) / LETTERS <= bar.duration_ns
        texts[bar] = text if named else number if bar.duration_ns >= until_ns / WIDE else ""
    return texts


def time_axis(title: str, theme: Theme, until: float | None) -> dict[str, Any]:
    """An axis of time from 0; `until` fixes its end."""
    end = {"rangemode": "tozero"} if until is None else {"range": [0, 1.01 * until]}
    return {
        "title": {"text": title, "standoff": 6},
        "automargin": True,
        "gridcolor": theme.grid,
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": theme.grid,
        **end,
    }


def bar_trace(
    bars: Sequence[Bar | Gap], ns_per_unit: float, texts: Sequence[str], hovers: Sequence[str], **look: Any
) -> dict[str, Any]:
    """Horizontal bars against time, each with a text inside and one for the pointer."""
    return {
        "type": "bar",
        "orientation": "h",
        "base": [bar.start_ns / ns_per_unit for bar in bars],
        "x": [bar.duration_ns / ns_per_unit for bar in bars],
        "text": texts,
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textangle": 0,
        "constraintext": "none",
        "customdata": hovers,
        "hovertemplate": "%{customdata}<extra></extra>",
        **look,
    }


def hover_text(bar: Bar) -> str:
    """What is said of a bar under the pointer."""
    whose, what, when = map(in_chart, bar.lines)
    return f"<b>{whose}</b><br>{what}<br>{when}"


def _row(
    resource: Resource,
    bars: Sequence[Bar],
    labels: Mapping[Bar, str],
    ns_per_unit: float,
    theme: Theme,
    marking: Marking | None,
) -> dict[str, Any]:
    ink, different = ink_on(COLOURS[resource]), marking is Marking.DIFFERENT
    look = {
        "textfont": {"color": [ink if bar.marked or not different else theme.muted for bar in bars], "size": 12},
        "marker": {
            "color": COLOURS[resource],
            # Neighbouring requests alternate in strength, so that their border is seen without another colour.
            "opacity": [
                (1.0 if bar.marked else 0.3) if different else 0.72 if bar.request % 2 else 1.0 for bar in bars
            ],
            "line": _outlines(bars, theme, marking),
        },
    }
    if not bars:
        # An invisible bar keeps the row of a resource that has nothing to do.
        return bar_trace([Gap(resource, 0, 0)], 1, [""], [""], y=[resource.value], hoverinfo="skip", hovertemplate=None)
    texts, hovers = [labels[bar] for bar in bars], [hover_text(bar) for bar in bars]
    return bar_trace(bars, ns_per_unit, texts, hovers, y=[resource.value] * len(bars), **look)


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
    return bar_trace(
        gaps,
        ns_per_unit,
        [f"idle {duration(gap.duration_ns)}" if gap.duration_ns > 0.1 * length_ns else "" for gap in gaps],
        [
            f"<b>{gap.resource.value}: idle</b><br>{duration(gap.start_ns)} to {duration(gap.end_ns)}: "
            f"{duration(gap.duration_ns)}"
            for gap in gaps
        ],
        y=[gap.resource.value for gap in gaps],
        # At its start, where the line of the bound rarely stands.
        insidetextanchor="start",
        textfont={"color": theme.muted, "size": 11},
        marker={
            "color": "rgba(0,0,0,0)",
            "pattern": {"shape": "/", "fgcolor": theme.grid, "size": 7, "solidity": 0.25},
            "line": {"width": 0},
        },
    )


def _dotted(jumps: Sequence[Jump], ns_per_unit: float, theme: Theme) -> dict[str, Any]:
    """How the critical path goes on between the rows; a slanted line waits for propagation."""
    return {
        "type": "scatter",
        "x": [x for jump in jumps for x in (jump.end_ns / ns_per_unit, jump.start_ns / ns_per_unit, None)],
        "y": [y for jump in jumps for y in (jump.source.value, jump.target.value, None)],
        "mode": "lines",
        "line": {"color": theme.text, "width": 1.5, "dash": "dot"},
        "hoverinfo": "skip",
        "showlegend": False,
    }


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
