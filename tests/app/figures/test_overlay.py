"""Planned over measured: how far stages were from their plans."""

from __future__ import annotations

from app.figures.overlay import StageError, draw_stage_errors
from app.figures.style import LIGHT
from decc_core.network.work import Resource


def test_no_stage_is_quicker_than_at_once():
    slow = [StageError(Resource.EDGE, "request 1", 4.0, "edge")]
    assert [round(end) for end in draw_stage_errors(slow, LIGHT).layout.xaxis.range] == [-105, 440]
    near = [StageError(Resource.EDGE, "request 1", 0.2, "edge")]
    low, high = draw_stage_errors(near, LIGHT).layout.xaxis.range
    assert (round(low), round(high)) == (-22, 22)
