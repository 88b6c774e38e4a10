"""Planned over measured: two rows for each resource on one time axis, and by how much each stage missed its plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from app.figures.gantt import Bar, hover_text
from app.figures.style import COLOURS, Theme, new_figure
from decc_core.network.work import Resource
from decc_core.plans.trace import Deviation
from decc_core.problem.instance import RESOURCES
from decc_core.text import duration, time_unit

MANY_BARS = 150
ROW = 0.38
"""Height of one of a resource's two rows; the distance between resources is 1."""
SYMBOLS = {
    Resource.EDGE: "square",
    Resource.UPLINK: "triangle-up",
    Resource.CLOUD: "circle",
    Resource.DOWNLINK: "triangle-down",
}


def draw_overlay(
    planned: Sequence[Bar], measured: Sequence[Bar], until_ns: int, theme: Theme, height: int = 300
) -> go.Figure:
    """Planned bars are outlines, measured ones are filled and stand right below them."""
    ns_per_unit, unit = time_unit(until_ns)
    figure = new_figure(theme, height, barmode="overlay", bargap=0.0)
    several = len({bar.request for bar in measured}) > 1
    for title, bars, offset, filled in (("planned", planned, -ROW, False), ("measured", measured, 0.02, True)):
        shown = [bar for bar in bars if bar.end_ns > bar.start_ns]
        width = 1.5 if len(shown) < MANY_BARS else 1.0
        figure.add_trace(
            go.Bar(
                orientation="h",
                name=title,
                y=[RESOURCES.index(bar.resource) for bar in shown],
                base=[bar.start_ns / ns_per_unit for bar in shown],
                x=[(bar.end_ns - bar.start_ns) / ns_per_unit for bar in shown],
                offset=offset,
                width=ROW,
                text=[str(bar.request + 1) if several and _is_wide(bar, until_ns) else "" for bar in shown],
                textposition="inside",
                insidetextanchor="middle",
                textangle=0,
                constraintext="none",
                textfont={"size": 11, "color": [_ink(bar, filled, theme) for bar in shown]},
                marker={
                    "color": [COLOURS[bar.resource] if filled else "rgba(0,0,0,0)" for bar in shown],
                    "line": {
                        "color": [theme.page if filled else COLOURS[bar.resource] for bar in shown],
                        "width": width,
                    },
                },
                customdata=[f"{title}: {hover_text(bar)}" for bar in shown],
                hovertemplate="%{customdata}<extra></extra>",
                showlegend=False,
            )
        )
    figure.update_xaxes(
        title={"text": f"time ({unit}); outlines are planned, filled bars are measured", "standoff": 6},
        automargin=True,
        range=[0, 1.01 * until_ns / ns_per_unit],
        gridcolor=theme.grid,
        zeroline=False,
    )
    figure.update_yaxes(
        tickvals=list(range(len(RESOURCES))),
        ticktext=[f"{resource.value}  " for resource in RESOURCES],
        range=[len(RESOURCES) - 0.5, -0.5],
        fixedrange=True,
        showgrid=False,
        zeroline=False,
        automargin=True,
    )
    return figure


def _is_wide(bar: Bar, until_ns: int) -> bool:
    return bar.end_ns - bar.start_ns >= until_ns / 60


def _ink(bar: Bar, filled: bool, theme: Theme) -> str:
    if not filled:
        return theme.text
    return "#FFFFFF" if bar.resource.computes else "#1B2733"


@dataclass(frozen=True)
class StageError:
    """How far one stage, a request's work on one resource, was from its plan; `error` is a fraction of the plan."""

    resource: Resource
    name: str
    error: float
    text: str


def stage_rows(stages: Sequence[Deviation]) -> tuple[StageError, ...]:
    """The stages that were planned to take time."""
    return tuple(
        StageError(
            one.resource,
            one.name,
            one.ratio - 1,
            f"{one.resource.value}, {one.name}: "
            f"measured {duration(one.measured_ns)}, planned {duration(one.predicted_ns)}",
        )
        for one in stages
        if one.predicted_ns
    )


def draw_stage_errors(rows: Sequence[StageError], theme: Theme, height: int = 220) -> go.Figure:
    """A mark for each stage: to the right it took longer than planned, to the left it was quicker."""
    figure = new_figure(theme, height, showlegend=False)
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
                customdata=[f"{row.text} ({100 * row.error:+.1f} %)" for row in mine],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    widest = max([5.0, *(abs(100 * row.error) for row in rows)])
    figure.add_vline(x=0, line={"color": theme.muted, "width": 1})
    figure.update_xaxes(
        title={"text": "measured time of each stage against its plan (%)", "standoff": 6},
        automargin=True,
        range=[-1.1 * widest, 1.1 * widest],
        gridcolor=theme.grid,
        zeroline=False,
        ticksuffix=" %",
    )
    order = [f"{resource.value}  " for resource in reversed(RESOURCES)]
    figure.update_yaxes(
        categoryorder="array", categoryarray=order, fixedrange=True, gridcolor=theme.grid, automargin=True
    )
    return figure
