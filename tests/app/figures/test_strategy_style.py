"""How strategies look."""

from __future__ import annotations

import pytest

from app.figures.strategy_style import strategy_style
from app.figures.style import DARK, LIGHT
from decc_core.pictures import ink_on
from decc_core.planner.strategies import STRATEGIES


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_every_strategy_has_a_colour_and_a_short_name_of_its_own(theme):
    colours = {strategy_style(strategy).colour(theme) for strategy in STRATEGIES}
    assert len(colours) == len(STRATEGIES)
    assert len({strategy_style(strategy).short for strategy in STRATEGIES}) == len(STRATEGIES)
    assert ink_on("#000000") == "#FFFFFF"
    assert ink_on("#FFFFFF") != "#FFFFFF"
