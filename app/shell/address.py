"""The scenario in the page's address: a link reproduces the page, and back and forward move through scenarios."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.shell.choices import choose
from app.state import OPENING, checked
from app.text import plain
from decc_core.problem.scenario import Choice, Scenario, parsed

SHOWN, REPLACED = "address", "addresses_before"
"""Where a visit keeps the parameters that it last showed, and those that it showed before."""
LATE_S, MOST_REPLACED = 60.0, 64
"""How long, and how many of, the addresses shown before are taken for late."""
TAB, PLAN_TAB = "tab", "plan_tab"
"""The Plan view's open tab: its name in the address, and the key of its widget."""
FIRST_TAB = "All strategies"
"""Open where the address names none; the view itself is not imported for that."""


def parameters(scenario: Scenario) -> dict[str, str]:
    """What differs from the opening scenario, as text; nothing for the opening scenario itself."""
    return scenario.parameters(OPENING.scenario)


def scenario_of(address: Mapping[str, str]) -> tuple[Scenario, tuple[str, ...]]:
    """The scenario that an address describes, and a sentence for every part of it that cannot be used."""
    chosen: dict[str, Choice] = {}
    refused = []
    for key in OPENING.scenario.choices():
        if key in address:
            try:
                chosen[key] = _offered(key, address[key])
            except ValueError as error:
                refused.append(str(error))
    return replace(OPENING.scenario, **chosen), tuple(refused)


def _offered(key: str, text: str) -> Choice:
    try:
        value = parsed(key, text)
    except ValueError:
        raise ValueError(f"The address says {key}={text}, which is not a number; the page keeps its own.") from None
    return checked(key, value)


def take() -> None:
    """Set the controls as the address says, where it was changed by something else than the controls.

    An address that the page showed a moment ago is late, unless the browser went back or forward: a browser that does
    not have the latest yet sends the one before, in which the change just made is missing. Following it would undo
    that change.
    """
    if PLAN_TAB in st.session_state:
        # A view without the tabs would forget which one is open.
        st.session_state[PLAN_TAB] = st.session_state[PLAN_TAB]
    address = st.query_params.to_dict()
    if address == st.session_state.get(SHOWN) or (_is_late(address) and not _went_through_history()):
        return
    scenario, refused = scenario_of(address)
    # A tab that there is not is the first one.
    choose({**scenario.choices(), PLAN_TAB: address.get(TAB, FIRST_TAB)})
    st.session_state[SHOWN] = address
    for sentence in refused:
        st.warning(plain(sentence))


def _is_late(address: dict[str, str]) -> bool:
    now_s = time.monotonic()
    return any(older == address and now_s < until_s for older, until_s in st.session_state.get(REPLACED, ()))


def _went_through_history() -> bool:
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def show(scenario: Scenario) -> dict[str, str]:
    """Let the address follow the controls and the open tab; returns its parameters."""
    wanted = parameters(scenario)
    if (tab := st.session_state.get(PLAN_TAB, FIRST_TAB)) != FIRST_TAB:
        wanted[TAB] = tab
    if wanted != st.query_params.to_dict():
        st.query_params.from_dict(wanted)
    if (before := st.session_state.get(SHOWN)) != wanted:
        replaced = (*st.session_state.get(REPLACED, ()), (before, time.monotonic() + LATE_S))
        st.session_state[REPLACED] = replaced[-MOST_REPLACED:]
    st.session_state[SHOWN] = wanted
    return wanted
