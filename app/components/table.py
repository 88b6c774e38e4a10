"""A table whose rows can be sorted and picked; one that stands for layers marks them in graph and chart, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).resolve().parent
HTML = """
<div class="frame"><table><caption></caption><thead></thead><tbody></tbody></table></div>
<div class="foot"><span class="note"></span><button type="button" class="save">Save as CSV</button></div>
"""
CSS, SCRIPT = ((HERE / f"table.{ending}").read_text(encoding="utf-8") for ending in ("css", "js"))

MARKED = "A row that is pointed at or chosen is marked in the pictures above."

Cell = str | tuple[str, float]
"""A text, or a number as it is shown and as it is; one without an end travels as its text, which browsers can read."""


class Tone(StrEnum):
    """What sets a row apart from the others."""

    BEST = "best"
    PINNED = "pinned"


@dataclass(frozen=True)
class Row:
    """Cells, the layers for which they stand, and the requests; None stands for all requests.

    `name` is what a table tells that has its rows picked, and what is the same row when all is drawn anew.
    """

    cells: tuple[Cell, ...]
    layers: tuple[int, ...] = ()
    requests: tuple[int, ...] | None = None
    tone: Tone | None = None
    name: str = ""


def table(
    name: str,
    columns: Sequence[str],
    rows: Sequence[Row],
    key: str,
    *,
    file: str = "table",
    note: str = "",
    picked: str | None = None,
    on_pick: Callable[[str], None] | None = None,
) -> None:
    """Rows that can be sorted, walked through with the arrow keys, chosen, and saved under the name `file`.

    The whole table is one stop of the Tab key. What is pointed at or chosen is told to the page's other pictures by the
    event `decc:point`, as `graph` does. With `on_pick` a row that is chosen stays so until another is; it is called
    with its name, and `picked` is the name of the one that is chosen now. The `note` stands below the rows.
    """
    for row in rows:
        if len(row.cells) != len(columns):
            raise ValueError(f"Table '{name}' has {len(columns)} columns, and a row has {len(row.cells)} cells.")
    data = {
        "name": name,
        "columns": list(columns),
        "rows": [
            {
                "cells": [_sent(cell) for cell in row.cells],
                "layers": list(row.layers),
                "requests": None if row.requests is None else list(row.requests),
                "tone": row.tone,
                "name": row.name,
            }
            for row in rows
        ],
        "file": file,
        "note": note or (MARKED if any(row.layers for row in rows) else ""),
        "picks": on_pick is not None,
        "picked": picked,
    }
    # Registered in each run, as the graph's viewer is.
    viewer: Any = st.components.v2.component("decc_table", html=HTML, css=CSS, js=SCRIPT)

    def heard() -> None:
        row = picked_row(st.session_state.get(key), rows)
        if on_pick is not None and row is not None:
            on_pick(row.name)

    viewer(key=key, data=data, on_picked_change=heard)


def _sent(cell: Cell) -> str | list[str | float]:
    return cell if isinstance(cell, str) else list(cell) if isfinite(cell[1]) else cell[0]


def picked_row(state: Mapping[str, object] | None, rows: Sequence[Row]) -> Row | None:
    """The row that a browser says was chosen, which may have been there before; any message may come from a browser."""
    name = (state or {}).get("picked")
    return next((row for row in rows if row.name == name and row.name), None)
