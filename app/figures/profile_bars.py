"""Times per layer on both devices, in the network's order, over the ratio between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.figures.style import Theme, new_figure
from app.text import in_chart
from decc_core.network.graph import LayerGraph
from decc_core.network.work import Resource
from decc_core.pictures import COLOURS, channels
from decc_core.problem.link import NS_PER_S
from decc_core.problem.profile import DeviceProfile
from decc_core.profiling.layer_times import GroupBy, LayerTimes, layer_times, overall_ratio
from decc_core.text import duration_s, three_digits, time_unit

MANY_ROWS = 80
"""More rows than this are drawn as lines: bars would be thinner than a pixel or two."""
MANY_LABELS = 26
LABEL_LETTERS = 18
HEIGHT = 440
RATIO_COLOUR = "#7A5BA8"
"""Neither of the resources' colours, and readable on both pages."""
FEW_DECADES = 1.5
"""Ratios within so many decades have room for ticks between the powers of ten."""


@dataclass(frozen=True)
class TimeBar:
    """What is drawn for one layer or group."""

    times: LayerTimes
    label: str

    def of(self, resource: Resource) -> float:
        return self.times.edge_s if resource is Resource.EDGE else self.times.cloud_s

    def above(self, resource: Resource) -> float:
        """From the median up to the 95th percentile; 0 for a group."""
        p95_s = self.times.edge_p95_s if resource is Resource.EDGE else self.times.cloud_p95_s
        return max(0.0, p95_s - self.of(resource)) if p95_s is not None else 0.0


def times(
    graph: LayerGraph, edge: DeviceProfile, cloud: DeviceProfile, by: GroupBy, log: bool, theme: Theme
) -> go.Figure:
    """The times of every layer or group on both devices."""
    return draw_times(time_rows(graph, edge, cloud, by), log, theme)


def time_rows(graph: LayerGraph, edge: DeviceProfile, cloud: DeviceProfile, by: GroupBy) -> tuple[TimeBar, ...]:
    """One bar for each layer or group, in the network's order."""
    rows = []
    for row in layer_times(graph, edge, cloud, by):
        title = row.title.removeprefix("network.").removeprefix("aten.").removesuffix(".default") or "(whole)"
        # The end of a long name says more than its beginning.
        rows.append(TimeBar(row, title if len(title) <= LABEL_LETTERS else f"…{title[-LABEL_LETTERS:]}"))
    return tuple(rows)


