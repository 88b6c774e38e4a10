"""How a proof goes on."""

from __future__ import annotations

from app.figures.proof import draw_proof, proof_rows
from app.figures.style import LIGHT


def test_a_proof_closes_in_from_both_sides():
    rows = proof_rows([(1.0, 9e-9, 5e-9), (2.0, 9.5e-9, 4e-9)], 10, 3, 4.0)
    assert [round(1e9 * row.best_s, 6) for row in rows] == [10, 9, 9, 9]
    assert [round(1e9 * row.bound_s, 6) for row in rows] == [3, 5, 5, 5]
    assert rows[-1].elapsed_s == 4.0
    assert len(draw_proof(rows, "makespan", LIGHT).data) == 2
