"""Bytes that cross over the depth of a network, one line for each format, and what the formats do to the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from app.figures.lines import ticks
from app.figures.strategy_style import PALETTE, modebar
from app.figures.style import LIGHT, Theme, new_figure
from app.text import in_chart, shortened
from decc_core.network.graph import LayerGraph
from decc_core.network.work import Resource
from decc_core.pictures import COLOURS
from decc_core.study.depth import Depths, WireLine
from decc_core.text import bytes_text, counted, size_unit

LOOKS = ("indigo", "teal", "rose", "olive", "cyan", "purple", "green", "wine", "sand")
"""Colours and dashes of formats, the first for the first one; they repeat after so many."""
LETTERS = 48
MANY_DEPTHS = 150
"""Of more, only those get a mark at which a single tensor crosses."""


@dataclass(frozen=True)
class CutMark:
    """Where a plan cuts: how many computing layers are on the edge, the bytes that cross, and for how many requests."""

    depth: int
    size_bytes: int
    requests: int
    alone: bool
    """Whether all requests are cut so."""

    @property
    def text(self) -> str:
        many = "" if self.alone else f", {counted(self.requests, 'request')}"
        return f"the plan's cut{many}"


def look(place: int, theme: Theme, used: bool = False) -> tuple[str, str]:
    """Colour and dash of the format at this place of the legend; of what is planned with, those of the uplink."""
    if used:
        return COLOURS[Resource.UPLINK], "solid"
    on_light, on_dark, dash = PALETTE[LOOKS[place % len(LOOKS)]]
    return on_light if theme is LIGHT else on_dark, dash


def draw_bytes(
    graph: LayerGraph,
    depths: Depths,
    lines: Sequence[WireLine],
    cuts: Sequence[CutMark],
    used: str,
    theme: Theme,
    height: int = 400,
) -> go.Figure:
    """A logarithmic axis of bytes; what is planned with is the thick line, diamonds are the plan's cuts."""
    values = [size for line in lines for size in line.size_bytes if size] + [cut.size_bytes for cut in cuts]
    per_unit, unit = size_unit(max((value for value in values), default=1.0))
    label = f"Bytes that cross at every depth of the network, {len(lines)} formats, with the plan's cuts."
    figure = new_figure(theme, height, label, hovermode="closest", modebar=modebar(theme))
    titles = _titles(graph, depths)
    for place, line in enumerate(lines):
        colour, dash = look(place, theme, line.wire == used)
        many = sum(size is not None for size in line.size_bytes)
        figure.add_trace(
            go.Scatter(
                x=list(range(len(depths))),
                y=[size / per_unit if size else None for size in line.size_bytes],
                mode="markers" if many == 1 else "lines+markers",
                name=in_chart(line.wire),
                line={"color": colour, "width": 7 if line.wire == used else 1.8, "dash": dash},
                opacity=0.55 if line.wire == used else 1.0,
                marker={"size": _marks(depths, many), "color": colour},
                customdata=[
                    f"{title}<br>{counted(crossing, 'tensor')}: {bytes_text(round(size or 0))}"
                    for title, crossing, size in zip(titles, depths.crossing, line.size_bytes, strict=True)
                ],
                hovertemplate=f"<b>{in_chart(line.wire)}</b><br>%{{customdata}}<extra></extra>",
            )
        )
        if many == 1 and len(depths) > 1:
            # A format of the input alone: how much its features would have to be smaller than.
            figure.add_hline(
                y=next(size for size in line.size_bytes if size) / per_unit,
                line={"color": colour, "width": 1, "dash": "dot"}, layer="below",
            )  # fmt: skip
    _mark_cuts(figure, cuts, per_unit, theme)
    _axes(figure, depths, theme)
    figure.update_yaxes(
        title={"text": f"bytes that cross ({unit})", "standoff": 6}, type="log", gridcolor=theme.grid, zeroline=False,
        automargin=True, **ticks([value / per_unit for value in values if value > 0]),
    )  # fmt: skip
    return figure


