"""A study for print: gain over the uplink for each network, how gains are distributed, and load curves side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from decc_core.pictures import PALETTE
from decc_core.planner.strategies import STRATEGIES
from decc_core.printed.sheet import BOUND, INK, MUTED, Picture, Sheet, drawable, log_ticks
from decc_core.printed.sweep import dashes
from decc_core.study.findings import (
    BEST_BASELINE,
    Curves,
    Findings,
    Line,
    distribution_of_gains,
    gain_over_uplink,
)
from decc_core.text import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_PANELS = 4
"""So many numbers of requests have a panel of their own."""
MOST_LINES = 20
MOST_CURVES = 12
MARKERS = "os^Dv<>PX*"
NETWORK_COLOURS = ("indigo", "rose", "green", "cyan", "purple", "olive", "teal", "wine", "sand", "grey")
"""In turn, each with its marker; the second ten have dashed lines."""
WIDE_MM = 120
LEAST_SPREAD = 1.05
"""Gains that hardly differ do not fill the height."""
NEAR = 4.0


def pictures(found: Findings, curves: Sequence[Curves]) -> tuple[Picture, ...]:
    """All figures that a study has something for."""
    made = []
    for name in found.own:
        lines = {key: some for key, some in gain_over_uplink(found, name).items() if _drawable(some)}
        if lines and len({point.uplink_mbps for point in found.points}) > 1:
            made.append(_of_gains(name, lines))
        shares = distribution_of_gains(found, name)
        if shares:
            made.append(_of_distribution(name, shares))
    if curves:
        left_out = len(curves) - MOST_CURVES
        more = f"; {counted(left_out, 'further curve')} left out" if left_out > 0 else ""
        made.append(
            Picture(
                f"Latency over the rate of requests{more}",
                "load",
                lambda sheet: draw_curves(sheet, curves[:MOST_CURVES]),
            )
        )
    return tuple(made)


def _of_gains(name: str, lines: Mapping[int | None, Sequence[Line]]) -> Picture:
    return Picture(
        f"Gain of {name} over {BEST_BASELINE}, over the uplink",
        f"gain-{name}",
        lambda sheet: draw_gains(sheet, lines, name),
    )


def _of_distribution(name: str, shares: Sequence[Line]) -> Picture:
    return Picture(
        f"Distribution of the gain of {name}",
        f"distribution-{name}",
        lambda sheet: draw_distribution(sheet, shares, name),
    )


def _drawable(lines: Sequence[Line]) -> bool:
    return any(isfinite(y) for line in lines for y in line.ys)


def draw_gains(sheet: Sheet, lines: Mapping[int | None, Sequence[Line]], strategy: str) -> None:
    """One panel for each number of requests, in it a line for each network; 1 is no gain."""
    keys = list(lines)
    # The fewest and the most say more than those between.
    shown = keys if len(keys) <= MOST_PANELS else [*keys[: MOST_PANELS - 1], keys[-1]]
    names = list(dict.fromkeys(line.name for key in shown for line in lines[key]))[:MOST_LINES]
    lines_high = 14 if len(shown) == 1 else 9
    panels = sheet.panels(lines_high * len(shown) + 3, [1.0] * len(shown))
    entries: dict[str, Any] = {}
    for key, axes in zip(shown, panels, strict=True):
        for line in lines[key]:
            if line.name in names:
                (drawn,) = axes.plot(line.xs, line.ys, zorder=3, **_network_look(sheet, names.index(line.name)))
                entries.setdefault(line.name, drawn)
        axes.axhline(1, color=MUTED, linewidth=sheet.thin(0.8), zorder=1)
        _log_y(axes, [1.0, *(y for line in lines[key] for y in line.ys)], LEAST_SPREAD)
        sheet.grid(axes, "both")
        if key is not None:
            axes.set_title(counted(key, "request"), fontsize=sheet.points, loc="left", color=INK)
        sheet.titled(axes, y=f"gain of {strategy} (×)")
    rates = sorted({x for key in shown for line in lines[key] for x in line.xs})
    _log_x(sheet, panels[-1], rates)
    sheet.titled(panels[-1], x="uplink (Mbit/s)", y=f"gain of {strategy} (×)")
    sheet.legend([(entries[name], name) for name in names], f"Over {BEST_BASELINE} at each point, geometric mean")
    sheet.settle()


def draw_distribution(sheet: Sheet, shares: Sequence[Line], strategy: str) -> None:
    """At which share of the points the gain over each baseline is at most so large; both ends of a line are reached."""
    axes = sheet.axes(17)
    entries = []
    for line in shares:
        xs, ys = (line.xs[0], *line.xs), (0.0, *(100 * y for y in line.ys))
        (drawn,) = axes.plot(xs, ys, drawstyle="steps-post", **_strategy_look(sheet, line.name))
        entries.append((drawn, f"over {line.name}"))
    axes.axvline(1, color=MUTED, linewidth=sheet.thin(0.8), zorder=1)
    gains = [x for line in shares for x in line.xs]
    low, high = min([*gains, 1.0]), max([*gains, LEAST_SPREAD])
    axes.set_xscale("log")
    axes.set_xlim(low / 1.03, 1.03 * high)
    axes.minorticks_off()
    ticks = log_ticks(low, high, 10 if sheet.size.width_mm > WIDE_MM else 6)
    axes.set_xticks(ticks, [f"{tick:,.4g}" for tick in ticks])
    axes.set_ylim(0, 101)
    sheet.titled(axes, x=f"gain of {strategy} is at most (×)", y="points (%)")
    sheet.grid(axes, "both")
    sheet.legend(entries)
    sheet.settle()


def draw_curves(sheet: Sheet, curves: Sequence[Curves]) -> None:
    """A panel for each curve, side by side: latency over rate for every policy, with deadline and capacity."""
    from matplotlib.lines import Line2D

    columns = min(len(curves), 3 if sheet.size.width_mm > WIDE_MM and len(curves) != 4 else 2)
    panels = sheet.tiles(14, len(curves), columns)
    entries: dict[str, Any] = {}
    dashed: dict[str, Any] = {"color": BOUND, "linewidth": sheet.thin(1.0), "linestyle": (0, (4, 2))}
    for place, (curve, axes) in enumerate(zip(curves, panels, strict=True)):
        for line in curve.lines:
            look = _strategy_look(sheet, line.name) | {"marker": "o", "markersize": 0.25 * sheet.points}
            (drawn,) = axes.plot(line.xs, [1e3 * y for y in line.ys], **look)
            entries.setdefault(line.name, drawn)
        if curve.deadline_s is not None:
            axes.axhline(1e3 * curve.deadline_s, **dashed)
        if curve.capacity_rps is not None and isfinite(curve.capacity_rps):
            axes.axvline(curve.capacity_rps, **dashed)
        axes.set_xlim(left=0)
        _log_y(axes, [1e3 * y for line in curve.lines for y in line.ys])
        axes.locator_params(axis="x", nbins=5)
        sheet.grid(axes, "both")
        below = place + columns >= len(curves)
        first = place % columns == 0
        sheet.titled(axes, x="requests/s" if below else "", y=f"p{curve.percentile:g} of latency (ms)" if first else "")
        # Room for the title, which is clipped to it once that is known.
        axes.set_title(" \n " if any(one.where for one in curves) else " ", fontsize=sheet.small, loc="left")
    if any(curve.deadline_s is not None or curve.capacity_rps is not None for curve in curves):
        entries["deadline, and what no policy exceeds"] = Line2D([], [], **dashed)
    sheet.legend([(handle, name) for name, handle in entries.items()])
    sheet.settle()
    for curve, axes in zip(curves, panels, strict=True):
        room_mm, _ = sheet.box_mm(axes)
        lines = [sheet.fitted(text, 0.94 * room_mm, sheet.small) for text in (curve.name, curve.where) if text]
        axes.set_title("\n".join(lines), fontsize=sheet.small, loc="left", color=INK)


def _network_look(sheet: Sheet, place: int) -> dict[str, Any]:
    colour, _, _ = PALETTE[NETWORK_COLOURS[place % len(NETWORK_COLOURS)]]
    return {
        "color": colour,
        "linewidth": sheet.thin(1.2),
        "linestyle": "solid" if place < len(NETWORK_COLOURS) else (0, (4, 2)),
        "marker": MARKERS[place % len(MARKERS)],
        "markersize": 0.4 * sheet.points,
    }


def _strategy_look(sheet: Sheet, name: str) -> dict[str, Any]:
    if name == BEST_BASELINE:
        return {"color": INK, "linewidth": sheet.thin(2.4), "linestyle": "solid", "zorder": 4}
    # A policy that is called as a paper looks as what was published there.
    record = STRATEGIES.get(name) or STRATEGIES.get(f"{name}-dsl")
    colour, _, dash = PALETTE[record.colour if record else "grey"]
    decc = name == "decc"
    return {
        "color": colour,
        "linewidth": sheet.thin(2.4 if decc else 1.2),
        "linestyle": dashes(dash) if name in STRATEGIES else "solid",
        "zorder": 3,
    }


def _log_x(sheet: Sheet, axes: Axes, values: Sequence[float]) -> None:
    low, high = values[0], values[-1]
    axes.set_xscale("log")
    axes.set_xlim(low / 1.1, 1.1 * high)
    axes.minorticks_off()
    ticks = log_ticks(low, high, 12 if sheet.size.width_mm > WIDE_MM else 7)
    axes.set_xticks(ticks, [drawable(f"{tick:,.4g}") for tick in ticks])


def _log_y(axes: Axes, values: Sequence[float], least: float = 0.0) -> None:
    """Over all values; logarithmic where they differ much, as round numbers lie too far apart there otherwise."""
    known = [value for value in values if isfinite(value) and value > 0] or [1.0]
    low, high = min(known), max(*known, least)
    if high < NEAR * low:
        room = 0.06 * (high - low) or 0.05 * high
        axes.set_ylim(low - room, high + room)
        axes.locator_params(axis="y", nbins=5, steps=[1, 2, 2.5, 5, 10])
        return
    axes.set_yscale("log")
    axes.set_ylim(low / 1.06, 1.06 * high)
    axes.minorticks_off()
    ticks = log_ticks(low / 1.06, 1.06 * high, 7)
    axes.set_yticks(ticks, [f"{tick:,.4g}" for tick in ticks])
