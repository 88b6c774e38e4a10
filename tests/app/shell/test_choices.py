"""What was chosen for a control outlasts what a browser sends that does not know of it yet."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from app.shell import choices


class Page:
    """Streamlit's part: the state of a visit, and what the browser last got to know."""

    def __init__(self) -> None:
        self.session_state: dict[str, object] = {"rate": 1.0}

    def container(self, key: str) -> nullcontext:
        return nullcontext()

    def text_input(self, label: str, key: str) -> None:
        pass

    def browser_sends(self, rate: float, seen: str | None = None) -> None:
        """A run begins with what the browser shows; unless it says otherwise, it knows nothing new."""
        self.session_state["rate"] = rate
        if seen is not None:
            self.session_state[choices.SEEN] = seen

    @property
    def seen(self) -> str:
        return str(self.session_state[choices.SEEN])


@pytest.fixture
def page(monkeypatch) -> Page:
    found = Page()
    monkeypatch.setattr(choices, "st", found)
    choices.drawn()
    return found


def test_a_choice_of_a_run_that_was_given_up_is_made_again(page):
    choices.choose({"rate": 5.0})
    page.browser_sends(1.0)
    assert choices.late("rate")
    choices.hold()
    assert page.session_state["rate"] == 5.0


def test_a_browser_that_does_not_know_yet_undoes_nothing(page):
    choices.choose({"rate": 5.0})
    choices.drawn()
    page.browser_sends(1.0, seen="0")
    choices.hold()
    assert page.session_state["rate"] == 5.0


def test_a_visitor_who_chooses_another_value_is_followed(page):
    choices.choose({"rate": 5.0})
    choices.drawn()
    page.browser_sends(2.0, seen="0")
    choices.hold()
    assert page.session_state["rate"] == 2.0
    assert page.session_state[choices.CHOSEN] == {}


def test_a_visitor_who_saw_the_choice_and_goes_back_is_followed(page):
    choices.choose({"rate": 5.0})
    choices.drawn()
    page.browser_sends(1.0, seen=page.seen)
    assert not choices.late("rate")
    choices.hold()
    assert page.session_state["rate"] == 1.0
    assert page.session_state[choices.CHOSEN] == {}


def test_of_two_choices_in_a_row_the_last_one_stays_until_it_was_seen(page):
    choices.choose({"rate": 5.0})
    choices.drawn()
    first = page.seen
    choices.choose({"rate": 7.0})
    choices.drawn()
    for older in (1.0, 5.0):
        page.browser_sends(older, seen=first)
        choices.hold()
        assert page.session_state["rate"] == 7.0
    page.browser_sends(5.0, seen="2")
    choices.hold()
    assert page.session_state["rate"] == 5.0


@pytest.mark.parametrize("text", ["", "-1", "many", "٣", "9" * 40])
def test_a_browser_that_says_nonsense_is_taken_for_one_that_knows_nothing(page, text):
    choices.choose({"rate": 5.0})
    choices.drawn()
    page.browser_sends(1.0, seen=text)
    choices.hold()
    assert page.session_state["rate"] == 5.0


def test_what_is_kept_of_a_control_does_not_grow(page):
    for rate in range(1000):
        choices.choose({"rate": float(rate)})
    assert len(page.session_state[choices.CHOSEN]["rate"].before) <= choices.MOST_BEFORE + 1


def test_a_choice_that_comes_back_after_the_value_of_before_is_nobodys_doing(page):
    choices.choose({"rate": 5.0})
    choices.drawn()
    # A part of the page that asks by itself sends what stood there before, and is given no chance to hold.
    page.browser_sends(1.0, seen="0")
    assert choices.late("rate")
    page.browser_sends(5.0, seen=page.seen)
    assert choices.late("rate")
    choices.hold()
    assert page.session_state["rate"] == 5.0
    page.browser_sends(2.0, seen=page.seen)
    assert not choices.late("rate")