def draw_times(rows: Sequence[TimeBar], log: bool, theme: Theme) -> go.Figure:
    """Edge and cloud time above, their ratio below, on one axis of layers.

    Few rows are paired bars with whiskers up to the 95th percentile, many are lines with a band.
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.64, 0.36], vertical_spacing=0.04)
    label = "Time of every layer on the edge and in the cloud, and below it how many times slower the edge is"
    figure.update_layout(new_figure(theme, HEIGHT, label, barmode="group", bargap=0.25, bargroupgap=0.05).layout)
    figure.update_layout(legend_traceorder="normal")
    longest_s = max((max(row.of(Resource.EDGE), row.of(Resource.CLOUD)) for row in rows), default=1e-3)
    ns_per_unit, unit = time_unit(longest_s * NS_PER_S)
    length_s = ns_per_unit / NS_PER_S
    for resource in (Resource.EDGE, Resource.CLOUD):
        for trace in _lines(rows, resource, length_s) if len(rows) > MANY_ROWS else _bars(rows, resource, length_s):
            figure.add_trace(trace, row=1, col=1)
    for trace in (_ratios(rows), *_overall(rows, theme)):
        figure.add_trace(trace, row=2, col=1)
    _frame(figure, rows, log, unit, theme)
    return figure


def _bars(rows: Sequence[TimeBar], resource: Resource, length_s: float) -> list[go.Bar]:
    return [
        go.Bar(
            x=list(range(len(rows))),
            y=[row.of(resource) / length_s for row in rows],
            name=resource.value,
            marker={
                "color": COLOURS[resource],
                # Hatching says the same as colour.
                "pattern": {
                    "shape": "" if resource is Resource.EDGE else "/",
                    "fillmode": "overlay",
                    "fgcolor": "#FFFFFF",
                    "fgopacity": 0.55,
                    "solidity": 0.2,
                    "size": 5,
                },
            },
            error_y={
                "visible": any(row.above(resource) for row in rows),
                "type": "data",
                "array": [row.above(resource) / length_s for row in rows],
                "arrayminus": [0.0] * len(rows),
                "symmetric": False,
                "thickness": 1,
                "width": 2,
                "color": COLOURS[resource],
            },
            customdata=[_hover(row) for row in rows],
            hovertemplate="%{customdata}<extra></extra>",
        )
    ]


def _lines(rows: Sequence[TimeBar], resource: Resource, length_s: float) -> list[go.Scatter]:
    """The medians as a step line, with a faint band up to the 95th percentile."""
    xs = list(range(len(rows)))
    medians = [row.of(resource) / length_s for row in rows]
    upper = [(row.of(resource) + row.above(resource)) / length_s for row in rows]
    line = {
        "color": COLOURS[resource],
        "width": 1.5,
        "shape": "hvh",
        "dash": "solid" if resource is Resource.EDGE else "dot",
    }
    return [
        go.Scatter(
            x=xs,
            y=medians,
            mode="lines",
            name=resource.value,
            line=line,
            customdata=[_hover(row) for row in rows],
            hovertemplate="%{customdata}<extra></extra>",
        ),
        go.Scatter(
            x=xs,
            y=upper,
            mode="lines",
            line={"width": 0, "shape": "hvh"},
            fill="tonexty",
            fillcolor=f"rgba{(*channels(COLOURS[resource]), 0.22)}",
            hoverinfo="skip",
            showlegend=False,
        ),
    ]


def _ratios(rows: Sequence[TimeBar]) -> go.Scatter:
    return go.Scatter(
        x=list(range(len(rows))),
        y=[row.times.ratio for row in rows],
        mode="lines+markers" if len(rows) <= MANY_ROWS else "lines",
        line={"color": RATIO_COLOUR, "width": 1.5, "shape": "hvh"},
        marker={"size": 5},
        name="edge time over cloud time",
        customdata=[_hover(row) for row in rows],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _frame(figure: go.Figure, rows: Sequence[TimeBar], log: bool, unit: str, theme: Theme) -> None:
    kind = "log" if log else "linear"
    # Plotly would write powers of ten as 1m and 10µ, units of its own beside ours.
    figure.update_yaxes(gridcolor=theme.grid, zeroline=False, automargin=True, exponentformat="none")
    figure.update_yaxes(title={"text": f"time ({unit})"}, type=kind, row=1, col=1)
    figure.update_yaxes(title={"text": "ratio (×)"}, type="log", tickvals=_ratio_ticks(rows), row=2, col=1)
    if not log:
        figure.update_yaxes(rangemode="tozero", row=1, col=1)
    every = max(1, -(-len(rows) // MANY_LABELS))
    shown = list(range(0, len(rows), every))
    figure.update_xaxes(showgrid=False, zeroline=False, showticklabels=False, row=1, col=1)
    figure.update_xaxes(
        tickvals=shown,
        ticktext=[in_chart(rows[i].label) for i in shown],
        tickangle=-45,
        tickfont={"size": 11, "color": theme.muted},
        showgrid=False,
        zeroline=False,
        automargin=True,
        row=2,
        col=1,
    )


def _ratio_ticks(rows: Sequence[TimeBar]) -> list[float]:
    """Round numbers, fewer where the ratios are far apart."""
    ratios = [row.times.ratio for row in rows if row.times.ratio]
    spread = log10(max(ratios) / min(ratios)) if ratios else 0.0
    return [step * 10.0**decade for decade in range(-6, 7) for step in ((1, 2, 5) if spread < FEW_DECADES else (1,))]


def _overall(rows: Sequence[TimeBar], theme: Theme) -> list[go.Scatter]:
    """The ratio of the whole network as a dashed line."""
    overall = overall_ratio([row.times for row in rows])
    if not overall:
        return []
    return [
        go.Scatter(
            x=[-0.5, len(rows) - 0.5],
            y=[overall, overall],
            mode="lines",
            line={"color": theme.muted, "width": 1.2, "dash": "dash"},
            name=f"whole network: {three_digits(overall)}×",
            hoverinfo="skip",
        )
    ]


def _hover(row: TimeBar) -> str:
    times = row.times
    where = f"{times.layers} layers" if times.layers > 1 else f"{times.operator}, in {times.module_path}"
    lines = [f"<b>{in_chart(times.title)}</b>", in_chart(where)]
    for name, median_s, p95_s in (
        ("edge", times.edge_s, times.edge_p95_s),
        ("cloud", times.cloud_s, times.cloud_p95_s),
    ):
        lines.append(f"{name} {duration_s(median_s)}" + (f", 95th percentile {duration_s(p95_s)}" if p95_s else ""))
    if times.ratio is not None:
        lines.append(f"ratio {three_digits(times.ratio)}×")
    return "<br>".join(lines)
