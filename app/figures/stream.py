"""A live stream: latencies as measured and as simulated, of the same arrivals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from app.figures.strategy_style import modebar, strategy_style
from app.figures.style import Theme, new_figure
from decc_core.network.arrays import Ints
from decc_core.runtime.controller.stream_report import StreamReport
from decc_core.text import duration, time_unit

POINTS = 401
"""Of a line; so many quantiles are drawn, however many requests there are."""


@dataclass(frozen=True, eq=False)
class LatencyLine:
    """The latencies of one policy's requests, measured or simulated."""

    policy: str
    measured: bool
    latency_ns: Ints


def latency_lines(reports: Sequence[StreamReport]) -> tuple[LatencyLine, ...]:
    """Two lines for each policy, of the same requests; none where no request was finished."""
    lines = []
    for report in reports:
        for served, measured in ((report.measured, True), (report.simulated, False)):
            if served is not None:
                lines.append(LatencyLine(report.policy, measured, served.latency_ns))
    return tuple(lines)


def draw_latency_lines(lines: Sequence[LatencyLine], deadline_ns: int, theme: Theme, height: int = 320) -> go.Figure:
    """The share of requests that is finished within a latency: measured as a line, simulated as dots below it."""
    longest_ns = max((int(line.latency_ns.max()) for line in lines), default=1)
    ns_per_unit, unit = time_unit(longest_ns)
    label = "The share of requests that is finished within a latency, measured and simulated, for each policy."
    figure = new_figure(theme, height, label, hovermode="closest", modebar=modebar(theme))
    shares = np.linspace(0, 1, POINTS)
    for line in lines:
        colour = strategy_style(line.policy).colour(theme)
        how = "measured" if line.measured else "simulated"
        at_ns = np.quantile(line.latency_ns, shares, method="higher")
        figure.add_trace(
            go.Scatter(
                x=at_ns / ns_per_unit,
                y=100 * shares,
                mode="lines",
                name=f"{line.policy}, {how}",
                line={"color": colour, "width": 2.5, "dash": "solid" if line.measured else "dot"},
                customdata=[duration(time_ns) for time_ns in at_ns],
                hovertemplate=f"<b>{line.policy}, {how}</b><br>%{{y:.1f}} % within %{{customdata}}<extra></extra>",
            )
        )
    figure.add_vline(x=deadline_ns / ns_per_unit, line={"color": theme.bound, "width": 1.5, "dash": "dash"})
    figure.add_annotation(
        x=deadline_ns / ns_per_unit, y=0, yref="paper", text=f" deadline {duration(deadline_ns)}", showarrow=False,
        xanchor="left", yanchor="bottom", font={"color": theme.bound, "size": 12},
    )  # fmt: skip
    grid = {"gridcolor": theme.grid, "zeroline": False, "automargin": True}
    shown_ns = max(1.1 * deadline_ns, 1.02 * longest_ns)
    figure.update_xaxes(title={"text": f"latency ({unit})", "standoff": 6}, range=[0, shown_ns / ns_per_unit], **grid)
    figure.update_yaxes(title={"text": "requests finished (%)", "standoff": 6}, range=[0, 101], **grid)
    return figure
