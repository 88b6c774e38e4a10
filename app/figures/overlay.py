"""Planned over measured: two rows for each resource on one time axis, and by how much each stage missed its plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from app.figures.gantt import gantt_rows, request_numbers
from app.figures.style import Theme, figure_layout, new_figure
from app.text import in_chart
from decc_core.network.work import Resource
from decc_core.pictures import COLOURS, Bar, ink_on
from decc_core.plans.schedule import Schedule
from decc_core.plans.trace import Deviation, Trace, stages
from decc_core.problem.instance import RESOURCES, CostInstance
from decc_core.text import change_text, duration, time_unit

MANY_BARS = 150
ROW = 0.38
"""Height of one of a resource's two rows; the distance between resources is 1."""
SYMBOLS = {
    Resource.EDGE: "square",
    Resource.UPLINK: "triangle-up",
    Resource.CLOUD: "circle",
    Resource.DOWNLINK: "triangle-down",
}


def overlay(instance: CostInstance, predicted: Schedule, measured: Trace, theme: Theme) -> go.Figure:
    """A plan as it was predicted and as it was measured."""
    until_ns = max(measured.makespan_ns, predicted.makespan_ns)
    return draw_overlay(gantt_rows(instance, predicted), gantt_rows(instance, measured), until_ns, theme)


def draw_overlay(
    planned: Sequence[Bar], measured: Sequence[Bar], until_ns: int, theme: Theme, height: int = 300
) -> go.Figure:
    """Planned bars are outlines, measured ones are filled and stand right below them; what is coded is hatched."""
    ns_per_unit, unit = time_unit(until_ns)
    traces: list[dict[str, Any]] = []
    for title, bars, offset, filled in (("planned", planned, -ROW, False), ("measured", measured, 0.02, True)):
        colours = [COLOURS[bar.resource] for bar in bars]
        numbers = request_numbers(bars, until_ns)
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "base": [bar.start_ns / ns_per_unit for bar in bars],
                "x": [bar.duration_ns / ns_per_unit for bar in bars],
                "y": [RESOURCES.index(bar.resource) for bar in bars],
                "offset": offset,
                "width": ROW,
                "text": [numbers[bar] for bar in bars],
                "textposition": "inside",
                "insidetextanchor": "middle",
                "textangle": 0,
                "constraintext": "none",
                "textfont": {"size": 11, "color": [ink_on(colour) if filled else theme.text for colour in colours]},
                "customdata": [f"{title}: {_hover_text(bar)}" for bar in bars],
                "hovertemplate": "%{customdata}<extra></extra>",
                "name": title,
                "marker": {
                    "color": colours if filled else "rgba(0,0,0,0)",
                    "line": {
                        "color": theme.page if filled else colours,
                        "width": 1.5 if len(bars) < MANY_BARS else 1.0,
                    },
                },
                "showlegend": False,
            }
        )
        if any(bar.coding for bar in bars):
            traces.append(_coding(bars, offset, theme.page if filled else theme.muted, ns_per_unit))
    coded = ", hatched ones code tensors" if any(bar.coding for bar in (*planned, *measured)) else ""
    label = "Gantt chart: work on edge, uplink, cloud and downlink against time, as planned and as measured"
    layout = figure_layout(theme, height, label, barmode="overlay", bargap=0.0)
    layout["xaxis"] = {
        "title": {"text": f"time ({unit}); outlines are planned, filled bars are measured{coded}", "standoff": 6},
        "automargin": True,
        "gridcolor": theme.grid,
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": theme.grid,
        "range": [0, 1.01 * until_ns / ns_per_unit],
    }
    layout["yaxis"] = {
        "tickvals": list(range(len(RESOURCES))),
        "ticktext": [f"{resource.value}  " for resource in RESOURCES],
        "range": [len(RESOURCES) - 0.5, -0.5],
        "fixedrange": True,
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
    }
    return go.Figure(data=traces, layout=layout)


def _coding(bars: Sequence[Bar], offset: float, ink: str, ns_per_unit: float) -> dict[str, Any]:
    """Hatches over the stretches in which tensors are coded for the link."""
    stretches = [(bar, start, end) for bar in bars for start, end in bar.coding]
    return {
        "type": "bar",
        "orientation": "h",
        "base": [start / ns_per_unit for _, start, _ in stretches],
        "x": [(end - start) / ns_per_unit for _, start, end in stretches],
        "y": [RESOURCES.index(bar.resource) for bar, _, _ in stretches],
        "offset": offset,
        "width": ROW,
        "marker": {
            "color": "rgba(0,0,0,0)",
            "line": {"width": 0},
            "pattern": {"shape": "/", "fgcolor": ink, "size": 5, "solidity": 0.35},
        },
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _hover_text(bar: Bar) -> str:
    """What is said of a bar under the pointer."""
    whose, what, when = map(in_chart, bar.lines)
    return f"<b>{whose}</b><br>{what}<br>{when}"


@dataclass(frozen=True)
class StageError:
    """How far one stage, a request's work on one resource, was from its plan; `error` is a fraction of the plan."""

    resource: Resource
    name: str
    error: float
    text: str


def stage_errors(predicted: Schedule, measured: Trace, theme: Theme) -> go.Figure:
    """Every stage of a run against its plan."""
    return draw_stage_errors(stage_rows(stages(measured, predicted)), theme)


def stage_rows(deviations: Sequence[Deviation]) -> tuple[StageError, ...]:
    """The stages that were planned to take time."""
    return tuple(
        StageError(
            stage.resource,
            stage.name,
            stage.ratio - 1,
            f"{stage.resource.value}, {stage.name}: "
            f"measured {duration(stage.measured_ns)}, planned {duration(stage.predicted_ns)}",
        )
        for stage in deviations
        if stage.predicted_ns
    )


def draw_stage_errors(rows: Sequence[StageError], theme: Theme, height: int = 220) -> go.Figure:
    """A mark for each stage: to the right it took longer than planned, to the left it was quicker."""
    label = "Stages of the run: how far each was from its plan, in per cent, for each of the four resources"
    figure = new_figure(theme, height, label, showlegend=False)
    for resource in RESOURCES:
        mine = [row for row in rows if row.resource is resource]
        figure.add_trace(
            go.Scatter(
                x=[100 * row.error for row in mine],
                y=[f"{resource.value}  "] * len(mine),
                mode="markers",
                marker={
                    "color": COLOURS[resource],
                    "symbol": SYMBOLS[resource],
                    "size": 11,
                    "opacity": 0.75,
                    "line": {"color": theme.page, "width": 1},
                },
                customdata=[f"{row.text} ({change_text(row.error)})" for row in mine],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    low = min([-5.0, *(100 * row.error for row in rows)])
    high = max([5.0, *(100 * row.error for row in rows)])
    room = 0.05 * (high - low)
    figure.add_vline(x=0, line={"color": theme.muted, "width": 1})
    figure.update_xaxes(
        title={"text": "measured time of each stage against its plan (%)", "standoff": 6},
        automargin=True,
        range=[low - room, high + room],
        gridcolor=theme.grid,
        zeroline=False,
        ticksuffix=" %",
    )
    order = [f"{resource.value}  " for resource in reversed(RESOURCES)]
    figure.update_yaxes(
        categoryorder="array", categoryarray=order, fixedrange=True, gridcolor=theme.grid, automargin=True
    )
    return figure
