"""Measures every layer of a network on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import torch

from decc_core.models.model import Model
from decc_core.models.runtimes import runtime_of
from decc_core.models.torch.runtime import synchronised_clock
from decc_core.problem.profile import DeviceProfile, Provenance, ProvenanceKind
from decc_core.profiling.machine import machine, processor, torch_settings
from decc_core.profiling.settings import ProfileSettings
from decc_core.progress import Progress, silent

REST_S, OTHER_INPUTS = 0.05, 4
"""Where passes shall be as in a run: its requests come after a pause, and with data of their own."""


def profile(model: Model, settings: ProfileSettings, progress: Progress | None = None) -> DeviceProfile:
    """Time each layer in `repeats` passes over the network, and calibrate their sum to the whole.

    In every pass one run with a clock reading after each layer is followed by one without, so that both see the same
    machine. Tensors are freed after their last use; otherwise the sum of layers would be far too high. `progress`
    receives passes done, passes in all, and what is going on.
    """
    runtime, runs_on, wholes = runtime_of(model), settings.runs_on, list[float]()
    runs_on.require_device()
    clock = synchronised_clock if runs_on.accelerator == "cuda" else time.perf_counter
    with torch_settings(runs_on):
        placed = runtime.place(model, runs_on)

        def run_whole(inputs: Sequence[torch.Tensor]) -> None:
            before = clock()
            placed.run(inputs)
            wholes.append(clock() - before)

        with runtime.layer_clock(placed, clock) as layers:
            row, given = settings.requests_in_a_run, [placed.example_inputs]
            if row is not None:
                given = [placed.random_inputs(seed) for seed in range(OTHER_INPUTS)]
            for done in _passes(settings, progress or silent):
                for place, run in ((2 * done, layers.run), (2 * done + 1, run_whole)):
                    if row is not None and place % row == 0:
                        time.sleep(REST_S)
                    run(given[place % len(given)])
    counted = min(settings.warmup, len(wholes) - 1)
    stamps, wholes = layers.rows[counted:], wholes[counted:]
    names = model.layer_names
    usual = min if settings.fastest else statistics.median
    medians = [usual(times) for times in zip(*stamps, strict=True)]
    p95s = [sorted(times)[round(0.95 * (len(times) - 1))] for times in zip(*stamps, strict=True)]
    whole = usual(wholes)
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


def _passes(settings: ProfileSettings, progress: Progress) -> Iterator[int]:
    """The number of each pass, until there were enough or the time is over."""
    total, end = settings.warmup + settings.repeats, time.perf_counter() + settings.longest_s
    for done in range(total):
        if done > 0 and time.perf_counter() > end:
            break
        progress(done, total, "warming up" if done < settings.warmup else "measuring")
        yield done
    progress(total, total, "done")


def _provenance(model: Model, settings: ProfileSettings, passes: int) -> Provenance:
    used = settings.runs_on
    threads = used.n_threads
    where = "GPU" if used.accelerator == "cuda" else f"{threads} thread{'s' if threads > 1 else ''}"
    kernels, chosen = runtime_of(model).kernels(used)
    row = settings.requests_in_a_run
    return Provenance(
        kind=ProvenanceKind.MEASURED,
        source=f"measured layer by layer on {processor(used)} ({where}, {kernels})",
        machine=machine(used),
        settings={
            "accelerator": used.accelerator,
            "threads": str(threads),
            **chosen,
            "repeats": str(passes),
            **({"passes": f"rows of {row} after a rest, on changing inputs"} if row else {}),
            "measured_on": datetime.now(UTC).date().isoformat(),
        },
    )
