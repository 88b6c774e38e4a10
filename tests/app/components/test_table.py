"""A table of rows that stand for layers: what it refuses, and that it can be read and drawn."""

from __future__ import annotations

import json

import pytest
from streamlit.testing.v1 import AppTest

from app.components.table import Row, table


def shown_page() -> None:
    from app.components.table import Row, table

    rows = [Row(("<b>", ("1.5", 1.46)), (3, 4), (0,)), Row(("y", "none"))]
    table("A table", ["layer", "time (ms)"], rows, "it", file="times")


def test_a_row_without_a_cell_for_each_column_is_refused():
    with pytest.raises(ValueError, match="2 columns, and a row has 1"):
        table("A table", ["layer", "time (ms)"], [Row(("x",))], "it")


def test_rows_travel_with_their_layers_and_requests():
    page = AppTest.from_function(shown_page, default_timeout=60).run()
    assert not page.exception
    (drawn,) = page.get("bidi_component")
    data = json.loads(drawn.proto.mixed.json or drawn.proto.json)
    assert data["columns"] == ["layer", "time (ms)"]
    assert data["rows"] == [
        {"cells": ["<b>", ["1.5", 1.46]], "layers": [3, 4], "requests": [0]},
        {"cells": ["y", "none"], "layers": [], "requests": None},
    ]
    assert data["file"] == "times"
