"""Bytes and agreement over the depth, from rows small enough to check by eye."""

from __future__ import annotations

from app.figures.style import DARK, LIGHT
from app.figures.wire_depth import CutMark, draw_agreement, draw_bytes, look
from decc_core.study.depth import WireLine, depths_of
from tests.builders import make_graph

GRAPH = make_graph({"x": [], "<b>a</b>": ["x"], "c": ["<b>a</b>"]})
LINES = (
    WireLine("raw", (4000.0, 2000.0), (1.0, 1.0)),
    WireLine("int8", (4000.0, 500.0), (1.0, 0.9)),
    WireLine("jpeg85", (800.0, None), (0.99, None)),
)
CUTS = (CutMark(1, 500, 3, False), CutMark(2, 0, 1, False))


def test_every_format_is_a_line_in_one_unit_and_a_format_of_the_input_alone_a_mark():
    figure = draw_bytes(GRAPH, depths_of(GRAPH), LINES, CUTS, "int8", LIGHT)
    raw, int8, jpeg, cut = figure.data
    assert [trace.name for trace in figure.data] == ["raw", "int8", "jpeg85", "the plan's cut"]
    assert list(raw.y) == [4.0, 2.0]
    assert "kB" in figure.layout.yaxis.title.text
    assert int8.line.width > raw.line.width
    assert jpeg.mode == "markers"
    assert len(figure.layout.shapes) == 1
    assert list(cut.x) == [1]
    assert cut.customdata[0] == "the plan's cut, 3 requests: 500 B"


def test_hover_text_names_the_layer_as_text_and_how_many_tensors_cross():
    figure = draw_bytes(GRAPH, depths_of(GRAPH), LINES, (), "raw", DARK)
    assert figure.data[0].customdata[0] == "only inputs on the edge<br>1 tensor: 4.00 kB"
    assert "<b>a</b>" not in figure.data[0].customdata[1]
    assert "500 B" in figure.data[1].customdata[1]


def test_agreement_is_drawn_where_it_was_measured_beside_what_is_asked_for():
    figure = draw_agreement(GRAPH, depths_of(GRAPH), (*LINES, WireLine("int2", (1.0, 1.0), (None, None))), 0.8, LIGHT)
    assert [trace.name for trace in figure.data] == ["raw", "int8", "jpeg85"]
    assert list(figure.data[1].y) == [100.0, 90.0]
    assert figure.layout.yaxis.range[0] == 75.0
    assert figure.layout.shapes[0].y0 == 80.0


def test_formats_are_told_apart_by_colour_and_dash():
    assert len({look(place, LIGHT) for place in range(9)}) == 9
    assert len({look(place, DARK)[1] for place in range(9)}) == 9
