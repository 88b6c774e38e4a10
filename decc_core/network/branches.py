"""Waists, segments, branches and lanes: which layers of a graph never wait for one another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, groupby

import numpy as np

from decc_core.kernels import nesting
from decc_core.network.arrays import topology
from decc_core.network.graph import LayerGraph


@dataclass(frozen=True, eq=False, repr=False)
class Segment:
    """What lies between two neighbouring waists of a branch; `start` or `end` is None at the branch's own ends."""

    start: int | None
    end: int | None
    branches: tuple[Branch, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Branch:
    """Layers that never wait for another branch of the same segment; the whole graph is the outermost branch.

    `waists` are the layers that every path through the branch passes, `segments` what lies between them. A branch
    without a waist does not decompose further (dense blocks, random wiring): its `lanes` are chains that cover it and
    may have paths between them. Every layer stands in exactly one place: a waist, a lane, or one nested branch.
    Branches may lie thousands deep, so nothing here, equality and printing included, calls itself.
    """

    waists: tuple[int, ...]
    segments: tuple[Segment, ...]
    lanes: tuple[tuple[int, ...], ...]

    @property
    def layers(self) -> tuple[int, ...]:
        """All layers, nested ones included; gathered anew each time, since a deep nest would keep their square."""
        return tuple(sorted(chain.from_iterable(chain(inner.waists, *inner.lanes) for inner in nested(self))))

    @property
    def is_chain(self) -> bool:
        return not self.segments and not self.lanes


def nested(branch: Branch) -> Iterator[Branch]:
    """The branch and all within it, in no particular order."""
    waiting = [branch]
    while waiting:
        inner = waiting.pop()
        yield inner
        waiting += [other for segment in inner.segments for other in segment.branches]


@lru_cache(maxsize=32)
def split_branches(graph: LayerGraph) -> Branch:
    """Decompose a graph into waists, segments and independent branches, nested; linear in layers times depth."""
    arrays = topology(graph)
    is_exit = np.zeros(arrays.n_layers, np.bool_)
    is_exit[arrays.producer[arrays.is_output]] = True
    home, lane, rows = nesting.split_layers(is_exit, arrays)
    waists: list[list[int]] = [[] for _ in rows]
    lanes: list[dict[int, list[int]]] = [{} for _ in rows]
    for layer, (own, number) in enumerate(zip(home.tolist(), lane.tolist(), strict=True)):
        (waists[own] if number < 0 else lanes[own].setdefault(number, [])).append(layer)
    inside: list[list[tuple[tuple[int, int], Branch]]] = [[] for _ in rows]
    for i, (around, start, end) in reversed(list(enumerate(rows.tolist()))):
        segments = tuple(
            Segment(None if before < 0 else before, None if after < 0 else after, tuple(inner for _, inner in group))
            for (before, after), group in groupby(reversed(inside[i]), key=lambda entry: entry[0])
        )
        branch = Branch(tuple(waists[i]), segments, tuple(map(tuple, lanes[i].values())))
        if around >= 0:
            inside[around].append(((start, end), branch))
    return branch


def chains(branch: Branch) -> tuple[tuple[int, ...], ...]:
    """All layers as chains, for drawing and for moving partition points: runs of waists, and lanes, nested included."""
    runs: list[tuple[int, ...]] = []
    for inner in nested(branch):
        runs += inner.lanes
        run: list[int] = []
        forks = {segment.start for segment in inner.segments}
        for waist in inner.waists:
            run.append(waist)
            if waist in forks:
                runs.append(tuple(run))
                run = []
        runs += [tuple(run)] if run else []
    return tuple(sorted(runs))
