"""How a device runs a network: threads, kernels, memory format and accelerator; known without PyTorch."""

from __future__ import annotations

import os
from dataclasses import dataclass

from decc_core import ranges
from decc_core.errors import InvalidProfile

MEMORY_FORMATS = ("contiguous", "channels_last")
ACCELERATORS = ("cpu", "cuda")
MAX_THREADS = 1024
THREADS_A_CORE = 4
"""More threads than that only wait for each other, and many more end the process."""


@dataclass(frozen=True)
class DeviceSettings:
    """How a device runs a network; `threads` of None means all cores."""

    threads: int | None = None
    memory_format: str = "contiguous"
    onednn: bool = True
    accelerator: str = "cpu"

    def __post_init__(self) -> None:
        if self.threads is not None and not 1 <= self.threads <= MAX_THREADS:
            raise InvalidProfile(
                f"{ranges.shown(self.threads)} threads cannot run anything; choose 1 or more, up to {MAX_THREADS:,}."
            )
        if self.memory_format not in MEMORY_FORMATS:
            raise InvalidProfile(f"Unknown memory format '{self.memory_format}'; choose one of {list(MEMORY_FORMATS)}.")
        if self.accelerator not in ACCELERATORS:
            raise InvalidProfile(f"Unknown accelerator '{self.accelerator}'; choose cpu or cuda.")

    @property
    def n_threads(self) -> int:
        return self.threads or min(os.cpu_count() or 1, MAX_THREADS)

    def require_device(self) -> None:
        """Refuse an accelerator that this machine does not have, and more threads than its cores can carry."""
        cores = os.cpu_count() or 1
        if self.n_threads > min(THREADS_A_CORE * cores, MAX_THREADS):
            raise InvalidProfile(
                f"{self.n_threads} threads are too many for the {cores} cores of this machine; choose 1 to "
                f"{min(THREADS_A_CORE * cores, MAX_THREADS)}."
            )
        if self.accelerator == "cuda":
            import torch

            if not torch.cuda.is_available():
                raise InvalidProfile(
                    "This machine has no CUDA device that PyTorch can use; choose the accelerator cpu."
                )


ONE_THREAD = DeviceSettings(threads=1)
