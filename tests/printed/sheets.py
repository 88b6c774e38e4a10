"""Looks at printed pages as a reader would: where the texts stand, and whether anything is missing from a file."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from itertools import combinations

from matplotlib.text import Text
from matplotlib.transforms import Bbox

from decc_core.printed.sheet import SIZES, Form, Picture, Sheet, drawn, settings

LEAST_POINTS = 2.7
"""Smaller letters nobody reads."""
WHOLE = "column"
"""The files of one size are looked into: those of others differ in places and sizes alone."""
TOUCHING = 0.4
"""Pixels by which boxes of letters may run into each other: letters do not fill theirs."""


def on_page(picture: Picture, size: str) -> tuple[Sheet, list[tuple[str, Bbox]]]:
    """The page, and every text that is drawn on it with its place; texts that are hidden or empty are not drawn."""
    found: list[Text] = []
    draw = Text.draw

    def noting(text: Text, renderer: object, *args: object, **named: object) -> None:
        if text.get_visible() and text.get_text().strip():
            found.append(text)
        draw(text, renderer, *args, **named)

    with settings():
        sheet = drawn(picture, SIZES[size])
        try:
            Text.draw = noting
            sheet.figure.canvas.draw()
        finally:
            Text.draw = draw
        texts = [(text.get_text(), text.get_window_extent()) for text in dict.fromkeys(found)]
    assert all(text.get_fontsize() >= LEAST_POINTS for text in found)
    return sheet, texts


def require_tidy(picture: Picture, size: str) -> list[str]:
    """The files are whole, and no text runs into another or leaves the page; returns all texts."""
    sheet, texts = on_page(picture, size)
    if size == WHOLE:
        require_whole(sheet, picture.title, size)
    page = sheet.figure.bbox
    for text, box in texts:
        assert page.x0 - 1 <= box.x0, text
        assert box.x1 <= page.x1 + 1, text
        assert page.y0 - 1 <= box.y0, text
        assert box.y1 <= page.y1 + 1, text
    for (one, first), (other, second) in combinations(texts, 2):
        wide = min(first.x1, second.x1) - max(first.x0, second.x0)
        high = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert wide <= TOUCHING or high <= TOUCHING, f"'{one}' runs into '{other}'"
    return [text for text, _ in texts]


def require_whole(sheet: Sheet, title: str, size: str) -> None:
    """Both files are valid, and hold all that is needed to show them."""
    with settings():
        pdf, svg = sheet.saved(Form.PDF, title), sheet.saved(Form.SVG, title).decode()
    assert pdf.startswith(b"%PDF-")
    assert pdf.rstrip().endswith(b"%%EOF")
    assert pdf.count(b"/Type /FontDescriptor") == pdf.count(b"/FontFile2") > 0
    assert not re.search(rb"/URI|/Launch|/GoToR|/JavaScript", pdf)
    left, top, width, _ = (float(number) for number in re.findall(rb"/MediaBox \[([^\]]+)\]", pdf)[0].split())
    assert (left, top) == (0, 0)
    assert abs(width / 72 * 25.4 - SIZES[size].width_mm) < 0.1

    assert "<!DOCTYPE" not in svg
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    for element in root.iter():
        kind = element.tag.rsplit("}", 1)[-1]
        assert kind not in ("image", "script", "foreignObject", "text", "a"), kind
        for name, value in element.attrib.items():
            if name.rsplit("}", 1)[-1] == "href":
                assert value.startswith("#"), value
            assert all(place.startswith("#") for place in re.findall(r"url\(([^)]*)\)", value)), value
