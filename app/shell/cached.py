"""What is computed once per question: graphs and profiles, comparisons, pictures.

All values are frozen, so visitors share them and nothing is copied on a rerun. Answers about a network that a visitor
sent belong to the workspace that the network is in, and end with it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import fields
from typing import Any, TypeVar

import streamlit as st

from app.figures import layer_graph, layer_tree
from app.figures.branch_graph import BranchGraph, branch_rows
from app.figures.gantt import Chart, plan_chart
from app.figures.layer_graph import LayerRows
from app.figures.layer_tree import Group
from app.jobs.planners import PLANNERS
from app.memory import MEMORY
from app.shell import visit
from decc_core import library
from decc_core.errors import DeccError
from decc_core.network.graph import LayerGraph
from decc_core.plans.plan import Plan
from decc_core.problem.instance import CostInstance, Cut
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.roofline import estimate
from decc_core.problem.scenario import Scenario
from decc_core.problem.wire import WireProfile
from decc_core.study.ablation import Ablation, ablate, ablate_wire
from decc_core.study.compare import Comparison, Outcome, compare, hand_made
from decc_core.study.moves import Move, costs_of_moves

MUCH_WORK = 20_000
"""A chart of so many pieces of work takes a while."""
T = TypeVar("T")


def graph_of(model: str) -> LayerGraph:
    return MEMORY.keep(("graph", model), lambda: library.load_graph(model))


def shipped_profile(model: str, device: str) -> DeviceProfile:
    return MEMORY.keep(("profile", model, device), lambda: library.load_profile(model, device))


def wire_profile(name: str) -> WireProfile:
    return MEMORY.keep(("wire", name), lambda: library.load_wire_profile(name))


def estimated_profile(graph: LayerGraph, device: str) -> DeviceProfile:
    """The estimate for a network on a device of the catalogue."""
    return MEMORY.keep(
        ("estimate", graph.name, graph.fingerprint, graph.details, device),
        lambda: estimate(graph, library.catalogue()[device]),
        owner=owner_of(graph),
    )


def owner_of(graph: LayerGraph) -> str | None:
    """The workspace to which a network belongs; none for those that everybody has."""
    return None if MEMORY.get(("graph", graph.name)) is graph else visit.token()


def tree(graph: LayerGraph) -> Group:
    """A network as groups that open."""
    return _answer("tree", graph, (graph.fingerprint, graph.details), lambda: layer_tree.layer_tree(graph))


def layer_rows(instance: CostInstance, opened: frozenset[str]) -> LayerRows:
    """The Network view's rows with these groups open."""
    key = (instance_key(instance), *sorted(opened))
    rows = layer_graph.layer_rows
    return _answer("layers", instance.graph, key, lambda: rows(instance, tree(instance.graph), opened))


def compared(instance: CostInstance) -> Comparison:
    """All strategies on an instance, with the time that each took to plan."""
    key = (instance_key(instance),)

    def make() -> Comparison:
        return PLANNERS.ask(instance, compare, instance, clock=time.perf_counter)

    return _answer("comparison", instance.graph, key, make, "Planning …")


def ablated(comparison: Comparison) -> Ablation:
    instance = comparison.instance
    plans = (plan_key(outcome.plan) for outcome in comparison.outcomes)
    key = (instance_key(instance), comparison.lower_bound_ns, *plans)

    def make() -> Ablation:
        return PLANNERS.ask(instance, ablate, comparison)

    return _answer("ablation", instance.graph, key, make, "Planning with one idea at a time …")


def wire_ablated(scenario: Scenario, comparison: Comparison, pair: tuple[DeviceProfile, DeviceProfile]) -> str:
    """What coded inputs and coded features are worth, in a sentence; nothing where all is raw."""
    instance, decc = comparison.instance, comparison.of("decc").objective_ns

    def make() -> str:
        found = PLANNERS.ask(instance, ablate_wire, scenario, instance.graph, *pair, decc)
        return str(found or "")

    key = (instance_key(instance), scenario.wire, scenario.input_wire)
    return _answer("wire ablation", instance.graph, key, make, "Planning with raw inputs and features …")


