"""Measures `sample_wire/` again on this machine: `python -m benchmarks.sample_wire [NAME ...]`; goes on where it ended.

The networks and images come from packages, see `benchmarks/samples.py`.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from rich.progress import Progress

from benchmarks import samples
from benchmarks.sample_profiles import MEASURED, rounded
from benchmarks.samples import Sample
from decc_core import files, library, store
from decc_core.cli.wire import USUAL
from decc_core.library import GRAPH_FILE, SAMPLES, WIRE_FILE, WIRE_SAMPLES
from decc_core.models import zoo
from decc_core.models.device import DeviceSettings
from decc_core.models.model import Model
from decc_core.models.ref import NetworkRef
from decc_core.models.torch.extract import ExtractedModel
from decc_core.problem.scenario import DEFAULT_CLOUD, DEFAULT_EDGE
from decc_core.problem.wire import WireProfile
from decc_core.profiling.machine import keep_freed_memory
from decc_core.profiling.profiler import profile
from decc_core.profiling.wire import WireSettings, measure_wire
from decc_core.text import counted

FORMATS = tuple(name for name in USUAL if name != "fp16")
"""Half floats change next to nothing, and every other format is smaller."""
REPEATS, ALIKE, TWO_THREADS = 20, "efficientnet_b0", 0.6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    names = [sample.name for sample in samples.SAMPLES]
    parser.add_argument("names", nargs="*", default=names, choices=[*names, []], metavar="NAME", help="default: all")
    parser.add_argument("--formats", default=",".join(FORMATS), help="comma-separated")
    parser.add_argument("--tensors", choices=("candidates", "all"), default="candidates")
    options = parser.parse_args()
    keep_freed_memory()  # as workers do
    for sample in samples.SAMPLES:
        if sample.name in options.names:
            measure(sample, tuple(options.formats.split(",")), options.tensors == "all")


def measure(sample: Sample, formats: tuple[str, ...], everything: bool) -> None:
    """Write what tensors of one network weigh; and its graph and times, where they are not there yet."""
    folder = WIRE_SAMPLES / sample.name
    with tempfile.TemporaryDirectory(prefix="decc-samples-") as place, Progress() as bar:
        model = NetworkRef(sample.name, sample.load(Path(place)).data()).build()
        model = replace(model, graph=replace(model.graph, name=sample.name))
        graph_file = (SAMPLES if zoo.is_known(sample.name) else WIRE_SAMPLES) / sample.name / GRAPH_FILE
        if not graph_file.is_file():
            _profile(model, graph_file.parent)
            store.save(model.graph, graph_file)
        inputs = sample.inputs()
        digest = hashlib.sha256(b"".join(array.tobytes() for array in inputs)).hexdigest()[:16]
        target = folder / WIRE_FILE
        known = store.load(target, WireProfile) if target.is_file() else None
        task = bar.add_task(sample.name)
        settings = WireSettings(
            formats, len(inputs), f"{counted(len(inputs), 'image')} ({digest})", everything=everything,
            device="cpu-1-thread", source=sample.source,
        )  # fmt: skip

        measure_wire(
            model,
            lambda number: (torch.from_numpy(inputs[number].copy()),),
            settings,
            known,
            lambda done, total, what: bar.update(
                task, completed=done, total=total, description=f"{sample.name}: {what}"
            ),
            lambda found: files.replace(target, store.to_json(found)),
        )


def _profile(model: Model, folder: Path) -> None:
    """The fastest times of the layers on one thread, and the same made as much shorter as two are usually faster.

    On a quiet machine `benchmarks.sample_profiles` measures those of two threads, where the network is a built-in one.
    """
    edge, _ = MEASURED
    runs_on = edge.runs_on if isinstance(model, ExtractedModel) else DeviceSettings(threads=1)
    found = profile(model, replace(edge, runs_on=runs_on, repeats=REPEATS, warmup=2, fastest=True))
    store.save(rounded(found), folder / f"{DEFAULT_EDGE}.json")
    if isinstance(model, ExtractedModel):
        usual = [library.load_profile(ALIKE, device).whole_s for device in (DEFAULT_EDGE, DEFAULT_CLOUD)]
        factor, why = usual[1] / usual[0], f"scaled as the shipped profiles of {ALIKE} differ"
    else:
        factor, why = TWO_THREADS, f"scaled: two threads are taken to need {TWO_THREADS:.0%} of the time of one"
    source = f"layers {found.provenance.source}, {why}".replace("%", " %")
    store.save(rounded(found.scaled(factor, source, DEFAULT_CLOUD)), folder / f"{DEFAULT_CLOUD}.json")


if __name__ == "__main__":
    main()
