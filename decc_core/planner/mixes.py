"""The LP over mixes of cuts: how low the largest load can get when requests may be cut differently.

Minimising over mixes the largest (load + offset) of a resource is, by duality, maximising over weights on the simplex
the weighted min cut plus the weighted offsets. Kelley's cutting planes solve that dual: each min cut is one column of
the primal and one plane of the dual. Every integer weight vector tried gives a bound that holds exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ortools.linear_solver import pywraplp

from decc_core.errors import SolverFailed
from decc_core.planner.mincut import NO_PINS, Weights, cut_network
from decc_core.problem.instance import CostInstance, Cut, Loads, loads

WEIGHT_SUM = 2**14
MAX_ROUNDS = 60
TOLERANCE = 1e-6
NO_OFFSETS = Loads(0, 0, 0, 0)
EVEN: Weights = (WEIGHT_SUM // 4,) * 4


@dataclass(frozen=True)
class Mix:
    """A proven bound on the largest load, the cuts whose mixes come closest to it, and how often each is taken."""

    bound_ns: int
    cuts: tuple[Cut, ...]
    shares: tuple[float, ...]


@lru_cache(maxsize=128)
def best_mix(
    instance: CostInstance,
    requests: int,
    offsets_ns: Loads = NO_OFFSETS,
    on_edge: Cut = NO_PINS,
    in_cloud: Cut = NO_PINS,
    known: tuple[Cut, ...] = (),
) -> Mix:
    """Bound the largest of (total load + offset) over all mixes of cuts for `requests` requests, some layers pinned.

    The bound holds for every assignment of legal cuts to the requests; the cuts are the LP's columns, `shares` of which
    add up to 1. `known` are cuts that keep the pins and make a good first guess.
    """
    if not requests:
        return Mix(max(offsets_ns), (), ())
    network = cut_network(instance)
    columns: dict[Cut, Loads] = {cut: loads(instance, cut) for cut in known}
    master = _Master(requests, offsets_ns)
    for load in columns.values():
        master.add(load)
    best = 0
    weights, ceiling = master.solve() if columns else (EVEN, None)
    for _ in range(MAX_ROUNDS):
        cut = network.cheapest(weights, on_edge, in_cloud)
        load = columns.get(cut) or loads(instance, cut)
        best = max(best, _bound(weights, requests, load, offsets_ns, requests * network.slack(weights)))
        if cut in columns or (ceiling is not None and ceiling - best <= TOLERANCE * ceiling):
            break
        columns[cut] = load
        master.add(load)
        weights, ceiling = master.solve()
    return Mix(best, tuple(columns), master.shares())


def _bound(weights: Weights, requests: int, load: Loads, offsets_ns: Loads, slack: int) -> int:
    total = sum(w * (requests * part + extra) for w, part, extra in zip(weights, load, offsets_ns, strict=True))
    return max(0, -(-(total - slack) // WEIGHT_SUM))


class _Master:
    """The LP over the columns known so far: the weights that they make most expensive."""

    def __init__(self, requests: int, offsets_ns: Loads) -> None:
        self.requests, self.offsets_ns = requests, offsets_ns
        self.solver = pywraplp.Solver.CreateSolver("GLOP")
        self.weights = [self.solver.NumVar(0.0, 1.0, "") for _ in range(4)]
        self.value = self.solver.NumVar(0.0, self.solver.infinity(), "")
        simplex = self.solver.Constraint(1.0, 1.0)
        for weight in self.weights:
            simplex.SetCoefficient(weight, 1.0)
        self.solver.Objective().SetCoefficient(self.value, 1.0)
        self.solver.Objective().SetMaximization()
        self.planes: list[pywraplp.Constraint] = []
        self.scale = 0.0

    def add(self, load: Loads) -> None:
        """One plane: the value is at most the weighted load of this column."""
        plane = [self.requests * part + extra for part, extra in zip(load, self.offsets_ns, strict=True)]
        # Planes keep the scale of the first one, so that the solver sees numbers near 1.
        self.scale = self.scale or float(max(1, *plane))
        row = self.solver.Constraint(-self.solver.infinity(), 0.0)
        row.SetCoefficient(self.value, 1.0)
        for weight, part in zip(self.weights, plane, strict=True):
            row.SetCoefficient(weight, -part / self.scale)
        self.planes.append(row)

    def solve(self) -> tuple[Weights, float]:
        """The best weights as integers, and the value that they promise."""
        if self.solver.Solve() != pywraplp.Solver.OPTIMAL:
            raise SolverFailed("The LP over mixes of cuts was not solved.")
        rounded = [max(0, round(weight.solution_value() * WEIGHT_SUM)) for weight in self.weights]
        rounded[rounded.index(max(rounded))] += WEIGHT_SUM - sum(rounded)
        return (rounded[0], rounded[1], rounded[2], rounded[3]), self.value.solution_value() * self.scale

    def shares(self) -> tuple[float, ...]:
        """How often each column is taken in the best mix, as the LP was last solved."""
        found = [max(0.0, plane.dual_value()) for plane in self.planes]
        total = sum(found) or 1.0
        return tuple(share / total for share in found)
