"""What something else than a control chose for the controls: how the page opens, an example, an address, an upload.

Streamlit starts every run from what the browser shows. A run that is given up, because the visitor did something else
meanwhile, has shown nothing, and what the browser sends on its way does not know what the server shows just now: a
value that was only set would be lost to the one that stood there before, or, where a browser has not loaded the
control's script yet, to none at all. So runs have numbers, a box that nobody sees has the browser say which run it
knows (`Timers` says it for a browser that has not drawn the box), and until then every run sets the value again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import streamlit as st

CHOSEN, RUN, SEEN = "chosen", "run", "seen"
"""Where a visit keeps what was chosen lately and the number of this run, and the box with the number that is known."""
MOST_BEFORE = 64


@dataclass(frozen=True)
class Choice:
    """A control's new value, those that it had before, and the first run that shows it."""

    value: object
    before: tuple[object, ...]
    run: int


def choose(choices: Mapping[str, object]) -> None:
    """Set controls by their keys, and keep them so until the browser knows."""
    chosen: dict[str, Choice] = st.session_state.setdefault(CHOSEN, {})
    for key, value in choices.items():
        before = chosen[key].before if key in chosen else ()
        chosen[key] = Choice(value, (*before[-MOST_BEFORE:], st.session_state.get(key)), _next_run())
    st.session_state.update(choices)


def follow(key: str, value: object) -> None:
    """Let a control that sets others show how these stand."""
    if st.session_state.get(key) != value:
        choose({key: value})


def forget(*keys: str) -> None:
    """Let go of what was chosen for controls that are not there."""
    chosen: dict[str, Choice] = st.session_state.get(CHOSEN, {})
    for key in keys:
        chosen.pop(key, None)
        st.session_state.pop(key, None)


def late(key: str) -> bool:
    """Whether a control changed by no visitor's doing: what was chosen for it came back, or what stood there before."""
    choice: Choice | None = st.session_state.get(CHOSEN, {}).get(key)
    # A part of the page that asks by itself may bring the value of before, and only the next message the chosen one.
    return choice is not None and (st.session_state.get(key) == choice.value or _unknown(key, choice))


def _unknown(key: str, choice: Choice) -> bool:
    """Whether a control stands where it does though the browser may not know of what was chosen yet."""
    return _known() < choice.run and st.session_state.get(key) in (choice.value, *choice.before)


def hold() -> None:
    """Set again what the browser did not know yet; must come before the controls."""
    chosen: dict[str, Choice] = st.session_state.get(CHOSEN, {})
    for key, choice in list(chosen.items()):
        if _unknown(key, choice):
            st.session_state[key] = choice.value
        else:
            del chosen[key]


def folded(label: str, key: str, controls: Iterable[str]) -> st.delta_generator.DeltaGenerator | None:
    """A part of the page that unfolds; None while it is folded, when its controls need not be drawn.

    Whoever opens the page waits for each control that a browser draws, whether it is seen or not. What is chosen holds
    meanwhile: Streamlit would forget what no control shows.
    """
    part = st.expander(label, key=key, on_change="rerun")
    now, before = {control: st.session_state[control] for control in controls}, f"{key}_before"
    was_open, st.session_state[before] = st.session_state.get(before, False), part.open
    if not part.open:
        st.session_state.update(now)
        return None
    if not was_open:
        choose(now)
    return part


def drawn() -> None:
    """All controls stand there with what was chosen: have the browser say so."""
    chosen: dict[str, Choice] = st.session_state.get(CHOSEN, {})
    if chosen:
        st.session_state[RUN] = _next_run()
        st.session_state[SEEN] = str(st.session_state[RUN])
    with st.container(key="unseen"):
        st.text_input(SEEN, key=SEEN)


def _next_run() -> int:
    return int(st.session_state.get(RUN, 0)) + 1


def _known() -> int:
    # Any text may come from a browser.
    text = str(st.session_state.get(SEEN) or "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
