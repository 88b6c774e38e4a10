"""A map over uplink rate and edge speed: who wins, what decc gains, or what keeping today's plan costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import ceil, log

import plotly.graph_objects as go

from app.figures.strategy_style import edge_speed_text, modebar, strategy_style
from app.figures.style import Theme, new_figure
from app.text import in_chart
from decc_core.pictures import ink_on
from decc_core.planner.strategies import STRATEGIES
from decc_core.study.regret import Kept
from decc_core.study.sweep import Cell
from decc_core.text import duration, gain_text, gap_text, rate_text

Point = tuple[float, float]
Conditions = tuple[float, float]
"""Uplink rate in Mbit/s, and how many times slower than its profile the edge is, or bits a value on the wire."""

BARELY = 0.005
"""A lead below this is marked as a near tie."""
NOTICEABLE_GAIN = 1.05
CONTOUR = "#E8590C"
SHOWN_IN_HOVER = 5
TICK_RATIOS = (1.0, 1.05, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1000.0, 10_000.0)


class Axis(str, Enum):
    """What a map goes over beside the uplink's rate."""

    EDGE = "edge"
    BITS = "bits"

    @property
    def title(self) -> str:
        return "edge slower by" if self is Axis.EDGE else "bits a value"

    def tick(self, value: float) -> str:
        return f"{value:g}×" if self is Axis.EDGE else f"{value:g}"

    def words(self, value: float) -> str:
        return edge_speed_text(value) if self is Axis.EDGE else f"{value:g} bits a value"


class MapKind(str, Enum):
    """What a map shows."""

    WINNER = "winner"
    GAIN = "gain"
    REGRET = "regret"


@dataclass(frozen=True)
class Tile:
    """One cell of a map: a ratio or a winning strategy, the text in it, and the text beside the pointer."""

    point: Conditions
    label: str
    hover: str
    ratio: float | None = None
    strategy: str | None = None


def map_rows(
    kind: MapKind,
    points: Sequence[Conditions],
    cells: Mapping[Conditions, Cell],
    kept: Mapping[Conditions, Kept],
    refused: Mapping[Conditions, str],
    over: str | None = None,
    axis: Axis = Axis.EDGE,
) -> tuple[Tile, ...]:
    """A tile for each point that is known; `over` is the baseline of a map of gains, at first the best one there."""
    tiles = []
    for point in points:
        if point in cells:
            tiles.append(_tile(kind, point, cells[point], kept.get(point), over, axis))
        elif point in refused:
            tiles.append(Tile(point, "✕", f"{_where(point, axis)}<br>{_wrapped(refused[point])}"))
    return tuple(tiles)


def _tile(kind: MapKind, point: Conditions, cell: Cell, kept: Kept | None, over: str | None, axis: Axis) -> Tile:
    hover = _hover(point, cell, kept, over, axis)
    if kind is MapKind.WINNER:
        near = cell.simplest_within(BARELY) != cell.winner
        label = strategy_style(cell.winner).short + (" ≈" if near else "") + ("<br>no cut" if _overlaps(cell) else "")
        return Tile(point, label, hover, strategy=cell.winner)
    ratio = cell.gain(over) if kind is MapKind.GAIN else regret_of(cell, kept)
    if ratio is None:
        known = kind is MapKind.GAIN or (kept is not None and kept.objective_ns is None)
        return Tile(point, "✕" if known else "", hover)
    label = f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}" if ratio < 100 else f"{ratio:.0f}"
    return Tile(point, label, hover, ratio=ratio)


def regret_of(cell: Cell, kept: Kept | None) -> float | None:
    planned = cell.objective_ns.get("decc")
    return None if kept is None or planned is None else kept.regret(planned)


def _where(point: Conditions, axis: Axis) -> str:
    rate, second = point
    return f"<b>{rate_text(rate)} up, {axis.words(second)}</b>"


