"""How a strategy looks on maps and lines: its short name, colour and dash, in both themes."""

from __future__ import annotations

from typing import NamedTuple

from app.figures.style import LIGHT, Theme
from decc_core.planner.strategies import STRATEGIES


class Style(NamedTuple):
    """A name for narrow places, the colour on a light and on a dark page, and the dash of a line."""

    short: str
    on_light: str
    on_dark: str
    dash: str

    def colour(self, theme: Theme) -> str:
        return self.on_light if theme is LIGHT else self.on_dark


# Paul Tol's "muted" scheme, made for nine categories and every common colour blindness; it shares no colour with the
# resources. The darkest are lighter on a dark page. The name stands in every cell and at every line as well.
PALETTE = {
    "sand": ("#DDCC77", "#DDCC77", "dot"),
    "cyan": ("#88CCEE", "#88CCEE", "dash"),
    "green": ("#117733", "#3FA65C", "dashdot"),
    "teal": ("#44AA99", "#44AA99", "longdash"),
    "olive": ("#999933", "#999933", "longdashdot"),
    "purple": ("#AA4499", "#AA4499", "4px,2px,1px,2px,1px,2px"),
    "wine": ("#882255", "#C2588D", "10px,4px"),
    "rose": ("#CC6677", "#CC6677", "6px,3px"),
    "indigo": ("#332288", "#8E80E8", "solid"),
    "grey": ("#888888", "#888888", "solid"),
}
"""Colour on a light and on a dark page, and dash, by the key that a strategy's record names."""


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
