"""Cuts worth considering: the weighted min cuts, and those right after a waist."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from itertools import product

import numpy as np

from decc_core.errors import ImpossibleConstraints
from decc_core.network.arrays import Mask
from decc_core.planner.cuts import Cuts
from decc_core.planner.mincut import EVEN, CutNetwork, Weights
from decc_core.planner.mixes import Mixes
from decc_core.problem.instance import CostInstance
from decc_core.text import counted

RATIOS = (1, 4, 16, 64, 256)
UNIT = 16
THRIFTY: tuple[Weights, ...] = tuple((1, 2**power, 1, 1) for power in range(2, 22, 2))
"""Weights on what is sent, for a limit on uplink bytes (a Lagrangian relaxation of it)."""


class Candidates:
    """The cuts of one request that strategies choose among, all within the constraints."""

    def __init__(self, network: CutNetwork, mixes: Mixes) -> None:
        self.network, self.mixes = network, mixes
        self.instance = network.instance

    @cached_property
    def best_prefix(self) -> int | None:
        """The prefix of least sequential time that keeps the constraints, as its number of layers."""
        fitting = np.flatnonzero(self.network.fitting_prefixes)
        return int(fitting[self.network.prefix_sequential_ns[fitting].argmin()]) if len(fitting) else None

    @cached_property
    def least_sequential(self) -> Mask:
        """The cut of least E + T + C + D + RTT; all-edge is compared apart, because only it saves the RTT.

        Under a limit on bytes the best of the weighted min cuts (a Lagrangian relaxation of the limit) and of the
        prefixes that keep it; with the limit the problem is NP-hard.
        """
        instance, network = self.instance, self.network
        masks = [network.cheapest(EVEN), network.mask(instance.most_edge)]
        if instance.constraints.uplink_bytes is not None or instance.constraints.edge_memory_bytes is not None:
            masks += [*self._thrifty(), *self._grid, network.mask(instance.least_edge)]
            masks += [network.prefix(self.best_prefix)] if self.best_prefix is not None else []
        cuts = Cuts.of_masks(network, masks)
        legal = cuts.fitting()
        if not len(legal):
            raise ImpossibleConstraints(self._why_impossible(cuts))
        return legal.mask(int(legal.sequential_ns.argmin()))

    def _why_impossible(self, cuts: Cuts) -> str:
        """The constraint that none of the cuts keeps, or that those do not which keep the other."""
        name, constraints = self.instance.graph.name, self.instance.constraints
        masks = [cuts.mask(place) for place in range(len(cuts))]
        allowed = [mask for mask in masks if self.network.allows(mask)]
        if allowed:
            least = min(map(self.network.memory_bytes, allowed))
            return (
                f"The edge memory limit of {constraints.edge_memory_bytes:,} bytes is too low: the thriftiest plan of "
                f"'{name}' found under the other constraints needs {least:,} bytes for "
                f"{counted(self.instance.requests, 'request')}."
            )
        least = min(map(self.network.sent_bytes, masks))
        return (
            f"The uplink limit of {constraints.uplink_bytes:,} bytes a request is too low: with the pinned layers, "
            f"'{name}' sends at least {least:,} bytes."
        )

    @cached_property
    def _grid(self) -> tuple[Mask, ...]:
        return tuple(self.network.cheapest((edge, UNIT, cloud, UNIT)) for edge, cloud in product(RATIOS, RATIOS))

    def _thrifty(self) -> Iterator[Mask]:
        """Cuts that send less and less, down to the least possible."""
        yield from map(self.network.cheapest, THRIFTY)
        yield CutNetwork(_costing_bytes(self.instance)).cheapest(EVEN)

    @cached_property
    def weighted(self) -> Cuts:
        """Min cuts for a log grid of weights on E : T : C (D weighs as T), and the columns of the LP over mixes."""
        instance, network = self.instance, self.network
        ends = network.mask(instance.most_edge), network.mask(instance.least_edge)
        masks = [self.least_sequential, *ends, *self._grid]
        masks += self.mixes.best(1, Cuts.of_masks(network, masks)).cuts
        if instance.constraints.uplink_bytes is not None:
            masks += self._thrifty()
        return Cuts.of_masks(network, masks).fitting()

    @cached_property
    def undominated(self) -> Cuts:
        """Weighted min cuts and the cuts right after a waist, dominated ones removed, fastest alone first."""
        return (self.weighted + Cuts.of_prefixes(self.network, self.network.points).fitting()).undominated()


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
        send_ns=(),
        receive_ns=(),
        constraints=replace(instance.constraints, uplink_bytes=None),
    )
