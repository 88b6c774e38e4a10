"""The graphs, profiles and devices that are shipped, and how a name or a file becomes one."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from decc_core import files, store
from decc_core.errors import UnknownName
from decc_core.network.graph import LayerGraph
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.roofline import Device, Engine, Pace, WorkKind, estimate
from decc_core.problem.wire import WireProfile

SAMPLES = Path(__file__).resolve().parent.parent / "sample_profiles"
WIRE_SAMPLES = SAMPLES.parent / "sample_wire"
GRAPH_FILE, WIRE_FILE = "graph.json", "wire.json"
DEVICES_FILE = SAMPLES / "devices.json"


def shipped_models() -> tuple[str, ...]:
    """Networks with a graph and profiles in `sample_profiles/`."""
    return tuple(sorted(path.parent.name for path in SAMPLES.glob(f"*/{GRAPH_FILE}")))


def plannable_models() -> tuple[str, ...]:
    """Those, and networks that are shipped without weights to run: their graph, times and wire profile are there."""
    return (*shipped_models(), *(name for name in shipped_wires() if (WIRE_SAMPLES / name / GRAPH_FILE).is_file()))


def shipped_wires() -> tuple[str, ...]:
    """Networks with a wire profile that was measured on trained weights, in `sample_wire/`."""
    return tuple(sorted(path.parent.name for path in WIRE_SAMPLES.glob(f"*/{WIRE_FILE}")))


def _folder(model: str) -> Path:
    """Where graph and profiles of a shipped network lie."""
    return SAMPLES / model if model in shipped_models() else WIRE_SAMPLES / model


def shipped_devices(model: str) -> tuple[str, ...]:
    """Devices with a profile for a shipped network."""
    found = _folder(model).glob("*.json")
    return tuple(sorted(path.stem for path in found if path.name not in (GRAPH_FILE, WIRE_FILE)))


def load_graph(model: str) -> LayerGraph:
    """The graph of a shipped network, or of a graph file."""
    if model in plannable_models():
        return store.load(_folder(model) / GRAPH_FILE, LayerGraph)
    if model.endswith(".json") or files.is_file(model):
        return store.load(Path(model), LayerGraph)
    raise UnknownName(
        f"No graph is shipped for '{model}', and no file has that name; shipped are {', '.join(shipped_models())}. "
        f"Make one with `decc extract {model} --output graph.json`."
    )


@cache
def catalogue() -> dict[str, Device]:
    """Devices for which the times of any network can be estimated, by name; their parameters are fitted in
    `benchmarks/estimates.py`."""
    held = json.loads(files.read(DEVICES_FILE))
    engines = {
        name: Engine(
            name,
            {WorkKind(kind): Pace(**pace) for kind, pace in row["paces"].items()},
            row["narrow"],
            frozenset(map(WorkKind, row["fused"])),
        )
        for name, row in held["engines"].items()
    }
    return {
        name: Device(
            name=name,
            title=row["title"],
            engine=engines[row["engine"]],
            flops_per_s=row["gflops"] * 1e9,
            bytes_per_s=row["gb_per_s"] * 1e9,
            overhead_s=row["overhead_us"] / 1e6,
            median_error=row["median_error"],
            error=row["error"],
            fitted_to=row["fitted_to"],
            source=_source(row),
        )
        for name, row in held["devices"].items()
    }


def _source(row: dict[str, Any]) -> str:
    if row["published_ms"]:
        return f"a roofline fitted to whole-model times in {row['published_in']}"
    if "measured" in row:
        return f"a roofline fitted to the sample profiles '{row['measured']}'"
    return f"a roofline from the data sheet ({row['data_sheet']}), with the paces of '{row['engine']}'"


def load_profile(model: str, device: str, graph: LayerGraph | None = None) -> DeviceProfile:
    """A profile by the name of the device: shipped for the network, or estimated, for the `graph` where that is given.

    A network that is known by its name needs none.
    """
    if device in shipped_devices(model):
        return store.load(_folder(model) / f"{device}.json", DeviceProfile)
    if device in catalogue():
        return estimate(graph or load_graph(model), catalogue()[device])
    known = ", ".join(shipped_devices(model)) or "none"
    raise UnknownName(
        f"No profile of '{device}' is shipped for '{model}' (shipped: {known}), and no file has that name. "
        f"Measure one with `decc profile {model} --output profile.json`, or take an estimate: `decc devices` lists the "
        "devices for which there is one."
    )


def load_wire_profile(file: str) -> WireProfile:
    """A wire profile by the name of the network that it is shipped for, or from a file that `decc wire` wrote."""
    if file in shipped_wires():
        return store.load(WIRE_SAMPLES / file / WIRE_FILE, WireProfile)
    if "/" not in file and not file.endswith(".json") and not files.is_file(file):
        raise UnknownName(
            f"No wire profile is shipped for '{file}', and no file has that name; shipped are those of "
            f"{', '.join(shipped_wires())}. Measure one with `decc wire {file} --images FOLDER --output wire.json`."
        )
    return store.load(Path(file), WireProfile)
