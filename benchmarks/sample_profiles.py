"""Measures `sample_profiles/` again on this machine: `python -m benchmarks.sample_profiles [MODEL ...]`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rich.progress import Progress

from decc_core import store
from decc_core.library import GRAPH_FILE, SAMPLES
from decc_core.models import zoo
from decc_core.models.device import DeviceSettings
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.scenario import DEFAULT_CLOUD, DEFAULT_EDGE
from decc_core.profiling.machine import keep_freed_memory
from decc_core.profiling.profiler import profile
from decc_core.profiling.settings import ProfileSettings

MODELS = (
    "alexnet", "vgg16", "resnet18", "resnet50", "mobilenet_v2", "shufflenet_v2_x1_0", "squeezenet1_1", "googlenet",
    "inception_v3", "densenet121", "efficientnet_b0", "vit_b_16", "swin_t", "deeplabv3_mobilenet_v3_large",
    "multiview4", "multiview12", "two_tower", "siamese",
)  # fmt: skip
MEASURED = (
    ProfileSettings(DEFAULT_EDGE, DeviceSettings(threads=1, onednn=False)),
    ProfileSettings(DEFAULT_CLOUD, DeviceSettings(threads=2, memory_format="channels_last")),
)
DEVICES = Path(__file__).resolve().parent.parent / "assets" / "devices.json"
DECIMALS = 9
"""Planners count nanoseconds; more digits only make the files longer."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=MODELS, metavar="MODEL", help="default: all that are shipped")
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    keep_freed_memory()  # as workers do: the times of a live run are to be like these
    print(f"{'network':32}{'layers':>8}" + "".join(f"{settings.device:>30}" for settings in MEASURED))
    with Progress(transient=True) as bar:
        for name in options.models:
            measure(name, options.repeats, bar)


def measure(name: str, repeats: int, bar: Progress) -> None:
    """Write the graph of one network, its measured profiles and those scaled to published totals."""
    extracted = zoo.extracted(name)
    folder = SAMPLES / name
    store.save(extracted.graph, folder / GRAPH_FILE)
    columns = ""
    for settings in MEASURED:
        task = bar.add_task(f"{name} on {settings.device}")
        found = profile(
            extracted,
            replace(settings, repeats=repeats),
            lambda done, total, what, task=task: bar.update(task, completed=done, total=total),  # type: ignore[misc]
        )
        bar.remove_task(task)
        store.save(rounded(found), folder / f"{settings.device}.json")
        columns += f"{found.whole_s * 1e3:>27.2f} ms"
        if settings.device == DEFAULT_EDGE:
            for scaled in scaled_to_published(found):
                store.save(rounded(scaled), folder / f"{scaled.device}.json")
    print(f"{name:32}{len(extracted.graph.layers):>8}{columns}")


def scaled_to_published(measured: DeviceProfile) -> Iterator[DeviceProfile]:
    """The measured profile scaled to every published whole-model time of the same network."""
    for device, entry in json.loads(DEVICES.read_text()).items():
        totals_s = {name: total_ms / 1e3 for name, total_ms in entry.get("total_ms", {}).items()}
        totals_s |= {name: 1 / rate for name, rate in entry.get("frames_per_s", {}).items()}
        if measured.graph_name in totals_s:
            total_s = totals_s[measured.graph_name]
            source = f"layers {measured.provenance.source}, scaled to {total_s * 1e3:.1f} ms: {entry['source']}"
            yield measured.scaled_to_total(total_s, source, device)


def rounded(found: DeviceProfile) -> DeviceProfile:
    return replace(
        found,
        median_s={name: round(time_s, DECIMALS) for name, time_s in found.median_s.items()},
        p95_s={name: round(time_s, DECIMALS) for name, time_s in found.p95_s.items()},
        whole_s=round(found.whole_s, DECIMALS),
    )


if __name__ == "__main__":
    main()
