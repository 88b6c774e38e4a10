"""From operators of a trace to times of layers: which is which, what is shared out, what is left over."""

from __future__ import annotations

import statistics
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

from decc_core.errors import InvalidProfile
from decc_core.network.graph import LayerGraph
from decc_core.profiling.imports.imported import MAX_TIME_S, Problem, Reading, count, few, refusal, short
from decc_core.profiling.imports.traces import COSTLESS, US_PER_S, operator_of_event, operator_of_layer
from decc_core.text import duration_s, shown

MAX_CELLS = 2_000_000_000
"""Layers times operators of one pass, a bit for each."""
MAX_UNMAPPED = 0.1
"""Share of the time that may belong to no layer, and of the layers that may get none."""
MAX_SHARED = 0.5
"""Share of the time, and of the layers, that may be shared out by FLOPs; beyond it the profile would be a guess."""
MAX_TIMES = 5_000_000
"""Layers times passes: more passes say nothing new."""
MAX_WORK = 5_000_000
"""Layers that time is shared out over, counted each time."""
IDLE = COSTLESS | {"empty", "empty_like", "resize", "set", "to", "zero", "record_stream", "result_type"}
"""Operators whose time is nobody's work: nothing is shared out from them."""
SHARED = "time is a share of '{}', by FLOPs"


def aligned(layers: Sequence[str], words: Sequence[str]) -> list[int]:
    """For each word the index of its layer, or -1, so that as many as possible are equal and in the same order.

    Bit-parallel, after Hyyrö (2004): a row of the table is one integer; the way back reads single bits.
    """
    table = _rows(layers, words)
    places = [-1] * len(words)
    column, row = len(layers), len(words)
    while column and row:
        if table[row] >> (column - 1) & 1:
            column -= 1
        else:
            row -= 1
            if row and not table[row] >> (column - 1) & 1:
                continue
            column -= 1
            places[row] = column
    return places


def aligned_first(layers: Sequence[str], words: Sequence[str], minor: frozenset[str]) -> list[int]:
    """As `aligned`, but no number of minor words outweighs another one: they are aligned only between the others."""
    major_layers = [i for i, name in enumerate(layers) if name not in minor]
    major_words = [k for k, word in enumerate(words) if word not in minor]
    places = [-1] * len(words)
    for k, place in zip(
        major_words, aligned([layers[i] for i in major_layers], [words[k] for k in major_words]), strict=True
    ):
        places[k] = major_layers[place] if place >= 0 else -1
    ends = [(k, i) for k, i in enumerate(places) if i >= 0]
    for (k0, i0), (k1, i1) in pairwise([(-1, -1), *ends, (len(words), len(layers))]):
        between = [k for k in range(k0 + 1, k1) if words[k] in minor]
        between_layers = [i for i in range(i0 + 1, i1) if layers[i] in minor]
        inner = aligned([layers[i] for i in between_layers], [words[k] for k in between])
        for k, place in zip(between, inner, strict=True):
            places[k] = between_layers[place] if place >= 0 else -1
    return places


def common_length(layers: Sequence[str], words: Sequence[str]) -> int:
    """How many words `aligned` would find a layer for."""
    bits, last = (1 << len(layers)) - 1, (1 << len(layers)) - 1
    masks = _masks(layers)
    for word in words:
        last = _step(last, masks.get(word, 0), bits)
    return len(layers) - last.bit_count()


def _rows(layers: Sequence[str], words: Sequence[str]) -> list[int]:
    bits = (1 << len(layers)) - 1
    masks, rows = _masks(layers), [bits]
    for word in words:
        rows.append(_step(rows[-1], masks.get(word, 0), bits))
    return rows


def _step(row: int, mask: int, bits: int) -> int:
    both = row & mask
    return ((row + both) | (row - both)) & bits


def _masks(layers: Sequence[str]) -> dict[str, int]:
    masks: dict[str, int] = {}
    for i, name in enumerate(layers):
        masks[name] = masks.get(name, 0) | 1 << i
    return masks


def period(words: Sequence[str]) -> int:
    """The shortest length of which the list is a whole number of equal repeats."""
    borders = [0] * len(words)
    for i in range(1, len(words)):
        k = borders[i - 1]
        while k and words[i] != words[k]:
            k = borders[k - 1]
        borders[i] = k + (words[i] == words[k])
    shortest = len(words) - borders[-1] if words else 0
    return shortest if shortest and len(words) % shortest == 0 else len(words)


@dataclass(frozen=True)
class Operation:
    """An operator that ran in one pass, and the index of its layer, if one was found."""

    name: str
    time_us: float
    layer: int | None = None