def _hover(point: Conditions, cell: Cell, kept: Kept | None, over: str | None, axis: Axis) -> str:
    """All numbers of a cell, the best strategies first."""
    ordered = sorted(cell.objective_ns.items(), key=lambda item: item[1])
    lines = [_where(point, axis), _lead(cell)]
    lines += [f"{name}: {duration(value)}" for name, value in ordered[:SHOWN_IN_HOVER]]
    if "decc" not in dict(ordered[:SHOWN_IN_HOVER]) and "decc" in cell.objective_ns:
        lines.append(f"decc: {duration(cell.objective_ns['decc'])}")
    over_ns = cell.best_ns - cell.lower_bound_ns
    gap = gap_text(over_ns / cell.lower_bound_ns) if cell.lower_bound_ns else "∞" if over_ns else gap_text(0)
    lines.append(f"proven lower bound: {duration(cell.lower_bound_ns)} (gap {gap})")
    rival = over or cell.best_baseline
    gain = cell.gain(over)
    lines.append(f"decc over {rival}: {gain_text(gain)}" if gain is not None else f"{rival}: no plan here")
    if kept is not None:
        lines.append(_kept_text(cell, kept))
    return "<br>".join(lines)


def _lead(cell: Cell) -> str:
    simple = cell.simplest_within(BARELY)
    if simple != cell.winner:
        return f"best: {cell.winner}, but {simple} is less than {100 * BARELY:g} % behind"
    return f"best: {cell.winner}" + (", which leaves the network whole and overlaps" if _overlaps(cell) else "")


def _overlaps(cell: Cell) -> bool:
    """Whether what wins cuts nothing, and is better than one device after the other by its order alone."""
    return cell.winner in cell.whole and cell.winner not in ("edge-only", "cloud-only")


def _kept_text(cell: Cell, kept: Kept) -> str:
    ratio = regret_of(cell, kept)
    if kept.objective_ns is None or ratio is None:
        return f"today's plan is not possible here: {_wrapped(kept.reason)}"
    return f"today's plan kept: {duration(kept.objective_ns)} ({gain_text(ratio)})"


def _wrapped(text: str, width: int = 60) -> str:
    """Broken into lines."""
    lines, line = [], ""
    for word in in_chart(text).split():
        if line and len(line) + len(word) >= width:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    return "<br>".join([*lines, line])


def draw_map(
    kind: MapKind,
    tiles: Sequence[Tile],
    rates: Sequence[float],
    slowdowns: Sequence[float],
    present: Conditions,
    selected: Conditions | None,
    theme: Theme,
    height: int = 420,
    axis: Axis = Axis.EDGE,
) -> go.Figure:
    """Equal cells, fast links on the right and slow edges, or many bits, on top; the present scenario is framed."""
    what = "the edge's speed" if axis is Axis.EDGE else "the bits a value"
    label = f"Map of the {kind.value} over the uplink's rate and {what}; the numbers of a cell stand below it"
    figure = new_figure(
        theme, height, label, hovermode="closest", hoverdistance=-1, dragmode=False, modebar=modebar(theme)
    )
    figure.update_layout(hoverlabel={"bgcolor": theme.page, "bordercolor": theme.muted, "font": {"color": theme.text}})
    _draw_unknown(figure, tiles, rates, slowdowns, theme)
    if kind is MapKind.WINNER:
        _draw_winners(figure, tiles, rates, slowdowns, theme)
    else:
        _draw_ratios(figure, tiles, rates, slowdowns, theme, contour=kind is MapKind.GAIN)
    _draw_targets(figure, tiles, rates, slowdowns)
    if selected is not None and selected != present:
        _frame(figure, selected, rates, slowdowns, theme, "dot")
    _frame(figure, present, rates, slowdowns, theme, "solid")
    frame = {"symbol": "square-open", "size": 13, "line": {"width": 3}, "color": theme.text}
    figure.add_trace(_legend_entry("your scenario", frame))
    figure.update_layout(showlegend=True, legend={"itemclick": False, "itemdoubleclick": False})
    _axes(figure, rates, slowdowns, theme, axis)
    return figure


def _grid(
    tiles: Sequence[Tile], rates: Sequence[float], slowdowns: Sequence[float]
) -> tuple[dict[tuple[int, int], Tile], list[list[str]]]:
    """Tiles by row and column, and their labels as a table."""
    column = {rate: i for i, rate in enumerate(rates)}
    row = {slowdown: i for i, slowdown in enumerate(slowdowns)}
    placed = {(row[tile.point[1]], column[tile.point[0]]): tile for tile in tiles}
    labels = [
        [placed[j, i].label if (j, i) in placed else "" for i in range(len(rates))] for j in range(len(slowdowns))
    ]
    return placed, labels


