"""The Network view: the layers of the network as a graph."""

from __future__ import annotations

import streamlit as st

from app.state import Scenario
from decc_core.cost import CostInstance


def view(scenario: Scenario, instance: CostInstance) -> None:
    st.subheader("Network", anchor=False)
