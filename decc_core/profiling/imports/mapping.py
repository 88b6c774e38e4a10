"""From operators of a trace to times of layers: what was matched, what is shared out, what is left over."""

from __future__ import annotations

import statistics
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from decc_core.errors import InvalidProfile
from decc_core.network.graph import LayerGraph
from decc_core.profiling.imports.imported import MAX_TIME_S, Problem, count, few, refusal, short
from decc_core.profiling.imports.operators import COSTLESS, operator_of_event, operator_of_layer
from decc_core.profiling.imports.trace_events import US_PER_S

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
class _Found:
    """What the passes gave: a time for each layer and pass, and where the rest went."""

    times_us: list[list[float]] = field(default_factory=list)
    unmapped: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    shared: dict[int, str] = field(default_factory=dict)
    shared_us: float = 0.0
    total_us: float = 0.0
    work: int = 0


def map_passes(
    graph: LayerGraph, passes: Sequence[Pass], file_name: str, fused: frozenset[int] = frozenset(), lost_us: float = 0.0
) -> Mapped:
    """Times of the layers; refuses, with the layers, where too much of the time or of the network has no counterpart.

    `fused` are layers that run within another one's operator. An operator without a layer of its own, between two
    neighbours whose layers have others between them that no operator was found for, is shared out over those.
    """
    matched = {one.layer for one in _all(passes) if one.layer is not None}
    bare = [i for i, layer in enumerate(graph.layers) if not layer.is_input and i not in matched and i not in fused]
    computing = frozenset(
        i
        for i, layer in enumerate(graph.layers)
        if not layer.is_input and operator_of_layer(layer.operator) not in COSTLESS
    )
    waiting = [i for i in bare if i in computing]
    found = _Found()
    for one in passes:
        _add_pass(graph, one, computing, waiting, found)
    found.unmapped["what was started outside any operator"] += lost_us
    found.total_us += lost_us
    missing = [i for i in waiting if i not in found.shared]
    problems = _problems(graph, missing, found)
    _require_enough(graph, len(computing), missing, found, problems, file_name)
    notes = _notes(len(bare) - len(waiting), missing, found)
    return _summed(graph, found, tuple(notes), problems)


def _all(passes: Sequence[Pass]) -> list[Operation]:
    return [operation for one in passes for operation in one]


def _add_pass(graph: LayerGraph, one: Pass, computing: frozenset[int], waiting: list[int], found: _Found) -> None:
    times_us = [0.0] * len(graph)
    following = _following(one, computing, len(graph))
    before = -1
    for operation, after in zip(one, following, strict=True):
        found.total_us += operation.time_us
        if operation.layer is not None:
            times_us[operation.layer] += operation.time_us
            before = operation.layer if operation.layer in computing else before
            continue
        first, last = _between(waiting, before, after) if operator_of_event(operation.name) not in IDLE else (0, 0)
        found.work += last - first
        if first == last or found.work > MAX_WORK:
            found.unmapped[operation.name] += operation.time_us
        else:
            _share_out(graph, operation, waiting[first:last], times_us, found)
    found.times_us.append(times_us)


def _share_out(graph: LayerGraph, operation: Operation, gap: list[int], times_us: list[float], found: _Found) -> None:
    flops = [graph.layers[i].flops for i in gap]
    weights = flops if sum(flops) else [1] * len(gap)
    total = sum(weights)
    for i, weight in zip(gap, weights, strict=True):
        times_us[i] += operation.time_us * weight / total
        found.shared[i] = operation.name
    found.shared_us += operation.time_us


def _following(one: Pass, computing: frozenset[int], end: int) -> list[int]:
    """For each operator of a pass the computing layer of the next one that has such a layer."""
    found, after = [end] * len(one), end
    for k in range(len(one) - 1, -1, -1):
        found[k] = after
        layer = one[k].layer
        after = layer if layer is not None and layer in computing else after
    return found


def _between(waiting: list[int], before: int, after: int) -> tuple[int, int]:
    """Where in the sorted list the layers between two others stand."""
    return (bisect_right(waiting, before), bisect_left(waiting, after)) if before < after else (0, 0)


