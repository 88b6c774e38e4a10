"""Wire formats for print: the bytes that cross at every depth of a network, and what formats do to its outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from decc_core.printed.sheet import BOUND, INK, MUTED, PAPER, Sheet, log_ticks
from decc_core.printed.sweep import dashes
from decc_core.text import size_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Line(Protocol):
    """One format over the depth: bytes that cross, and the share of outputs that stay as they are, where known."""

    @property
    def wire(self) -> str: ...
    @property
    def size_bytes(self) -> Sequence[float | None]: ...
    @property
    def agreement(self) -> Sequence[float | None]: ...


class Cut(Protocol):
    """Where a plan cuts: layers on the edge, and the bytes that cross."""

    @property
    def depth(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...


def draw_wire(
    sheet: Sheet,
    lines: Sequence[Line],
    cuts: Sequence[Cut],
    used: str,
    looks: Sequence[tuple[str, str]],
    least: float | None,
) -> None:
    """Bytes on a logarithmic axis, the format in use as the thick line, the plan's cuts as diamonds; agreement below.

    `looks` has the colour and the dash of every line; `least` is the agreement that is asked for.
    """
    from matplotlib.lines import Line2D

    measured = any(agreed is not None for line in lines for agreed in line.agreement)
    panels = sheet.panels(26 if measured else 18, (1.7, 1.0) if measured else (1.0,))
    above = panels[0]
    values = [size for line in lines for size in line.size_bytes if size] + [cut.size_bytes for cut in cuts]
    per_unit, unit = size_unit(max(values, default=1.0))
    entries: list[tuple[Any, str]] = []
    for line, (colour, dash) in zip(lines, looks, strict=True):
        width = sheet.thin(3.6 if line.wire == used else 1.2)
        style: dict[str, Any] = {"color": colour, "linewidth": width, "linestyle": dashes(dash)}
        style |= {"alpha": 0.55} if line.wire == used else {}
        _draw(sheet, above, line.size_bytes, 1 / per_unit, style)
        alone = sum(size is not None for size in line.size_bytes) == 1
        dot: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 0.5 * sheet.points, "color": colour}
        entries.append((Line2D([], [], **(dot if alone else style)), line.wire))
        if measured:
            _draw(sheet, panels[1], line.agreement, 100.0, style)
    if cuts:
        diamond: dict[str, Any] = {
            "linestyle": "none", "marker": "D", "markersize": 0.6 * sheet.points, "markerfacecolor": PAPER,
            "markeredgecolor": BOUND, "markeredgewidth": sheet.thin(1.4),
        }  # fmt: skip
        above.plot([cut.depth for cut in cuts], [cut.size_bytes / per_unit for cut in cuts], zorder=5, **diamond)
        entries.append((Line2D([], [], **diamond), "where the plan cuts"))
    _log_axis(above, [value / per_unit for value in values if value > 0])
    sheet.titled(above, y=f"bytes that cross ({unit})")
    sheet.grid(above, "y")
    if measured:
        below = panels[1]
        if least is not None:
            style = {"color": MUTED, "linewidth": sheet.thin(0.9), "linestyle": (0, (4, 2))}
            below.axhline(100 * least, **style)
            entries.append((Line2D([], [], **style), "asked for"))
        lowest = min([1.0, least or 1.0, *(a for line in lines for a in line.agreement if a is not None)])
        below.set_ylim(max(0.0, 100 * lowest - 5), 101.5)
        sheet.titled(below, y="agreement (%)")
        sheet.grid(below, "y")
    panels[-1].locator_params(axis="x", integer=True, nbins=8)
    panels[-1].set_xlabel("layers on the edge, in stored order", fontsize=sheet.small, color=INK)
    sheet.legend(entries)
    sheet.settle()


def _draw(sheet: Sheet, axes: Axes, values: Sequence[float | None], times: float, style: dict[str, Any]) -> None:
    """A line, or a mark where a format has a single place: that of the input."""
    there = [(place, value) for place, value in enumerate(values) if value is not None and value > 0]
    if len(there) == 1:
        axes.plot(
            [there[0][0]], [there[0][1] * times], linestyle="none", marker="o", markersize=0.5 * sheet.points,
            color=style["color"], zorder=4,
        )  # fmt: skip
        return
    drawn = [float("nan") if value is None else value * times for value in values]
    axes.plot(range(len(drawn)), drawn, zorder=2, **style)


def _log_axis(axes: Axes, values: Sequence[float]) -> None:
    low, high = (min(values) / 1.2, 1.2 * max(values)) if values else (0.5, 2.0)
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.minorticks_off()
    ticks = log_ticks(low, high, 8) or [low, high]
    axes.set_yticks(ticks, [f"{tick:,.4g}" for tick in ticks])
