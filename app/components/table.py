"""A table whose rows stand for layers: one under the pointer marks them in graph and chart, and the other way round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).resolve().parent
HTML = """
<div class="frame"><table><caption></caption><thead></thead><tbody></tbody></table></div>
<div class="foot"><span class="note"></span><button type="button" class="save">Save as CSV</button></div>
"""
CSS, SCRIPT = ((HERE / f"table.{ending}").read_text(encoding="utf-8") for ending in ("css", "js"))

Cell = str | tuple[str, float]
"""A text, or a number as it is shown and as it is."""


@dataclass(frozen=True)
class Row:
    """Cells, the layers for which they stand, and the requests; None stands for all requests."""

    cells: tuple[Cell, ...]
    layers: tuple[int, ...] = ()
    requests: tuple[int, ...] | None = None


def table(name: str, columns: Sequence[str], rows: Sequence[Row], key: str, *, file: str = "table") -> None:
    """Rows that can be sorted, walked through with the arrow keys, chosen, and saved under the name `file`.

    The whole table is one stop of the Tab key. What is pointed at or chosen is told to the page's other pictures by the
    event `decc:point`, as `graph` does.
    """
    for row in rows:
        if len(row.cells) != len(columns):
            raise ValueError(f"Table '{name}' has {len(columns)} columns, and a row has {len(row.cells)} cells.")
    data = {
        "name": name,
        "columns": list(columns),
        "rows": [
            {
                "cells": [cell if isinstance(cell, str) else list(cell) for cell in row.cells],
                "layers": list(row.layers),
                "requests": None if row.requests is None else list(row.requests),
            }
            for row in rows
        ],
        "file": file,
    }
    # Registered in each run, as the graph's viewer is.
    viewer: Any = st.components.v2.component("decc_table", html=HTML, css=CSS, js=SCRIPT)
    viewer(key=key, data=data)
