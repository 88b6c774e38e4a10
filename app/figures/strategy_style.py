"""How a strategy looks on maps and lines: its short name, colour and dash, in both themes."""

from __future__ import annotations

from typing import NamedTuple

from app.figures.style import LIGHT, Theme
from decc_core.pictures import PALETTE
from decc_core.planner.strategies import STRATEGIES


class Style(NamedTuple):
    """A name for narrow places, the colour on a light and on a dark page, and the dash of a line."""

    short: str
    on_light: str
    on_dark: str
    dash: str

    def colour(self, theme: Theme) -> str:
        return self.on_light if theme is LIGHT else self.on_dark


def strategy_style(strategy: str) -> Style:
    """The looks of a strategy, as its record says; one that is not in the table is grey."""
    if strategy not in STRATEGIES:
        return Style(strategy, *PALETTE["grey"])
    record = STRATEGIES[strategy]
    return Style(record.short, *PALETTE[record.colour])


def modebar(theme: Theme) -> dict[str, object]:
    """The buttons of a chart in a column at its side, so that they cover no legend."""
    return {"orientation": "v", "bgcolor": "rgba(0,0,0,0)", "color": theme.muted, "activecolor": theme.text}


def edge_speed_text(slowdown: float) -> str:
    """How the edge compares with its profile."""
    if slowdown == 1:
        return "edge as profiled"
    return f"edge {slowdown:g}× slower" if slowdown > 1 else f"edge {1 / slowdown:.3g}× faster"