def _problems(graph: LayerGraph, missing: list[int], found: _Found) -> tuple[Problem, ...]:
    names = [(i, f"no operator found for {graph.layers[i].operator}") for i in missing]
    names += [(i, SHARED.format(short(name))) for i, name in found.shared.items()]
    return tuple((short(graph.layers[i].name), what) for i, what in sorted(names))


def _require_enough(
    graph: LayerGraph,
    computing: int,
    missing: list[int],
    found: _Found,
    problems: tuple[Problem, ...],
    file_name: str,
) -> None:
    if found.total_us <= 0:
        raise InvalidProfile(f"All times in {file_name} are 0; record the network again.")
    if found.total_us > MAX_TIME_S * US_PER_S:
        raise InvalidProfile(f"The times in {file_name} add up to more than {MAX_TIME_S:,.0f} s.")
    without = any(graph.layers[i].flops for i in missing) or len(missing) > MAX_UNMAPPED * computing
    unmapped, shared = sum(found.unmapped.values()) / found.total_us, found.shared_us / found.total_us
    guessed = shared > MAX_SHARED or len(found.shared) > MAX_SHARED * computing
    if not without and not guessed and unmapped <= MAX_UNMAPPED:
        return
    parts = []
    if missing:
        names = few([graph.layers[i].name for i in missing])
        parts.append(f"{len(missing):,} of {count(computing, 'computing layer')} have no operator in it ({names})")
    if unmapped > MAX_UNMAPPED:
        parts.append(f"{unmapped:.0%} of its time belongs to no layer ({_most(found)})")
    if guessed:
        over = f"{len(found.shared):,} of {count(computing, 'computing layer')}"
        parts.append(f"{shared:.0%} of its time could only be shared out by FLOPs, over {over}")
    raise refusal(
        f"{file_name} does not fit '{short(graph.name)}': {', and '.join(parts)}. Record this network itself, in "
        "evaluation mode and alone, one inference a step.",
        problems or [(short(name), f"{time_us / 1e3:.3f} ms, no layer") for name, time_us in _largest(found)],
    )


def _largest(found: _Found) -> list[tuple[str, float]]:
    return [
        (name, time_us) for name, time_us in sorted(found.unmapped.items(), key=lambda one: -one[1])[:20] if time_us > 0
    ]


def _most(found: _Found) -> str:
    return ", ".join(f"'{short(name)}' {_percent(time_us / found.total_us)}" for name, time_us in _largest(found)[:3])


def _percent(share: float) -> str:
    return "<0.01%" if share < 1e-4 else f"{share:.2%}" if share < 0.1 else f"{share:.0%}"


def _notes(costless: int, missing: list[int], found: _Found) -> list[str]:
    notes = []
    if costless:
        notes.append(
            f"{count(costless, 'layer')} that only look at a tensor differently have no operator in the file: 0 s each."
        )
    if missing:
        notes.append(f"{count(len(missing), 'computing layer')} without an operator in the file: 0 s each.")
    if found.shared:
        names = few(sorted(set(found.shared.values())))
        notes.append(
            f"{_percent(found.shared_us / found.total_us)} of the time is of operators that the network does not have "
            f"({names}): shared out by FLOPs over the {count(len(found.shared), 'layer')} in their places."
        )
    unmapped = sum(found.unmapped.values()) / found.total_us
    if unmapped > 0:
        notes.append(f"{_percent(unmapped)} of the time belongs to no layer and is left out ({_most(found)}).")
    return notes


def _summed(graph: LayerGraph, found: _Found, notes: tuple[str, ...], problems: tuple[Problem, ...]) -> Mapped:
    median_s, p95_s = {}, {}
    for i, layer in enumerate(graph.layers):
        if not layer.is_input:
            times_s = sorted(times_us[i] / US_PER_S for times_us in found.times_us)
            median_s[layer.name] = statistics.median(times_s)
            p95_s[layer.name] = max(median_s[layer.name], times_s[round(0.95 * (len(times_s) - 1))])
    whole_s = statistics.median(sum(times_us) for times_us in found.times_us) / US_PER_S
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
