"""The Profile view: how long each layer takes on both devices."""

from __future__ import annotations

import streamlit as st

from app.state import Scenario
from decc_core.cost import CostInstance


def view(scenario: Scenario, instance: CostInstance) -> None:
    st.subheader("Profile", anchor=False)
