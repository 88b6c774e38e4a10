"""The best sequences of one request with a given cut, for networks with several outputs to bring back."""

from __future__ import annotations

from decc_core.network.work import Resource, Work
from decc_core.planner.chains import Chain
from decc_core.plans.plan import Execution, Plan, stage_work
from decc_core.problem.instance import RESOURCES, CostInstance

MAX_STATES = 20_000
Piece = tuple[Resource, int]


def best_sequences(instance: CostInstance, chain: Chain) -> list[Plan]:
    """At most one plan with this cut, better than its best order of tensors; depth first, at most MAX_STATES states."""
    search = _Search(instance, chain)
    search.extend({}, dict.fromkeys(RESOURCES, 0))
    if search.best is None:
        return []
    sequences = {
        resource: tuple(Work(0, item) for kind, item in search.best if kind is resource) for resource in RESOURCES
    }
    return [Plan(Execution.BRANCH_PIPELINED, (chain.cut,), sequences)]


class _Search:
    """Appends one piece of work after the other to its resource; every consistent set of sequences is reached.

    A branch is left where the work that a resource still has, or the way of what is still open, ends too late; and
    where the same work was done by the same times before.
    """

    def __init__(self, instance: CostInstance, chain: Chain) -> None:
        self.instance, self.graph, self.cut = instance, instance.graph, chain.cut
        self.least = chain.makespan_ns
        self.best: tuple[Piece, ...] | None = None
        work = {resource: items.tolist() for resource, items in stage_work(instance.graph, chain.cut).items()}
        self.pieces = [(resource, item) for resource in RESOURCES for item in work[resource]]
        self.times = {
            (resource, item): int(times[item])
            for resource, times in zip(RESOURCES, instance.arrays, strict=True)
            for item in work[resource]
        }
        self.before = {piece: self._before(piece) for piece in self.pieces}
        self.seen: set[tuple[int, ...]] = set()

    def _before(self, piece: Piece) -> list[tuple[Piece, int]]:
        """What a piece of work waits for, and how long after its end."""
        resource, item = piece
        if not resource.computes:
            side = Resource.EDGE if resource is Resource.UPLINK else Resource.CLOUD
            return [((side, self.graph.tensors[item].producer), 0)]
        found: list[tuple[Piece, int]] = []
        for i, tensor in enumerate(self.graph.tensors):
            if item in tensor.consumers:
                if resource is Resource.CLOUD and tensor.producer in self.cut:
                    found.append(((Resource.UPLINK, i), self.instance.half_rtt_ns))
                else:
                    found.append(((resource, tensor.producer), 0))
        return found

    def extend(self, ends: dict[Piece, int], free: dict[Resource, int]) -> None:
        state = tuple(ends.get(piece, -1) for piece in self.pieces)
        if state in self.seen or len(self.seen) >= MAX_STATES:
            return
        self.seen.add(state)
        if len(ends) == len(self.pieces):
            self.least, self.best = max(self._result(piece, end) for piece, end in ends.items()), tuple(ends)
            return
        for piece in self.pieces:
            if piece in ends or any(source not in ends for source, _ in self.before[piece]):
                continue
            resource = piece[0]
            ready = max([free[resource], *(ends[source] + lag for source, lag in self.before[piece])])
            end = ready + self.times[piece]
            left = sum(time for other, time in self.times.items() if other[0] is resource and other not in ends)
            if max(self._result(piece, end), free[resource] + left) < self.least:
                self.extend({**ends, piece: end}, {**free, resource: end})

    def _result(self, piece: Piece, end: int) -> int:
        return end + (self.instance.half_rtt_ns if piece[0] is Resource.DOWNLINK else 0)
