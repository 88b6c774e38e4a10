"""The map over uplink and edge speed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.figures.style import DARK, LIGHT
from app.figures.sweep_map import MapKind, Tile, contour_rows, draw_map, map_rows
from decc_core.study.regret import Kept
from decc_core.study.sweep import Cell


def made_up(point: tuple[float, float], **objective_ns: int) -> Cell:
    named = {name.replace("_", "-"): value for name, value in objective_ns.items()}
    return Cell(point[0] * 1e6, point[1], named, min(named.values()), {})


POINTS = ((1.0, 1.0), (10.0, 1.0))


def test_a_map_of_winners_marks_near_ties():
    cells = {
        POINTS[0]: made_up(POINTS[0], edge_only=1000, decc=999),
        POINTS[1]: made_up(POINTS[1], edge_only=2000, decc=1000),
    }
    near, clear = map_rows(MapKind.WINNER, POINTS, cells, {}, {})
    assert (near.label, clear.label) == ("DECC ≈", "DECC")
    assert "edge-only is less than 0.5 % behind" in near.hover
    assert "1 Mbit/s up" in near.hover
    assert "1.00 µs" in near.hover


def test_a_map_of_winners_says_where_the_best_plan_cuts_nothing():
    apart = made_up(POINTS[0], edge_only=2000, cloud_only=1500, decc=1000)
    together = made_up(POINTS[1], edge_only=2000, cloud_only=900, decc=900)
    cells = {POINTS[0]: apart, POINTS[1]: together}
    whole = {
        point: replace(cell, whole=frozenset({"edge-only", "cloud-only", "decc"})) for point, cell in cells.items()
    }
    cut, tied = map_rows(MapKind.WINNER, POINTS, cells, {}, {})
    overlapped, same = map_rows(MapKind.WINNER, POINTS, whole, {}, {})
    assert (cut.label, overlapped.label) == ("DECC", "DECC<br>no cut")
    assert tied.label == same.label == "cloud"
    assert "leaves the network whole" in overlapped.hover


def test_maps_of_gain_and_regret_hold_ratios():
    cells = {POINTS[0]: made_up(POINTS[0], edge_only=300, jps=150, decc=100)}
    kept = {POINTS[0]: Kept(170)}
    (best,) = map_rows(MapKind.GAIN, POINTS, cells, kept, {})
    (over,) = map_rows(MapKind.GAIN, POINTS, cells, kept, {}, over="edge-only")
    (regret,) = map_rows(MapKind.REGRET, POINTS, cells, kept, {})
    assert [best.ratio, over.ratio, regret.ratio] == [1.5, 3.0, 1.7]
    assert [best.label, over.label, regret.label] == ["1.50", "3.00", "1.70"]


def test_a_kept_plan_that_is_not_possible_is_crossed_out_with_the_reason():
    cells = {POINTS[0]: made_up(POINTS[0], edge_only=300, decc=100)}
    (tile,) = map_rows(MapKind.REGRET, POINTS, cells, {POINTS[0]: Kept(None, "too <b>big</b>")}, {})
    assert tile.ratio is None
    assert tile.label == "✕"
    assert "too &lt;b&gt;big&lt;/b&gt;" in tile.hover


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("kind", list(MapKind))
def test_maps_draw_one_mark_to_click_per_known_cell(kind, theme):
    cells = {POINTS[0]: made_up(POINTS[0], edge_only=300, decc=100)}
    tiles = map_rows(kind, POINTS, cells, {POINTS[0]: Kept(120)}, {})
    figure = draw_map(kind, tiles, (1.0, 10.0), (1.0,), POINTS[1], POINTS[0], theme)
    (targets,) = (trace for trace in figure.data if trace.type == "scatter" and trace.customdata is not None)
    assert [list(one[:2]) for one in targets.customdata] == [[1.0, 1.0]]
    assert len(figure.layout.shapes) == 4


def test_the_contour_runs_between_cells_on_both_sides_of_it():
    def tile(ratio: float | None) -> Tile:
        return Tile((1.0, 1.0), "", "", ratio=ratio)

    # Two rows of three: below 1.00 1.10 unknown, above 1.00 1.00 1.20.
    rows = [[1.0, 1.1, None], [1.0, 1.0, 1.2]]
    found = {(j, i): tile(ratio) for j, row in enumerate(rows) for i, ratio in enumerate(row)}
    assert sorted(contour_rows(found)) == [
        ((0.5, -0.5), (0.5, 0.5)),
        ((0.5, 0.5), (1.5, 0.5)),
        ((1.5, 0.5), (1.5, 1.5)),
    ]
