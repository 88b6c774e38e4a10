"""The Sweep view: one plan over many conditions."""

from __future__ import annotations

import streamlit as st

from app.state import Scenario
from decc_core.cost import CostInstance


def view(scenario: Scenario, instance: CostInstance) -> None:
    st.subheader("Sweep", anchor=False)
