"""Measures every layer of an extracted model on this machine."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import singledispatch

import torch

from decc_core.errors import InvalidProfile
from decc_core.models.model import Model
from decc_core.models.onnx.model import OnnxModel, runtime_name
from decc_core.models.onnx.timing import NodeClock
from decc_core.models.torch.extract import ExtractedModel, TensorKey
from decc_core.problem.profile import DeviceProfile, Provenance, ProvenanceKind
from decc_core.profiling.device import DeviceSettings, machine, placed, processor, torch_settings

Progress = Callable[[int, int, str], None]
MAX_REPEATS = 10_000


@dataclass(frozen=True)
class ProfileSettings:
    """How to measure: on what, and in how many timed passes over the whole network.

    No pass begins after `longest_s`, except for the first; if that leaves none but those that warm up, the last counts.
    """

    device: str = "this-machine"
    runs_on: DeviceSettings = field(default_factory=DeviceSettings)
    repeats: int = 30
    warmup: int = 3
    longest_s: float = math.inf

    def __post_init__(self) -> None:
        if not 1 <= self.repeats <= MAX_REPEATS or self.warmup < 0:
            raise InvalidProfile(f"{self.repeats} repeats cannot be measured; choose 1 to {MAX_REPEATS}.")


def profile(model: Model, settings: ProfileSettings, progress: Progress | None = None) -> DeviceProfile:
    """Time each layer in `repeats` passes over the network, and calibrate their sum to the whole.

    In every pass one run with a clock reading after each layer is followed by one without, so that both see the same
    machine. Tensors are freed after their last use; otherwise the sum of layers would be far too high. `progress`
    receives passes done, passes in all, and what is going on.
    """
    report = progress or (lambda done, total, what: None)
    settings.runs_on.require_device()
    with torch_settings(settings.runs_on):
        prepared = placed(model, settings.runs_on)
        rows = list(zip(*measure(prepared, settings, report), strict=True))
    stamps, wholes = zip(*rows[min(settings.warmup, len(rows) - 1) :], strict=True)
    names = model.layer_names
    medians = [statistics.median(times) for times in zip(*stamps, strict=True)]
    p95s = [_p95(times) for times in zip(*stamps, strict=True)]
    whole = statistics.median(wholes)
    calibration = whole / sum(medians) if sum(medians) > 0 else 1.0
    return DeviceProfile(
        device=settings.device,
        graph_name=model.graph.name,
        graph_fingerprint=model.graph.fingerprint,
        median_s={name: time_s * calibration for name, time_s in zip(names, medians, strict=True)},
        p95_s={name: time_s * calibration for name, time_s in zip(names, p95s, strict=True)},
        whole_s=whole,
        provenance=_provenance(model, settings, len(wholes)),
        calibration=calibration,
    )


def _p95(times: Sequence[float]) -> float:
    return sorted(times)[min(len(times) - 1, round(0.95 * (len(times) - 1)))]


@singledispatch
def measure(model: Model, settings: ProfileSettings, report: Progress) -> tuple[list[list[float]], list[float]]:
    """Seconds of each layer and of the whole network, a row for each pass, those that warm up included."""
    raise TypeError(type(model).__name__)


@measure.register
def _measure_onnx(
    model: OnnxModel, settings: ProfileSettings, report: Progress
) -> tuple[list[list[float]], list[float]]:
    """Nodes are timed by ONNX Runtime itself, to the microsecond, in one session; the whole in another, without."""
    wholes = []
    with NodeClock(model) as nodes:
        for _ in _passes(settings, report):
            nodes.run()
            wholes.append(_time_whole(model, time.perf_counter))
    return nodes.rows, wholes


@measure.register
def _measure_extracted(
    model: ExtractedModel, settings: ProfileSettings, report: Progress
) -> tuple[list[list[float]], list[float]]:
    """One operator after the other, with a clock reading after each."""
    clock = _synchronised_clock if settings.runs_on.accelerator == "cuda" else time.perf_counter
    stamps, wholes = [], []
    for _ in _passes(settings, report):
        stamps.append(_time_layers(model, clock))
        wholes.append(_time_whole(model, clock))
    return stamps, wholes


def _passes(settings: ProfileSettings, report: Progress) -> Iterator[None]:
    """Once for each pass, until there were enough or the time is over."""
    total, end = settings.warmup + settings.repeats, time.perf_counter() + settings.longest_s
    for done in range(total):
        if done > 0 and time.perf_counter() > end:
            break
        report(done, total, "warming up" if done < settings.warmup else "measuring")
        yield
    report(total, total, "done")


def _synchronised_clock() -> float:
    torch.cuda.synchronize()
    return time.perf_counter()


def _time_layers(model: ExtractedModel, clock: Callable[[], float]) -> list[float]:
    tensors: dict[TensorKey, torch.Tensor] = model.load_inputs(model.example_inputs)
    times = []
    before = clock()
    for name in model.steps:
        model.run_layer(name, tensors)
        after = clock()
        times.append(after - before)
        before = after
    return times


def _time_whole(model: Model, clock: Callable[[], float]) -> float:
    before = clock()
    model.run(model.example_inputs)
    return clock() - before


def _provenance(model: Model, settings: ProfileSettings, passes: int) -> Provenance:
    used = settings.runs_on
    threads = used.n_threads
    where = "GPU" if used.accelerator == "cuda" else f"{threads} thread{'s' if threads > 1 else ''}"
    kernels, runtime = _kernels(model, used)
    return Provenance(
        kind=ProvenanceKind.MEASURED,
        source=f"measured layer by layer on {processor(used)} ({where}, {kernels})",
        machine=machine(used),
        settings={
            "accelerator": used.accelerator,
            "threads": str(threads),
            **runtime,
            "repeats": str(passes),
            "measured_on": datetime.now(UTC).date().isoformat(),
        },
    )


def _kernels(model: Model, used: DeviceSettings) -> tuple[str, dict[str, str]]:
    """What computes the layers, in words and as settings."""
    if isinstance(model, OnnxModel):
        runtime = runtime_name()
        return f"{runtime}, each node inside one session", {"runtime": runtime}
    onednn = "on" if used.onednn else "off"
    return f"{used.memory_format}, oneDNN {onednn}", {"memory_format": used.memory_format, "onednn": onednn}
