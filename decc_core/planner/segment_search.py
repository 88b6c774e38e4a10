"""The cuts inside one segment: all of them where they are few, else good ones found by local search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from decc_core.kernels import codes, many_cuts, one_cut
from decc_core.network.arrays import Ints, Mask
from decc_core.network.branches import Branch, split_branches
from decc_core.planner.chains import Chains
from decc_core.planner.delays import Delays
from decc_core.planner.mincut import CutNetwork, SegmentFlow, Weights

MAX_NODES = 200_000
MAX_LISTED = 2_000
MAX_LAYER_STEPS = 2_000_000
"""Layers looked at while single cuts are improved."""
MAX_CHOICE_STEPS = 100_000
MAX_STARTS = 3
MAX_OPTIONS = 4096
MAX_UNDOMINATED = 40
MAX_NEAR = 40
MAX_KEPT = 512
NEVER = 2**62
START_WEIGHTS: tuple[Weights, ...] = (
    (1, 1, 1, 1),
    (1, 4, 4, 4),
    (4, 1, 4, 1),
    (4, 4, 1, 4),
    (1, 4, 1, 4),
    (4, 4, 16, 4),
    (16, 4, 4, 4),
)
NEAR_WEIGHTS: tuple[Weights, ...] = ((1, 1, 1, 1), (4, 1, 4, 1), (1, 4, 1, 4), (1, 4, 4, 4), (4, 4, 1, 4))


class Outside(NamedTuple):
    """What the bound of a cut needs to know of the layers that do not choose their side.

    `edge_ns` and `cloud_ns` are their loads, `head_ns` and `tail_ns` those of `Delays`. `all_back_ns` is the way back
    of all outputs, negative where outputs are among the layers that choose.
    """

    edge_ns: int
    cloud_ns: int
    head_ns: Ints
    tail_ns: Ints
    rtt_ns: int
    least_back_ns: int
    all_back_ns: int


class SegmentSearch:
    """Searches the segments of one instance."""

    def __init__(self, network: CutNetwork, delays: Delays, chains: Chains) -> None:
        self.network, self.delays, self.chains = network, delays, chains
        self.instance, self.arrays, self.times = network.instance, network.topology, network.instance.times
        self._near: dict[bytes, tuple[Mask, ...]] = {}

    def listed(self, low: int, high: int, tensors: Ints, ends: bool, below_ns: int) -> tuple[Mask, Ints, bool]:
        """The cuts between two layers whose bound is below a time, as masks over these layers, and their bounds.

        Not all of them, and then false at the end, where they are more than MAX_LISTED.
        """
        delays = self.delays
        outputs_after = self.arrays.is_output & (self.arrays.producer >= high)
        outside = Outside(
            edge_ns=int(self.network.edge_before[low]),
            cloud_ns=int(self.network.cloud_after[high]),
            head_ns=delays.head_ns,
            tail_ns=delays.tail_ns,
            rtt_ns=self.instance.rtt_ns,
            least_back_ns=delays.least_back_ns,
            all_back_ns=int(self.times.downlink_ns[outputs_after].sum()) if ends else -1,
        )
        masks, bounds, complete = many_cuts.closed_cuts(
            np.arange(low, high), self.network.pins_around(low, high), tensors, outside, self.arrays, self.times,
            below_ns, MAX_NODES, MAX_LISTED,
        )  # fmt: skip
        return masks, bounds, bool(complete)

    def improved(self, segment: SegmentFlow) -> list[Mask]:
        """Good cuts of a segment that has too many to list them all, by a deterministic local search."""
        cheapest = [self.network.cheapest(weights, segment) for weights in START_WEIGHTS]
        starts = list({mask.tobytes(): mask for mask in cheapest}.values())
        branches = _independent_branches(self.network, segment)
        masks = list(starts)
        if len(branches) > 1:
            masks += _BranchOptions(self, segment, branches).search(starts)
        masks = sorted(
            {mask.tobytes(): mask for mask in masks}.values(), key=lambda mask: self.chains.best(mask).makespan_ns
        )
        return [*masks, *self._moved_layers(segment, masks[:MAX_STARTS])]

    def _moved_layers(self, segment: SegmentFlow, starts: Sequence[Mask]) -> list[Mask]:
        """Each start after moves of single layers with all that they need, or all that needs them."""
        n_layers, size = self.network.n_layers, segment.high - segment.low
        steps = MAX_LAYER_STEPS // (n_layers + size) // max(1, len(starts))
        pins = self.network.pins_around(segment.low, segment.high)
        return [
            one_cut.improve_cut(
                start, segment.low, segment.high, pins, self.arrays, self.times, self.instance.half_rtt_ns, steps
            )
            for start in starts
        ]  # fmt: skip

    def neighbours(self, mask: Mask) -> tuple[Mask, ...]:
        """Allowed cuts near a cut, in the segment in which it lies or, at a waist, in both beside it; MAX_NEAR in each.

        A move takes one layer, with all it needs or all that needs it, to the other side; at a waist also some min cuts
        of the segments count as near. Dominated cuts are left out.
        """
        key = mask.tobytes()
        if key not in self._near:
            if len(self._near) >= MAX_KEPT:
                self._near.pop(next(iter(self._near)))
            self._near[key] = self._neighbours(mask)
        return self._near[key]

    def _neighbours(self, mask: Mask) -> tuple[Mask, ...]:
        network, n_layers = self.network, self.network.n_layers
        first_off = int(np.append(mask, False).argmin())
        past_last_on = n_layers - int(np.append(mask[::-1], True).argmax())
        done = int(mask.sum())
        at_waist = bool((mask == network.prefix(done)).all())
        inside = (network.low <= first_off) & (past_last_on <= network.high)
        before = (network.high + 1 <= first_off) & (past_last_on <= network.high + 1)
        near: dict[bytes, Mask] = {}
        for i in np.flatnonzero(inside | before).tolist():
            segment = network.segments[i]
            if not network.reaches(segment):
                continue
            low, high, pins = segment.low, segment.high, network.pins_around(segment.low, segment.high)
            base = mask.copy()
            base[high:] = False
            # Loads first, masks only of the cuts that are kept: all of them would be layers by layers.
            load = one_cut.moved_loads(base, low, high, pins, self.arrays, self.times)
            cheapest: list[Mask] = []
            if at_waist:
                by_key = {cut.tobytes(): cut for cut in (network.cheapest(w, segment) for w in NEAR_WEIGHTS)}
                cheapest = list(by_key.values())
                load = np.concatenate([load, network.loads(np.stack(cheapest))])
            kept = np.array(undominated(load))
            spread = kept[np.linspace(0, len(kept) - 1, min(len(kept), MAX_NEAR)).round().astype(int)]
            moving = spread[spread < high - low]
            moved = iter(one_cut.moved_cuts(base, low + moving, low, high, pins, self.arrays))
            for place in spread.tolist():
                cut = cheapest[place - (high - low)] if place >= high - low else next(moved)
                near[cut.tobytes()] = cut.copy()
        near.pop(mask.tobytes(), None)
        return tuple(cut for cut in near.values() if network.fits(cut))


def _independent_branches(network: CutNetwork, segment: SegmentFlow) -> tuple[Branch, ...]:
    """The branches of the first segment of a network with several inputs; they share no tensor."""
    for nested in split_branches(network.instance.graph).segments:
        if nested.start is None and segment.low == 0 and segment.ends:
            return nested.branches
    return ()


class _BranchOptions:
    """Independent branches that meet in one layer: a flow shop in which every branch has several options."""

    def __init__(self, search: SegmentSearch, segment: SegmentFlow, branches: Sequence[Branch]) -> None:
        self.search_, self.segment = search, segment
        self.network, self.arrays, self.times = search.network, search.arrays, search.times
        self.masks: list[Mask] = []
        options: list[Ints] = []
        # Loads of one branch are loads of the whole, with the rest in the cloud, less what the rest alone costs.
        raw = self.network.loads(self.network.prefix(0)[None])[0]
        for branch in branches:
            masks = self._options(branch)
            load = self.network.loads(masks) - raw
            inside = list(branch.layers)
            makes = np.isin(self.arrays.producer, inside) & self.arrays.is_input[self.arrays.producer]
            load[:, codes.EDGE] += int(self.times.send_ns[makes].sum())
            load[:, codes.UPLINK] += int(self.times.uplink_ns[makes].sum())
            load[:, codes.CLOUD] += int(self.times.cloud_ns[inside].sum() + self.times.receive_ns[makes].sum())
            kept = undominated(load[:, : codes.DOWNLINK])
            spread = np.linspace(0, len(kept) - 1, min(len(kept), MAX_UNDOMINATED)).round().astype(int)
            kept = [kept[i] for i in spread.tolist()]
            self.masks.append(masks[kept])
            options.append(load[kept, : codes.DOWNLINK])
        self.first = np.cumsum([0, *map(len, options)])
        self.options = np.concatenate(options)

    def _options(self, branch: Branch) -> Mask:
        """All closed cuts of a branch as masks over all layers; too many of them are thinned to those at its waists."""
        delays, layers = self.search_.delays, np.array(branch.layers, np.int64)
        pins = self.network.pins_around(self.segment.low, self.segment.high)
        nothing = Outside(0, 0, delays.head_ns, delays.tail_ns, rtt_ns=0, least_back_ns=0, all_back_ns=0)
        inside, _, complete = many_cuts.closed_cuts(
            layers, pins, self.segment.tensors, nothing, self.arrays, self.times, NEVER, 50 * MAX_OPTIONS, MAX_OPTIONS
        )
        if not complete:
            places = {layer: i for i, layer in enumerate(branch.layers)}
            ends = [0, *(places[waist] + 1 for waist in branch.waists), len(layers)]
            inside = np.arange(len(layers)) < np.array(ends)[:, None]
            inside |= pins[layers] == codes.ON_EDGE
            inside = inside[~(inside & (pins[layers] == codes.IN_CLOUD)).any(axis=1)]
        masks = np.repeat(self.network.prefix(0)[None], len(inside), axis=0)
        masks[:, layers] |= inside
        return masks

    def search(self, starts: Sequence[Mask]) -> list[Mask]:
        """The best choice of options from the option nearest to each start, and from the extremes."""
        choices = {self._nearest(start) for start in starts}
        half_rtt_ns = self.network.instance.half_rtt_ns
        after = int(self.network.cloud_after[self.segment.high])
        after += half_rtt_ns + self.search_.delays.least_back_ns
        best = many_cuts.choose_per_branch(
            self.options, self.first, np.array(sorted(choices), np.int64), after, half_rtt_ns, MAX_CHOICE_STEPS
        )
        return [self._mask(row) for row in best.tolist()]

    def _nearest(self, start: Mask) -> tuple[int, ...]:
        edge = self.times.edge_ns
        nearest = []
        for masks, first in zip(self.masks, self.first.tolist(), strict=False):
            inside = masks.any(axis=0) | (start & masks[0])
            wanted = int(edge[start & inside].sum())
            done = masks[:, inside] @ edge[inside]
            nearest.append(first + int(np.abs(done - wanted).argmin()))
        return tuple(nearest)

    def _mask(self, choice: Sequence[int]) -> Mask:
        mask: Mask = self.network.pins == codes.ON_EDGE
        for masks, first, option in zip(self.masks, self.first.tolist(), choice, strict=False):
            mask |= masks[option - first]
        return mask


def undominated(load: Ints) -> list[int]:
    """Rows than which no other is at least as good in all columns, by the first column."""
    order = np.lexsort(load.T[::-1])
    return list(order[many_cuts.undominated(load[order])].tolist())