def _draw_unknown(
    figure: go.Figure, tiles: Sequence[Tile], rates: Sequence[float], slowdowns: Sequence[float], theme: Theme
) -> None:
    """Faint cells where nothing is known yet, or no plan is possible."""
    known = {tile.point for tile in tiles if tile.ratio is not None or tile.strategy is not None}
    figure.add_trace(
        go.Heatmap(
            z=[[None if (rate, slowdown) in known else 1 for rate in rates] for slowdown in slowdowns],
            colorscale=[[0, theme.grid], [1, theme.grid]],
            zmin=0,
            zmax=1,
            opacity=0.5,
            showscale=False,
            hoverinfo="skip",
            xgap=2,
            ygap=2,
        )
    )


def _draw_winners(
    figure: go.Figure, tiles: Sequence[Tile], rates: Sequence[float], slowdowns: Sequence[float], theme: Theme
) -> None:
    """One heat map per strategy, so that each has its colour, its ink and its entry in the legend."""
    placed, labels = _grid(tiles, rates, slowdowns)
    for strategy in STRATEGIES:
        mine = {place for place, tile in placed.items() if tile.strategy == strategy}
        if not mine:
            continue
        colour = strategy_style(strategy).colour(theme)
        figure.add_trace(
            go.Heatmap(
                z=[[1 if (j, i) in mine else None for i in range(len(rates))] for j in range(len(slowdowns))],
                text=[[text if (j, i) in mine else "" for i, text in enumerate(row)] for j, row in enumerate(labels)],
                texttemplate="%{text}",
                textfont={"size": 13 if len(rates) <= 12 else 10, "color": ink_on(colour)},
                colorscale=[[0, colour], [1, colour]],
                zmin=0,
                zmax=1,
                showscale=False,
                hoverinfo="skip",
                xgap=2,
                ygap=2,
            )
        )
        figure.add_trace(_legend_entry(strategy, {"symbol": "square", "size": 13, "color": colour}))


def _draw_ratios(
    figure: go.Figure,
    tiles: Sequence[Tile],
    rates: Sequence[float],
    slowdowns: Sequence[float],
    theme: Theme,
    contour: bool,
) -> None:
    """Ratios on a logarithmic colour scale that begins at 1; a line where the gain becomes noticeable."""
    placed, labels = _grid(tiles, rates, slowdowns)

    def value(j: int, i: int) -> float | None:
        ratio = placed[j, i].ratio if (j, i) in placed else None
        return None if ratio is None else log(ratio)

    z = [[value(j, i) for i in range(len(rates))] for j in range(len(slowdowns))]
    top = max([*(logarithm for line in z for logarithm in line if logarithm is not None), log(TICK_RATIOS[2])])
    ticks = _spaced_ticks(top)
    figure.add_trace(
        go.Heatmap(
            z=z,
            text=labels,
            texttemplate="%{text}",
            textfont={"size": 13 if len(rates) <= 12 else 10},
            colorscale="Cividis" if contour else "Viridis",
            zmin=0,
            zmax=top,
            hoverinfo="skip",
            xgap=2,
            ygap=2,
            colorbar={
                "tickvals": [log(ratio) for ratio in ticks],
                "ticktext": [f"{ratio:g}×" for ratio in ticks],
                "thickness": 14,
                "outlinewidth": 0,
                "tickfont": {"color": theme.muted},
            },
        )
    )
    impossible = [place for place, tile in placed.items() if tile.ratio is None and tile.label]
    if impossible:
        figure.add_trace(
            go.Scatter(
                x=[i for _, i in impossible],
                y=[j for j, _ in impossible],
                mode="markers",
                marker={"symbol": "x-thin", "size": 12, "line": {"width": 2, "color": theme.muted}},
                name="no plan",
                hoverinfo="skip",
            )
        )
    if contour:
        _draw_contour(figure, placed)


