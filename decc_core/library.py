"""The graphs and profiles that are shipped, and how a name or a file becomes one."""

from __future__ import annotations

from pathlib import Path

from decc_core import files, store
from decc_core.errors import UnknownName
from decc_core.network.graph import LayerGraph
from decc_core.problem.profile import DeviceProfile

SAMPLES = Path(__file__).resolve().parent.parent / "sample_profiles"
GRAPH_FILE = "graph.json"


def shipped_models() -> tuple[str, ...]:
    """Networks with a graph and profiles in `sample_profiles/`."""
    return tuple(sorted(path.parent.name for path in SAMPLES.glob(f"*/{GRAPH_FILE}")))


def shipped_devices(model: str) -> tuple[str, ...]:
    """Devices with a profile for a shipped network."""
    return tuple(sorted(path.stem for path in (SAMPLES / model).glob("*.json") if path.name != GRAPH_FILE))


def load_graph(model: str) -> LayerGraph:
    """The graph of a shipped network, or of a graph file."""
    if model in shipped_models():
        return store.load(SAMPLES / model / GRAPH_FILE, LayerGraph)
    if model.endswith(".json") or files.is_file(model):
        return store.load(Path(model), LayerGraph)
    raise UnknownName(
        f"No graph is shipped for '{model}', and no file has that name; shipped are {', '.join(shipped_models())}. "
        f"Make one with `decc extract {model} --output graph.json`."
    )


def load_profile(model: str, device: str) -> DeviceProfile:
    """A profile that is shipped for a network, by the name of the device."""
    if device in shipped_devices(model):
        return store.load(SAMPLES / model / f"{device}.json", DeviceProfile)
    known = ", ".join(shipped_devices(model)) or "none"
    raise UnknownName(
        f"No profile of '{device}' is shipped for '{model}' (shipped: {known}), and no file has that name. "
        f"Measure one with `decc profile {model} --output profile.json`."
    )
