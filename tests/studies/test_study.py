"""What a study's file says, and how its mistakes are told."""

from __future__ import annotations

import pytest

from decc_core.errors import InvalidStudy
from decc_core.planner.strategies import STRATEGIES
from decc_core.streams.load import POLICIES
from decc_core.studies.study import Study
from tests.studies.small import TEXT


def test_lists_are_axes_and_the_grid_is_their_product():
    study = Study.from_text(TEXT)
    assert (study.points, study.rows) == (24, 96)
    assert study.name == "small"
    assert study.networks == ("chain", "wide")
    assert study.others == ({"requests": 1}, {"requests": 2})
    assert study.pairs == (("slow", "fast"),)
    assert study.text == TEXT


def test_tables_of_one_kind_follow_each_other():
    study = Study.from_text(
        'networks = "a"\n[[links]]\nuplink_mbps = [1, 2]\nrtt_ms = [0, 5]\n'
        "[[links]]\nuplink_mbps = 9\ndownlink_mbps = 3"
    )
    assert study.links == (
        {"uplink_mbps": 1.0, "rtt_ms": 0.0},
        {"uplink_mbps": 1.0, "rtt_ms": 5.0},
        {"uplink_mbps": 2.0, "rtt_ms": 0.0},
        {"uplink_mbps": 2.0, "rtt_ms": 5.0},
        {"uplink_mbps": 9.0, "downlink_mbps": 3.0},
    )
    assert study.points == 5


def test_what_is_not_said_is_as_usual():
    study = Study.from_text('networks = ["googlenet"]', "one.toml")
    assert (study.name, study.points, study.strategies) == ("one", 1, tuple(STRATEGIES))
    assert not study.is_streams


def test_a_range_is_numbers_whose_ratio_or_difference_is_the_same():
    text = 'networks = "a"\n[[links]]\nuplink_mbps = { from = 1, to = 100, count = 3 }\n'
    more = 'rtt_ms = { from = 0, to = 20, count = 3, spacing = "difference" }'
    links = Study.from_text(text + more).links
    assert [row["uplink_mbps"] for row in links[::3]] == [1, 10, 100]
    assert [row["rtt_ms"] for row in links[:3]] == [0, 10, 20]


def test_no_limit_and_the_uplinks_rate_can_be_said_in_a_list():
    study = Study.from_text(
        'networks = "a"\n[links]\ndownlink_mbps = ["same", 5]\n'
        '[[constraints]]\nkeep_on_edge = ["none", "inputs", 2]\nedge_memory_mb = "none"'
    )
    assert [row["downlink_mbps"] for row in study.links] == [None, 5]
    assert [row["keep_on_edge"] for row in study.constraints] == [None, "inputs", "2"]


def test_streams_have_policies_rates_and_ways_to_arrive():
    study = Study.from_text(
        'networks = "a"\n[streams]\nrates_rps = [1, 2]\nrates_of_capacity = 0.5\nsustained = true\n'
        'arrivals = ["poisson", "gamma"]\nrequests = 1000\ndeadline_ms = 50'
    )
    assert study.strategies == POLICIES
    assert study.points == 2 * 4
    assert [stream.is_sustained for stream in study.streams[:4]] == [False, False, False, True]
    assert {stream.arrivals for stream in study.streams} == {"poisson", "gamma"}


