"""All strategies as bars."""

from __future__ import annotations

from app.figures.bars import bar_rows, draw_bars
from app.figures.style import LIGHT
from decc_core.network.work import Resource
from decc_core.pictures import COLOURS
from decc_core.study.compare import compare
from decc_core.text import duration


def test_the_best_strategy_stands_out_and_every_strategy_has_a_bar(diamond):
    comparison = compare(diamond)
    rows = bar_rows(comparison)
    assert [row.strategy for row in rows] == [outcome.strategy for outcome in comparison.outcomes]
    assert [row.strategy for row in rows if row.is_best] == [comparison.best.strategy]
    drawn = draw_bars(rows, comparison.lower_bound_ns, "makespan", LIGHT)
    assert drawn.count(COLOURS[Resource.EDGE]) == 1
    assert all(f">{row.strategy}</div>" in drawn and duration(row.objective_ns) in drawn for row in rows)
    assert f"proven lower bound: {duration(comparison.lower_bound_ns)}" in drawn
