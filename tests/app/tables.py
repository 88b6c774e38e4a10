"""What the page's own tables say."""

from __future__ import annotations

import json

from streamlit.testing.v1 import AppTest

STRATEGIES = "All strategies"
"""How the name of the table of all strategies begins."""


def rows_of(page: AppTest, name: str) -> list[dict]:
    """The rows of the table that is called so, with the titles of its columns; numbers as they are."""
    data = table_of(page, name)
    return [
        {
            **{
                title: cell[1] if isinstance(cell, list) else cell
                for title, cell in zip(data["columns"], row["cells"], strict=True)
            },
            "layers": row["layers"],
        }
        for row in data["rows"]
    ]


def table_of(page: AppTest, name: str) -> dict:
    """All that the page sends for the table that is called so."""
    found = [as_a_browser_reads(one.proto.mixed.json or one.proto.json) for one in page.get("bidi_component")]
    (data,) = [one for one in found if name in one.get("name", "") and "columns" in one]
    return data


def as_a_browser_reads(text: str) -> dict:
    """What Python writes for numbers without an end is no JSON, and a browser refuses all of it."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)