Pass = Sequence[Operation]
AnyPass = TypeVar("AnyPass")


@dataclass(frozen=True)
class Mapped:
    """Median and 95th percentile of each layer over the passes, and of the whole, in seconds."""

    median_s: dict[str, float]
    p95_s: dict[str, float]
    whole_s: float
    notes: tuple[str, ...]
    problems: tuple[Problem, ...]


@dataclass
class _Tally:
    """What the passes gave: a time for each layer and pass, and where the rest went."""

    times_us: list[list[float]] = field(default_factory=list)
    unmapped: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    shared: dict[int, str] = field(default_factory=dict)
    shared_us: float = 0.0
    total_us: float = 0.0
    work: int = 0


def map_passes(
    reading: Reading, passes: Sequence[Pass], fused: frozenset[int] = frozenset(), lost_us: float = 0.0
) -> Mapped:
    """Times of the layers; refuses, with the layers, where too much of the time or of the network has no counterpart.

    `fused` are layers that run within another one's operator. An operator without a layer of its own, between two
    neighbours whose layers have others between them that no operator was found for, is shared out over those.
    """
    graph = reading.graph
    matched = {operation.layer for operations in passes for operation in operations if operation.layer is not None}
    bare = [i for i, layer in enumerate(graph.layers) if not layer.is_input and i not in matched and i not in fused]
    computing = frozenset(
        i
        for i, layer in enumerate(graph.layers)
        if not layer.is_input and operator_of_layer(layer.operator) not in COSTLESS
    )
    waiting = [i for i in bare if i in computing]
    tally = _Tally()
    for operations in passes:
        _add_pass(graph, operations, computing, waiting, tally)
    tally.unmapped["what was started outside any operator"] += lost_us
    tally.total_us += lost_us
    missing = [i for i in waiting if i not in tally.shared]
    problems = _problems(graph, missing, tally)
    _require_enough(reading, len(computing), missing, tally, problems)
    notes = _notes(len(bare) - len(waiting), missing, tally)
    return _summed(graph, tally, tuple(notes), problems)


def _add_pass(
    graph: LayerGraph, operations: Pass, computing: frozenset[int], waiting: list[int], tally: _Tally
) -> None:
    times_us = [0.0] * len(graph)
    following = _following(operations, computing, len(graph))
    before = -1
    for operation, after in zip(operations, following, strict=True):
        tally.total_us += operation.time_us
        if operation.layer is not None:
            times_us[operation.layer] += operation.time_us
            before = operation.layer if operation.layer in computing else before
            continue
        first, last = _between(waiting, before, after) if operator_of_event(operation.name) not in IDLE else (0, 0)
        tally.work += last - first
        if first == last or tally.work > MAX_WORK:
            tally.unmapped[operation.name] += operation.time_us
        else:
            _share_out(graph, operation, waiting[first:last], times_us, tally)
    tally.times_us.append(times_us)


def _share_out(graph: LayerGraph, operation: Operation, gap: list[int], times_us: list[float], tally: _Tally) -> None:
    flops = [graph.layers[i].flops for i in gap]
    weights = flops if sum(flops) else [1] * len(gap)
    total = sum(weights)
    for i, weight in zip(gap, weights, strict=True):
        times_us[i] += operation.time_us * weight / total
        tally.shared[i] = operation.name
    tally.shared_us += operation.time_us


def _following(operations: Pass, computing: frozenset[int], end: int) -> list[int]:
    """For each operator of a pass the computing layer of the next one that has such a layer."""
    following, after = [end] * len(operations), end
    for k in range(len(operations) - 1, -1, -1):
        following[k] = after
        layer = operations[k].layer
        after = layer if layer is not None and layer in computing else after
    return following


def _between(waiting: list[int], before: int, after: int) -> tuple[int, int]:
    """Where in the sorted list the layers between two others stand."""
    return (bisect_right(waiting, before), bisect_left(waiting, after)) if before < after else (0, 0)


def _problems(graph: LayerGraph, missing: list[int], tally: _Tally) -> tuple[Problem, ...]:
    names = [(i, f"no operator found for {graph.layers[i].operator}") for i in missing]
    names += [(i, SHARED.format(short(name))) for i, name in tally.shared.items()]
    return tuple((short(graph.titles[i]), what) for i, what in sorted(names))


