"""This machine: what it is, and how its processes are made to run as a device does."""

from __future__ import annotations

import ctypes
import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import torch

from decc_core.models.device import DeviceSettings

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
