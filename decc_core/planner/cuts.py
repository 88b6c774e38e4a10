"""Cuts of one request as arrays: a prefix of the stored order stays a number until a plan takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from decc_core.kernels import many_cuts
from decc_core.network.arrays import Ints, Mask
from decc_core.planner.mincut import CutNetwork

NO_PREFIX = -1


@dataclass(frozen=True, eq=False)
class Cuts:
    """Cuts of one request, one in each place.

    `loads` has E, T, C and D of each; `prefix` how many layers of the stored order run on the edge, or NO_PREFIX where
    `row` says which row of `masks` has the layers.
    """

    network: CutNetwork
    loads: Ints
    prefix: Ints
    row: Ints
    masks: Mask

    @classmethod
    def of_masks(cls, network: CutNetwork, masks: Sequence[Mask]) -> Cuts:
        """Cuts given layer by layer; of equal ones the first stays."""
        kept = list({mask.tobytes(): mask for mask in masks}.values())
        rows = np.array(kept, np.bool_).reshape(len(kept), network.n_layers)
        nowhere = np.full(len(kept), NO_PREFIX, np.int64)
        return cls(network, network.loads(rows), nowhere, np.arange(len(kept)), rows)

    @classmethod
    def of_prefixes(cls, network: CutNetwork, layers: Ints) -> Cuts:
        """The cuts with the inputs and so many layers of the stored order on the edge."""
        nothing = np.zeros((0, network.n_layers), np.bool_)
        return cls(network, network.prefixes[layers], layers, np.full(len(layers), NO_PREFIX, np.int64), nothing)

    def __len__(self) -> int:
        return len(self.prefix)

    def mask(self, place: int) -> Mask:
        """The layers on the edge."""
        prefix = int(self.prefix[place])
        return self.masks[int(self.row[place])] if prefix == NO_PREFIX else self.network.prefix(prefix)

    def take(self, places: Ints | Mask) -> Cuts:
        return Cuts(self.network, self.loads[places], self.prefix[places], self.row[places], self.masks)

    def __add__(self, other: Cuts) -> Cuts:
        row = np.where(other.row == NO_PREFIX, NO_PREFIX, other.row + len(self.masks))
        return Cuts(
            self.network,
            np.concatenate([self.loads, other.loads]),
            np.concatenate([self.prefix, other.prefix]),
            np.concatenate([self.row, row]),
            np.concatenate([self.masks, other.masks]),
        )

    @cached_property
    def use_cloud(self) -> Mask:
        """Which cuts leave any layer to the cloud."""
        whole_rows = np.append(self.masks.all(axis=1), False)
        return np.asarray(
            ~np.where(self.prefix == NO_PREFIX, whole_rows[self.row], self.prefix == self.network.n_layers)
        )

    @cached_property
    def sequential_ns(self) -> Ints:
        """E + T + C + D, plus the RTT where the cloud is used."""
        return np.asarray(self.loads.sum(axis=1) + np.where(self.use_cloud, self.network.instance.rtt_ns, 0))

    @cached_property
    def bottleneck_ns(self) -> Ints:
        return np.asarray(self.loads.max(axis=1))

    def fitting(self) -> Cuts:
        """The cuts that keep the constraints."""
        kept = np.where(self.prefix == NO_PREFIX, False, self.network.fitting_prefixes[self.prefix])
        for place in np.flatnonzero(self.prefix == NO_PREFIX).tolist():
            kept[place] = self.network.fits(self.mask(place))
        return self.take(kept)

    def undominated(self) -> Cuts:
        """Cuts than which no other is at least as good in all four loads and in sequential time, fastest first."""
        order = np.lexsort((*self.loads.T[::-1], self.sequential_ns))
        return self.take(order[many_cuts.undominated(self.loads[order])])
