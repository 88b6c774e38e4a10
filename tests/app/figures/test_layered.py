"""The plain layout that stands in where the layout library cannot be installed."""

from __future__ import annotations

from app.figures.layered import SPACING, plain_layout


def test_ranks_follow_the_longest_way_and_lanes_are_centred():
    ((points, width, height, segments),) = plain_layout([("x", "a"), ("x", "b"), ("a", "c"), ("b", "y"), ("c", "y")])
    at = dict(points)
    depth = {name: (height - y) / SPACING for name, (_, y) in at.items()}
    assert depth == {"x": 0, "a": 1, "b": 1, "c": 2, "y": 3}
    assert width == 2 * SPACING
    assert at["x"][0] == (at["a"][0] + at["b"][0]) / 2
    assert segments is None
