"""Sweeps for print: a map over uplink rate and edge speed, and every strategy over the rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any, Protocol

from decc_core.pictures import ink_on
from decc_core.printed.sheet import BOUND, INK, MUTED, PAPER, Sheet, log_ticks
from decc_core.problem.link import BPS_PER_MBPS, NS_PER_S
from decc_core.study.crossover import Crossover
from decc_core.text import rate_text, time_unit, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Conditions = tuple[float, float]
"""Uplink rate in Mbit/s, and how many times slower than its profile the edge is."""
UNKNOWN = "#EEF1F4"
STEPS = 40
"""Of the bar that tells what colours of ratios stand for."""
LEAST_POINTS = 4.0
"""Smaller letters nobody reads in print."""
RATIOS = (1.0, 1.05, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1000.0, 10_000.0)
DASHES: dict[str, Any] = {
    "solid": "solid",
    "dot": (0, (1, 1.2)),
    "dash": (0, (4, 2)),
    "dashdot": (0, (4, 1.5, 1, 1.5)),
    "longdash": (0, (8, 2.5)),
    "longdashdot": (0, (8, 2, 1, 2)),
}


class Tile(Protocol):
    """One cell: a ratio or a winning strategy, and the text in it."""

    @property
    def point(self) -> Conditions: ...
    @property
    def label(self) -> str: ...
    @property
    def ratio(self) -> float | None: ...
    @property
    def strategy(self) -> str | None: ...


class Looks(Protocol):
    """How a strategy looks: its name for narrow places, its colour on white, and the dash of its line."""

    @property
    def short(self) -> str: ...
    @property
    def on_light(self) -> str: ...
    @property
    def dash(self) -> str: ...


class StrategyLine(Protocol):
    """One strategy: rates in Mbit/s and its objective at each."""

    @property
    def strategy(self) -> str: ...
    @property
    def rates_mbps(self) -> Sequence[float]: ...
    @property
    def objective_ns(self) -> Sequence[int]: ...


def draw_map(
    sheet: Sheet,
    tiles: Sequence[Tile],
    rates: Sequence[float],
    slowdowns: Sequence[float],
    present: Conditions,
    looks: Mapping[str, Looks],
    title: str,
    beside: str = "edge slower by",
    ticks: Sequence[str] = (),
) -> None:
    """Equal cells, fast links on the right and slow edges on top; the present scenario is framed.

    `looks` has the strategies in the order of the legend; `title` says what the ratios are, where the cells have some.
    `beside` and `ticks` say what the map goes over beside the rate, where that is not the edge's speed.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    axes = sheet.axes((2.2 if sheet.size.width_mm > 120 else 1.7) * len(slowdowns) + 5)
    colours = _colours(sheet, axes, tiles, looks)
    letters = dict(zip(looks, ascii_uppercase, strict=False))
    # Whether names fit is known before there is a legend, which says what the letters stand for.
    room_mm = 0.72 * sheet.size.width_mm / max(1, len(rates))
    named = all(sheet.width_mm(tile.label, LEAST_POINTS) <= room_mm for tile in tiles)
    texts = [tile.label if named else _coded(tile, letters) for tile in tiles]
    for row, slowdown in enumerate(slowdowns):
        for column, rate in enumerate(rates):
            fill = colours.get((rate, slowdown), UNKNOWN)
            axes.add_patch(
                Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=fill, edgecolor=PAPER, linewidth=sheet.thin(0.8))
            )
    axes.set_xlim(-0.52, len(rates) - 0.48)
    axes.set_ylim(-0.52, len(slowdowns) - 0.48)
    axes.set_yticks(range(len(slowdowns)), ticks or [f"{slowdown:g}×" for slowdown in slowdowns])
    every = sheet.every(0.7 * sheet.size.width_mm, len(rates))
    shown = list(range(0, len(rates), every))
    axes.set_xticks(shown, [f"{rates[place]:g}" for place in shown], rotation=90)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    sheet.titled(axes, x="uplink (Mbit/s)", y=beside)
    size = 0.8 * sheet.points
    plain: dict[str, Any] = {"linestyle": "none", "marker": "s", "markersize": size, "markeredgecolor": "none"}
    used = {tile.strategy for tile in tiles if tile.strategy is not None}
    entries: list[tuple[Any, str]] = [
        (
            Line2D([], [], markerfacecolor=look.on_light, **plain),
            strategy if named else f"{letters[strategy]}: {strategy}",
        )
        for strategy, look in looks.items()
        if strategy in used
    ]
    if any("≈" in tile.label for tile in tiles):
        entries.append((Line2D([], [], linestyle="none"), "≈: a simpler one is next to as good"))
    if any(tile.ratio is None and tile.strategy is None and tile.label for tile in tiles):
        entries.append((Line2D([], [], linestyle="none"), "✕: no plan"))
    if present[0] in rates and present[1] in slowdowns:
        at = rates.index(present[0]) - 0.5, slowdowns.index(present[1]) - 0.5
        for colour, width in ((PAPER, 3.2), (INK, 1.6)):
            frame = Rectangle(at, 1, 1, facecolor="none", edgecolor=colour, linewidth=sheet.thin(width), zorder=4)
            axes.add_patch(frame)
        hollow = Line2D(
            [], [], linestyle="none", marker="s", markersize=size, markerfacecolor="none", markeredgecolor=INK,
            markeredgewidth=sheet.thin(1.4),
        )  # fmt: skip
        entries.append((hollow, "the scenario itself"))
    sheet.legend(entries, f"In the cells: {title}" if any(tile.ratio is not None for tile in tiles) else "")
    sheet.settle()
    _labels(sheet, axes, tiles, texts, rates, slowdowns, colours)


