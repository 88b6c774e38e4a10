"""What something else than a control chose for the controls: an example, an address, a button, an upload.

Streamlit starts every run from what the browser shows. A run that is given up, because the visitor did something else
meanwhile, has shown nothing, and what the browser sends on its way does not know what the server shows just now: a
value that was only set would be lost to the one that stood there before.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

CHOSEN = "chosen"
"""Where a visit keeps what was chosen lately."""
ON_THE_WAY_S = 1.0
"""How long after a run a browser may still send what stood there before it; later, a visitor chose that again."""


MOST_BEFORE = 8


@dataclass
class Choice:
    """A control's new value, those that it had before, and until when these are taken for late."""

    value: object
    before: tuple[object, ...]
    until_s: float | None = None

    @property
    def over(self) -> bool:
        return self.until_s is not None and time.monotonic() > self.until_s


def choose(choices: Mapping[str, object]) -> None:
    """Set controls by their keys, and keep them so until the browser surely knows."""
    chosen: dict[str, Choice] = st.session_state.setdefault(CHOSEN, {})
    for key, value in choices.items():
        before = chosen[key].before if key in chosen else ()
        chosen[key] = Choice(value, (*before[-MOST_BEFORE:], st.session_state.get(key)))
    st.session_state.update(choices)


def late(key: str) -> bool:
    """Whether a control shows what stood there before only because the browser did not know better yet."""
    choice: Choice | None = st.session_state.get(CHOSEN, {}).get(key)
    shown = st.session_state.get(key)
    return choice is not None and not choice.over and shown != choice.value and shown in choice.before


def hold() -> None:
    """Set again what the browser did not know yet; must come before the controls."""
    chosen: dict[str, Choice] = st.session_state.get(CHOSEN, {})
    for key, choice in list(chosen.items()):
        if late(key):
            st.session_state[key] = choice.value
        elif choice.over or st.session_state.get(key) != choice.value:
            del chosen[key]


def drawn() -> None:
    """All controls were drawn with what was chosen; the browser gets to know it now."""
    for choice in st.session_state.get(CHOSEN, {}).values():
        if choice.until_s is None:
            choice.until_s = time.monotonic() + ON_THE_WAY_S
