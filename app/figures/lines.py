"""Every strategy over the uplink's rate, and the rates at which the best one changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import floor, log10

import plotly.graph_objects as go

from app.figures.strategy_style import modebar, strategy_style
from app.figures.style import Theme, new_figure
from decc_core.planner.strategies import STRATEGIES
from decc_core.problem.link import BPS_PER_MBPS, NS_PER_S
from decc_core.study.crossover import Crossover
from decc_core.study.sweep import Cell
from decc_core.text import duration, rate_text, time_unit, written

MANY_LABELS = 4
"""With more crossovers than this their labels say only the rate; all stands in the table below."""
LABEL_ROWS = 4


@dataclass(frozen=True)
class StrategyLine:
    """One strategy: rates in Mbit/s and its objective at each."""

    strategy: str
    rates_mbps: tuple[float, ...]
    objective_ns: tuple[int, ...]


def strategy_lines(
    cells: Iterable[Cell],
    crossings: Sequence[Crossover],
    present_mbps: float,
    title: str,
    theme: Theme,
    ends_mbps: tuple[float, float],
) -> go.Figure:
    """Every strategy over the rate, from cells of one edge speed."""
    return draw_lines(line_rows(cells), crossings, present_mbps, title, theme, ends_mbps)


def line_rows(cells: Iterable[Cell]) -> tuple[StrategyLine, ...]:
    """A line for each strategy that has a plan somewhere, the simplest first; all cells have one edge speed."""
    ordered = sorted(cells, key=lambda cell: cell.uplink_bps)
    lines = []
    for strategy in STRATEGIES:
        mine = [cell for cell in ordered if strategy in cell.objective_ns]
        if mine:
            rates = tuple(cell.uplink_bps / BPS_PER_MBPS for cell in mine)
            lines.append(StrategyLine(strategy, rates, tuple(cell.objective_ns[strategy] for cell in mine)))
    return tuple(lines)


def crossover_text(crossover: Crossover) -> str:
    return f"{rate_text(float(f'{crossover.uplink_bps / BPS_PER_MBPS:.3g}'))}: {crossover.before} → {crossover.after}"


def draw_lines(
    lines: Sequence[StrategyLine],
    crossings: Sequence[Crossover],
    present_mbps: float,
    title: str,
    theme: Theme,
    ends_mbps: tuple[float, float] | None = None,
    height: int = 400,
) -> go.Figure:
    """Both axes logarithmic; lower is better; decc is the thick line, and a diamond marks each change of the winner."""
    values = [value for line in lines for value in line.objective_ns if value > 0]
    ns_per_unit, unit = time_unit(min(values, default=NS_PER_S))
    label = f"{title.capitalize()} of every strategy against the uplink's rate, both logarithmic"
    figure = new_figure(theme, height, label, hovermode="closest", modebar=modebar(theme))
    winners = {strategy for crossing in crossings for strategy in (crossing.before, crossing.after)}
    for line in lines:
        figure.add_trace(_trace(line, ns_per_unit, line.strategy in winners or line.strategy == "decc", theme))
    figure.add_trace(_markers(crossings, ns_per_unit, theme))
    _mark_present(figure, present_mbps, theme)
    _label(figure, crossings, theme)
    grid = {"gridcolor": theme.grid, "zeroline": False, "automargin": True, "type": "log"}
    # While lines grow, the axis stays.
    rates = ends_mbps or [rate for line in lines for rate in line.rates_mbps] or [present_mbps]
    ends = [log10(min(rates)), log10(max(rates))]
    figure.update_xaxes(title={"text": "uplink (Mbit/s)", "standoff": 6}, range=ends, **ticks(rates), **grid)
    figure.update_yaxes(
        title={"text": f"{title} ({unit})", "standoff": 6}, **ticks([value / ns_per_unit for value in values]), **grid
    )
    return figure


def ticks(values: Sequence[float]) -> dict[str, object]:
    """Round numbers in a 1, 2, 5 rhythm, without powers or prefixes; fewer where the range is wide."""
    if not values:
        return {}
    low, high = floor(log10(min(values))), floor(log10(max(values))) + 1
    steps = (1, 2, 5) if high - low <= 4 else (1,)
    marks = [step * 10.0**decade for decade in range(low, high + 1) for step in steps]
    return {"tickvals": marks, "ticktext": [f"{tick:,.10g} " for tick in marks]}


def _trace(line: StrategyLine, ns_per_unit: float, stressed: bool, theme: Theme) -> go.Scatter:
    width = 5 if line.strategy == "decc" else 3 if stressed else 1.5
    style = strategy_style(line.strategy)
    return go.Scatter(
        x=line.rates_mbps,
        y=[value / ns_per_unit for value in line.objective_ns],
        mode="lines",
        name=line.strategy,
        line={"color": style.colour(theme), "width": width, "dash": style.dash},
        opacity=0.55 if line.strategy == "decc" else 1.0,
        customdata=[duration(value) for value in line.objective_ns],
        hovertemplate=f"<b>{line.strategy}</b><br>%{{x:.4g}} Mbit/s: %{{customdata}}<extra></extra>",
    )


def _markers(crossings: Sequence[Crossover], ns_per_unit: float, theme: Theme) -> go.Scatter:
    return go.Scatter(
        x=[crossing.uplink_bps / BPS_PER_MBPS for crossing in crossings],
        y=[(crossing.low.best_ns + crossing.high.best_ns) / 2 / ns_per_unit for crossing in crossings],
        mode="markers",
        name="crossover",
        showlegend=bool(crossings),
        marker={"symbol": "diamond", "size": 12, "color": theme.page, "line": {"color": theme.bound, "width": 2.5}},
        customdata=[crossover_text(crossing) for crossing in crossings],
        hovertemplate="<b>crossover</b><br>%{customdata}<extra></extra>",
    )


def _mark_present(figure: go.Figure, present_mbps: float, theme: Theme) -> None:
    figure.add_vline(x=present_mbps, line={"color": theme.text, "width": 1.5})
    # On a logarithmic axis an annotation stands at the logarithm.
    figure.add_annotation(
        x=log10(present_mbps),
        y=0,
        yref="paper",
        text="your scenario",
        textangle=-90,
        font={"color": theme.text, "size": 12},
        showarrow=False,
        xanchor="right",
        yanchor="bottom",
    )


def _label(figure: go.Figure, crossings: Sequence[Crossover], theme: Theme) -> None:
    """The rate of each crossover at the top, a thin line down to it."""
    for i, crossing in enumerate(crossings):
        rate = crossing.uplink_bps / BPS_PER_MBPS
        figure.add_vline(x=rate, line={"color": theme.bound, "width": 1, "dash": "dot"}, layer="below")
        figure.add_annotation(
            x=log10(rate),
            y=1 - 0.07 * (i % LABEL_ROWS),
            yref="paper",
            text=f" {crossover_text(crossing)}" if len(crossings) <= MANY_LABELS else f" {written(rate, 3)}",
            font={"color": theme.bound, "size": 12},
            showarrow=False,
            xanchor="left",
            yanchor="top",
        )