def _draw_contour(figure: go.Figure, placed: Mapping[tuple[int, int], Tile]) -> None:
    """The border between cells with and without a noticeable gain; along the cells, so that it crosses no number."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    for (x0, y0), (x1, y1) in contour_rows(placed):
        xs += [x0, x1, None]
        ys += [y0, y1, None]
    name = f"gain of {NOTICEABLE_GAIN:g}×"
    line = {"color": CONTOUR, "width": 4}
    if xs:
        figure.add_trace(go.Scatter(x=xs, y=ys, mode="lines", line=line, name=name, hoverinfo="skip"))


def contour_rows(placed: Mapping[tuple[int, int], Tile]) -> list[tuple[Point, Point]]:
    """Pieces of the border, as pairs of x and y; only between cells that are both known."""
    above = {place: tile.ratio >= NOTICEABLE_GAIN for place, tile in placed.items() if tile.ratio is not None}
    pieces = []
    for (j, i), is_above in above.items():
        if above.get((j, i + 1), is_above) != is_above:
            pieces.append(((i + 0.5, j - 0.5), (i + 0.5, j + 0.5)))
        if above.get((j + 1, i), is_above) != is_above:
            pieces.append(((i - 0.5, j + 0.5), (i + 0.5, j + 0.5)))
    return pieces


def _spaced_ticks(top: float) -> list[float]:
    """Ratios up to the top of the scale that do not run into each other."""
    ticks: list[float] = []
    for ratio in TICK_RATIOS:
        if log(ratio) <= top and (not ticks or log(ratio) - log(ticks[-1]) >= 0.08 * top):
            ticks.append(ratio)
    return ticks


def _draw_targets(figure: go.Figure, tiles: Sequence[Tile], rates: Sequence[float], slowdowns: Sequence[float]) -> None:
    """Invisible points that carry the hover text and can be clicked, which a heat map's cells cannot."""
    invisible = {"marker": {"opacity": 0}}
    figure.add_trace(
        go.Scatter(
            x=[rates.index(tile.point[0]) for tile in tiles],
            y=[slowdowns.index(tile.point[1]) for tile in tiles],
            mode="markers",
            marker={"size": 30, "symbol": "square", "opacity": 0},
            selected=invisible,
            unselected=invisible,
            customdata=[[*tile.point, tile.hover] for tile in tiles],
            hovertemplate="%{customdata[2]}<extra></extra>",
            showlegend=False,
        )
    )


def _frame(
    figure: go.Figure, point: Conditions, rates: Sequence[float], slowdowns: Sequence[float], theme: Theme, dash: str
) -> None:
    """A frame around a cell, with a halo so that it is seen on every colour."""
    if point[0] not in rates or point[1] not in slowdowns:
        return
    x, y = rates.index(point[0]), slowdowns.index(point[1])
    for colour, width, line in ((theme.page, 7, "solid"), (theme.text, 3, dash)):
        box = {"x0": x - 0.5, "x1": x + 0.5, "y0": y - 0.5, "y1": y + 0.5}
        figure.add_shape(type="rect", line={"color": colour, "width": width, "dash": line}, layer="above", **box)


def _legend_entry(name: str, marker: dict[str, object]) -> go.Scatter:
    return go.Scatter(x=[None], y=[None], mode="markers", marker=marker, name=name, hoverinfo="skip")


def _axes(figure: go.Figure, rates: Sequence[float], slowdowns: Sequence[float], theme: Theme, axis: Axis) -> None:
    shared = {"showgrid": False, "zeroline": False, "fixedrange": True, "automargin": True}
    every = ceil(len(rates) / 20)
    figure.update_xaxes(
        title={"text": "uplink (Mbit/s)", "standoff": 6},
        tickvals=list(range(0, len(rates), every)),
        ticktext=[f"{rate:g}" for rate in rates[::every]],
        range=[-0.55, len(rates) - 0.45],
        tickangle=0,
        **shared,
    )
    figure.update_yaxes(
        title={"text": axis.title, "standoff": 6},
        tickvals=list(range(len(slowdowns))),
        ticktext=[f"{axis.tick(slowdown)} " for slowdown in slowdowns],
        range=[-0.55, len(slowdowns) - 0.45],
        **shared,
    )
