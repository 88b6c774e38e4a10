"""Planned over measured: how far stages were from their plans."""

from __future__ import annotations

from app.figures.overlay import StageError, draw_stage_errors
from app.figures.style import LIGHT
from decc_core.network.work import Resource


def test_the_axis_of_stages_holds_every_stage_and_goes_no_further_than_there_are_some():
    def axis(*errors: float) -> list[float]:
        rows = [StageError(Resource.EDGE, "request 1", error, "edge") for error in errors]
        return [round(end, 2) for end in draw_stage_errors(rows, LIGHT).layout.xaxis.range]

    assert axis(4.0) == [-25.25, 420.25]
    assert axis(-1.0, 4.0) == [-125.0, 425.0]
    assert axis(0.2) == [-6.25, 21.25]
    assert axis() == [-5.5, 5.5]
