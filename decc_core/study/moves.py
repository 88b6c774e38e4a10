"""Moves of layers to the other side: what each of them would cost, and what must move along."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from decc_core.errors import DeccError, InfeasiblePlan
from decc_core.network.branches import chains, split_branches
from decc_core.network.work import Resource
from decc_core.planner.analysis import Analysis
from decc_core.planner.replan import replan
from decc_core.plans.check import check_constraints, check_cut
from decc_core.plans.plan import Plan
from decc_core.plans.schedule import objective_ns, schedule
from decc_core.problem.constraints import closure
from decc_core.problem.instance import CostInstance, Cut, Loads, loads, uplink_bytes


@dataclass(frozen=True)
class Move:
    """The partition point of one branch moved by one layer, for the requests named.

    `branch` is the chain of layers on which the point lies. `change_ns` is by how much the objective of the whole plan
    grows (negative: it shrinks) when everything is put in the best order found for the new cuts; None where `refused`
    says which constraint forbids the move. Changes of loads and bytes are sums over the requests moved.
    """

    layer: int
    to: Resource
    branch: tuple[int, ...]
    requests: tuple[int, ...]
    change_ns: int | None
    change_of_loads: Loads
    change_of_bytes: int
    refused: str | None = None


def minimal_moves(instance: CostInstance, cut: Cut) -> tuple[tuple[int, Resource, tuple[int, ...]], ...]:
    """Every single layer that may change sides alone, with the side it goes to and the branch that it stands on.

    A branch is a chain here, so at most one of its layers can join the edge and at most one can leave it; a waist
    belongs to the trunk, and moves only where no branch stands in between.
    """
    graph, found = instance.graph, []
    for chain in chains(split_branches(graph)):
        for layer in chain:
            if layer in cut:
                if not graph.layers[layer].is_input and cut.isdisjoint(graph.children[layer]):
                    found.append((layer, Resource.CLOUD, chain))
            elif cut.issuperset(graph.parents[layer]):
                found.append((layer, Resource.EDGE, chain))
    return tuple(found)


def costs_of_moves(instance: CostInstance, plan: Plan, requests: Sequence[int]) -> tuple[Move, ...]:
    """What each minimal move would cost if these requests, which share one cut, were cut there instead.

    The plan keeps its execution, and is put in order anew for every move, exactly as if the new cuts were planned from
    scratch or in the plan's own order of work, whichever is better.
    """
    cut = plan.cuts[requests[0]]
    if any(plan.cuts[request] != cut for request in requests):
        raise ValueError("The requests of a move must share one cut.")
    now = objective_ns(instance, plan, schedule(instance, plan))
    analysis = Analysis(instance)
    return tuple(
        _cost(analysis, plan, now, tuple(requests), layer, to, branch)
        for layer, to, branch in minimal_moves(instance, cut)
    )


def _cost(
    analysis: Analysis, plan: Plan, now_ns: int, requests: tuple[int, ...], layer: int, to: Resource,
    branch: tuple[int, ...],
) -> Move:  # fmt: skip
    instance = analysis.instance
    before = plan.cuts[requests[0]]
    after = before | {layer} if to is Resource.EDGE else before - {layer}
    cuts = [after if request in requests else cut for request, cut in enumerate(plan.cuts)]
    change, refused = None, None
    try:
        moved = replan(analysis, cuts, plan, plan.execution)
        change = objective_ns(instance, moved, schedule(instance, moved)) - now_ns
    except DeccError as error:
        refused = str(error)
    many = len(requests)
    pairs = zip(loads(instance, after), loads(instance, before), strict=True)
    sent = uplink_bytes(instance, after) - uplink_bytes(instance, before)
    return Move(layer, to, branch, requests, change, Loads(*(many * (a - b) for a, b in pairs)), many * sent, refused)


@dataclass(frozen=True)
class Edit:
    """A hand-made move: the layers asked for, and the smallest legal cut that has them on the wanted side.

    `along` are the layers that have to go with them, and `reason` says why: which layer in the cloud would otherwise
    feed which on the edge. `refused` says why the move is impossible; then `cut` is the cut as it was.
    """

    layers: tuple[int, ...]
    to: Resource
    cut: Cut
    along: tuple[int, ...]
    reason: str | None = None
    refused: str | None = None


def edited(instance: CostInstance, cut: Cut, layers: Iterable[int], to: Resource) -> Edit:
    """Move layers of a legal cut to one side, with all that must go along."""
    asked = frozenset(layers)
    graph, moving = instance.graph, asked - cut if to is Resource.EDGE else asked & cut
    order = tuple(sorted(moving))
    if not moving:
        return Edit(order, to, cut, (), refused="Everything named is on this side already.")
    if to is Resource.EDGE:
        wanted, closed = cut | moving, cut | closure(moving, graph.parents)
    else:
        wanted, closed = cut - moving, cut - closure(moving, graph.children)
    reason = _trouble(instance, wanted, with_constraints=False)
    refused = _trouble(instance, closed, with_constraints=True)
    if refused is not None:
        return Edit(order, to, cut, (), reason, refused)
    along = tuple(sorted((closed ^ cut) - moving))
    return Edit(order, to, closed, along, reason if along else None)


@dataclass(frozen=True)
class Edits:
    """One hand-made move for several requests: the cuts of all requests after it; else as in `Edit`.

    `nothing_to_do` says that it is refused only because all layers are on the wanted side already.
    """

    cuts: tuple[Cut, ...]
    along: tuple[int, ...]
    reason: str | None
    refused: str | None
    nothing_to_do: bool = False


def edited_requests(
    instance: CostInstance, cuts: Sequence[Cut], requests: Iterable[int], layers: Iterable[int], to: Resource
) -> Edits:
    """Move layers of several requests to one side; requests that have them there already stay as they are."""
    layers = tuple(layers)
    edits = {request: edited(instance, cuts[request], layers, to) for request in requests}
    changing = [edit for edit in edits.values() if edit.layers]
    refused = next((edit.refused for edit in changing if edit.refused), None)
    if not changing:
        refused = next((edit.refused for edit in edits.values()), "No request is chosen.")
    if refused is not None:
        reason = next((edit.reason for edit in changing if edit.reason), None)
        return Edits(tuple(cuts), (), reason, refused, nothing_to_do=not changing)
    after = tuple(edits[request].cut if request in edits else cut for request, cut in enumerate(cuts))
    along = tuple(sorted({layer for edit in changing for layer in edit.along}))
    return Edits(after, along, next((edit.reason for edit in changing if edit.reason), None), None)


def _trouble(instance: CostInstance, cut: Cut, with_constraints: bool) -> str | None:
    """The sentence with which a cut is refused."""
    try:
        check_cut(instance.graph, cut)
        if with_constraints:
            check_constraints(instance, cut)
    except InfeasiblePlan as error:
        return str(error)
    return None
