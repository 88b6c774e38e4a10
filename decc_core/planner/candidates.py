"""Cuts worth considering: prefixes of the stored order, waists, and the weighted min cuts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np

from decc_core import kernels
from decc_core.errors import ImpossibleConstraints
from decc_core.network.arrays import Ints, Mask
from decc_core.planner.mincut import CutNetwork, Weights, cut_network, prefix_sums
from decc_core.planner.mixes import best_mix
from decc_core.plans.memory import cut_memory_bytes, fits
from decc_core.problem.constraints import UNCONSTRAINED
from decc_core.problem.instance import CostInstance, Cut, Loads, loads, uplink_bytes, uses_cloud

RATIOS = (1, 4, 16, 64, 256)
UNIT = 16
EVEN: Weights = (1, 1, 1, 1)
THRIFTY: tuple[Weights, ...] = tuple((1, 2**power, 1, 1) for power in range(2, 22, 2))
"""Weights on what is sent, for a limit on uplink bytes (a Lagrangian relaxation of it)."""


@dataclass(frozen=True)
class Candidate:
    """A cut of one request with its loads and its sequential time."""

    cut: Cut
    loads: Loads
    sequential_ns: int


def candidate(instance: CostInstance, cut: Cut, load: Loads | None = None) -> Candidate:
    load = load or loads(instance, cut)
    return Candidate(cut, load, sum(load) + (instance.rtt_ns if uses_cloud(instance, cut) else 0))


def prefix_candidate(instance: CostInstance, k: int) -> Candidate:
    """The cut with the inputs and the first k layers of the stored order on the edge."""
    load = Loads(*cut_network(instance).prefixes[k].tolist())
    return candidate(instance, frozenset(range(k)) | instance.all_cloud, load)


def prefix_sequential_ns(instance: CostInstance) -> Ints:
    """E + T + C + D + RTT of every prefix; only the last one, all-edge, saves the RTT."""
    found = cut_network(instance).prefixes.sum(axis=1)
    found[:-1] += instance.rtt_ns
    return np.asarray(found)


def allowed_prefixes(instance: CostInstance) -> Mask:
    """Which prefixes keep the pins and the limit on uplink bytes."""
    k = np.arange(len(instance.graph.layers) + 1)
    allowed = (k > max(instance.on_edge, default=-1)) & (k <= min(instance.in_cloud, default=len(k)))
    limit = instance.constraints.uplink_bytes
    if limit is not None:
        allowed &= prefix_sums(instance, np.array(instance.wire_bytes, np.int64)) <= limit
    return np.asarray(allowed)


def _costing_bytes(instance: CostInstance) -> CostInstance:
    """The same choices, without a limit, where only bytes sent cost anything."""
    nothing = (0,) * len(instance.graph.layers)
    no_way_back = (0,) * len(instance.graph.tensors)
    return replace(
        instance,
        edge_ns=nothing,
        cloud_ns=nothing,
        uplink_ns=instance.wire_bytes,
        downlink_ns=no_way_back,
        constraints=replace(instance.constraints, uplink_bytes=None),
    )


@lru_cache(maxsize=8)
def best_prefix(instance: CostInstance) -> Cut | None:
    """The prefix of least sequential time that keeps the constraints."""
    costs, allowed = prefix_sequential_ns(instance), allowed_prefixes(instance)
    for k in np.argsort(costs, kind="stable").tolist():
        if allowed[k]:
            cut = prefix_candidate(instance, k).cut
            if fits(instance, cut):
                return cut
    return None


@lru_cache(maxsize=8)
def dsl_cut(instance: CostInstance) -> Cut:
    """The cut of least E + T + C + D + RTT; all-edge is compared apart, because only it saves the RTT.

    Under a limit on bytes the best of the weighted min cuts (a Lagrangian relaxation of the limit) and of the prefixes
    that keep it; with the limit the problem is NP-hard.
    """
    network = cut_network(instance)
    cuts = [network.cheapest(EVEN), instance.most_edge]
    constraints = instance.constraints
    if constraints.uplink_bytes is not None or constraints.edge_memory_bytes is not None:
        prefix = best_prefix(instance)
        cuts += [*_thrifty_cuts(instance), *_grid_cuts(instance), instance.least_edge]
        cuts += [prefix] if prefix is not None else []
    legal = [cut for cut in cuts if fits(instance, cut)]
    if not legal:
        raise ImpossibleConstraints(_why_impossible(instance, cuts))
    return min(legal, key=lambda found: candidate(instance, found).sequential_ns)


def _why_impossible(instance: CostInstance, cuts: Sequence[Cut]) -> str:
    """The constraint that none of the cuts keeps, or that those do not which keep the other."""
    name, constraints = instance.graph.name, instance.constraints
    allowed = [cut for cut in cuts if instance.allows(cut)]
    if allowed:
        least = min(cut_memory_bytes(instance, cut) for cut in allowed)
        return (
            f"The edge memory limit of {constraints.edge_memory_bytes:,} bytes is too low: the thriftiest plan of "
            f"'{name}' found under the other constraints needs {least:,} bytes for {instance.requests} request(s)."
        )
    least = min(uplink_bytes(instance, cut) for cut in cuts)
    return (
        f"The uplink limit of {constraints.uplink_bytes:,} bytes a request is too low: with the pinned layers, "
        f"'{name}' sends at least {least:,} bytes."
    )


def _thrifty_cuts(instance: CostInstance) -> list[Cut]:
    """Cuts that send less and less, down to the least possible."""
    network = cut_network(instance)
    return [*(network.cheapest(weights) for weights in THRIFTY), CutNetwork(_costing_bytes(instance)).cheapest(EVEN)]


@lru_cache(maxsize=8)
def _grid_cuts(instance: CostInstance) -> tuple[Cut, ...]:
    network = cut_network(instance)
    return tuple(network.cheapest((edge, UNIT, cloud, UNIT)) for edge, cloud in product(RATIOS, RATIOS))


@lru_cache(maxsize=8)
def weighted_candidates(instance: CostInstance) -> tuple[Candidate, ...]:
    """Min cuts for a log grid of weights on E : T : C (D weighs as T), and the columns of the LP over mixes."""
    cuts = dict.fromkeys([dsl_cut(instance), instance.most_edge, instance.least_edge, *_grid_cuts(instance)])
    cuts.update(dict.fromkeys(best_mix(instance, 1, known=tuple(cuts)).cuts))
    if instance.constraints.uplink_bytes is not None:
        cuts.update(dict.fromkeys(_thrifty_cuts(instance)))
    return tuple(candidate(instance, cut) for cut in cuts if fits(instance, cut))


@lru_cache(maxsize=8)
def candidates(instance: CostInstance) -> tuple[Candidate, ...]:
    """Weighted min cuts and the cuts right after a waist, dominated ones removed."""
    points = cut_network(instance).points
    load = cut_network(instance).prefixes[points]
    # Of the waists first those that no other waist dominates, because making a cut costs more than comparing loads.
    if instance.constraints is UNCONSTRAINED:
        order = np.lexsort(np.column_stack((load, load.sum(axis=1))).T)
        points = points[np.sort(order[kernels.undominated(load[order])])]
    waists = [prefix_candidate(instance, k) for k in points.tolist()]
    return undominated([*weighted_candidates(instance), *(one for one in waists if fits(instance, one.cut))])


def undominated(found: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Candidates than which no other is at least as good in all four loads and in sequential time, fastest first."""
    ordered = sorted(found, key=lambda one: (one.sequential_ns, one.loads))
    load = np.array([one.loads for one in ordered], np.int64)
    return tuple(ordered[i] for i in kernels.undominated(load).tolist())


def cuts_of(found: Sequence[Candidate]) -> tuple[Cut, ...]:
    return tuple(one.cut for one in found)
