"""What the controls offer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.state import BETWEEN, EXAMPLES, NETWORK_PRESETS, OPENING, RATES, log_steps, preset_of
from decc_core import library
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


@pytest.mark.parametrize("preset", NETWORK_PRESETS, ids=lambda preset: preset.name)
def test_every_preset_names_its_source_and_what_figures_it_took(preset):
    assert any(year in preset.source for year in map(str, range(2010, 2027)))
    assert preset.figure
    for key, value in preset.choices.items():
        low, high = BETWEEN[key]
        assert value is None or (isinstance(value, float) and low <= value <= high)
    # Up, down and round trip come from one measurement, or the uplink alone from a paper.
    assert (preset.downlink_mbps is None) == (preset.rtt_ms is None)


def test_the_names_of_presets_differ_and_those_of_the_papers_are_kept():
    names = [preset.name for preset in NETWORK_PRESETS]
    assert len(set(names)) == len(names)
    papers = {preset.name: preset.uplink_mbps for preset in NETWORK_PRESETS if not preset.measured}
    assert papers == {"CAT1": 0.13, "3G": 1.1, "4G": 5.85, "Wi-Fi": 18.88}


def test_a_preset_stands_only_while_all_that_it_sets_stands():
    for preset in NETWORK_PRESETS:
        standing = replace(OPENING.scenario, **preset.choices)
        assert preset_of(standing) == preset
        assert preset_of(replace(standing, uplink_mbps=7.3)) is None
        assert preset_of(replace(standing, downlink_mbps=7.3)) is None
        assert preset_of(replace(standing, rtt_ms=7.3)) == (None if preset.measured else preset)