def _colours(sheet: Sheet, axes: Axes, tiles: Sequence[Tile], looks: Mapping[str, Looks]) -> dict[Conditions, str]:
    """The colour of every cell that has one, and beside the axes what colours of ratios stand for."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize, to_hex

    found = {tile.point: looks[tile.strategy].on_light for tile in tiles if tile.strategy is not None}
    ratios = {tile.point: log(max(tile.ratio, 1e-9)) for tile in tiles if tile.ratio is not None}
    if ratios:
        # From a light colour at 1 to a dark one: in grey, too, darker is more.
        top = max([*ratios.values(), log(RATIOS[2])])
        scale = Normalize(0.0, top)
        ramp = colormaps["cividis_r"]
        found |= {point: to_hex(ramp(scale(value))) for point, value in ratios.items()}
        # In so few steps that they are drawn, and not a bitmap.
        steps = ScalarMappable(scale, ramp.resampled(STEPS))
        bar = sheet.figure.colorbar(steps, ax=axes, fraction=0.04, pad=0.02, aspect=25)
        ticks: list[float] = []
        for ratio in RATIOS:
            if log(ratio) <= top and (not ticks or log(ratio) - log(ticks[-1]) >= 0.12 * top):
                ticks.append(ratio)
        bar.set_ticks([log(ratio) for ratio in ticks], labels=[f"{ratio:g}×" for ratio in ticks])
        bar.ax.tick_params(labelsize=sheet.small, length=0, colors=INK)
        bar.ax.minorticks_off()
        bar.outline.set_visible(False)
    return found


def _labels(
    sheet: Sheet,
    axes: Axes,
    tiles: Sequence[Tile],
    texts: Sequence[str],
    rates: Sequence[float],
    slowdowns: Sequence[float],
    colours: Mapping[Conditions, str],
) -> None:
    """The text of every cell, in letters as large as all of them allow; none where nobody could read them."""
    width_mm, height_mm = sheet.box_mm(axes)
    room_mm = 0.88 * width_mm / max(1, len(rates))
    largest = min(sheet.small, 0.9 * height_mm / max(1, len(slowdowns)) / (sheet.line_mm / sheet.points))
    widest = max((sheet.width_mm(text, largest) for text in texts), default=0.0)
    points = largest * min(1.0, room_mm / widest) if widest else largest
    if points < 0.7 * LEAST_POINTS:
        return
    for tile, text in zip(tiles, texts, strict=True):
        axes.text(
            rates.index(tile.point[0]), slowdowns.index(tile.point[1]), text, fontsize=points,
            color=ink_on(colours.get(tile.point, UNKNOWN)), ha="center", va="center", zorder=5,
        )  # fmt: skip


def _coded(tile: Tile, letters: Mapping[str, str]) -> str:
    """A letter that the legend explains, in cells that are too narrow for names."""
    if tile.strategy is None:
        return tile.label
    return f"{letters.get(tile.strategy, '?')}{' ≈' if '≈' in tile.label else ''}"


def draw_lines(
    sheet: Sheet,
    lines: Sequence[StrategyLine],
    crossings: Sequence[Crossover],
    present_mbps: float,
    title: str,
    looks: Mapping[str, Looks],
) -> None:
    """Both axes logarithmic; lower is better; decc is the thick line, and a diamond marks each change of the winner."""
    from matplotlib.lines import Line2D

    values = [value for line in lines for value in line.objective_ns if value > 0]
    ns_per_unit, unit = time_unit(min(values, default=NS_PER_S))
    axes = sheet.axes(24)
    winners = {strategy for crossing in crossings for strategy in (crossing.before, crossing.after)}
    entries: list[tuple[Any, str]] = []
    for line in lines:
        look, decc = looks[line.strategy], line.strategy == "decc"
        width = sheet.thin(3.2 if decc else 1.6 if line.strategy in winners else 1.0)
        (drawn,) = axes.plot(
            line.rates_mbps, [value / ns_per_unit or float("nan") for value in line.objective_ns],
            color=look.on_light, linewidth=width, linestyle=_dashes(look.dash), alpha=0.55 if decc else 1.0,
            zorder=2 if decc else 3,
        )  # fmt: skip
        entries.append((drawn, line.strategy))
    rates = sorted({rate for line in lines for rate in line.rates_mbps}) or [present_mbps]
    axes.axvline(present_mbps, color=INK, linewidth=sheet.thin(0.8), zorder=1)
    entries.append((Line2D([], [], color=INK, linewidth=sheet.thin(0.8)), f"the scenario: {rate_text(present_mbps)}"))
    _scales(sheet, axes, (rates[0], rates[-1]), [value / ns_per_unit for value in values])
    sheet.titled(axes, x="uplink (Mbit/s)", y=f"{title} ({unit})")
    sheet.grid(axes, "both")
    if crossings:
        diamond: dict[str, Any] = {
            "linestyle": "none", "marker": "D", "markersize": 0.55 * sheet.points, "markerfacecolor": PAPER,
            "markeredgecolor": BOUND, "markeredgewidth": sheet.thin(1.2),
        }  # fmt: skip
        axes.plot(
            [crossing.uplink_bps / BPS_PER_MBPS for crossing in crossings],
            [(crossing.low.best_ns + crossing.high.best_ns) / 2 / ns_per_unit for crossing in crossings],
            zorder=5, **diamond,
        )  # fmt: skip
        entries.append((Line2D([], [], **diamond), "another one wins (Mbit/s on top)"))
        _rates_on_top(sheet, axes, crossings)
    sheet.legend(entries)
    sheet.settle()


def _dashes(dash: str) -> Any:
    """The dash by its name, or as lengths that follow each other ('6px,3px')."""
    if dash in DASHES:
        return DASHES[dash]
    return 0, tuple(float(length.removesuffix("px")) / 1.5 for length in dash.split(","))


def _scales(sheet: Sheet, axes: Axes, ends_mbps: tuple[float, float], values: Sequence[float]) -> None:
    low, high = (min(values), max(values)) if values else (1.0, 10.0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    left, right = ends_mbps
    axes.set_xlim(left / 1.02, right * 1.02)
    axes.set_ylim(low / 1.1, high * 1.1)
    axes.minorticks_off()
    across = log_ticks(left, right, 13 if sheet.size.width_mm > 120 else 7)
    up = log_ticks(low / 1.1, high * 1.1, 8)
    axes.set_xticks(across, [f"{tick:,.4g}" for tick in across])
    axes.set_yticks(up, [f"{tick:,.4g}" for tick in up])


def _rates_on_top(sheet: Sheet, axes: Axes, crossings: Sequence[Crossover]) -> None:
    """The rate of every crossover that has room for its number, upright above the axes."""
    top = axes.twiny()
    top.set_xscale("log")
    low, high = axes.get_xlim()
    top.set_xlim(low, high)
    top.minorticks_off()
    apart = sheet.every(0.75 * sheet.size.width_mm, 1000) / 1000 * log(high / low)
    shown: list[float] = []
    for crossing in sorted(crossings, key=lambda crossing: crossing.uplink_bps):
        rate = crossing.uplink_bps / BPS_PER_MBPS
        if not shown or log(rate / shown[-1]) >= apart:
            shown.append(rate)
    top.set_xticks(shown, [written(rate, 3) for rate in shown], rotation=90)
    top.tick_params(axis="x", labelsize=sheet.small, colors=BOUND, length=0.3 * sheet.points, width=sheet.thin(0.6))
    for spine in top.spines.values():
        spine.set_visible(False)
    for rate in shown:
        axes.axvline(rate, color=MUTED, linewidth=sheet.thin(0.5), linestyle=(0, (1, 2)), zorder=1)
