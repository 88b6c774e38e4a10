"""What a visitor takes along from the Plan view."""

from __future__ import annotations

import streamlit as st

from app.shell import exports, widgets
from decc_core import store
from decc_core.study.compare import Comparison, Outcome


def take_along(comparison: Comparison, outcome: Outcome) -> None:
    """Files of what is shown, and the pieces into which the plan cuts the network."""
    scenario = widgets.scenario()
    st.markdown(f"**Files** of this scenario and of {outcome.strategy}'s plan")
    exports.report_download(scenario, comparison, outcome)
    st.markdown("**The cut network**, to run somewhere else: a program for each side, checked against the whole")
    graph = comparison.instance.graph
    saved = store.SavedPlan(graph.name, graph.fingerprint, outcome.plan, outcome.strategy)
    exports.split_download(scenario, graph, saved)
