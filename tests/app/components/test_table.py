"""The page's own table: what it refuses, what it sends, and which messages it believes."""

from __future__ import annotations

import json

import pytest
from streamlit.testing.v1 import AppTest

from app.components.table import Row, picked_place, table


def shown_page() -> None:
    from app.components.table import Row, Tone, table

    rows = [Row(("<b>", ("1.5", 1.46)), (3, 4), (0,)), Row(("y", "none"), tone=Tone.BEST)]
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
        {"cells": ["<b>", ["1.5", 1.46]], "layers": [3, 4], "requests": [0], "tone": None},
        {"cells": ["y", "none"], "layers": [], "requests": None, "tone": "best"},
    ]
    assert data["file"] == "times"
    assert "marked in the pictures" in data["note"]
    assert (data["picks"], data["picked"]) == (False, None)


@pytest.mark.parametrize(
    ("said", "place"), [(0, 0), (8, 8), (9, None), (-1, None), ("1", None), (1.0, None), (True, None)]
)
def test_only_the_place_of_a_row_is_believed(said, place):
    assert picked_place({"picked": said}, 9) == place


@pytest.mark.parametrize("state", [None, {}, {"picked": None}])
def test_where_nothing_was_picked_there_is_no_place(state):
    assert picked_place(state, 9) is None
