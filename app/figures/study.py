"""A study's figures on the page: gain over the uplink, how gains are distributed, and load curves."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, log10

import plotly.graph_objects as go

from app.figures.strategy_style import modebar, strategy_style
from app.figures.style import LIGHT, Theme, new_figure
from app.text import in_chart
from decc_core.pictures import PALETTE
from decc_core.printed.study import NETWORK_COLOURS
from decc_core.study.findings import BEST_BASELINE, Curves, Line
from decc_core.text import gain_text

SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "x", "star", "cross", "hexagon", "pentagon")
EDGE = 0.03
"""Room beyond the outermost values of a logarithmic axis, in decades."""


def draw_gains(lines: Sequence[Line], strategy: str, theme: Theme, height: int = 380) -> go.Figure:
    """A line for each network over the uplink's rate; both axes logarithmic, 1 is no gain."""
    figure = new_figure(
        theme, height, f"Gain of {strategy} over {BEST_BASELINE} over the uplink's rate, {len(lines)} networks.",
        hovermode="closest", modebar=modebar(theme),
    )  # fmt: skip
    for place, line in enumerate(lines):
        light, dark, _ = PALETTE[NETWORK_COLOURS[place % len(NETWORK_COLOURS)]]
        colour, name = light if theme is LIGHT else dark, in_chart(line.name)
        figure.add_trace(
            go.Scatter(
                x=line.xs,
                y=line.ys,
                mode="lines+markers",
                name=name,
                line={"color": colour, "width": 2, "dash": "solid" if place < len(NETWORK_COLOURS) else "dash"},
                marker={"size": 7, "symbol": SYMBOLS[place % len(SYMBOLS)]},
                customdata=[gain_text(y) for y in line.ys],
                hovertemplate=f"<b>{name}</b><br>%{{x:g}} Mbit/s: %{{customdata}}<extra></extra>",
            )
        )
    figure.add_hline(y=1, line={"color": theme.line, "width": 1.5})
    grid = {"gridcolor": theme.grid, "zeroline": False, "automargin": True}
    figure.update_xaxes(title={"text": "uplink (Mbit/s)", "standoff": 6}, type="log", dtick="D2", **grid)
    figure.update_yaxes(title={"text": f"gain of {in_chart(strategy)} (×)", "standoff": 6}, type="log", **grid)
    _range_y(figure, [y for line in lines for y in line.ys])
    return figure


def draw_distribution(lines: Sequence[Line], strategy: str, theme: Theme, height: int = 380) -> go.Figure:
    """At which share of the points the gain over each baseline is at most so large."""
    figure = new_figure(
        theme, height, f"Share of points at which the gain of {strategy} over a baseline is at most so large.",
        hovermode="closest", modebar=modebar(theme),
    )  # fmt: skip
    for line in lines:
        best = line.name == BEST_BASELINE
        style = strategy_style(line.name)
        look = {"color": theme.text, "width": 4} if best else {"color": style.colour(theme), "dash": style.dash}
        name = in_chart(line.name)
        figure.add_trace(
            go.Scatter(
                x=(line.xs[0], *line.xs),
                y=(0, *(100 * y for y in line.ys)),
                mode="lines",
                name=f"over {name}",
                line={"shape": "hv", **look},
                hovertemplate=f"<b>over {name}</b><br>at most %{{x:.3f}}× at %{{y:.0f}} % of the points<extra></extra>",
            )
        )
    figure.add_vline(x=1, line={"color": theme.line, "width": 1.5})
    grid = {"gridcolor": theme.grid, "zeroline": False, "automargin": True}
    figure.update_xaxes(
        title={"text": f"gain of {in_chart(strategy)} (×)", "standoff": 6}, type="log", dtick="D2", **grid
    )
    figure.update_yaxes(title={"text": "points (%)", "standoff": 6}, range=[0, 101], **grid)
    return figure


def draw_curves(curves: Curves, theme: Theme, height: int = 340) -> go.Figure:
    """Latency over rate of every policy under the same conditions; dashed are deadline and capacity."""
    figure = new_figure(
        theme, height, f"Latency over requests per second, {len(curves.lines)} policies.", hovermode="closest",
        modebar=modebar(theme),
    )  # fmt: skip
    for line in curves.lines:
        style, name = strategy_style(line.name), in_chart(line.name)
        figure.add_trace(
            go.Scatter(
                x=line.xs,
                y=[1e3 * y for y in line.ys],
                mode="lines+markers",
                name=name,
                line={"color": style.colour(theme), "width": 4 if line.name == "decc" else 1.8, "dash": style.dash},
                hovertemplate=f"<b>{name}</b><br>%{{x:.3g}} requests/s: %{{y:.3g}} ms<extra></extra>",
            )
        )
    dashed = {"color": theme.bound, "width": 1.5, "dash": "dash"}
    if curves.deadline_s is not None:
        figure.add_hline(y=1e3 * curves.deadline_s, line=dashed)
    if curves.capacity_rps is not None and isfinite(curves.capacity_rps):
        figure.add_vline(x=curves.capacity_rps, line=dashed)
    grid = {"gridcolor": theme.grid, "zeroline": False, "automargin": True}
    figure.update_xaxes(title={"text": "requests per second", "standoff": 6}, rangemode="tozero", **grid)
    figure.update_yaxes(
        title={"text": f"{curves.percentile:g}th percentile of latency (ms)", "standoff": 6}, type="log", **grid
    )
    return figure


def _range_y(figure: go.Figure, values: Sequence[float]) -> None:
    """Around all values and 1, so that gains that hardly differ do not fill the height."""
    known = [value for value in values if isfinite(value) and value > 0]
    low, high = min([*known, 0.98]), max([*known, 1.25])
    figure.update_yaxes(range=[log10(low) - EDGE, log10(high) + EDGE], dtick="D1" if high > 3 * low else None)
