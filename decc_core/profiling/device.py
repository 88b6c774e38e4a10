"""How a device runs a model: threads, kernels, memory format and accelerator."""

from __future__ import annotations

import ctypes
import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import singledispatch
from pathlib import Path

import psutil
import torch
from torch.utils import _pytree as pytree

from decc_core.errors import InvalidProfile
from decc_core.models.model import Model
from decc_core.models.onnx.model import OnnxModel
from decc_core.models.torch.extract import ExtractedModel, Step

MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
ACCELERATORS = ("cpu", "cuda")

# Options of glibc's malloc.h, set so that it keeps what was freed: one arena for all threads, no block of its own from
# the system for tensors up to the largest threshold that it accepts, and nothing given back.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -2, -3, -8
STEADY_MEMORY = {M_ARENA_MAX: 1, M_MMAP_THRESHOLD: 32 << 20, M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: 64 << 20}


def keep_freed_memory() -> None:
    """Let this process reuse the memory of freed tensors; call it before threads start.

    Otherwise glibc returns large blocks to the system and faults them in again, page by page: that slows networks of
    many small layers by up to a half (mobilenet_v2: 15 to 26 ms on one core), and not always alike. Does nothing
    where the C library is not glibc.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in STEADY_MEMORY.items():
            mallopt(option, value)


@dataclass(frozen=True)
class DeviceSettings:
    """How a device runs a model; `threads` of None means all cores."""

    threads: int | None = None
    memory_format: str = "contiguous"
    onednn: bool = True
    accelerator: str = "cpu"

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise InvalidProfile(f"{self.threads} threads cannot run anything; choose 1 or more.")
        if self.memory_format not in MEMORY_FORMATS:
            raise InvalidProfile(f"Unknown memory format '{self.memory_format}'; choose one of {list(MEMORY_FORMATS)}.")
        if self.accelerator not in ACCELERATORS:
            raise InvalidProfile(f"Unknown accelerator '{self.accelerator}'; choose cpu or cuda.")

    @property
    def n_threads(self) -> int:
        return self.threads or os.cpu_count() or 1

    def require_device(self) -> None:
        """Refuse an accelerator that this machine does not have."""
        if self.accelerator == "cuda" and not torch.cuda.is_available():
            raise InvalidProfile("This machine has no CUDA device that PyTorch can use; choose the accelerator cpu.")


@contextmanager
def torch_settings(settings: DeviceSettings) -> Iterator[None]:
    """Threads and kernels as asked for, and as they were afterwards; no gradients are kept."""
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        # Setting the oneDNN flag warns about Intel GPUs, which nobody asked for.
        warnings.filterwarnings("ignore", message="TF32 acceleration")
        stack.callback(torch.set_num_threads, torch.get_num_threads())
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.backends.mkldnn.flags(enabled=settings.onednn))
        torch.set_num_threads(settings.n_threads)
        yield


@singledispatch
def placed(model: Model, settings: DeviceSettings) -> Model:
    """The model with its weights and example inputs where, and as, the device holds them."""
    raise TypeError(type(model).__name__)


@placed.register
def _placed_by_onnx_runtime(model: OnnxModel, settings: DeviceSettings) -> OnnxModel:
    """Only threads can be chosen: ONNX Runtime brings its own kernels and keeps the layout that the network says."""
    if (settings.accelerator, settings.memory_format, settings.onednn) != ("cpu", "contiguous", True):
        raise InvalidProfile(
            f"'{model.graph.name}' runs in ONNX Runtime, where only the number of threads can be chosen; "
            "leave the accelerator on cpu, the memory format contiguous and oneDNN on."
        )
    return model.with_threads(settings.n_threads)


@placed.register
def _placed_by_torch(model: ExtractedModel, settings: DeviceSettings) -> ExtractedModel:
    """Weights on the device, in its memory format.

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


def machine(settings: DeviceSettings) -> dict[str, str]:
    """What this machine is, for provenance."""
    return {
        "processor": processor(settings),
        "cores": str(os.cpu_count() or 1),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "torch": str(torch.__version__),
    }


def processor(settings: DeviceSettings) -> str:
    """The name of the processor that runs the layers."""
    if settings.accelerator == "cuda":
        return str(torch.cuda.get_device_name())
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
