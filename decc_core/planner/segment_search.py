"""Good cuts in a stretch that has too many to list them all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from decc_core import kernels
from decc_core.network.arrays import Ints, Mask, as_mask, topology
from decc_core.network.branches import Branch, split_branches
from decc_core.planner.chains import best_shape
from decc_core.planner.delays import delays
from decc_core.planner.mincut import Stretch, Weights, cut_network, stretches
from decc_core.plans.memory import fits
from decc_core.problem.instance import CostInstance, Cut, loads_of_masks

MAX_LAYER_STEPS = 2_000_000
"""Layers looked at while single cuts are improved."""
MAX_CHOICE_STEPS = 100_000
MAX_STARTS = 3
MAX_OPTIONS = 4096
MAX_UNDOMINATED = 40
MAX_NEAR = 40
NEVER = 2**62
FREE, ON_EDGE, IN_CLOUD = 0, 1, 2
NEAR_WEIGHTS: tuple[Weights, ...] = ((1, 1, 1, 1), (4, 1, 4, 1), (1, 4, 1, 4), (1, 4, 4, 4), (4, 4, 1, 4))


def improve(instance: CostInstance, stretch: Stretch, starts: Sequence[Cut]) -> list[Cut]:
    """The starts and what a deterministic local search makes of them."""
    found = list(starts)
    branches = _independent_branches(instance, stretch)
    if len(branches) > 1:
        found += _Branches(instance, stretch, branches).search(starts)
    found = sorted(dict.fromkeys(found), key=lambda cut: best_shape(instance, cut).makespan_ns)
    return [*found, *_by_layers(instance, stretch, found[:MAX_STARTS])]


@lru_cache(maxsize=512)
def neighbours(instance: CostInstance, cut: Cut) -> tuple[Cut, ...]:
    """Allowed cuts near a cut, in the stretch in which it lies or, at a waist, in both beside it; MAX_NEAR in each.

    A move takes one layer, with all it needs or all that needs it, to the other side; at a waist also some min cuts of
    the stretches count as near. Dominated cuts are left out.
    """
    graph, network = topology(instance.graph), cut_network(instance)
    here = as_mask(graph.n_layers, cut)
    at_waist = cut == instance.all_cloud.union(range(len(cut)))
    found: dict[Cut, None] = {}
    for stretch in stretches(instance.graph):
        low, high = stretch.low, stretch.high
        inside = here[:low].all() and not here[high:].any()
        before = here[: high + 1].all() and not here[high + 1 :].any()
        if not (inside or before) or not network.reaches(stretch):
            continue
        base = here.copy()
        base[high:] = False
        pin = pins(instance, low, high)
        # Loads first, masks only of the cuts that are kept: all of them would be layers by layers.
        load = kernels.moved_loads(base, low, high, pin, *instance.arrays, graph.producer, *graph.flow[1:])
        by_weights: list[Cut] = []
        if at_waist:
            sides = frozenset(range(low)), frozenset(range(high, graph.n_layers))
            by_weights = list({network.cheapest(weights, *sides) for weights in NEAR_WEIGHTS})
            masks = np.stack([as_mask(graph.n_layers, near) for near in by_weights])
            load = np.concatenate([load, loads_of_masks(instance, masks)])
        kept = np.array(undominated(load))
        spread = kept[np.linspace(0, len(kept) - 1, min(len(kept), MAX_NEAR)).round().astype(int)]
        moved = iter(kernels.moved_cuts(base, low + spread[spread < high - low], low, high, pin, *graph.flow[4:]))
        for i in spread.tolist():
            from_weights = i >= high - low
            near = by_weights[i - high + low] if from_weights else frozenset(np.flatnonzero(next(moved)).tolist())
            found[near] = None
    return tuple(one for one in found if one != cut and fits(instance, one))


def pins(instance: CostInstance, low: int, high: int) -> Ints:
    """Per layer whether a cut between these layers may choose its side."""
    pin = np.full(len(instance.graph.layers), FREE, np.int64)
    pin[:low] = ON_EDGE
    pin[high:] = IN_CLOUD
    pin[list(instance.least_edge)] = ON_EDGE
    pin[list(instance.in_cloud)] = IN_CLOUD
    return pin


def _by_layers(instance: CostInstance, stretch: Stretch, starts: Sequence[Cut]) -> list[Cut]:
    """Each start after moves of single layers with all that they need, or all that needs them."""
    graph = topology(instance.graph)
    size = stretch.high - stretch.low
    steps = MAX_LAYER_STEPS // (graph.n_layers + size) // max(1, len(starts))
    found = []
    for start in starts:
        mask = kernels.improve_cut(
            as_mask(graph.n_layers, start),
            stretch.low,
            stretch.high,
            pins(instance, stretch.low, stretch.high),
            *instance.arrays,
            graph.producer,
            *graph.flow,
            instance.half_rtt_ns,
            steps,
        )
        found.append(frozenset(np.flatnonzero(mask).tolist()))
    return found


def _independent_branches(instance: CostInstance, stretch: Stretch) -> tuple[Branch, ...]:
    """The branches of the first stretch of a network with several inputs; they share no tensor."""
    top = split_branches(instance.graph)
    for segment in top.segments:
        if segment.start is None and stretch.low == 0 and stretch.ends:
            return segment.branches
    return ()


class _Branches:
    """Independent branches that meet in one layer: a flow shop in which every branch has several options."""

    def __init__(self, instance: CostInstance, stretch: Stretch, branches: Sequence[Branch]) -> None:
        self.instance, self.stretch = instance, stretch
        self.graph = topology(instance.graph)
        self.masks: list[Mask] = []
        options: list[Ints] = []
        # Loads of one branch are loads of the whole, with the rest in the cloud, less what the rest alone costs.
        raw = loads_of_masks(instance, as_mask(self.graph.n_layers, instance.all_cloud)[None])[0]
        for branch in branches:
            masks = self._options(branch)
            load = loads_of_masks(instance, masks) - raw
            inside = list(branch.layers)
            own_inputs = [i for i in inside if self.graph.is_input[i]]
            load[:, 1] += sum(int(instance.arrays[1][list(instance.graph.tensors_of[i])].sum()) for i in own_inputs)
            load[:, 2] += int(instance.arrays[2][inside].sum())
            kept = undominated(load[:, :3])
            spread = np.linspace(0, len(kept) - 1, min(len(kept), MAX_UNDOMINATED)).round().astype(int)
            kept = [kept[i] for i in spread.tolist()]
            self.masks.append(masks[kept])
            options.append(load[kept, :3])
        self.first = np.cumsum([0, *map(len, options)])
        self.options = np.concatenate(options)

    def _options(self, branch: Branch) -> Mask:
        """All closed cuts of a branch as masks over all layers; too many of them are thinned to those at its waists."""
        low, high = self.stretch.low, self.stretch.high
        found, graph = delays(self.instance), self.graph
        layers = np.array(branch.layers, np.int64)
        pin = pins(self.instance, low, high)
        inside, _, complete = kernels.closed_cuts(
            layers, pin, self.stretch.tensors, np.zeros(4, np.int64), *self.instance.arrays, found.head_ns,
            found.tail_ns, 0, 0, 0, NEVER, graph.producer, graph.is_output, graph.made_first, graph.consumer_first,
            graph.consumers, graph.parent_first, graph.parents, 50 * MAX_OPTIONS, MAX_OPTIONS,
        )  # fmt: skip
        if not complete:
            places = {layer: i for i, layer in enumerate(branch.layers)}
            ends = [0, *(places[waist] + 1 for waist in branch.waists), len(layers)]
            inside = np.arange(len(layers)) < np.array(ends)[:, None]
            inside |= pin[layers] == ON_EDGE
            inside = inside[~(inside & (pin[layers] == IN_CLOUD)).any(axis=1)]
        masks = np.repeat(as_mask(graph.n_layers, self.instance.all_cloud)[None], len(inside), axis=0)
        masks[:, layers] |= inside
        return masks

    def search(self, starts: Sequence[Cut]) -> list[Cut]:
        """The best choice of options from the option nearest to each start, and from the extremes."""
        choices = [self._nearest(start) for start in starts]
        after = int(cut_network(self.instance).prefixes[self.stretch.high][2])
        after += self.instance.half_rtt_ns + delays(self.instance).least_back_ns
        found = kernels.choose_per_branch(
            self.options,
            self.first,
            np.array(sorted(set(choices)), np.int64),
            after,
            self.instance.half_rtt_ns,
            MAX_CHOICE_STEPS,
        )
        return [self._cut(row) for row in found.tolist()]

    def _nearest(self, start: Cut) -> tuple[int, ...]:
        mask = as_mask(self.graph.n_layers, start)
        edge = self.instance.arrays[0]
        found = []
        for masks, first in zip(self.masks, self.first.tolist(), strict=False):
            inside = masks.any(axis=0) | (mask & masks[0])
            wanted = int(edge[mask & inside].sum())
            done = masks[:, inside] @ edge[inside]
            found.append(first + int(np.abs(done - wanted).argmin()))
        return tuple(found)

    def _cut(self, choice: Sequence[int]) -> Cut:
        mask = as_mask(self.graph.n_layers, self.instance.least_edge).copy()
        for masks, first, one in zip(self.masks, self.first.tolist(), choice, strict=False):
            mask |= masks[one - first]
        return frozenset(np.flatnonzero(mask).tolist())


def undominated(load: Ints) -> list[int]:
    """Rows than which no other is at least as good in all columns, by the first column."""
    order = np.lexsort(load.T[::-1])
    return list(order[kernels.undominated(load[order])].tolist())
