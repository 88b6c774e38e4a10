"""Every strategy over the uplink's rate."""

from __future__ import annotations

from app.figures.lines import draw_lines, line_rows
from app.figures.style import LIGHT
from decc_core.study.crossover import crossovers
from decc_core.study.sweep import Cell


def made_up(point: tuple[float, float], **objective_ns: int) -> Cell:
    named = {name.replace("_", "-"): value for name, value in objective_ns.items()}
    return Cell(point[0] * 1e6, point[1], named, min(named.values()), {})


def test_lines_have_a_point_per_cell_and_a_diamond_per_crossover():
    cells = [
        made_up((1.0, 1.0), edge_only=100, cloud_only=900),
        made_up((4.0, 1.0), edge_only=100, cloud_only=225),
        made_up((16.0, 1.0), edge_only=100, cloud_only=56),
    ]
    lines = line_rows(reversed(cells))
    assert [line.strategy for line in lines] == ["edge-only", "cloud-only"]
    assert lines[1].rates_mbps == (1.0, 4.0, 16.0)
    assert lines[1].objective_ns == (900, 225, 56)
    figure = draw_lines(lines, crossovers(cells), 4.0, "makespan", LIGHT)
    (diamond,) = (trace for trace in figure.data if trace.name == "crossover")
    assert list(diamond.x) == [8.0]
    assert diamond.customdata[0] == "8 Mbit/s: edge-only → cloud-only"
