"""What a study plans with: the graph of each network, the profiles of its devices and of what coding does to its
tensors, each once, by its digest."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from decc_core import files, library, store
from decc_core.errors import DeccError, InvalidStudy
from decc_core.load.kinds.kind import Kind
from decc_core.network.graph import LayerGraph
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.wire import WireProfile
from decc_core.profiling.imports import find_profile
from decc_core.studies.study import Study

Find = Callable[[str, str, str], tuple[LayerGraph, DeviceProfile, DeviceProfile]]
"""Finds a graph, and the profiles of edge and cloud, by the names of network, edge and cloud."""
DIGITS = 16


class Kit(NamedTuple):
    """A graph and the profiles of edge and cloud, before a scenario's factors; `wire` where the study names one."""

    graph: LayerGraph
    edge: DeviceProfile
    cloud: DeviceProfile
    wire: WireProfile | None = None


@dataclass(frozen=True)
class Materials:
    """All graphs and profiles of a study by their digests, and for each kit's names the digests of its parts."""

    graphs: Mapping[str, LayerGraph]
    profiles: Mapping[str, DeviceProfile]
    wires: Mapping[str, WireProfile]
    kits: Mapping[tuple[str, str, str], tuple[str, ...]]

    def kit(self, names: tuple[str, str, str]) -> Kit:
        graph, edge, cloud, *wire = self.kits[names]
        return Kit(self.graphs[graph], self.profiles[edge], self.profiles[cloud], *(self.wires[one] for one in wire))

    def parts(self, names: tuple[str, str, str]) -> dict[str, object]:
        """The parts of a kit by their digests."""
        return dict(zip(self.kits[names], self.kit(names), strict=False))

    @property
    def digest(self) -> str:
        """Identity of everything that is planned with."""
        return _digest(repr(sorted(self.kits.items())).encode())


def gather(study: Study, find: Find | None = None) -> Materials:
    """Everything that a study needs; what is not there, or does not fit, is refused before anything is planned.

    With a `find` of one's own no files are read: wire profiles are those that are shipped.
    """
    wires_in = study.folder if find is None else None
    find = find or finder(study.folder)
    graphs: dict[str, LayerGraph] = {}
    profiles: dict[str, DeviceProfile] = {}
    wires: dict[str, WireProfile] = {}
    named = dict(study.wire_profiles)
    kits: dict[tuple[str, str, str], tuple[str, ...]] = {}
    for model in study.networks:
        for pair in study.pairs:
            try:
                graph, edge, cloud = find(model, *pair)
                edge.require_graph(graph)
                cloud.require_graph(graph)
                wire = _wire_profile(named[model], wires_in) if model in named else None
                if wire is not None:
                    wire.require_graph(graph)
            except DeccError as error:
                raise InvalidStudy(f"The study cannot plan '{model}' on '{pair[0]}' and '{pair[1]}': {error}") from None
            keys: tuple[str, ...] = (f"{graph.fingerprint}{graph.details}", profile_digest(edge), profile_digest(cloud))
            # The first object of each is everybody's: what is known of a graph is kept with it.
            graphs.setdefault(keys[0], graph)
            profiles.setdefault(keys[1], edge)
            profiles.setdefault(keys[2], cloud)
            if wire is not None:
                keys = (*keys, profile_digest(wire))
                wires.setdefault(keys[-1], wire)
            kits[model, *pair] = keys
    return Materials(graphs, profiles, wires, kits)


def _wire_profile(name: str, folder: Path | None) -> WireProfile:
    """A wire profile that is shipped for a network of that name, or in a file, relative to a folder."""
    if name in library.shipped_wires():
        return library.load_wire_profile(name)
    if folder is None:
        raise InvalidStudy(
            f"There is no wire profile '{name}' here; those that are shipped are {', '.join(library.shipped_wires())}."
        )
    return library.load_wire_profile(str(folder / name))


def profile_digest(profile: DeviceProfile | WireProfile) -> str:
    """Identity of a profile: of its times and of where they come from."""
    return _digest(store.to_json(profile))


def finder(folder: Path) -> Find:
    """Finds what is shipped and what lies in files, whose names are relative to a folder; each network is read once."""

    @cache
    def graph_of(model: str) -> LayerGraph:
        path = folder / model
        if model in library.shipped_models() or not files.is_file(str(path)):
            return library.load_graph(model)
        if path.suffix == ".json":
            return library.load_graph(str(path))
        return _in_model_file(path)

    def found(model: str, device: str, graph: LayerGraph) -> DeviceProfile:
        path = str(folder / device)
        named = path if files.is_file(path) and device not in library.catalogue() else device
        return find_profile(model, named, graph)

    def find(model: str, edge: str, cloud: str) -> tuple[LayerGraph, DeviceProfile, DeviceProfile]:
        graph = graph_of(model)
        return graph, found(model, edge, graph), found(model, cloud, graph)

    return find


def _in_model_file(path: Path) -> LayerGraph:
    """The network in a .pt2 or .onnx file, read by a process of its own; times are to be named, and not measured."""
    from decc_core.load.process.loader import load_file

    with tempfile.TemporaryDirectory(prefix="decc-model-") as place:
        loaded = load_file(path, Path(place), measured=False)
    if loaded.kind not in (Kind.ONNX, Kind.PT2):
        raise InvalidStudy(f"{path.name} holds weights alone; name the network's own file.")
    return loaded.graph


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:DIGITS]