def draw_agreement(
    graph: LayerGraph,
    depths: Depths,
    lines: Sequence[WireLine],
    least: float | None,
    theme: Theme,
    used: str = "",
    height: int = 260,
) -> go.Figure:
    """The share of images whose outputs stay as they are, where it was measured; dashed is what is asked for."""
    label = "Agreement with the outputs of uncoded tensors at every depth of the network, by format."
    figure = new_figure(theme, height, label, hovermode="closest", modebar=modebar(theme))
    titles = _titles(graph, depths)
    lowest = 1.0
    for place, line in enumerate(lines):
        if all(agreed is None for agreed in line.agreement):
            continue
        colour, dash = look(place, theme, line.wire == used)
        lowest = min([lowest, *(agreed for agreed in line.agreement if agreed is not None)])
        many = sum(agreed is not None for agreed in line.agreement)
        figure.add_trace(
            go.Scatter(
                x=list(range(len(depths))),
                y=[None if agreed is None else 100 * agreed for agreed in line.agreement],
                mode="markers" if many == 1 else "lines+markers",
                name=in_chart(line.wire),
                line={"color": colour, "width": 7 if line.wire == used else 1.8, "dash": dash},
                opacity=0.55 if line.wire == used else 1.0,
                marker={"size": _marks(depths, many), "color": colour},
                customdata=titles,
                hovertemplate=f"<b>{in_chart(line.wire)}</b><br>%{{customdata}}<br>%{{y:.4g}} % agree<extra></extra>",
            )
        )
    if least is not None:
        lowest = min(lowest, least)
        figure.add_hline(y=100 * least, line={"color": theme.bound, "width": 1.5, "dash": "dash"})
    _axes(figure, depths, theme)
    grid = {"gridcolor": theme.grid, "zeroline": False, "automargin": True}
    below = max(0.0, 100 * lowest - 5)
    figure.update_yaxes(title={"text": "agreement (%)", "standoff": 6}, range=[below, 101.5], **grid)
    return figure


def _titles(graph: LayerGraph, depths: Depths) -> list[str]:
    """The last layer on the edge, as hover text."""
    names = [in_chart(shortened(graph.titles[layer], LETTERS)) for layer in depths.last_layer]
    return ["only inputs on the edge", *(f"after {name}" for name in names[1:])]


def _marks(depths: Depths, many: int) -> list[int] | int:
    """Sizes of the marks: where only one tensor crosses they are larger; lines of many depths have no others."""
    if many == 1:
        return 9
    small = 0 if len(depths) > MANY_DEPTHS else 3
    return [6 if crossing == 1 else small for crossing in depths.crossing]


def _mark_cuts(figure: go.Figure, cuts: Sequence[CutMark], per_unit: float, theme: Theme) -> None:
    shown = [cut for cut in cuts if cut.size_bytes > 0]
    if not shown:
        return
    figure.add_trace(
        go.Scatter(
            x=[cut.depth for cut in shown],
            y=[cut.size_bytes / per_unit for cut in shown],
            mode="markers",
            name="the plan's cuts" if len(shown) > 1 else "the plan's cut",
            marker={"symbol": "diamond", "size": 13, "color": theme.page, "line": {"color": theme.bound, "width": 2.5}},
            customdata=[f"{cut.text}: {bytes_text(cut.size_bytes)}" for cut in shown],
            hovertemplate="%{customdata}<extra></extra>",
        )
    )


def _axes(figure: go.Figure, depths: Depths, theme: Theme) -> None:
    room = max(0.5, 0.02 * len(depths))
    figure.update_xaxes(
        title={"text": f"layers that compute on the edge, of {len(depths)} in stored order", "standoff": 6},
        range=[-room, len(depths) - 1 + room], gridcolor=theme.grid, zeroline=False, automargin=True,
    )  # fmt: skip
