"""Traces of PyTorch's profiler (`export_chrome_trace`): operators of eager execution, and kernels of a GPU."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from statistics import median

import msgspec

from decc_core.errors import InvalidProfile, UnreadableFile
from decc_core.profiling.imports.imported import Imported, Reading, count, few, refusal, short
from decc_core.profiling.imports.mapping import (
    MAX_CELLS,
    Operation,
    Pass,
    aligned_first,
    common_length,
    limited,
    map_passes,
    period,
    without_warm_up,
)
from decc_core.profiling.imports.traces import COSTLESS, Call, Timed, Trace, arguments, calls, operator_of_layer, timed
from decc_core.text import duration_s, shown

KIND_OF = {
    **dict.fromkeys(("cpu_op", "Operator"), "operators"),
    **dict.fromkeys(("kernel", "gpu_memcpy", "gpu_memset"), "kernels"),
    **dict.fromkeys(("cuda_runtime", "cuda_driver"), "launches"),
}
STEP = "ProfilerStep#"
MOST_OF_A_PASS = 1.25
"""How many times longer than its kernels a pass may take before that is worth a note."""
LATER_STEP = re.compile(STEP + "0*[1-9]", re.ASCII)


@dataclass(frozen=True)
class _Recorded:
    """The events of a trace, sorted by what they are."""

    operators: tuple[Timed, ...]
    steps: tuple[Timed, ...]
    kernels: tuple[Timed, ...]
    launches: tuple[Timed, ...]


def read_kineto(trace: Trace, reading: Reading) -> Imported:
    """The profile in a trace, whose operators are matched to the layers in stored order.

    On a GPU the operators only start kernels: their times are those of the kernels that they started.
    """
    graph, recorded = reading.graph, _recorded(trace, reading.file)
    names = [operator_of_layer(layer.operator) for layer in graph.layers]
    words = [name if not layer.is_input else "" for name, layer in zip(names, graph.layers, strict=True)]
    thread, elsewhere = _main_thread(recorded.operators)
    ran = calls(thread, frozenset(words) - {""})
    steps = [step for step in recorded.steps if step.thread == thread[0].thread]
    ran, lost_us = _on_device(ran, recorded, reading.file) if recorded.kernels else (ran, 0.0)
    passes, notes = _passes(ran, steps, words)
    passes, more = limited(passes, graph)
    matched = _matched(passes[0], words, reading.file)
    _require_shapes(reading, passes[0], matched)
    mapped = map_passes(reading, _with_layers(passes, matched), lost_us=lost_us)
    notes += more
    if recorded.kernels:
        notes += _idle_gpu(passes)
    if elsewhere:
        notes.append(f"{count(elsewhere, 'operator')} of other threads not used.")
    machine = {"host": short(str(trace.host_name))} if trace.host_name else {}
    gpus = [short(str(gpu.name)) for gpu in trace.deviceProperties if gpu.name] if recorded.kernels else []
    if gpus:
        machine["gpu"] = few(gpus).replace("'", "")
    what = "kernels of a GPU" if recorded.kernels else "operators of the CPU"
    source = (
        f"imported from {reading.file}, a PyTorch profiler trace of {count(len(passes), 'pass', 'passes')} ({what})"
    )
    settings = {"repeats": str(len(passes)), "format": "PyTorch profiler trace"}
    profile = reading.profile(mapped.median_s, mapped.p95_s, mapped.whole_s, source, machine, settings)
    return Imported(profile, (*notes, *mapped.notes), mapped.problems)


def _recorded(trace: Trace, file: str) -> _Recorded:
    events: dict[str, list[Timed]] = defaultdict(list)
    for raw in trace.traceEvents:
        kind = "steps" if isinstance(raw.name, str) and raw.name.startswith(STEP) else KIND_OF.get(str(raw.cat))
        if kind is not None and (event := timed(raw, file)) is not None:
            events[kind].append(event)
    if not events["operators"]:
        raise UnreadableFile(
            f"{file} holds no operators: it is neither a trace of PyTorch's profiler with CPU activity nor a "
            "profile of ONNX Runtime."
        )
    if not events["kernels"] and any("Launch" in launch.name for launch in events["launches"]):
        raise InvalidProfile(
            f"{file} starts kernels on a GPU and holds no times of them; record it with "
            "`activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]`."
        )
    return _Recorded(*(tuple(events[kind]) for kind in ("operators", "steps", "kernels", "launches")))


def _main_thread(operators: Sequence[Timed]) -> tuple[list[Timed], int]:
    """The operators of the busiest thread, and how many ran elsewhere."""
    threads: dict[object, list[Timed]] = defaultdict(list)
    for operator in operators:
        threads[operator.thread].append(operator)
    if len(threads) == 1:
        return list(operators), 0
    busiest = max(threads.values(), key=lambda events: sum(call.time_us for call in calls(events, frozenset())))
    return busiest, len(operators) - len(busiest)


def _on_device(ran: Sequence[Call], recorded: _Recorded, file: str) -> tuple[list[Call], float]:
    """The operators with the times of the kernels that they started, and the time of other kernels."""
    launched: dict[object, Timed] = {}
    for launch in recorded.launches:
        launched.setdefault(arguments(launch.args).correlation, launch)
    launched.pop(None, None)
    starts = [call.start_us for call in ran]
    times_us, lost_us = [0.0] * len(ran), 0.0
    for kernel in recorded.kernels:
        start = launched.get(arguments(kernel.args).correlation)
        k = bisect_right(starts, start.start_us) - 1 if start is not None else -1
        if start is not None and k >= 0 and start.start_us <= ran[k].end_us:
            times_us[k] += kernel.time_us
        else:
            lost_us += kernel.time_us
    if not any(times_us):
        raise InvalidProfile(f"{file} holds kernels of a GPU, and none that an operator started.")
    return [replace(call, time_us=time_us) for call, time_us in zip(ran, times_us, strict=True)], lost_us


def _idle_gpu(passes: Sequence[Sequence[Call]]) -> list[str]:
    """What to know where the host starts kernels more slowly than the GPU computes them."""
    computed_us = median(sum(call.time_us for call in ran) for ran in passes)
    took_us = median(max(call.end_us for call in ran) - ran[0].start_us for ran in passes)
    if took_us <= MOST_OF_A_PASS * computed_us:
        return []
    took, computed = duration_s(took_us / 1e6), duration_s(computed_us / 1e6)
    return [
        f"The GPU computed for {computed} of the {took} that a pass took: the rest it waited for the host to start "
        "kernels, under the profiler longer than otherwise. The times are those of a network that is started in one "
        "go, as a CUDA graph is; one that runs operator by operator takes what `decc profile --accelerator cuda` says."
    ]


def _passes(ran: list[Call], steps: list[Timed], words: list[str]) -> tuple[list[list[Call]], list[str]]:
    """The operators of each pass over the network that did the same as most others, warm-up left out."""
    passes, notes = _by_steps(ran, steps) if steps else (_by_repeats(ran, words), list[str]())
    if not (steps and LATER_STEP.match(steps[0].name)):
        passes, sentence = without_warm_up(passes)
        notes.append(sentence)
    usual, often = Counter(map(_known, passes)).most_common(1)[0]
    if often < len(passes):
        left = count(len(passes) - often, "pass", "passes")
        notes.append(f"{left} with other operators than most left out.")
    return [ran for ran in passes if _known(ran) == usual], notes


def _known(ran: Iterable[Call]) -> tuple[str, ...]:
    return tuple(call.word for call in ran if call.word is not None)


def _by_steps(ran: list[Call], steps: list[Timed]) -> tuple[list[list[Call]], list[str]]:
    steps.sort(key=lambda step: step.start_us)
    starts = [step.start_us for step in steps]
    passes: list[list[Call]] = [[] for _ in steps]
    outside = 0
    for call in ran:
        k = bisect_right(starts, call.start_us) - 1
        if k >= 0 and call.start_us <= steps[k].end_us:
            passes[k].append(call)
        else:
            outside += 1
    full = [calls for calls in passes if calls]
    notes = [f"{count(outside, 'operator')} outside the profiler's steps not used."] if outside and full else []
    return (full, notes) if full else ([ran], [])


def _by_repeats(ran: list[Call], words: list[str]) -> list[list[Call]]:
    """Without steps: the repeat that is most like the network, which may itself consist of equal parts."""
    known = [k for k, call in enumerate(ran) if call.word is not None]
    sequence = [str(ran[k].word) for k in known]
    shortest = period(sequence)
    if shortest in (0, len(sequence)):
        return [ran]
    repeats = len(sequence) // shortest
    lengths = (shortest * k for k in range(1, repeats + 1) if repeats % k == 0)
    length = max(lengths, key=lambda n: common_length(words, sequence[:n]) / (len(words) + n))
    cuts = [0, *(known[k] for k in range(length, len(sequence), length)), len(ran)]
    return [ran[a:b] for a, b in pairwise(cuts)]


def _matched(ran: Sequence[Call], words: list[str], file: str) -> list[int]:
    """For each known operator of a pass the index of its layer, or -1."""
    known = _known(ran)
    if len(known) * len(words) > MAX_CELLS:
        raise InvalidProfile(
            f"One pass in {file} runs {len(known):,} operators, and the network has {len(words):,} layers: too "
            "much to be matched. Call `step()` of the profiler after each inference."
        )
    return aligned_first(words, known, COSTLESS)


def _with_layers(passes: Sequence[Sequence[Call]], matched: list[int]) -> list[Pass]:
    """All passes run the same known operators, so the match of the first is that of all."""
    with_layers: list[Pass] = []
    for ran in passes:
        layers = iter(matched)
        operations = []
        for call in ran:
            layer = next(layers) if call.word is not None else -1
            operations.append(Operation(call.name, call.time_us, layer if layer >= 0 else None))
        with_layers.append(operations)
    return with_layers


def _require_shapes(reading: Reading, ran: Sequence[Call], matched: list[int]) -> None:
    """Where the trace recorded shapes, layers with FLOPs must have read what they read in the graph."""
    graph, wrong = reading.graph, []
    for call, i in zip((call for call in ran if call.word is not None), matched, strict=True):
        if i < 0 or not graph.layers[i].flops:
            continue
        ref = graph.layers[i].inputs[0]
        wanted = list(graph.layers[graph.index[ref.layer]].outputs[ref.output].shape)
        shapes = _shapes(call)
        # Sizes only: inside a composite operator the same numbers may stand in another shape.
        if shapes and prod(wanted) not in map(prod, shapes):
            wrong.append((graph.titles[i], f"ran on {_shape(shapes[0])}, the network has {_shape(wanted)}"))
    if wrong:
        raise refusal(
            f"{reading.file} was recorded with other shapes than {reading.network} has: {shown(wrong[0][0])} "
            f"{wrong[0][1]}; {count(len(wrong), 'layer differs', 'layers differ')}. Record the same network with "
            "inputs of the same shape, one request at a time.",
            wrong,
        )


def _shapes(call: Call) -> list[list[int]]:
    shapes = []
    for raw in arguments(call.args).dims:
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            shapes.append(msgspec.json.decode(raw, type=list[int]))
    return [shape for shape in shapes if shape]


def _shape(sizes: Sequence[int]) -> str:
    return short("×".join(str(size) for size in sizes[:8]), 40)
