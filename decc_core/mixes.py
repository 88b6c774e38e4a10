"""The LP over mixes of cuts: how low the largest load can get when requests may be cut differently.

Minimising over mixes the largest (load + offset) of a resource is, by duality, maximising over weights on the simplex
the weighted min cut plus the weighted offsets. Kelley's cutting planes solve that dual: each min cut is one column of
the primal and one plane of the dual. Every integer weight vector tried gives a bound that holds exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from ortools.linear_solver import pywraplp

from decc_core.cost import CostInstance, Cut, Loads, loads
from decc_core.errors import SolverFailed
from decc_core.mincut import Weights, cut_network

WEIGHT_SUM = 2**14
MAX_ROUNDS = 60
TOLERANCE = 1e-6
NO_OFFSETS = Loads(0, 0, 0, 0)


@dataclass(frozen=True)
class Mix:
    """A proven bound on the largest load, and the cuts whose mixes come closest to it."""

    bound_ns: int
    cuts: tuple[Cut, ...]


@lru_cache(maxsize=64)
def best_mix(
    instance: CostInstance,
    requests: int,
    offsets_ns: Loads = NO_OFFSETS,
    on_edge: Cut = frozenset(),
    in_cloud: Cut = frozenset(),
) -> Mix:
    """Bound the largest of (total load + offset) over all mixes of cuts for `requests` requests, some layers pinned.

    The bound holds for every assignment of legal cuts to the requests; the cuts are the LP's columns.
    """
    network = cut_network(instance)
    columns: dict[Cut, Loads] = {}
    best = 0
    weights: Weights = (WEIGHT_SUM // 4,) * 4
    for _ in range(MAX_ROUNDS):
        cut = network.cheapest(weights, on_edge, in_cloud)
        load = columns.get(cut) or loads(instance, cut)
        best = max(best, _bound(weights, requests, load, offsets_ns))
        if cut in columns:
            break
        columns[cut] = load
        weights, ceiling = _master(list(columns.values()), requests, offsets_ns)
        if ceiling - best <= TOLERANCE * ceiling:
            break
    return Mix(best, tuple(columns))


def _bound(weights: Weights, requests: int, load: Loads, offsets_ns: Loads) -> int:
    total = sum(w * (requests * part + extra) for w, part, extra in zip(weights, load, offsets_ns, strict=True))
    return -(-total // WEIGHT_SUM)


def _master(columns: Sequence[Loads], requests: int, offsets_ns: Loads) -> tuple[Weights, float]:
    """The weights that the known columns make most expensive, as integers, and the value that they promise."""
    planes = [[requests * part + extra for part, extra in zip(load, offsets_ns, strict=True)] for load in columns]
    scale = float(max(1, *(max(plane) for plane in planes), 0))
    solver = pywraplp.Solver.CreateSolver("GLOP")
    weights = [solver.NumVar(0.0, 1.0, "") for _ in range(4)]
    value = solver.NumVar(0.0, solver.infinity(), "")
    solver.Add(solver.Sum(weights) == 1.0)
    for plane in planes:
        solver.Add(value <= solver.Sum([weight * (part / scale) for weight, part in zip(weights, plane, strict=True)]))
    solver.Maximize(value)
    if solver.Solve() != pywraplp.Solver.OPTIMAL:
        raise SolverFailed("The LP over mixes of cuts was not solved.")
    rounded = [max(0, round(weight.solution_value() * WEIGHT_SUM)) for weight in weights]
    rounded[rounded.index(max(rounded))] += WEIGHT_SUM - sum(rounded)
    return (rounded[0], rounded[1], rounded[2], rounded[3]), value.solution_value() * scale
