"""The page's own table: what it refuses, what it sends, and which messages it believes."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app.components.table import Row, picked_row, table
from tests.app.tables import as_a_browser_reads


def shown_page() -> None:
    from app.components.table import Row, Tone, table

    rows = [Row(("<b>", ("1.5", 1.46)), (3, 4), (0,)), Row(("y", ("∞", float("inf"))), tone=Tone.BEST, name="last")]
    table("A table", ["layer", "time (ms)"], rows, "it", file="times")


def test_a_row_without_a_cell_for_each_column_is_refused():
    with pytest.raises(ValueError, match="2 columns, and a row has 1"):
        table("A table", ["layer", "time (ms)"], [Row(("x",))], "it")


def test_rows_travel_with_their_layers_and_requests():
    page = AppTest.from_function(shown_page, default_timeout=60).run()
    assert not page.exception
    (drawn,) = page.get("bidi_component")
    data = as_a_browser_reads(drawn.proto.mixed.json or drawn.proto.json)
    assert data["columns"] == ["layer", "time (ms)"]
    assert data["rows"] == [
        {"cells": ["<b>", ["1.5", 1.46]], "layers": [3, 4], "requests": [0], "tone": None, "name": ""},
        # No number that a browser can read.
        {"cells": ["y", "∞"], "layers": [], "requests": None, "tone": "best", "name": "last"},
    ]
    assert data["file"] == "times"
    assert "marked in the pictures" in data["note"]
    assert (data["picks"], data["picked"]) == (False, None)


ROWS = [Row(("x",), name="edge-only"), Row(("y",), name="decc"), Row(("z",))]


def test_the_row_that_was_chosen_is_found_by_its_name_wherever_it_stands_now():
    assert picked_row({"picked": "decc"}, ROWS) is ROWS[1]
    assert picked_row({"picked": "decc"}, ROWS[1:]) is ROWS[1]
    assert picked_row({"picked": "decc"}, ROWS[2:]) is None


@pytest.mark.parametrize("said", ["cloud-only", "", 0, True, None, ["decc"], {"name": "decc"}])
def test_only_the_name_of_a_row_is_believed(said):
    assert picked_row({"picked": said}, ROWS) is None


@pytest.mark.parametrize("state", [None, {}])
def test_where_nothing_was_picked_there_is_no_row(state):
    assert picked_row(state, ROWS) is None