def test_a_dictionary_is_like_a_file():
    said = {"name": "d", "networks": ["chain"], "requests": [1, 2], "links": [{"uplink_mbps": [1, 2]}]}
    study = Study.from_dict(said)
    assert study.points == 4
    assert Study.from_dict(__import__("json").loads(study.text)) == study


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('networks = ["a"]\nrequsts = [1]', 2, "did you mean 'requests'"),
        ('networks = ["a"]\nuplink_mbps = 3', 2, "it stands in [[links]]"),
        ('networks = ["a"]\n\n[[links]]\nrequests = 3', 4, "it stands on top of the file"),
        ('networks = ["a"]\n[[links]]\nuplink_mbps = 1\n[[links]]\nuplink_mbps = 0', 5, "uplink"),
        ('networks = ["a"]\n[[links]]\nuplink_mbps = [1, "fast"]', 3, "must be a number"),
        ('networks = ["a"]\n[[links]]\nrtt_ms = true', 3, "must be a number"),
        ('networks = ["a"]\n[[links]]\nuplink_mbps = [3, 3]', 3, "twice"),
        ('networks = ["a"]\nrequests = 1.5', 2, "whole number"),
        ('networks = ["a"]\nrequests = [1,\n 0]', 2, "1 or more"),
        ('networks = ["a"]\nwire = "fp31"', 2, "fp31"),
        ('networks = ["a"]\nstrategies = ["desc"]', 2, "did you mean 'decc'"),
        ('networks = ["a"]\nexact_s = 0', 2, "above 0"),
        ('networks = ["a"]\nsample = 2', 2, "1 point"),
        ('networks = ["a"]\nseed = 2', 2, "sample"),
        ("networks = []", 1, "1 to 200 names"),
        ('networks = ["a"]\n[[links]]\nuplink_mbps = { from = 1, to = 2 }', 3, "range"),
        ('networks = ["a"]\n[[links]]\nuplink_mbps = { from = 0, to = 2, count = 3 }', 3, "above 0"),
        ('networks = ["a"]\nrequests = 2\n[streams]\nrates_rps = 1', 2, "requests of [streams]"),
        ('networks = ["a"]\n[streams]\nrates_rps = 1\nrequests = 3', 2, "99 % confidence"),
        ('networks = ["a"]\n[streams]\nrates_rps = 1\narrivals = "poison"', 4, "did you mean 'poisson'"),
        ('networks = ["a"]\n[streams]\npolicies = "dad"', 3, "did you mean 'dads'"),
        ('networks = ["a"]\n[streams]\nsustained = false', 3, "sustained"),
        ('networks = ["a"]\n[[devices]]\nedge_slowdown = 0', 3, "slowdown"),
        ('networks = ["a"]\n[constraints]\nuplink_kb = -1', 3, "uplink limit"),
        ('networks = ["a"]\nwire = "int8"\n[wire_profiles]\nb = "c"', 4, "among the networks"),
        ('networks = ["a"]\n[wire_profiles]\na = "c"', 2, "coded tensors"),
        ('networks = ["a"]\nwire_profiles = "c"', 2, "one table"),
        ('networks = ["a"]\nmin_agreement = 0.9', 2, "[wire_profiles]"),
        ('networks = ["a"]\nmin_agreement = 2\n[wire_profiles]\na = "c"', 2, "agreement"),
        ('networks = ["a"\nwire = 3', 2, "no TOML"),
    ],
)
def test_a_mistake_names_its_line(text, line, words):
    with pytest.raises(InvalidStudy) as told:
        Study.from_text(text, "mine.toml")
    assert "mine.toml" in str(told.value)
    assert f"line {line}" in str(told.value)
    assert words in str(told.value)


def test_a_study_without_networks_says_how_to_name_them():
    with pytest.raises(InvalidStudy, match=r"networks = \[\"googlenet\"\]"):
        Study.from_text("requests = 1")


def test_a_grid_that_is_too_large_is_refused_before_it_is_made():
    axis = ", ".join(map(str, range(1, 4001)))
    text = f'networks = ["a"]\nrequests = [{", ".join(map(str, range(1, 1001)))}]\n[[links]]\nuplink_mbps = [{axis}]\n'
    with pytest.raises(InvalidStudy, match="4,000,000 points"):
        Study.from_text(text)
    assert Study.from_text(f"sample = 500\n{text}").points == 500


def test_a_dictionary_of_what_no_file_holds_is_refused():
    with pytest.raises(InvalidStudy, match="no file could hold"):
        Study.from_dict({"networks": [object()]})