def _require_enough(
    reading: Reading, computing: int, missing: list[int], tally: _Tally, problems: tuple[Problem, ...]
) -> None:
    layers = reading.graph.layers
    if tally.total_us <= 0:
        raise InvalidProfile(f"All times in {reading.file} are 0; record the network again.")
    if tally.total_us > MAX_TIME_S * US_PER_S:
        raise InvalidProfile(f"The times in {reading.file} add up to more than {MAX_TIME_S:,.0f} s.")
    without = any(layers[i].flops for i in missing) or len(missing) > MAX_UNMAPPED * computing
    unmapped, shared = sum(tally.unmapped.values()) / tally.total_us, tally.shared_us / tally.total_us
    guessed = shared > MAX_SHARED or len(tally.shared) > MAX_SHARED * computing
    if not without and not guessed and unmapped <= MAX_UNMAPPED:
        return
    parts = []
    if missing:
        names = few([reading.graph.titles[i] for i in missing])
        parts.append(f"{len(missing):,} of {count(computing, 'computing layer')} have no operator in it ({names})")
    if unmapped > MAX_UNMAPPED:
        parts.append(f"{unmapped:.0%} of its time belongs to no layer ({_most(tally)})")
    if guessed:
        over = f"{len(tally.shared):,} of {count(computing, 'computing layer')}"
        parts.append(f"{shared:.0%} of its time could only be shared out by FLOPs, over {over}")
    raise refusal(
        f"{reading.file} does not fit {reading.network}: {', and '.join(parts)}. Record this network itself, in "
        "evaluation mode and alone, one inference a step.",
        problems or [(short(name), f"{time_us / 1e3:.3f} ms, no layer") for name, time_us in _largest(tally)],
    )


def _largest(tally: _Tally) -> list[tuple[str, float]]:
    return [
        (name, time_us)
        for name, time_us in sorted(tally.unmapped.items(), key=lambda item: -item[1])[:20]
        if time_us > 0
    ]


def _most(tally: _Tally) -> str:
    return ", ".join(f"{shown(name)} {_percent(time_us / tally.total_us)}" for name, time_us in _largest(tally)[:3])


def _percent(share: float) -> str:
    return "<0.01%" if share < 1e-4 else f"{share:.2%}" if share < 0.1 else f"{share:.0%}"


def _notes(costless: int, missing: list[int], tally: _Tally) -> list[str]:
    unmapped_us, passes = sum(tally.unmapped.values()), len(tally.times_us) * US_PER_S
    total, given = duration_s(tally.total_us / passes), duration_s((tally.total_us - unmapped_us) / passes)
    notes = [f"Of the {total} that the file's operators take in a pass, {given} are given to layers."]
    if costless:
        notes.append(
            f"{count(costless, 'layer')} that only look at a tensor differently have no operator in the file: 0 s each."
        )
    if missing:
        notes.append(f"{count(len(missing), 'computing layer')} without an operator in the file: 0 s each.")
    if tally.shared:
        names = few(sorted(set(tally.shared.values())))
        notes.append(
            f"{_percent(tally.shared_us / tally.total_us)} of the time is of operators that the network does not have "
            f"({names}): shared out by FLOPs over the {count(len(tally.shared), 'layer')} in their places."
        )
    unmapped = unmapped_us / tally.total_us
    if unmapped > 0:
        notes.append(f"{_percent(unmapped)} of the time belongs to no layer and is left out ({_most(tally)}).")
    return notes


def _summed(graph: LayerGraph, tally: _Tally, notes: tuple[str, ...], problems: tuple[Problem, ...]) -> Mapped:
    median_s, p95_s = {}, {}
    for i, layer in enumerate(graph.layers):
        if not layer.is_input:
            times_s = sorted(times_us[i] / US_PER_S for times_us in tally.times_us)
            median_s[layer.name] = statistics.median(times_s)
            p95_s[layer.name] = max(median_s[layer.name], times_s[round(0.95 * (len(times_s) - 1))])
    whole_s = statistics.median(sum(times_us) for times_us in tally.times_us) / US_PER_S
    return Mapped(median_s, p95_s, whole_s, notes, problems)


def without_warm_up(passes: list[AnyPass]) -> tuple[list[AnyPass], str]:
    """All passes but the first, where there are several, and the sentence that says so."""
    if len(passes) < 2:
        return passes, "There is one pass only: nothing is known about the spread, and it may hold a warm-up."
    return passes[1:], f"The first of {len(passes):,} passes was left out as warm-up."


def limited(passes: list[AnyPass], graph: LayerGraph) -> tuple[list[AnyPass], list[str]]:
    """As many passes as are looked at, and a sentence if there are more."""
    most = max(1, MAX_TIMES // max(1, len(graph)))
    if len(passes) <= most:
        return passes, []
    return passes[:most], [f"The first {most:,} of {len(passes):,} passes were used."]
