"""One request alone: the best cut and order, searched segment by segment under proven bounds.

A cut lies either right after a waist or in one segment between two waists. Segments are taken in the order of a cheap
bound, and most are dismissed by it. In the others all predecessor-closed cuts whose own bound is low enough are listed
and timed; where there are too many of them, the LP over mixes bounds the segment, and a local search fills it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from decc_core.network.arrays import Ints, Mask
from decc_core.planner.chains import Chain, Chains
from decc_core.planner.cuts import NO_PREFIX, Cuts
from decc_core.planner.mincut import SegmentFlow
from decc_core.planner.mixes import Mixes
from decc_core.planner.segment_search import SegmentSearch

MAX_TIMED = 400


@dataclass(frozen=True, eq=False)
class OneRequest:
    """Cuts for one request, fastest first, with the makespan of each alone, and a proven bound on the makespan.

    `one_job` tells which of them are known to be a single job, in which nothing overlaps.
    `open_cuts` have more than one output to bring back and a bound below the best makespan: another sequence of their
    work may be better.
    """

    cuts: Cuts
    makespan_ns: Ints
    one_job: Mask
    bound_ns: int
    open_cuts: tuple[Mask, ...]
    chains: Chains

    def chain(self, place: int) -> Chain:
        return self.chains.best(self.cuts.mask(place))


def search_one_request(candidates: Cuts, search: SegmentSearch, mixes: Mixes) -> OneRequest:
    """The best cuts of one request of an instance, whatever its number of requests, and the bound."""
    return _Search(candidates, search, mixes).run()


class _Search:
    def __init__(self, candidates: Cuts, search: SegmentSearch, mixes: Mixes) -> None:
        self.search, self.mixes = search, mixes
        self.network, self.delays, self.chains = search.network, search.delays, search.chains
        self.instance, self.arrays = search.instance, search.arrays
        self.candidates, self.one_job = candidates, self._one_job(candidates)
        # A single job takes its sequential time.
        self.candidates_ns = candidates.sequential_ns.copy()
        for place in np.flatnonzero(~self.one_job).tolist():
            self.candidates_ns[place] = self.chains.best(candidates.mask(place)).makespan_ns
        self.known: set[int | bytes] = {
            self._key(candidates.mask(i)) for i in np.flatnonzero(candidates.prefix == NO_PREFIX).tolist()
        }
        self.known |= set(self._next_computing[candidates.prefix[candidates.prefix != NO_PREFIX]].tolist())
        self.more: list[Chain] = []
        self.best_ns = int(self.candidates_ns.min())
        self.bound: int | None = None
        self.open_cuts: list[Mask] = []

    def run(self) -> OneRequest:
        for bound, segment in self._in_order_of_bound():
            if bound >= self.best_ns:
                self._lower(bound)
                break
            self._search(segment, bound)
        self._bound_waists()
        cuts = self.candidates + Cuts.of_masks(self.network, [chain.on_edge for chain in self.more])
        makespan_ns = np.concatenate([self.candidates_ns, np.array([one.makespan_ns for one in self.more], np.int64)])
        order = np.argsort(makespan_ns, kind="stable")
        bound = self.best_ns if self.bound is None else min(self.bound, self.best_ns)
        one_job = np.append(self.one_job, np.zeros(len(self.more), np.bool_))[order]
        return OneRequest(cuts.take(order), makespan_ns[order], one_job, bound, tuple(self.open_cuts), self.chains)

    def _one_job(self, cuts: Cuts) -> Mask:
        """Cuts after a prefix with at most one tensor to send, in which every layer leads to an output."""
        leads_on = np.diff(self.arrays.child_first) > 0
        leads_on[self.arrays.producer[self.arrays.is_output]] = True
        is_prefix = (cuts.prefix != NO_PREFIX) & bool(leads_on.all())
        return np.asarray(is_prefix & (self.network.crossing_counts[cuts.prefix] <= 1))

    @cached_property
    def _next_computing(self) -> Ints:
        """For each number of layers the first layer from there on that is no input: equal prefixes share it."""
        layers = np.arange(self.network.n_layers + 1)
        places = np.where(np.append(self.arrays.is_input, False), self.network.n_layers, layers)
        return np.asarray(np.minimum.accumulate(places[::-1])[::-1])

    def _key(self, mask: Mask) -> int | bytes:
        """A cut by its first layer in the cloud if it is a prefix, else layer by layer."""
        prefix = self.network.prefix_of(mask)
        return mask.tobytes() if prefix is None else prefix

    def _time(self, mask: Mask) -> Chain | None:
        """The chain of a cut, which is taken up if it is new; none where it breaks a constraint."""
        key = self._key(mask)
        if key not in self.known:
            if not self.network.fits(mask):
                return None
            self.known.add(key)
            self.more.append(self.chains.best(mask))
            self.best_ns = min(self.best_ns, self.more[-1].makespan_ns)
        return self.chains.best(mask)

    def _lower(self, bound: int) -> None:
        self.bound = bound if self.bound is None else min(self.bound, bound)

    def _in_order_of_bound(self) -> list[tuple[int, SegmentFlow]]:
        """The segments in which the pins allow a cut, with the time of the quickest way through them."""
        bounds = []
        for segment in self.network.segments:
            tensors = segment.tensors[self.instance.sendable[segment.tensors]]
            if self.network.reaches(segment) and len(tensors):
                certain = int(self.network.edge_before[segment.low])
                bounds.append((max(self.delays.shortest_way_ns(tensors), certain), segment))
        return sorted(bounds, key=lambda pair: pair[0])

    def _search(self, segment: SegmentFlow, bound: int) -> None:
        masks, bounds, complete = self.search.listed(
            segment.low, segment.high, segment.tensors, segment.ends, self.best_ns
        )
        if not complete:
            idle = self.delays.idle(segment.tensors, all_offloaded=True)
            nothing = Cuts.of_masks(self.network, ())
            self._lower(max(bound, self.mixes.best(1, nothing, idle, segment).bound_ns))
            for mask in self.search.improved(segment):
                self._time(mask)
            return
        for timed, i in enumerate(np.argsort(bounds, kind="stable").tolist()):
            if bounds[i] >= self.best_ns:
                break
            if timed >= MAX_TIMED:
                self._lower(int(bounds[i]))
                break
            mask = self.network.prefix(segment.low)
            mask[segment.low : segment.high] |= masks[i]
            self._prove(mask, int(bounds[i]))

    def _prove(self, mask: Mask, bound: int) -> None:
        """Time a cut, and lower the bound where its best order is not known for certain.

        A cut that the edge has no memory for in stored order may have it in another: it is not timed, but bounds.
        """
        if not self.network.allows(mask):
            return
        chain = self._time(mask)
        if chain is None or not chain.exact:
            self._lower(bound)
        if chain is not None and not chain.exact:
            self.open_cuts.append(mask)

    def _bound_waists(self) -> None:
        """Cuts right after a waist that no candidate stands for.

        With one tensor to send and one to bring back the makespan is the sequential time, and a candidate that
        dominates the loads is as good. With several of either, work may overlap; and what does not fit the edge's
        memory in stored order is no candidate.
        """
        several_outputs = int(self.arrays.is_output.sum()) > 1
        limited = self.instance.constraints.edge_memory_bytes is not None
        for k in self.network.points[:-1].tolist():
            several_tensors = self.arrays.made_first[k] - self.arrays.made_first[k - 1] > 1
            if not (several_outputs or several_tensors or limited or not self.network.allowed_prefixes[k]):
                continue
            mask = self.network.prefix(k)
            if several_outputs or several_tensors or not self.network.fitting_prefixes[k]:
                made = np.arange(self.arrays.made_first[k - 1], self.arrays.made_first[k])
                _, bounds, _ = self.search.listed(k, k, made, True, self.best_ns)
                if len(bounds):
                    self._prove(mask, int(bounds[0]))
