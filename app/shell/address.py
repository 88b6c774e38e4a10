"""The scenario in the page's address: a link reproduces the page, and back and forward move through scenarios."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from app.state import OPENING, Scenario, checked
from app.text import plain

SHOWN = "address"
"""Where a visit keeps the parameters that it last showed."""
TAB, PLAN_TAB = "tab", "plan_tab"
"""The Plan view's open tab: its name in the address, and the key of its widget."""
FIRST_TAB = "All strategies"
"""Open where the address names none; the view itself is not imported for that."""


def parameters(scenario: Scenario) -> dict[str, str]:
    """What differs from the opening scenario, as text; nothing for the opening scenario itself."""
    opening = OPENING.scenario.controls()
    return {
        key: "same" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
        for key, value in scenario.controls().items()
        if value != opening[key]
    }


def scenario_of(found: Mapping[str, str]) -> tuple[Scenario, tuple[str, ...]]:
    """The scenario that an address describes, and a sentence for every part of it that cannot be used."""
    scenario, refused = OPENING.scenario, []
    for key, value in scenario.controls().items():
        if key in found:
            try:
                scenario = replace(scenario, **{key: _parsed(key, found[key], value)})
            except ValueError as error:
                refused.append(str(error))
    return scenario, tuple(refused)


def _parsed(key: str, text: str, opening: Any) -> Any:
    if key == "downlink_mbps" and text == "same":
        return None
    try:
        value = text if isinstance(opening, str) else int(text) if isinstance(opening, int) else float(text)
    except ValueError:
        raise ValueError(f"The address says {key}={text}, which is not a number; the page keeps its own.") from None
    return checked(key, value)


def take() -> None:
    """Set the controls as the address says, where it was changed by something else than the controls."""
    if PLAN_TAB in st.session_state:
        # A view without the tabs would forget which one is open.
        st.session_state[PLAN_TAB] = st.session_state[PLAN_TAB]
    found = st.query_params.to_dict()
    if found == st.session_state.get(SHOWN, {}):
        return
    scenario, refused = scenario_of(found)
    st.session_state.update(scenario.controls())
    # A tab that there is not is the first one.
    st.session_state[PLAN_TAB] = found.get(TAB, FIRST_TAB)
    st.session_state[SHOWN] = found
    for sentence in refused:
        st.warning(plain(sentence))


def show(scenario: Scenario) -> dict[str, str]:
    """Let the address follow the controls and the open tab; returns its parameters."""
    wanted = parameters(scenario)
    if (tab := st.session_state.get(PLAN_TAB, FIRST_TAB)) != FIRST_TAB:
        wanted[TAB] = tab
    if wanted != st.query_params.to_dict():
        st.query_params.from_dict(wanted)
    st.session_state[SHOWN] = wanted
    return wanted
