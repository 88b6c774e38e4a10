"""Plans that no other one beats: latency against what each request sends, or against how many leave in a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import plotly.graph_objects as go

from app.figures.strategy_style import modebar, strategy_style
from app.figures.style import Theme, new_figure
from decc_core.problem.instance import Objective
from decc_core.study.pareto import ParetoPoint
from decc_core.text import bytes_text, duration, time_unit


class Measure(StrEnum):
    """What latency is set against."""

    BYTES = "bytes up"
    RATE = "requests per second"


@dataclass(frozen=True)
class TradeOff:
    """One plan by its three measures."""

    strategy: str
    objective: Objective
    makespan_ns: int
    throughput_rps: float
    bytes_per_request: float

    def against(self, measure: Measure) -> float:
        return self.bytes_per_request / 1e3 if measure is Measure.BYTES else self.throughput_rps

    @property
    def text(self) -> str:
        sent = bytes_text(round(self.bytes_per_request))
        return f"{duration(self.makespan_ns)}, {self.throughput_rps:.3g} requests/s, {sent} up per request"


def trade_off_rows(points: Sequence[ParetoPoint]) -> tuple[TradeOff, ...]:
    """The points in their order."""
    return tuple(
        TradeOff(
            point.outcome.strategy,
            point.objective,
            point.outcome.schedule.makespan_ns,
            point.throughput_rps,
            point.bytes_per_request,
        )
        for point in points
    )


def draw_trade_offs(
    rows: Sequence[TradeOff],
    present: TradeOff,
    chosen: int | None,
    measure: Measure,
    theme: Theme,
    height: int = 340,
) -> go.Figure:
    """A mark for each plan with the strategy that made it; the plan shown above is a ring, the chosen one larger."""
    ns_per_unit, unit = time_unit(max([present.makespan_ns, *(row.makespan_ns for row in rows)]))
    label = f"{len(rows)} plans that no other beats: time until the last result against {measure.value}."
    figure = new_figure(theme, height, label, showlegend=False, modebar=modebar(theme), clickmode="event+select")
    figure.add_trace(
        go.Scatter(
            x=[row.makespan_ns / ns_per_unit for row in rows],
            y=[row.against(measure) for row in rows],
            mode="markers+text",
            name="plans",
            text=[strategy_style(row.strategy).short for row in rows],
            textposition="top center",
            textfont={"size": 11, "color": theme.muted},
            cliponaxis=False,
            marker={
                "color": [strategy_style(row.strategy).colour(theme) for row in rows],
                "symbol": ["circle" if row.objective is Objective.MAKESPAN else "square" for row in rows],
                "size": [18 if place == chosen else 12 for place in range(len(rows))],
                "line": {"color": theme.text, "width": [2.5 if place == chosen else 1 for place in range(len(rows))]},
            },
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 1}},
            customdata=[f"<b>{row.strategy}</b>, for {row.objective.value}<br>{row.text}" for row in rows],
            hovertemplate="%{customdata}<extra></extra>",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=[present.makespan_ns / ns_per_unit],
            y=[present.against(measure)],
            mode="markers",
            name="the plan shown above",
            marker={"symbol": "circle-open", "size": 24, "color": theme.bound, "line": {"width": 2}},
            hoverinfo="skip",
        )
    )
    grid = {"gridcolor": theme.grid, "zeroline": False, "automargin": True, "rangemode": "tozero"}
    figure.update_xaxes(title={"text": f"latency: the last result is back ({unit})", "standoff": 6}, **grid)
    title = "bytes up per request (kB)" if measure is Measure.BYTES else "requests per second, repeated for ever"
    figure.update_yaxes(title={"text": title, "standoff": 16}, **grid)
    return figure
