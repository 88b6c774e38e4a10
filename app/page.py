"""What all views share with Streamlit: the theme of the moment, and how charts behave."""

from __future__ import annotations

import re
from typing import Any

import streamlit as st

from app.figures.style import DARK, LIGHT, Theme

PLOT_CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "scrollZoom": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d"],
    "toImageButtonOptions": {"format": "svg", "filename": "decc"},
}


MARKS = re.compile(r"([\\\\`*_\[\]<>$:~#|!&{}])")
"""What Markdown could take for an order to draw, load or colour something."""


def literal(text: str) -> str:
    """Text from a file or an address, written so that Markdown shows it as it stands."""
    return MARKS.sub(r"\\\1", text)


def theme() -> Theme:
    return DARK if st.context.theme.type == "dark" else LIGHT
