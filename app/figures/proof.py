"""How a proof goes on: the best plan and the best bound known, against time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from app.figures.style import Theme, new_figure
from decc_core.network.work import Resource
from decc_core.pictures import COLOURS
from decc_core.problem.link import NS_PER_S
from decc_core.text import time_unit


class Known(NamedTuple):
    """What was known from this time of the proof on."""

    elapsed_s: float
    best_s: float
    bound_s: float


def proof_rows(
    points: Sequence[tuple[float, float, float]], start_best_ns: int, start_bound_ns: int, elapsed_s: float
) -> tuple[Known, ...]:
    """From decc's own plan and bound to now; the best never rises and the bound never falls."""
    rows = [Known(0.0, start_best_ns / NS_PER_S, start_bound_ns / NS_PER_S)]
    for at, best, bound in points:
        rows.append(Known(at, min(best, rows[-1].best_s), max(bound, rows[-1].bound_s)))
    return (*rows, Known(max(elapsed_s, rows[-1].elapsed_s), rows[-1].best_s, rows[-1].bound_s))


def draw_proof(rows: Sequence[Known], title: str, theme: Theme, height: int = 240) -> go.Figure:
    """Two steps that close in on each other; where they meet, the plan is proven optimal."""
    ns_per_unit, unit = time_unit(rows[0].best_s * NS_PER_S)
    label = f"Best plan found and proven lower bound of the {title} against the time of the proof"
    figure = new_figure(theme, height, label, hovermode="x unified")
    for name, values, colour, dash in (
        ("best plan found", [row.best_s for row in rows], COLOURS[Resource.EDGE], "solid"),
        ("proven lower bound", [row.bound_s for row in rows], theme.bound, "dash"),
    ):
        figure.add_trace(
            go.Scatter(
                x=[row.elapsed_s for row in rows],
                y=[value * NS_PER_S / ns_per_unit for value in values],
                name=name,
                mode="lines",
                line={"color": colour, "width": 2.5, "dash": dash, "shape": "hv"},
                hovertemplate=f"%{{y:.4g}} {unit}",
            )
        )
    figure.update_xaxes(title={"text": "time of the proof (s)", "standoff": 6}, gridcolor=theme.grid, automargin=True)
    figure.update_yaxes(title=f"{title} ({unit})", gridcolor=theme.grid, automargin=True, zeroline=False)
    return figure
