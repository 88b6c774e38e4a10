"""A Gantt chart in inline SVG, which is there before a chart library would be: it zooms, tells, points and listens."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.figures.gantt import Chart, as_data, in_words
from app.figures.style import Theme

HERE = Path(__file__).resolve().parent
HTML = """
<div class="chart">
  <div class="tip" hidden></div>
  <div class="tools"></div>
</div>
"""
HEIGHT = 232
SMALL = 196
"""Where two stand one above the other."""
KEYS = (
    "Tab goes to the bars; there arrow keys move along a row and between rows, plus and minus zoom, 0 shows everything."
)


def _text(name: str) -> str:
    # Streamlit takes text without a line break inside for the path of a file; these files have many.
    return (HERE / name).read_text(encoding="utf-8")


CSS, SCRIPT = _text("gantt.css"), _text("gantt.js")


def gantt_chart(
    chart: Chart, name: str, key: str, theme: Theme, *, file: str = "schedule", height: int = HEIGHT
) -> None:
    """Draw a chart; `name` says of what, and each name has a zoom of its own that outlives reruns and views.

    `file` names a saved picture. What the pointer is on is told to other pictures of the page as an event of the
    window, `decc:point`, with the numbers of its layers; what others tell is marked.
    """
    data = {
        "name": name,
        "chart": as_data(chart, theme),
        "colours": {
            "text": theme.text,
            "muted": theme.muted,
            "grid": theme.grid,
            "page": theme.page,
            "select": theme.bound,
        },
        "label": f"{in_words(chart)} {KEYS}",
        "file": file,
        "height": height,
    }
    # Registered in each run, as the graph's viewer is.
    drawn = st.components.v2.component("decc_gantt", html=HTML, css=CSS, js=SCRIPT)
    drawn(key=key, data=data, height=height)
