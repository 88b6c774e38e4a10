"""The grid of a study: its points, numbered, and the lines in which they are planned.

A line is what one process plans in one go: points of one network on one pair of devices, so many that it is worth
sending, in an order in which one point's plan is a start for the next. The lines follow from the study alone, and not
from who plans them: that is why everybody gets the same plans.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from decc_core.network.arrays import Ints
from decc_core.problem.scenario import Choice, Scenario
from decc_core.problem.wire import ANY
from decc_core.studies.study import Settings, Stream, Study

LEAST_POINTS, MOST_POINTS = 8, 100
"""Of a line, where there are enough; sets of conditions that warm each other stay together, up to twice as many."""
LEAST_OF_STREAMS, MOST_OF_STREAMS = 4, 12
"""The same for streams, whose points take seconds."""
LINES = 64
"""So many lines there are at least, as far as they do not get too short: the last process is not to work alone."""


@dataclass(frozen=True)
class Point:
    """A point of the grid: its number in the whole grid, the scenario's fields, and how requests arrive."""

    number: int
    settings: Settings
    stream: Stream | None = None


@dataclass(frozen=True)
class Line:
    """Points of one network and one pair of devices, in the order in which they are planned."""

    number: int
    study: str
    model: str
    edge: str
    cloud: str
    points: tuple[Point, ...]
    strategies: tuple[str, ...]
    exact_s: float | None = None

    @property
    def kit(self) -> tuple[str, str, str]:
        """What its graph and profiles are found by."""
        return self.model, self.edge, self.cloud

    @property
    def rows(self) -> int:
        return len(self.points) * (len(self.strategies) + (self.exact_s is not None))


class Grid:
    """All lines of a study; each is made when it is asked for, so that a large grid takes little memory."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self._wires = dict[Choice, str](study.wire_profiles)
        numbers = np.arange(study.whole) if study.sample is None else _sampled(study)
        self._digits = np.stack(np.unravel_index(numbers, study.axes))
        keys = self._keys()
        order = np.lexsort(tuple(reversed(keys)))
        self._numbers, self._digits = numbers[order], self._digits[:, order]
        self._bounds = self._cut(np.stack(keys)[:, order])

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def __iter__(self) -> Iterator[Line]:
        return (self[number] for number in range(len(self)))

    def points_of(self, number: int) -> int:
        return int(self._bounds[number + 1] - self._bounds[number])

    def __getitem__(self, number: int) -> Line:
        points = tuple(self._point(place) for place in range(self._bounds[number], self._bounds[number + 1]))
        first = points[0].settings
        return Line(
            number, self.study.name, str(first["model"]), str(first["edge"]), str(first["cloud"]), points,
            self.study.strategies, self.study.exact_s,
        )  # fmt: skip

    def ends(self, number: int) -> tuple[Point, Point]:
        """The first and the last point of a line, in the order in which they are planned."""
        return self._point(self._bounds[number]), self._point(self._bounds[number + 1] - 1)

    def _point(self, place: int) -> Point:
        study = self.study
        network, device, constraint, other, link, stream = (int(digit) for digit in self._digits[:, place])
        settings: Settings = {
            "edge": Scenario.edge, "cloud": Scenario.cloud,
            **study.devices[device], **study.constraints[constraint], **study.others[other], **study.links[link],
            "model": study.networks[network],
        }  # fmt: skip
        if settings["model"] in self._wires:
            settings["wire_profile"] = self._wires[settings["model"]]
        if settings.get("min_agreement") is not None:
            # As for `decc compare`: who says only what is to be kept leaves the format open.
            settings.setdefault("wire", ANY)
        return Point(int(self._numbers[place]), settings, study.streams[stream] if study.streams else None)

    def _keys(self) -> tuple[Ints, ...]:
        """What the points are sorted by: network and devices, then conditions that share plans, then how hard they are.

        Within a set of conditions the link gets faster, and at one rate the edge does. Of streams all rates of one way
        to arrive come together.
        """
        study = self.study
        network, device, constraint, other, link, stream = self._digits
        pairs = _ranks([(row.get("edge", Scenario.edge), row.get("cloud", Scenario.cloud)) for row in study.devices])
        rest_of_device = _ranks([_without(row, "edge_slowdown") for row in study.devices])
        slowdown = np.array([-float(row.get("edge_slowdown", 1.0) or 1.0) for row in study.devices])
        rest_of_link = _ranks([_without(row, "uplink_mbps") for row in study.links])
        rate = np.array([float(row.get("uplink_mbps", Scenario.uplink_mbps) or 0.0) for row in study.links])
        return (
            network, pairs[device], rest_of_device[device], constraint, other, rest_of_link[link],
            rate[link], slowdown[device], stream,
        )  # fmt: skip

    def _cut(self, keys: Ints) -> Ints:
        """Where lines begin, and the end: between sets of conditions, or within one that is too long."""
        count = keys.shape[1]
        least, most = (LEAST_OF_STREAMS, MOST_OF_STREAMS) if self.study.is_streams else (LEAST_POINTS, MOST_POINTS)
        size = min(most, max(least, count // LINES))
        starts = np.ones(count, bool)
        of_kit = starts.copy()
        # The last two keys but the stream's differ within a set of conditions.
        starts[1:] = (keys[:6, 1:] != keys[:6, :-1]).any(axis=0)
        of_kit[1:] = (keys[:2, 1:] != keys[:2, :-1]).any(axis=0)
        bounds, begin = [0], 0
        sets = [*np.flatnonzero(starts).tolist(), count]
        for at, following in pairwise(sets):
            if at > begin and (of_kit[at] or following - begin > size):
                bounds.append(at)
                begin = at
            while following - begin > 2 * size:
                begin += size
                bounds.append(begin)
        return np.array([*bounds, count])


def _sampled(study: Study) -> Ints:
    """The numbers of a seeded sample, in order."""
    return np.array(sorted(random.Random(study.seed).sample(range(study.whole), study.points)), np.int64)


def _without(row: Settings, name: str) -> tuple[Any, ...]:
    return tuple(sorted((key, str(value)) for key, value in row.items() if key != name))


def _ranks(values: list[Any]) -> Ints:
    """Equal values get equal numbers, in the order in which they come first."""
    seen: dict[Any, int] = {}
    return np.array([seen.setdefault(value, len(seen)) for value in values], np.int64)
