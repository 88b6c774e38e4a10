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
from decc_core.library import GRAPH_FILE, SAMPLES, WIRE_FILE, WIRE_SAMPLES
from decc_core.models import zoo
from decc_core.models.device import DeviceSettings
from decc_core.models.model import Model
from decc_core.models.ref import NetworkRef
from decc_core.models.torch.extract import ExtractedModel
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.roofline import estimate
from decc_core.problem.scenario import DEFAULT_EDGE
from decc_core.problem.wire import WireProfile
from decc_core.profiling.machine import keep_freed_memory
from decc_core.profiling.profiler import profile
from decc_core.profiling.wire import WireSettings, measure_wire
from decc_core.text import counted

FORMATS = (
    *("raw", "int8", "int8+zstd", "int6+zstd", "int4", "int4+zstd", "int4-channel+zstd"),
    *("jpeg95", "jpeg85", "jpeg75"),
)
CORE, ALIKE = "cpu-core-pytorch", "efficientnet_b0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    names = [sample.name for sample in samples.SAMPLES]
    parser.add_argument("names", nargs="*", default=names, choices=[*names, []], metavar="NAME", help="default: all")
    parser.add_argument("--formats", default=",".join(FORMATS), help="comma-separated")
    parser.add_argument("--estimate-times", action="store_true", help="of layers, for a machine that is busy")
    parser.add_argument("--tensors", choices=("candidates", "all"), default="candidates")
    options = parser.parse_args()
    keep_freed_memory()  # as workers do
    for sample in samples.SAMPLES:
        if sample.name in options.names:
            measure(sample, options)


def measure(sample: Sample, options: argparse.Namespace) -> None:
    """Write what tensors of one network weigh; and its graph and times, where they are not there yet."""
    folder = WIRE_SAMPLES / sample.name
    with tempfile.TemporaryDirectory(prefix="decc-samples-") as place, Progress() as bar:
        model = NetworkRef(sample.name, sample.load(Path(place)).data()).build()
        model = replace(model, graph=replace(model.graph, name=sample.name))
        graph_file = (SAMPLES if zoo.is_known(sample.name) else WIRE_SAMPLES) / sample.name / GRAPH_FILE
        if not graph_file.is_file():
            _times(model, graph_file.parent, options.estimate_times)
            store.save(model.graph, graph_file)
        inputs = sample.inputs()
        digest = hashlib.sha256(b"".join(array.tobytes() for array in inputs)).hexdigest()[:16]
        target = folder / WIRE_FILE
        known = store.load(target, WireProfile) if target.is_file() else None
        task = bar.add_task(sample.name)
        settings = WireSettings(
            tuple(options.formats.split(",")), len(inputs), f"{counted(len(inputs), 'image')} ({digest})",
            everything=options.tensors == "all", device=DEFAULT_EDGE,
            whole_s=library.load_profile(sample.name, DEFAULT_EDGE).whole_s, source=sample.source,
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


def _times(model: Model, folder: Path, estimated: bool) -> None:
    """Times of the layers on both usual devices; ONNX Runtime lays images out itself."""
    for settings in MEASURED:
        if estimated:
            found = _estimated(model, settings.device)
        else:
            usual = settings.runs_on if isinstance(model, ExtractedModel) else DeviceSettings(settings.runs_on.threads)
            found = profile(model, replace(settings, runs_on=usual))
        store.save(rounded(found), folder / f"{settings.device}.json")


def _estimated(model: Model, device: str) -> DeviceProfile:
    """An estimate for one core, and for two as much shorter as they are for a network that was measured."""
    found = replace(estimate(model.graph, library.catalogue()[CORE]), device=DEFAULT_EDGE)
    if device == DEFAULT_EDGE:
        return found
    usual = [library.load_profile(ALIKE, name).whole_s for name in (DEFAULT_EDGE, device)]
    source = f"{found.provenance.source}, scaled as the shipped profiles of {ALIKE} differ"
    return found.scaled(usual[1] / usual[0], source, device)


if __name__ == "__main__":
    main()
