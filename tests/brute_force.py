"""The slow truth: every cut, and every consistent set of sequences, for instances of a few layers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations_with_replacement

from decc_core.network.work import Resource
from decc_core.problem.instance import CostInstance, Cut


def all_cuts(instance: CostInstance) -> list[Cut]:
    """Every predecessor-closed set of layers that holds the inputs."""
    graph = instance.graph
    found = {frozenset(graph.inputs)}
    frontier = list(found)
    while frontier:
        cut = frontier.pop()
        for layer in range(len(graph.layers)):
            if layer not in cut and all(parent in cut for parent in graph.parents[layer]):
                bigger = cut | {layer}
                if bigger not in found:
                    found.add(bigger)
                    frontier.append(bigger)
    return sorted(found, key=sorted)


def sequential_cost(instance: CostInstance, cut: Cut) -> int:
    """E + T + C + D + RTT, written out apart from the code under test."""
    graph = instance.graph
    cost = sum(instance.edge_ns[layer] for layer in cut)
    cost += sum(instance.cloud_ns[layer] for layer in range(len(graph.layers)) if layer not in cut)
    for i, tensor in enumerate(graph.tensors):
        if tensor.producer in cut and set(tensor.consumers) - cut:
            cost += instance.send_ns[i] + instance.uplink_ns[i] + instance.receive_ns[i]
        if tensor.is_output and tensor.producer not in cut:
            cost += instance.downlink_ns[i]
    return cost + (2 * instance.half_rtt_ns if len(cut) < len(graph.layers) else 0)


def layer_time(instance: CostInstance, cut: Cut, layer: int) -> int:
    """What a layer takes on its side, with what it sends and receives."""
    time = instance.edge_ns[layer] if layer in cut else instance.cloud_ns[layer]
    for i, tensor in enumerate(instance.graph.tensors):
        readers = set(tensor.consumers) - cut
        if tensor.producer in cut and readers:
            time += instance.send_ns[i] * (tensor.producer == layer) + instance.receive_ns[i] * (min(readers) == layer)
    return time


def best_makespan(instance: CostInstance) -> int:
    """The least makespan over all cuts of all requests and all sequences."""
    cuts = all_cuts(instance)
    best = min(sequential_cost(instance, cut) for cut in cuts) * instance.requests
    for chosen in combinations_with_replacement(cuts, instance.requests):
        best = best_makespan_of(instance, chosen, best)
    return best


def best_makespan_of(instance: CostInstance, cuts: tuple[Cut, ...], known: int = 10**9) -> int:
    """The least makespan over all sequences of the work of these cuts, or `known` where none is less."""
    return _Sequencer(instance, cuts, known).run()


class _Sequencer:
    """Depth-first over the next piece of work to append to its resource's sequence.

    Each resource appends in the order of its sequence, so every consistent set of sequences is reached. A state that
    was reached before, with the same work done at the same times, is not entered again; nor is one in which the way
    from a piece to its result, or the work that a resource still has, takes as long as the best.
    """

    def __init__(self, instance: CostInstance, cuts: tuple[Cut, ...], best: int) -> None:
        self.best = best
        self.pieces = list(_pieces(instance, cuts))
        place = {key: i for i, (key, _, _) in enumerate(self.pieces)}
        self.before = [[(place[key], lag) for key, lag in sources] for _, _, sources in self.pieces]
        self.after: list[list[tuple[int, int]]] = [[] for _ in self.pieces]
        for i, sources in enumerate(self.before):
            for source, lag in sources:
                self.after[source].append((i, lag))
        self.way = {i: self._way(i, instance.half_rtt_ns) for i in range(len(self.pieces))}
        self.seen: set[tuple[int, ...]] = set()

    def _way(self, piece: int, lag: int) -> int:
        """From the end of a piece of work to that of all that waits for it, results back on the edge included."""
        (resource, _, _), _, _ = self.pieces[piece]
        back = lag if resource is Resource.DOWNLINK else 0
        return max([back, *(wait + self.pieces[i][1] + self._way(i, lag) for i, wait in self.after[piece])])

    def run(self) -> int:
        work = {r: sum(time for (resource, _, _), time, _ in self.pieces if resource is r) for r in Resource}
        self._extend((-1,) * len(self.pieces), dict.fromkeys(Resource, 0), work)
        return self.best

    def _extend(self, ends: tuple[int, ...], free: dict[Resource, int], left: dict[Resource, int]) -> None:
        if ends in self.seen:
            return
        self.seen.add(ends)
        if -1 not in ends:
            self.best = min(self.best, max((end + self.way[i] for i, end in enumerate(ends)), default=0))
            return
        for i, end in enumerate(ends):
            if end >= 0 or any(ends[source] < 0 for source, _ in self.before[i]):
                continue
            (resource, _, _), duration, _ = self.pieces[i]
            start = max([free[resource], *(ends[source] + lag for source, lag in self.before[i])])
            if max(start + duration + self.way[i], start + left[resource]) >= self.best:
                continue
            done = start + duration
            remaining = {**left, resource: left[resource] - duration}
            self._extend((*ends[:i], done, *ends[i + 1 :]), {**free, resource: done}, remaining)


Key = tuple[Resource, int, int]


def _pieces(instance: CostInstance, cuts: tuple[Cut, ...]) -> Iterator[tuple[Key, int, list[tuple[Key, int]]]]:
    """Every piece of work with its duration and what it waits for; inputs that take no time are left out."""
    graph, lag = instance.graph, instance.half_rtt_ns
    for request, cut in enumerate(cuts):
        left_out = {layer for layer in graph.inputs if not layer_time(instance, cut, layer)}
        for layer in range(len(graph.layers)):
            if layer in left_out:
                continue
            side = Resource.EDGE if layer in cut else Resource.CLOUD
            sources: list[tuple[Key, int]] = []
            for i, tensor in enumerate(graph.tensors):
                if layer in tensor.consumers:
                    if tensor.producer in cut and layer not in cut:
                        sources.append(((Resource.UPLINK, request, i), lag))
                    elif tensor.producer not in left_out:
                        sources.append(((side, request, tensor.producer), 0))
            yield (side, request, layer), layer_time(instance, cut, layer), sources
        for i, tensor in enumerate(graph.tensors):
            made: list[tuple[Key, int]] = [((Resource.EDGE, request, tensor.producer), 0)]
            if tensor.producer in cut and set(tensor.consumers) - cut:
                yield (Resource.UPLINK, request, i), instance.uplink_ns[i], made * (tensor.producer not in left_out)
            if tensor.is_output and tensor.producer not in cut:
                cloud: list[tuple[Key, int]] = [((Resource.CLOUD, request, tensor.producer), 0)]
                yield (Resource.DOWNLINK, request, i), instance.downlink_ns[i], cloud
