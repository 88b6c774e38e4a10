"""A picture of the plans that no other one beats."""

from __future__ import annotations

import pytest

from app.figures.style import DARK, LIGHT
from app.figures.trade_offs import Measure, TradeOff, draw_trade_offs, trade_off_rows
from decc_core.problem.instance import Objective
from decc_core.study.pareto import pareto

ROWS = (
    TradeOff("decc", Objective.MAKESPAN, 200_000_000, 5.0, 600_000.0),
    TradeOff("edge-only", Objective.THROUGHPUT, 900_000_000, 1.5, 0.0),
)


def test_rows_are_the_points_in_their_order(diamond):
    points = pareto(diamond)
    rows = trade_off_rows(points)
    assert [row.makespan_ns for row in rows] == [point.outcome.schedule.makespan_ns for point in points]
    assert [row.bytes_per_request for row in rows] == [point.bytes_per_request for point in points]


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_latency_stands_against_bytes_or_rate_and_the_plan_above_is_a_ring(theme):
    figure = draw_trade_offs(ROWS, ROWS[1], 0, Measure.BYTES, theme)
    plans, ring = figure.data
    assert list(plans.x) == [200, 900]
    assert list(plans.y) == [600, 0]
    assert list(plans.marker.symbol) == ["circle", "square"]
    assert plans.marker.size[0] > plans.marker.size[1]
    assert (list(ring.x), list(ring.y), ring.marker.symbol) == ([900], [0], "circle-open")
    assert "600 kB up per request" in plans.customdata[0]
    rate = draw_trade_offs(ROWS, ROWS[0], None, Measure.RATE, theme)
    assert list(rate.data[0].y) == [5.0, 1.5]
    assert len(set(rate.data[0].marker.size)) == 1
