"""One colour, one short name and one dash per strategy, the same on maps and lines, in both themes."""

from __future__ import annotations

from app.figures.style import LIGHT, Theme

# Paul Tol's "muted" scheme, made for nine categories and every common colour blindness; it shares no colour with the
# resources. The two darkest are lighter on a dark page. The name stands in every cell and at every line as well.
_ON_LIGHT = {
    "edge-only": "#DDCC77",
    "cloud-only": "#88CCEE",
    "neurosurgeon": "#117733",
    "dads-dsl": "#44AA99",
    "qdmp": "#999933",
    "dads-dsh": "#AA4499",
    "single-cut": "#882255",
    "jps": "#CC6677",
    "decc": "#332288",
}
_ON_DARK = _ON_LIGHT | {"neurosurgeon": "#3FA65C", "single-cut": "#C2588D", "decc": "#8E80E8"}
_OTHER = "#888888"

SHORT_NAMES = {
    "edge-only": "edge",
    "cloud-only": "cloud",
    "neurosurgeon": "neuro",
    "dads-dsl": "DSL",
    "qdmp": "QDMP",
    "dads-dsh": "DSH",
    "single-cut": "single",
    "jps": "JPS",
    "decc": "DECC",
}
DASHES = {
    "edge-only": "dot",
    "cloud-only": "dash",
    "neurosurgeon": "dashdot",
    "dads-dsl": "longdash",
    "qdmp": "longdashdot",
    "dads-dsh": "4px,2px,1px,2px,1px,2px",
    "single-cut": "10px,4px",
    "jps": "6px,3px",
    "decc": "solid",
}


def strategy_colour(strategy: str, theme: Theme) -> str:
    return (_ON_LIGHT if theme is LIGHT else _ON_DARK).get(strategy, _OTHER)


def short_name(strategy: str) -> str:
    return SHORT_NAMES.get(strategy, strategy)


def ink_on(colour: str) -> str:
    """Black or white, whichever is read better on a colour."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#1B2733" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#FFFFFF"


def modebar(theme: Theme) -> dict[str, object]:
    """The buttons of a chart in a column at its side, so that they cover no legend."""
    return {"orientation": "v", "bgcolor": "rgba(0,0,0,0)", "color": theme.muted, "activecolor": theme.text}


def edge_speed_text(slowdown: float) -> str:
    """How the edge compares with its profile."""
    if slowdown == 1:
        return "edge as profiled"
    return f"edge {slowdown:g}× slower" if slowdown > 1 else f"edge {1 / slowdown:.3g}× faster"