def chart(comparison: Comparison, outcome: Outcome, critical: bool) -> tuple[Chart, str]:
    """The chart of an outcome's schedule, and what there is to say of its critical path if that is asked for."""
    instance, plan = comparison.instance, outcome.plan
    parts = (instance, plan, outcome.schedule, comparison.lower_bound_ns, critical)
    if len(plan.work.request) < MUCH_WORK:
        return plan_chart(*parts)
    key = (instance_key(instance), plan_key(plan), comparison.lower_bound_ns, critical)

    def make() -> tuple[Chart, str]:
        return PLANNERS.ask(instance, plan_chart, *parts)

    return _answer("chart", instance.graph, key, make, "Drawing …")


def picture(instance: CostInstance, cut: Cut) -> BranchGraph:
    key = (instance_key(instance), cuts_key([cut]))
    return _answer("picture", instance.graph, key, lambda: branch_rows(instance, cut))


def lanes(instance: CostInstance) -> float:
    """How many lanes above each other a network takes when it is drawn, less one; its cuts do not matter."""
    graph = instance.graph

    def make() -> float:
        low, high = branch_rows(instance, instance.all_edge).extent
        return high - low

    return _answer("lanes", graph, (graph.fingerprint, graph.details), make)


def moved(instance: CostInstance, plan: Plan, requests: tuple[int, ...]) -> tuple[Move, ...]:
    key = (instance_key(instance), plan_key(plan), requests)

    def make() -> tuple[Move, ...]:
        return PLANNERS.ask(instance, costs_of_moves, instance, plan, requests)

    return _answer("moves", instance.graph, key, make, "Planning every move …")


def replanned(instance: CostInstance, cuts: tuple[Cut, ...], like: Plan, bound_ns: int) -> Outcome | str:
    """The outcome for hand-made cuts, or the sentence with which they are refused."""

    def make() -> Outcome | str:
        try:
            return PLANNERS.ask(instance, hand_made, instance, cuts, like, bound_ns)
        except DeccError as error:
            return str(error)

    key = (instance_key(instance), cuts_key(cuts), plan_key(like), bound_ns)
    return _answer("replanned", instance.graph, key, make, "Planning …")


def _answer(what: str, graph: LayerGraph, key: tuple[Any, ...], make: Callable[[], T], spinner: str | None = None) -> T:
    """What is known for a question, or now made, with a spinner where that takes long."""
    known: T | None = MEMORY.get((what, *key))
    if known is not None:
        return known
    with st.spinner(spinner) if spinner else nullcontext():
        return MEMORY.keep((what, *key), make, owner_of(graph))


def instance_key(instance: CostInstance) -> str:
    """Identity of an instance: everything that a planner sees, and all that a picture of it shows."""
    # Names stand in what is cached; two visitors may call the same network, or its modules, differently.
    graph = instance.graph
    content = [graph.fingerprint, graph.details]
    content += [getattr(instance, one.name) for one in fields(instance) if one.name != "graph"]
    return hashlib.sha256(repr(content).encode()).hexdigest()


def plan_key(plan: Plan) -> str:
    """Identity of a plan of a known instance: its cuts and its sequences."""
    digest = hashlib.sha256(f"{plan.execution.value} {cuts_key(plan.cuts)}".encode())
    for column in plan.work:
        digest.update(column.tobytes())
    return digest.hexdigest()


def cuts_key(cuts: Sequence[Cut]) -> str:
    """Identity of the cuts of some requests."""
    kinds = {cut: hashlib.sha256(repr(sorted(cut)).encode()).hexdigest() for cut in set(cuts)}
    return hashlib.sha256(" ".join(kinds[cut] for cut in cuts).encode()).hexdigest()
