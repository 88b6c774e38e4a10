"""The words of the page and their explanations."""

from __future__ import annotations

from app.glossary import MARKED, STRATEGIES, as_list, explained
from decc_core.planner import strategies


def test_a_word_is_explained_where_it_stands_first_and_nowhere_else():
    html = explained("The uplink is busy; another uplink is not.")
    assert html.count("<abbr") == 1
    assert html.startswith(f'The <abbr title="uplink: {MARKED["uplink"]}">uplink</abbr> is busy; another uplink')


def test_names_out_of_a_network_are_never_taken_for_words_and_cannot_be_markup():
    html = explained("Cut after 'uplink <b>gap</b>' (single-cut).")
    assert "&#x27;uplink &lt;b&gt;gap&lt;/b&gt;&#x27;" in html
    assert html.count("<abbr") == 1
    assert 'title="single-cut: ' in html


def test_a_word_within_another_is_none():
    assert "<abbr" not in explained("bandgap uplinks my-gap gap-less layer.gap")


def test_every_strategy_is_explained():
    assert list(STRATEGIES) == [*strategies.STRATEGIES, "exact"]
    assert as_list({"a": "b"}) == "- **a**: b"
