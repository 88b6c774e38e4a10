"""What a visitor takes along from the Plan view."""

from __future__ import annotations

import streamlit as st

from app.figures import printed
from app.figures.bars import TITLES
from app.shell import exports, widgets
from app.views import plan_proof
from decc_core import store
from decc_core.study.compare import Comparison, Outcome


def take_along(comparison: Comparison, outcome: Outcome) -> None:
    """Figures and files of what is shown, and the pieces into which the plan cuts the network."""
    scenario = widgets.scenario()
    st.markdown(f"**Figures** of this scenario and of {outcome.strategy}'s plan, for a paper or for slides")
    critical, proof = bool(st.session_state.get("critical", True)), plan_proof.finished(comparison)
    exports.figures(
        scenario,
        comparison.instance.graph,
        [
            printed.of_schedule(comparison, outcome, critical),
            *printed.of_cuts(comparison.instance, outcome),
            printed.of_strategies(comparison),
            *([printed.of_proof(proof, TITLES[comparison.instance.objective])] if proof else []),
        ],
    )
    st.markdown(f"**Files** of this scenario and of {outcome.strategy}'s plan")
    exports.report_download(scenario, comparison, outcome)
    st.markdown("**The cut network**, to run somewhere else: a program for each side, checked against the whole")
    graph = comparison.instance.graph
    saved = store.SavedPlan(graph.name, graph.fingerprint, outcome.plan, outcome.strategy)
    exports.split_download(scenario, graph, saved)
