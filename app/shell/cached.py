"""What is computed once per input: graphs and profiles, comparisons, pictures.

All values are frozen, so visitors share them (`cache_resource`) and nothing is copied on a rerun.
"""

from __future__ import annotations

import hashlib
import time

import streamlit as st

from app.figures.branch_graph import BranchGraph, branch_rows
from app.figures.layer_graph import LayerRows
from app.figures.layer_graph import layer_rows as rows_of_layers
from decc_core import library
from decc_core.errors import DeccError
from decc_core.network.graph import LayerGraph
from decc_core.planner.analysis import Analysis
from decc_core.planner.replan import replan
from decc_core.planner.strategies import judged
from decc_core.plans.plan import Plan
from decc_core.problem.instance import CostInstance, Cut
from decc_core.problem.profile import DeviceProfile
from decc_core.study import moves
from decc_core.study.ablation import Ablation, ablate
from decc_core.study.compare import Comparison, Outcome, compare, outcome_of
from decc_core.study.moves import Move


def instance_key(instance: CostInstance) -> str:
    """Identity of an instance: everything that a planner sees, and all that a picture of it shows."""
    content = (
        instance.graph.fingerprint,
        instance.edge_ns,
        instance.cloud_ns,
        instance.uplink_ns,
        instance.downlink_ns,
        instance.wire_bytes,
        instance.half_rtt_ns,
        instance.requests,
        instance.objective.value,
        instance.constraints,
        # Names stand in what is cached; two visitors may call the same network, or its modules, differently.
        instance.graph.details,
    )
    return hashlib.sha256(repr(content).encode()).hexdigest()


def plan_key(plan: Plan) -> str:
    """Identity of a plan of a known instance: its cuts and its sequences."""
    found = hashlib.sha256(plan.execution.value.encode())
    for part in (*plan.work, plan.masks(1 + max(max(cut) for cut in plan.cuts))):
        found.update(part.tobytes())
    return found.hexdigest()


HASH = {CostInstance: instance_key, frozenset: sorted, Plan: plan_key, Comparison: lambda one: comparison_key(one)}


def comparison_key(comparison: Comparison) -> str:
    plans = [plan_key(outcome.plan) for outcome in comparison.outcomes]
    return repr((instance_key(comparison.instance), comparison.lower_bound_ns, plans))


@st.cache_resource(max_entries=64, show_spinner=False)
def graph_of(model: str) -> LayerGraph:
    return library.load_graph(model)


@st.cache_resource(max_entries=256, show_spinner=False)
def shipped_profile(model: str, device: str) -> DeviceProfile:
    return library.load_profile(model, device)


@st.cache_resource(max_entries=128, show_spinner="Planning …", hash_funcs=HASH)
def compared(instance: CostInstance) -> Comparison:
    """All strategies on an instance, with the time that each took to plan."""
    return compare(instance, clock=time.perf_counter)


@st.cache_resource(max_entries=128, show_spinner=False, hash_funcs=HASH)
def picture(instance: CostInstance, cut: Cut) -> BranchGraph:
    return branch_rows(instance, cut)


@st.cache_resource(max_entries=64, show_spinner="Planning every move …", hash_funcs=HASH)
def costs_of_moves(instance: CostInstance, plan: Plan, requests: tuple[int, ...]) -> tuple[Move, ...]:
    return moves.costs_of_moves(instance, plan, requests)


@st.cache_resource(max_entries=256, show_spinner="Planning …", hash_funcs=HASH)
def replanned(instance: CostInstance, cuts: tuple[Cut, ...], like: Plan, bound_ns: int) -> Outcome | str:
    """The outcome for hand-made cuts, or the sentence with which they are refused."""
    try:
        return outcome_of(instance, "hand-made", judged(instance, replan(Analysis(instance), cuts, like)), bound_ns)
    except DeccError as error:
        return str(error)


@st.cache_resource(max_entries=32, show_spinner="Planning with one idea at a time …", hash_funcs=HASH)
def ablated(comparison: Comparison) -> Ablation:
    return ablate(comparison)


@st.cache_resource(max_entries=128, show_spinner=False, hash_funcs=HASH)
def layer_rows(instance: CostInstance, opened: frozenset[str]) -> LayerRows:
    """The Network view's rows with these groups open."""
    return rows_of_layers(instance, opened)
