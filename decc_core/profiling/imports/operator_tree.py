"""The operators of one thread, nested as they called each other, and which of them stand for layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from decc_core.profiling.imports.operators import known_operator
from decc_core.profiling.imports.trace_events import Timed

ROUNDING_US = 0.002
"""Stamps of an uptime in microseconds are this coarse in 64-bit floats."""


@dataclass(frozen=True)
class Call:
    """An operator on the level at which the network knows it; `word` is its common name, None where it has none."""

    name: str
    word: str | None
    start_us: float
    end_us: float
    time_us: float
    args: msgspec.Raw


def calls(events: Sequence[Timed], known: frozenset[str]) -> list[Call]:
    """The outermost operators that the network knows, and what else there is outside them.

    The time that an operator spends beside those that it calls is shared out over them, so that the sum of the calls
    is the sum of the outermost events. The depth of the nesting is not bounded, so nothing here is recursive.
    """
    ordered = sorted(events, key=lambda event: (event.start_us, -event.time_us))
    word_of = {name: known_operator(name, known) for name in {event.name for event in ordered}}
    words = [word_of[event.name] for event in ordered]
    parents, ends = _nesting(ordered)
    inside, held = _inside(words, parents), [0.0] * len(ordered)
    for k, parent in enumerate(parents):
        if parent >= 0:
            held[parent] += ordered[k].time_us
    factors = [1.0] * len(ordered)
    found, k = [], 0
    while k < len(ordered):
        event, parent = ordered[k], parents[k]
        if parent >= 0 and held[parent] > 0:
            factors[k] = factors[parent] * ordered[parent].time_us / held[parent]
        if words[k] is None and inside[k] and held[k] > 0:
            k += 1
            continue
        time_us = event.time_us * factors[k]
        found.append(Call(event.name, words[k], event.start_us, event.end_us, time_us, event.args))
        k = ends[k]
    return found


def _nesting(ordered: Sequence[Timed]) -> tuple[list[int], list[int]]:
    """For each event the one that it stands in, or -1, and the index after the last one inside it."""
    parents, ends, opened = [-1] * len(ordered), [len(ordered)] * len(ordered), list[int]()
    for k, event in enumerate(ordered):
        while opened and ordered[opened[-1]].end_us - ROUNDING_US <= event.start_us:
            ends[opened.pop()] = k
        parents[k] = opened[-1] if opened else -1
        opened.append(k)
    return parents, ends


def _inside(words: Sequence[str | None], parents: Sequence[int]) -> list[bool]:
    """Whether an operator that the network knows stands inside an event."""
    found = [False] * len(words)
    for k in range(len(words) - 1, -1, -1):
        if parents[k] >= 0 and (words[k] is not None or found[k]):
            found[parents[k]] = True
    return found
