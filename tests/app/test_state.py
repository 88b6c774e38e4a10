"""What the controls offer."""

from __future__ import annotations

from app.state import EXAMPLES, NETWORK_PRESETS, RATES, STRATEGY_NOTES, log_steps
from decc_core import library
from decc_core.planner.strategies import STRATEGIES
from decc_core.problem.scenario import Scenario


def test_presets_and_examples_stand_on_the_steps_of_the_sliders():
    assert {preset.uplink_mbps for preset in NETWORK_PRESETS} <= set(RATES)
    assert {example.scenario.uplink_mbps for example in EXAMPLES} <= set(RATES)
    assert {example.scenario.model for example in EXAMPLES} <= set(library.shipped_models())


def test_logarithmic_steps_stay_within_their_ends():
    assert log_steps(0.5, 20, (1, 2, 5), (0.7, 99)) == [0.5, 0.7, 1.0, 2.0, 5.0, 10.0, 20.0]


def test_the_downlink_is_as_the_uplink_unless_chosen():
    assert Scenario("alexnet", uplink_mbps=4.0).link.downlink_bps == 4e6
    assert Scenario("alexnet", uplink_mbps=4.0, downlink_mbps=8.0).link.downlink_bps == 8e6


def test_every_strategy_is_told_in_a_sentence():
    assert set(STRATEGY_NOTES) == {*STRATEGIES, "exact"}
    assert all(note.endswith(".") for note in STRATEGY_NOTES.values())
