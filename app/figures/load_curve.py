"""Latency over rate for every policy, and one policy at one rate: its latencies, its queue, and who took which cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from app.figures.lines import ticks
from app.figures.strategy_style import modebar, strategy_style
from app.figures.style import Theme, new_figure
from decc_core.problem.link import NS_PER_S
from decc_core.streams.load import Closely, Row
from decc_core.text import duration, time_unit

MOST_POINTS = 800
"""Of a queue over time so many points are drawn, each the longest of its stretch."""
MOST_TICKS = 8
"""An axis up to this number has a tick at every one."""


@dataclass(frozen=True)
class PolicyLine:
    """One policy: the rates at which its percentile is known, and the percentile at each."""

    policy: str
    rates_hz: tuple[float, ...]
    latency_s: tuple[float, ...]


def load_rows(rows: Sequence[Row], percentile: float) -> tuple[PolicyLine, ...]:
    """A line for each policy; it ends where the queues grow or too few requests tell the percentile."""
    key, lines = f"p{percentile:g}_s", []
    for policy in dict.fromkeys(str(row["policy"]) for row in rows):
        mine = sorted(
            (float(row["rate_rps"] or 0), row[key])
            for row in rows
            if row["policy"] == policy and not row["grows"] and isinstance(row[key], float)
        )
        if mine:
            lines.append(PolicyLine(policy, *map(tuple, zip(*mine, strict=True))))
    return tuple(lines)


def draw_load(
    lines: Sequence[PolicyLine],
    percentile: float,
    deadline_ns: int,
    least_ns: int,
    capacity_hz: float,
    theme: Theme,
    chosen_hz: float | None = None,
    height: int = 420,
) -> go.Figure:
    """Latency on a logarithmic axis; dashed lines are what no policy can beat, and the deadline."""
    ns_per_unit, unit = time_unit(least_ns)
    label = f"Latency over requests per second, {len(lines)} policies, with the deadline and what no policy can beat."
    figure = new_figure(theme, height, label, hovermode="closest", modebar=modebar(theme))
    for line in lines:
        style = strategy_style(line.policy)
        figure.add_trace(
            go.Scatter(
                x=line.rates_hz,
                y=[s * NS_PER_S / ns_per_unit for s in line.latency_s],
                mode="lines+markers",
                name=line.policy,
                line={"color": style.colour(theme), "width": 5 if line.policy == "decc" else 1.8, "dash": style.dash},
                marker={"size": 5},
                customdata=[duration(s * NS_PER_S) for s in line.latency_s],
                hovertemplate=f"<b>{line.policy}</b><br>%{{x:.3g}} requests/s: %{{customdata}}<extra></extra>",
            )
        )
    # What is far above the deadline matters to nobody; where nothing keeps it, the best is seen all the same.
    lowest_s = min((latency for line in lines for latency in line.latency_s), default=0.0)
    top = max(4 * deadline_ns, 3 * lowest_s * NS_PER_S) / ns_per_unit
    for at, text in ((deadline_ns, "deadline"), (least_ns, "no request is faster")):
        figure.add_hline(y=at / ns_per_unit, line={"color": theme.bound, "width": 1.5, "dash": "dash"})
        figure.add_annotation(
            x=0, xref="paper", y=np.log10(at / ns_per_unit), text=f" {text}: {duration(at)}", showarrow=False,
            xanchor="left", yanchor="bottom", font={"color": theme.bound, "size": 12}, bgcolor=theme.page,
        )  # fmt: skip
    figure.add_vline(x=capacity_hz, line={"color": theme.bound, "width": 2, "dash": "dash"})
    figure.add_annotation(
        x=capacity_hz, y=1, yref="paper", text=f"no policy sustains more: {capacity_hz:.3g}/s ", showarrow=False,
        xanchor="right", yanchor="top", font={"color": theme.bound, "size": 12}, bgcolor=theme.page,
    )  # fmt: skip
    if chosen_hz is not None:
        figure.add_vline(x=chosen_hz, line={"color": theme.text, "width": 1.5})
    grid = {"gridcolor": theme.grid, "zeroline": False, "automargin": True}
    figure.update_xaxes(title={"text": "requests per second, all sources", "standoff": 6}, **grid)
    figure.update_xaxes(range=[0, 1.04 * capacity_hz])
    low = 0.8 * least_ns / ns_per_unit
    top = max(top, 2.5 * low)
    figure.update_yaxes(
        title={"text": f"{percentile:g}th percentile of latency ({unit})", "standoff": 6}, type="log",
        range=[np.log10(low), np.log10(top)], **ticks((low, top)), **grid,
    )  # fmt: skip
    return figure


def draw_latencies(found: Closely, deadline_ns: int, theme: Theme, height: int = 240) -> go.Figure:
    """The share of requests that is finished within a latency."""
    ns_per_unit, unit = time_unit(int(np.median(found.latency_ns)))
    shares = np.linspace(0, 1, 401)
    at = np.quantile(found.latency_ns, shares) / ns_per_unit
    figure = new_figure(theme, height, "The share of requests that is finished within a latency.", showlegend=False)
    figure.add_trace(
        go.Scatter(
            x=at, y=100 * shares, mode="lines", line={"color": strategy_style("decc").colour(theme), "width": 3},
            hovertemplate=f"%{{y:.1f}} % within %{{x:.4g}} {unit}<extra></extra>",
        )
    )  # fmt: skip
    figure.add_vline(x=deadline_ns / ns_per_unit, line={"color": theme.bound, "width": 1.5, "dash": "dash"})
    grid = {"gridcolor": theme.grid, "zeroline": False, "automargin": True}
    figure.update_xaxes(title={"text": f"latency ({unit})", "standoff": 6}, rangemode="tozero", **grid)
    figure.update_yaxes(title={"text": "requests finished (%)", "standoff": 6}, range=[0, 101], **grid)
    return figure


def draw_queue(found: Closely, theme: Theme, height: int = 240, most: int | None = None) -> go.Figure:
    """How many requests are in the system over time; of many points the highest of each stretch.

    The axis goes up to `most`, where it is given, so that several such figures can be compared.
    """
    step = max(1, len(found.in_system) // MOST_POINTS)
    cut = len(found.in_system) // step * step
    there = found.in_system[:cut].reshape(-1, step).max(axis=1)
    times = found.changes_ns[:cut].reshape(-1, step)[:, 0] / NS_PER_S
    figure = new_figure(theme, height, "How many requests are in the system over time.", showlegend=False)
    figure.add_trace(
        go.Scatter(
            x=times, y=there, mode="lines",
            line={"color": strategy_style("decc").colour(theme), "width": 1.5, "shape": "hv"},
            hovertemplate="%{x:.4g} s: %{y} requests<extra></extra>",
        )
    )  # fmt: skip
    highest = most if most is not None else int(there.max(initial=1))
    whole = {"dtick": 1} if highest <= MOST_TICKS else {}
    grid = {"gridcolor": theme.grid, "zeroline": False, "automargin": True}
    figure.update_xaxes(title={"text": "time (s)", "standoff": 6}, **grid)
    figure.update_yaxes(
        title={"text": "requests in the system", "standoff": 6}, range=(0, 1.06 * highest), **grid, **whole
    )
    return figure
