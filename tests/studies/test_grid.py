"""The points of a study, and the lines in which they are planned."""

from __future__ import annotations

from decc_core.studies.grid import MOST_POINTS, Grid
from decc_core.studies.study import Study
from tests.studies.small import TEXT

MANY = 'networks = ["a", "b"]\nrequests = [1, 2, 4]\n[[devices]]\nedge_slowdown = [1, 2]\ncloud_speedup = [1, 4]\n'
LINKS = "[[links]]\nuplink_mbps = { from = 1, to = 1000, count = 50 }\nrtt_ms = [0, 10]\n"


def numbers(grid):
    return [point.number for line in grid for point in line.points]


def test_every_point_is_in_one_line():
    for text in (TEXT, MANY + LINKS):
        study = Study.from_text(text)
        grid = Grid(study)
        assert sorted(numbers(grid)) == list(range(study.points))
        assert [grid.points_of(line.number) for line in grid] == [len(line.points) for line in grid]
        assert sum(line.rows for line in grid) == study.rows


def test_a_line_is_of_one_network_and_of_bounded_length():
    study = Study.from_text(MANY + LINKS)
    for line in Grid(study):
        assert {point.settings["model"] for point in line.points} == {line.model}
        assert len(line.points) <= 2 * MOST_POINTS
    assert len(Grid(study)) >= 24


def test_within_a_set_of_conditions_the_link_gets_faster_and_then_the_edge():
    first = Grid(Study.from_text(TEXT))[0]
    conditions = [(point.settings["requests"], point.settings["uplink_mbps"], -point.settings["edge_slowdown"])
                  for point in first.points]  # fmt: skip
    assert conditions == sorted(conditions)
    assert conditions[:2] == [(1, 0.001, -2), (1, 0.001, -1)]


def test_a_sample_is_of_the_grid_and_follows_its_seed():
    whole = set(numbers(Grid(Study.from_text(MANY + LINKS))))
    first, again, other = (
        numbers(Grid(Study.from_text(f"sample = 100\nseed = {seed}\n{MANY}{LINKS}"))) for seed in (1, 1, 2)
    )
    assert first == again != other
    assert len(set(first)) == 100
    assert set(first) < whole


def test_a_point_of_a_sample_is_the_same_point():
    study = MANY + LINKS
    whole = {point.number: point for line in Grid(Study.from_text(study)) for point in line.points}
    for line in Grid(Study.from_text(f"sample = 50\n{study}")):
        assert all(point == whole[point.number] for point in line.points)


def test_a_long_axis_is_cut_into_lines():
    text = 'networks = ["a"]\n[[links]]\nuplink_mbps = { from = 1, to = 1000, count = 2000 }'
    grid = Grid(Study.from_text(text))
    assert numbers(grid) == list(range(2000))
    assert max(len(line.points) for line in grid) <= 2 * MOST_POINTS
