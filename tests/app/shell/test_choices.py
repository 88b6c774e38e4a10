"""What was chosen for a control outlasts what a browser sends that does not know of it yet."""

from __future__ import annotations

import pytest

from app.shell import choices


class Clock:
    now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def state(monkeypatch) -> dict[str, object]:
    found: dict[str, object] = {"rate": 1.0}
    monkeypatch.setattr(choices.st, "session_state", found)
    return found


@pytest.fixture
def clock(monkeypatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(choices, "time", found)
    return found


def test_a_choice_of_a_run_that_was_given_up_is_made_again(state, clock):
    choices.choose({"rate": 5.0})
    state["rate"] = 1.0
    clock.now_s += 60
    assert choices.late("rate")
    choices.hold()
    assert state["rate"] == 5.0


def test_a_browser_that_does_not_know_yet_undoes_nothing_in_the_first_second(state, clock):
    choices.choose({"rate": 5.0})
    choices.drawn()
    clock.now_s += choices.ON_THE_WAY_S / 2
    state["rate"] = 1.0
    choices.hold()
    assert state["rate"] == 5.0


def test_a_visitor_who_chooses_again_is_followed(state, clock):
    choices.choose({"rate": 5.0})
    choices.drawn()
    state["rate"] = 2.0
    choices.hold()
    assert state["rate"] == 2.0
    assert state[choices.CHOSEN] == {}


def test_a_visitor_who_goes_back_later_is_followed(state, clock):
    choices.choose({"rate": 5.0})
    choices.drawn()
    clock.now_s += choices.ON_THE_WAY_S * 1.5
    state["rate"] = 1.0
    assert not choices.late("rate")
    choices.hold()
    assert state["rate"] == 1.0
    assert state[choices.CHOSEN] == {}


def test_of_two_choices_in_a_row_the_last_one_stays(state, clock):
    choices.choose({"rate": 5.0})
    choices.choose({"rate": 7.0})
    choices.drawn()
    for older in (1.0, 5.0):
        state["rate"] = older
        choices.hold()
        assert state["rate"] == 7.0


def test_what_is_kept_of_a_control_does_not_grow(state, clock):
    for rate in range(1000):
        choices.choose({"rate": float(rate)})
    assert len(state[choices.CHOSEN]["rate"].before) <= choices.MOST_BEFORE + 1
