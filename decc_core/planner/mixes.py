"""The LP over mixes of cuts: how low the largest load can get when requests may be cut differently.

Minimising over mixes the largest (load + offset) of a resource is, by duality, maximising over weights on the simplex
the weighted min cut plus the weighted offsets. Kelley's cutting planes solve that dual: each min cut is one column of
the primal and one plane of the dual. Every integer weight vector tried gives a bound that holds exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from ortools.linear_solver import pywraplp

from decc_core.network.arrays import Mask
from decc_core.planner.cuts import Cuts
from decc_core.planner.mincut import CutNetwork, SegmentFlow, Weights
from decc_core.problem.instance import Loads

WEIGHT_SUM = 2**14
MAX_ROUNDS = 60
MAX_KNOWN = 256
TOLERANCE = 1e-6
NOTHING_IDLE = Loads(0, 0, 0, 0)
FIRST_WEIGHTS: Weights = (WEIGHT_SUM // 4,) * 4


@dataclass(frozen=True, eq=False)
class Mix:
    """A proven bound on the largest load, the cuts whose mixes come closest to it, and how often each is taken.

    Cuts that were known before stand among them only where they are taken. `prices` are the weights of the proof:
    what a unit of work is worth on each resource where all are at their limit, 1 in all.
    """

    bound_ns: int
    cuts: tuple[Mask, ...]
    shares: tuple[float, ...]
    prices: tuple[float, ...] = (0.25, 0.25, 0.25, 0.25)


class Mixes:
    """The mixes of an instance's cuts that were asked for."""

    def __init__(self, network: CutNetwork) -> None:
        self.network = network
        self._kept: dict[tuple[object, ...], Mix] = {}

    def best(self, requests: int, known: Cuts, idle: Loads = NOTHING_IDLE, segment: SegmentFlow | None = None) -> Mix:
        """Bound the largest of (total load + idle time) over all mixes of cuts for `requests` requests.

        The bound holds for every assignment of legal cuts, or of those of one segment, to the requests; the cuts are
        the LP's columns, and their shares add up to 1. `known` are cuts that make a good first guess; at most
        MAX_KNOWN of them are taken, spread over their order.
        """
        key = (requests, known, idle, segment)
        if key not in self._kept:
            self._kept[key] = self._solved(*key)
        return self._kept[key]

    def _solved(self, requests: int, known: Cuts, idle: Loads, segment: SegmentFlow | None) -> Mix:
        if not requests:
            return Mix(max(idle), (), ())
        columns: dict[bytes, tuple[Mask, Loads]] = {}
        for place in np.linspace(0, len(known) - 1, min(MAX_KNOWN, len(known))).round().astype(int).tolist():
            cut = known.mask(place)
            columns.setdefault(cut.tobytes(), (cut, Loads(*known.loads[place].tolist())))
        guessed = len(columns)
        master = _Master(requests, idle)
        for _, load in columns.values():
            master.add(load)
        best, proof = 0, FIRST_WEIGHTS
        weights, ceiling = (master.solve() if columns else None) or (FIRST_WEIGHTS, None)
        for _ in range(MAX_ROUNDS):
            cut = self.network.cheapest(weights, segment)
            key = cut.tobytes()
            load = columns[key][1] if key in columns else Loads(*self.network.loads(cut[None])[0].tolist())
            bound = _bound(weights, requests, load, idle, requests * self.network.slack(weights))
            if bound >= best:
                best, proof = bound, weights
            if key in columns or (ceiling is not None and ceiling - best <= TOLERANCE * ceiling):
                break
            columns[key] = cut, load
            master.add(load)
            if (solved := master.solve()) is None:
                break
            weights, ceiling = solved
        cuts = zip((cut for cut, _ in columns.values()), master.shares(), strict=True)
        kept = [(cut, share) for i, (cut, share) in enumerate(cuts) if i >= guessed or share > 0]
        shares = tuple(share for _, share in kept)
        return Mix(best, tuple(cut for cut, _ in kept), shares, tuple(weight / WEIGHT_SUM for weight in proof))


def _bound(weights: Weights, requests: int, load: Loads, idle: Loads, slack: int) -> int:
    total = sum(w * (requests * part + extra) for w, part, extra in zip(weights, load, idle, strict=True))
    return max(0, -(-(total - slack) // WEIGHT_SUM))


class _Master:
    """The LP over the columns known so far: the weights that they make most expensive.

    Loads of columns may lie twelve powers of ten apart. Each plane is scaled by its own largest load, and the value by
    the smallest of these, above which it cannot rise, so that the solver sees numbers near 1, or next to nothing.
    """

    def __init__(self, requests: int, idle: Loads) -> None:
        self.requests, self.idle = requests, idle
        self.solver = pywraplp.Solver.CreateSolver("GLOP")
        self.weights = [self.solver.NumVar(0.0, 1.0, "") for _ in range(4)]
        self.value = self.solver.NumVar(0.0, self.solver.infinity(), "")
        simplex = self.solver.Constraint(1.0, 1.0)
        for weight in self.weights:
            simplex.SetCoefficient(weight, 1.0)
        self.solver.Objective().SetCoefficient(self.value, 1.0)
        self.solver.Objective().SetMaximization()
        self.planes: list[pywraplp.Constraint] = []
        self.sizes: list[float] = []
        self.taken: list[float] = []
        """How much of each column the best mix takes, as the LP was last solved."""

    def add(self, load: Loads) -> None:
        """One plane: the value is at most the weighted load of this column."""
        plane = [self.requests * part + extra for part, extra in zip(load, self.idle, strict=True)]
        size = float(max(1, *plane))
        row = self.solver.Constraint(-self.solver.infinity(), 0.0)
        for weight, part in zip(self.weights, plane, strict=True):
            row.SetCoefficient(weight, -part / size)
        unit = min(self.sizes, default=math.inf)
        self.planes.append(row)
        self.sizes.append(size)
        if size < unit:
            for other, other_size in zip(self.planes, self.sizes, strict=True):
                other.SetCoefficient(self.value, size / other_size)
        else:
            row.SetCoefficient(self.value, unit / size)
        self.taken.append(0.0)

    def solve(self) -> tuple[Weights, float] | None:
        """The best weights as integers, and the value that they promise; None where the solver gives up."""
        if self.solver.Solve() != pywraplp.Solver.OPTIMAL:
            return None
        unit = min(self.sizes)
        self.taken = [
            max(0.0, row.dual_value()) * unit / size for row, size in zip(self.planes, self.sizes, strict=True)
        ]
        # A weight that is next to nothing holds down a load that is huge: rounded to 0, it would leave no bound at all.
        found = [weight.solution_value() for weight in self.weights]
        rounded = [max(round(weight * WEIGHT_SUM), int(weight > 0)) for weight in found]
        rounded[rounded.index(max(rounded))] += WEIGHT_SUM - sum(rounded)
        return (rounded[0], rounded[1], rounded[2], rounded[3]), self.value.solution_value() * unit

    def shares(self) -> tuple[float, ...]:
        """How often each column is taken in the best mix; the smallest one always, where none was found."""
        if not (total := sum(self.taken)):
            smallest = self.sizes.index(min(self.sizes))
            return tuple(float(i == smallest) for i in range(len(self.sizes)))
        return tuple(share / total for share in self.taken)
