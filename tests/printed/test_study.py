"""A study's figures for print: whole files, and texts that fit, for few networks and for many."""

from __future__ import annotations

import pytest

from decc_core.printed.study import MOST_CURVES, pictures
from decc_core.study.findings import Curves, Findings, Line, Point
from tests.printed.sheets import require_tidy

SIZES = ("column", "columns")
NAMES = ("googlenet", "resnet18", "a network with a very long name $x$ <b>", *(f"network_{i}" for i in range(9)))
POINTS = tuple(
    Point(name, rate, requests, True, {"edge-only": 4.0, "dads-dsl": 3.0, "jps": 2.0 + i / 5, "decc": 1.0 + rate / 100})
    for i, name in enumerate(NAMES)
    for rate in (1.0, 5.0, 18.88, 100.0)
    for requests in (1, 8)
)
CURVES = tuple(
    Curves(
        name,
        "uplink 18.9 Mbit/s, edge slower by 5 ×", 99.0,
        (Line("dads", (1.0, 5.0), (0.1, 0.4)), Line("decc", (1.0, 5.0, 9.0), (0.1, 0.12, 0.3))), 0.5, 10.0,
    )
    for name in NAMES[:5]
)  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
def test_all_figures_of_a_study_of_plans_are_tidy(size):
    gain, distribution = pictures(Findings(POINTS), ())
    texts = require_tidy(gain, size)
    assert {"1 request", "8 requests", "googlenet", "uplink (Mbit/s)"} <= set(texts)
    assert "over the best baseline" in require_tidy(distribution, size)


@pytest.mark.parametrize("size", SIZES)
def test_load_curves_stand_side_by_side(size):
    (load,) = (one for one in pictures(Findings(()), CURVES) if one.name == "load")
    texts = require_tidy(load, size)
    assert "deadline, and what no policy exceeds" in texts
    assert sum(text.startswith(("googlenet", "resnet18")) for text in texts) == 2


def test_a_study_of_one_rate_has_no_line_over_the_rate_and_gains_that_are_alike_are_drawn():
    points = tuple(Point("a", 5.0, 1, None, {"jps": 1.0, "decc": 1.0}) for _ in range(3))
    (distribution,) = pictures(Findings(points), ())
    require_tidy(distribution, "column")


def test_of_very_many_curves_the_first_are_drawn_and_the_rest_is_counted():
    (load,) = pictures(Findings(()), CURVES * 3)
    assert str(len(CURVES) * 3 - MOST_CURVES) in load.title
