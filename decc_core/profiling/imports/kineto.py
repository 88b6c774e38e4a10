"""Traces of PyTorch's profiler (`export_chrome_trace`): operators of eager execution, and kernels of a GPU."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod

import msgspec

from decc_core.errors import InvalidProfile, UnreadableFile
from decc_core.network.graph import LayerGraph
from decc_core.profiling.imports.imported import Imported, count, few, made_profile, measured, refusal, short
from decc_core.profiling.imports.mapping import Mapped, Operation, Pass, limited, map_passes, without_warm_up
from decc_core.profiling.imports.operator_tree import Call, calls
from decc_core.profiling.imports.operators import COSTLESS, operator_of_layer
from decc_core.profiling.imports.sequences import MAX_CELLS, aligned_first, common_length, period
from decc_core.profiling.imports.trace_events import Timed, Trace, arguments, timed

KIND_OF = {
    **dict.fromkeys(("cpu_op", "Operator"), "operators"),
    **dict.fromkeys(("kernel", "gpu_memcpy", "gpu_memset"), "kernels"),
    **dict.fromkeys(("cuda_runtime", "cuda_driver"), "launches"),
}
STEP = "ProfilerStep#"


@dataclass(frozen=True)
class _Recorded:
    """The events of a trace, sorted by what they are."""

    operators: tuple[Timed, ...]
    steps: tuple[Timed, ...]
    kernels: tuple[Timed, ...]
    launches: tuple[Timed, ...]


def read_kineto(trace: Trace, file_name: str, graph: LayerGraph, device: str) -> Imported:
    """The profile in a trace, whose operators are matched to the layers in stored order.

    On a GPU the operators only start kernels: their times are those of the kernels that they started.
    """
    recorded = _recorded(trace, file_name)
    names = [operator_of_layer(layer.operator) for layer in graph.layers]
    words = [name if not layer.is_input else "" for name, layer in zip(names, graph.layers, strict=True)]
    thread, elsewhere = _main_thread(recorded.operators)
    ran = calls(thread, frozenset(words) - {""})
    steps = [step for step in recorded.steps if step.thread == thread[0].thread]
    ran, lost_us = _on_device(ran, recorded, file_name) if recorded.kernels else (ran, 0.0)
    passes, notes = _passes(ran, steps, words)
    passes, more = limited(passes, graph)
    matched = _matched(passes[0], words, file_name)
    _require_shapes(graph, passes[0], matched, file_name)
    mapped = map_passes(graph, _with_layers(passes, matched), file_name, lost_us=lost_us)
    notes += more
    if elsewhere:
        notes.append(f"{count(elsewhere, 'operator')} of other threads not used.")
    return _imported(trace, mapped, notes, len(passes), bool(recorded.kernels), (file_name, graph, device))


def _recorded(trace: Trace, file_name: str) -> _Recorded:
    found: dict[str, list[Timed]] = defaultdict(list)
    for event in trace.traceEvents:
        one = timed(event, file_name)
        if one is not None and one.name.startswith(STEP):
            found["steps"].append(one)
        elif one is not None and one.category in KIND_OF:
            found[KIND_OF[one.category]].append(one)
    if not found["operators"]:
        raise UnreadableFile(
            f"{file_name} holds no operators: it is neither a trace of PyTorch's profiler with CPU activity nor a "
            "profile of ONNX Runtime."
        )
    if not found["kernels"] and any("Launch" in one.name for one in found["launches"]):
        raise InvalidProfile(
            f"{file_name} starts kernels on a GPU and holds no times of them; record it with "
            "`activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]`."
        )
    return _Recorded(*(tuple(found[kind]) for kind in ("operators", "steps", "kernels", "launches")))


def _main_thread(operators: Sequence[Timed]) -> tuple[list[Timed], int]:
    """The operators of the busiest thread, and how many ran elsewhere."""
    threads: dict[object, list[Timed]] = defaultdict(list)
    for one in operators:
        threads[one.thread].append(one)
    if len(threads) == 1:
        return list(operators), 0
    busiest = max(threads.values(), key=lambda events: sum(call.time_us for call in calls(events, frozenset())))
    return busiest, len(operators) - len(busiest)


def _on_device(ran: Sequence[Call], recorded: _Recorded, file_name: str) -> tuple[list[Call], float]:
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
        raise InvalidProfile(f"{file_name} holds kernels of a GPU, and none that an operator started.")
    return [replace(call, time_us=time_us) for call, time_us in zip(ran, times_us, strict=True)], lost_us


def _passes(ran: list[Call], steps: list[Timed], words: list[str]) -> tuple[list[list[Call]], list[str]]:
    """The operators of each pass over the network that did the same as most others, warm-up left out."""
    passes, notes = _by_steps(ran, steps) if steps else (_by_repeats(ran, words), list[str]())
    if not (steps and _step_number(steps[0]) > 0):
        passes, sentence = without_warm_up(passes)
        notes.append(sentence)
    usual, often = Counter(_known(one) for one in passes).most_common(1)[0]
    if often < len(passes):
        left = count(len(passes) - often, "pass", "passes")
        notes.append(f"{left} with other operators than most left out.")
    return [one for one in passes if _known(one) == usual], notes


def _known(one: Iterable[Call]) -> tuple[str, ...]:
    return tuple(call.word for call in one if call.word is not None)


def _step_number(step: Timed) -> int:
    number = step.name.removeprefix(STEP)[:9]
    return int(number) if number.isascii() and number.isdecimal() else 0


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
    full = [one for one in passes if one]
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


def _matched(one: Sequence[Call], words: list[str], file_name: str) -> list[int]:
    """For each known operator of a pass the index of its layer, or -1."""
    known = _known(one)
    if len(known) * len(words) > MAX_CELLS:
        raise InvalidProfile(
            f"One pass in {file_name} runs {len(known):,} operators, and the network has {len(words):,} layers: too "
            "much to be matched. Call `step()` of the profiler after each inference."
        )
    return aligned_first(words, known, COSTLESS)


def _with_layers(passes: Sequence[Sequence[Call]], matched: list[int]) -> list[Pass]:
    """All passes run the same known operators, so the match of the first is that of all."""
    found: list[Pass] = []
    for one in passes:
        layers = iter(matched)
        operations = []
        for call in one:
            layer = next(layers) if call.word is not None else -1
            operations.append(Operation(call.name, call.time_us, layer if layer >= 0 else None))
        found.append(operations)
    return found


def _require_shapes(graph: LayerGraph, one: Sequence[Call], matched: list[int], file_name: str) -> None:
    """Where the trace recorded shapes, layers with FLOPs must have read what they read in the graph."""
    wrong = []
    for call, i in zip((call for call in one if call.word is not None), matched, strict=True):
        if i < 0 or not graph.layers[i].flops:
            continue
        ref = graph.layers[i].inputs[0]
        wanted = list(graph.layers[graph.index[ref.layer]].outputs[ref.output].shape)
        shapes = _shapes(call)
        # Sizes only: inside a composite operator the same numbers may stand in another shape.
        if shapes and prod(wanted) not in map(prod, shapes):
            wrong.append((graph.layers[i].name, f"ran on {_shape(shapes[0])}, the network has {_shape(wanted)}"))
    if wrong:
        raise refusal(
            f"{file_name} was recorded with other shapes than '{short(graph.name)}' has: '{short(wrong[0][0])}' "
            f"{wrong[0][1]}; {count(len(wrong), 'layer differs', 'layers differ')}. Record the same network with "
            "inputs of the same shape, one request at a time.",
            wrong,
        )


def _shapes(call: Call) -> list[list[int]]:
    found = []
    for raw in arguments(call.args).dims:
        try:
            shape = msgspec.json.decode(raw, type=list[int])
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if shape:
            found.append(shape)
    return found


def _shape(sizes: Sequence[int]) -> str:
    return short("×".join(str(size) for size in sizes[:8]), 40)


def _imported(
    trace: Trace,
    mapped: Mapped,
    notes: list[str],
    passes: int,
    on_gpu: bool,
    told: tuple[str, LayerGraph, str],
) -> Imported:
    file_name, graph, device = told
    machine = {"host": short(str(trace.host_name))} if trace.host_name else {}
    gpus = [short(str(one.name)) for one in trace.deviceProperties if one.name] if on_gpu else []
    if gpus:
        machine["gpu"] = few(gpus).replace("'", "")
    what = "kernels of a GPU" if on_gpu else "operators of the CPU"
    source = f"imported from {file_name}, a PyTorch profiler trace of {count(passes, 'pass', 'passes')} ({what})"
    settings = {"repeats": str(passes), "format": "PyTorch profiler trace"}
    times = (mapped.median_s, mapped.p95_s, mapped.whole_s)
    profile = made_profile(graph, device, file_name, times, measured(source, machine, settings))
    return Imported(profile, (*notes, *mapped.notes), mapped.problems)
