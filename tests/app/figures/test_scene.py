"""A scene is whole, or it is refused."""

from __future__ import annotations

import pytest

from app.figures.scene import Line, Mark, Scene


def test_a_scene_refuses_what_cannot_be_drawn():
    mark = Mark("a", 0, 0, 10, 10)
    with pytest.raises(ValueError, match="same id"):
        Scene((mark, mark), ())
    with pytest.raises(ValueError, match="no mark"):
        Scene((mark,), (Line("a", "b", ((0, 0), (1, 1))),))
    with pytest.raises(ValueError, match="above 0"):
        Mark("a", 0, 0, 0, 10)
    with pytest.raises(ValueError, match="shape"):
        Mark("a", 0, 0, 10, 10, shape="star")
    with pytest.raises(ValueError, match="two points"):
        Line("a", "a", ((0, 0),))
