"""Measures every layer of an extracted model on this machine."""

from __future__ import annotations

import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import psutil
import torch
from torch.utils import _pytree as pytree

from decc_core.errors import InvalidProfile
from decc_core.extract import ExtractedModel, Step, TensorKey
from decc_core.profile import DeviceProfile, Provenance, ProvenanceKind

Progress = Callable[[int, int, str], None]
MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
MAX_REPEATS = 10_000


@dataclass(frozen=True)
class ProfileSettings:
    """How to measure. `threads` of None means all cores; `repeats` are timed passes over the whole network."""

    device: str = "this-machine"
    threads: int | None = None
    memory_format: str = "contiguous"
    onednn: bool = True
    accelerator: str = "cpu"
    repeats: int = 30
    warmup: int = 3

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise InvalidProfile(f"{self.threads} threads cannot run anything; choose 1 or more.")
        if not 1 <= self.repeats <= MAX_REPEATS or self.warmup < 0:
            raise InvalidProfile(f"{self.repeats} repeats cannot be measured; choose 1 to {MAX_REPEATS}.")
        if self.memory_format not in MEMORY_FORMATS:
            raise InvalidProfile(f"Unknown memory format '{self.memory_format}'; choose one of {list(MEMORY_FORMATS)}.")
        if self.accelerator not in ("cpu", "cuda"):
            raise InvalidProfile(f"Unknown accelerator '{self.accelerator}'; choose cpu or cuda.")
        if self.accelerator == "cuda" and not torch.cuda.is_available():
            raise InvalidProfile("This machine has no CUDA device that PyTorch can use; choose the accelerator cpu.")


def profile(model: ExtractedModel, settings: ProfileSettings, progress: Progress | None = None) -> DeviceProfile:
    """Time each layer in `repeats` passes over the network, and calibrate their sum to the whole.

    In every pass one run with a clock reading after each layer is followed by one without, so that both see the same
    machine. Tensors are freed after their last use; otherwise the sum of layers would be far too high. `progress`
    receives passes done, passes in all, and what is going on.
    """
    report = progress or (lambda done, total, what: None)
    with _torch_settings(settings):
        prepared = _prepare(model, settings)
        stamps, wholes = _measure(prepared, settings, report)
    names = tuple(model.steps)
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
        provenance=_provenance(settings),
        calibration=calibration,
    )


def _p95(times: Sequence[float]) -> float:
    return sorted(times)[min(len(times) - 1, round(0.95 * (len(times) - 1)))]


@contextmanager
def _torch_settings(settings: ProfileSettings) -> Iterator[None]:
    """Threads and kernels as asked for, and as they were afterwards."""
    threads = torch.get_num_threads()
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        # Setting the oneDNN flag warns about Intel GPUs, which nobody asked for.
        warnings.filterwarnings("ignore", message="TF32 acceleration")
        stack.callback(torch.set_num_threads, threads)
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.backends.mkldnn.flags(enabled=settings.onednn))
        torch.set_num_threads(settings.threads or os.cpu_count() or 1)
        yield


def _prepare(model: ExtractedModel, settings: ProfileSettings) -> ExtractedModel:
    """The model with its weights and inputs where, and as, they shall be measured.

    Only convolution weights take the channels_last format: the outputs of convolutions follow it, and the graph and its
    fingerprint stay those of the contiguous model.
    """
    device = torch.device(settings.accelerator)

    def place(value: object, is_convolution: bool) -> object:
        if not isinstance(value, torch.Tensor):
            return device if isinstance(value, torch.device) else value
        value = value.to(device)
        if is_convolution and value.dim() == 4:
            return value.contiguous(memory_format=MEMORY_FORMATS[settings.memory_format])
        return value

    def place_step(step: Step) -> Step:
        convolution = "conv" in str(step.target)
        args, kwargs = pytree.tree_map(lambda value: place(value, convolution), (step.args, step.kwargs))
        return _relaxed(Step(step.target, tuple(args), dict(kwargs)))

    steps = {name: place_step(step) for name, step in model.steps.items()}
    return replace(model, steps=steps, example_inputs=tuple(tensor.to(device) for tensor in model.example_inputs))


def _relaxed(step: Step) -> Step:
    """A view that the contiguous graph may take can need a copy in another memory format: reshape decides by itself."""
    if step.target is torch.ops.aten.view.default:
        return replace(step, target=torch.ops.aten.reshape.default)
    return step


def _measure(
    model: ExtractedModel, settings: ProfileSettings, report: Progress
) -> tuple[list[list[float]], list[float]]:
    """Seconds of each layer and of the whole network, a row for each timed pass."""
    clock = _synchronised_clock if settings.accelerator == "cuda" else time.perf_counter
    stamps, wholes = [], []
    total = settings.warmup + settings.repeats
    for done in range(total):
        report(done, total, "warming up" if done < settings.warmup else "measuring")
        layers, whole = _time_layers(model, clock), _time_whole(model, clock)
        if done >= settings.warmup:
            stamps.append(layers)
            wholes.append(whole)
    report(total, total, "done")
    return stamps, wholes


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


def _time_whole(model: ExtractedModel, clock: Callable[[], float]) -> float:
    before = clock()
    model.run(model.example_inputs)
    return clock() - before


def _provenance(settings: ProfileSettings) -> Provenance:
    threads = settings.threads or os.cpu_count() or 1
    where = "GPU" if settings.accelerator == "cuda" else f"{threads} thread{'s' if threads > 1 else ''}"
    kernels = f"{settings.memory_format}, oneDNN {'on' if settings.onednn else 'off'}"
    return Provenance(
        kind=ProvenanceKind.MEASURED,
        source=f"measured layer by layer on {_processor(settings)} ({where}, {kernels})",
        machine=_machine(settings),
        settings={
            "accelerator": settings.accelerator,
            "threads": str(threads),
            "memory_format": settings.memory_format,
            "onednn": "on" if settings.onednn else "off",
            "repeats": str(settings.repeats),
            "measured_on": datetime.now(timezone.utc).date().isoformat(),
        },
    )


def _machine(settings: ProfileSettings) -> dict[str, str]:
    return {
        "processor": _processor(settings),
        "cores": str(os.cpu_count() or 1),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "torch": str(torch.__version__),
    }


def _processor(settings: ProfileSettings) -> str:
    if settings.accelerator == "cuda":
        return str(torch.cuda.get_device_name())
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
