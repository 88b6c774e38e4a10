"""What all charts share: font, margins, and the neutral colours of the two themes."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from decc_core.printed.html import DARK, FONT, LIGHT, Theme

__all__ = ["DARK", "FONT", "LIGHT", "Theme", "figure_layout", "new_figure"]


def new_figure(theme: Theme, height: int, label: str, **layout: Any) -> go.Figure:
    """An empty figure in the page's font and colours."""
    return go.Figure(layout=figure_layout(theme, height, label, **layout))


def figure_layout(theme: Theme, height: int, label: str, **layout: Any) -> dict[str, Any]:
    """The page's font and colours; `label` is read to those who do not see the figure.

    `uirevision` keeps a zoom where a figure is updated in place.
    """
    return {
        "height": height,
        "meta": {"label": label},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 13, "color": theme.text},
        "hoverlabel": {"align": "left", "font": {"family": FONT, "size": 12}},
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1.0,
            "yanchor": "bottom",
            "font": {"size": 13, "color": theme.text},
        },
        # What stands below the buttons of a chart is covered while they are there, so that both can be read.
        "modebar": {"bgcolor": theme.page, "color": theme.muted, "activecolor": theme.text},
        "margin": {"l": 4, "r": 8, "t": 24, "b": 4},
        "uirevision": "keep",
        **layout,
    }
