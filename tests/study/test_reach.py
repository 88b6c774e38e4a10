"""How far a verdict holds: lines of conditions whose ends are known, and instances that are solved on paper."""

from __future__ import annotations

import pytest

from decc_core.study.compare import compare
from decc_core.study.reach import HOLDS, WITHIN, Reach, advice, reach, reach_in_words
from decc_core.study.verdict import verdict
from tests.study.test_verdict import chain


def test_both_ends_are_known_to_ten_per_cent_and_hold():
    found = reach(10, (0.1, 1000), lambda rate: 3 <= rate <= 70)
    assert 3 <= found.low <= 3 * WITHIN
    assert 70 / WITHIN <= found.high <= 70


def test_what_holds_as_far_as_is_looked_has_no_end():
    tried = []
    assert reach(10, (0.1, 1000), lambda rate: not tried.append(rate)) == Reach(None, None)
    assert (min(tried), max(tried)) == (0.1, 1000)


def test_a_condition_beyond_the_limits_is_looked_around_to_one_side_only():
    assert reach(5000, (0.1, 1000), lambda rate: rate > 2000).high is None
    assert reach(5000, (0.1, 1000), lambda rate: rate > 2000).low == pytest.approx(2000, rel=WITHIN - 1)


def test_the_advice_is_the_verdicts_but_for_how_both_devices_are_used():
    alone, split = chain((1, 1), (1, 1), (1000, 500)), chain((10, 900), (900, 10), (500, 10))
    shared = chain((5, 5), (0, 0), (10, 10), requests=4)
    assert [advice(instance) for instance in (alone, split, shared)] == ["on the edge", "both", "both"]
    assert verdict(compare(shared)).advice == "share"


@pytest.mark.parametrize(
    ("rates", "speeds", "sentence"),
    [
        (Reach(3.07, 12.1), Reach(None, 1.84), "from 3.1 Mbit/s to 12 Mbit/s up, and up to an edge 1.8× as fast."),
        (Reach(None, 12), Reach(0.25, None), "up to 12 Mbit/s, and down to an edge 0.25× as fast."),
        (Reach(3, None), Reach(0.5, 2.5), "from 3 Mbit/s up, and with an edge 0.50× to 2.5× as fast."),
        (
            Reach(None, None),
            Reach(None, None),
            "at every uplink from 0.1 Mbit/s to 1000 Mbit/s, and with an edge 0.10× to 10× as fast.",
        ),
    ],
)
def test_it_is_told_in_one_sentence(rates, speeds, sentence):
    for found, words in HOLDS.items():
        assert reach_in_words(found, rates, speeds) == f"{words} {sentence}"
