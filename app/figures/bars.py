"""All strategies side by side as bars of what the plan was chosen for, over the proven bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from app.figures.style import COLOURS, Theme, new_figure
from app.units import ns_text, time_unit
from decc_core.compare import Comparison
from decc_core.cost import NS_PER_S, Objective
from decc_core.span import Resource

TITLES = {Objective.MAKESPAN: "makespan", Objective.THROUGHPUT: "time per repeated batch"}


@dataclass(frozen=True)
class StrategyBar:
    """The objective of one strategy's plan."""

    strategy: str
    execution: str
    objective_ns: int
    is_best: bool


def bar_rows(comparison: Comparison) -> tuple[StrategyBar, ...]:
    """One bar per strategy, in the comparison's order."""
    best = comparison.best.strategy
    return tuple(
        StrategyBar(outcome.strategy, outcome.execution.value, outcome.objective_ns, outcome.strategy == best)
        for outcome in comparison.outcomes
    )


def draw_bars(rows: Sequence[StrategyBar], bound_ns: int, title: str, theme: Theme, height: int = 300) -> go.Figure:
    """Horizontal bars, the best in the colour of the page, the others grey; the bound is a dashed line."""
    length_s, unit = time_unit(min(row.objective_ns for row in rows) / NS_PER_S)
    ns_per_unit = length_s * NS_PER_S
    figure = new_figure(theme, height, bargap=0.3, showlegend=False)
    figure.add_trace(
        go.Bar(
            orientation="h",
            y=[row.strategy for row in rows],
            x=[row.objective_ns / ns_per_unit for row in rows],
            text=[ns_text(row.objective_ns) for row in rows],
            textposition="outside",
            cliponaxis=False,
            textangle=0,
            marker_color=[COLOURS[Resource.EDGE] if row.is_best else theme.line for row in rows],
            customdata=[row.execution for row in rows],
            hovertemplate="<b>%{y}</b><br>%{text}, %{customdata}<extra></extra>",
        )
    )
    figure.add_vline(
        x=bound_ns / ns_per_unit,
        line={"color": theme.bound, "width": 2, "dash": "dash"},
        annotation={"text": "proven lower bound", "font": {"color": theme.bound, "size": 12}, "showarrow": False},
        annotation_position="top",
    )
    figure.update_xaxes(
        title={"text": f"{title} ({unit})", "standoff": 6},
        automargin=True,
        gridcolor=theme.grid,
        zeroline=False,
        rangemode="tozero",
    )
    figure.update_yaxes(autorange="reversed", fixedrange=True, ticksuffix="  ", automargin=True)
    return figure
