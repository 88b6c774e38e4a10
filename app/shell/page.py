"""What all views share with Streamlit: the theme of the moment, and how charts behave."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.figures.style import DARK, LIGHT, Theme

PLOT_CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "scrollZoom": False,
    # A chart is saved for print by the page; Plotly's own camera would leave the fonts out.
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "toImage"],
}


def theme() -> Theme:
    return DARK if st.context.theme.type == "dark" else LIGHT
