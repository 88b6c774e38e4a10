"""What came out of a file, and the words in which it is told: short lists, short names, no endless lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from decc_core.errors import InvalidProfile, UnmappedTimes
from decc_core.network.graph import LayerGraph
from decc_core.problem.profile import DeviceProfile, Provenance, ProvenanceKind
from decc_core.text import listed, shown

MAX_TIME_S = 1e6
"""Eleven days: no layer of a network takes longer, so that such a number is in another unit, or broken."""
MAX_NAME = 60
NAMED = 3
KEPT_PROBLEMS = 500

Problem = tuple[str, str]
"""A layer or a line, and what is wrong with it."""


@dataclass(frozen=True)
class Imported:
    """A profile from a file, what a reader of its numbers should know, and the layers that got no time of their own."""

    profile: DeviceProfile
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Reading:
    """A file's name, the network that it should hold times of, and what to call the device."""

    file: str
    graph: LayerGraph
    device: str

    @property
    def network(self) -> str:
        return shown(self.graph.name)

    def profile(
        self,
        median_s: dict[str, float],
        p95_s: dict[str, float],
        whole_s: float,
        source: str,
        machine: dict[str, str],
        settings: dict[str, str],
    ) -> DeviceProfile:
        """The profile of these times; medians are calibrated to add up to the whole."""
        total_s = sum(median_s.values())
        if total_s <= 0:
            raise InvalidProfile(f"All times in {self.file} are 0: fill in the time of each layer.")
        factor = whole_s / total_s
        return DeviceProfile(
            device=short(self.device) or "imported",
            graph_name=self.graph.name,
            graph_fingerprint=self.graph.fingerprint,
            median_s={name: time_s * factor for name, time_s in median_s.items()},
            p95_s={name: time_s * factor for name, time_s in p95_s.items()},
            whole_s=whole_s,
            provenance=Provenance(ProvenanceKind.MEASURED, source, machine, settings),
            calibration=factor,
        )


def short(text: str, letters: int = MAX_NAME) -> str:
    """The text on one line, cut where it gets long: names in files may be anything."""
    line = " ".join(text[: 4 * letters].split())
    return line if len(line) <= letters and len(text) <= 4 * letters else line[:letters] + "…"


def few(names: Sequence[str]) -> str:
    """The first names in quotes, and how many more there are."""
    return listed(names, NAMED)


def count(number: int, single: str, many: str | None = None) -> str:
    return f"{number:,} {single if number == 1 else many or single + 's'}"


def refusal(sentence: str, problems: Iterable[Problem]) -> UnmappedTimes:
    kept = tuple((short(where), short(what, 200)) for where, what in problems)
    return UnmappedTimes(sentence, kept[:KEPT_PROBLEMS])
