"""How a command names a network: known by name, by a graph file, or by a model file, which is then read safely."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from decc_core import files, library
from decc_core.cli import output
from decc_core.cli.progress import bar
from decc_core.errors import InvalidInstance, NeedsArchitecture, UnknownName, UnreadableFile
from decc_core.load.kinds.kind import Kind
from decc_core.load.process.loader import LoadedModel, load_file
from decc_core.models.ref import NetworkRef
from decc_core.network.graph import LayerGraph
from decc_core.network.work import Resource
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.scenario import DEFAULT_CLOUD, DEFAULT_EDGE, Scenario
from decc_core.profiling.imports import find_profile, is_profile_file
from decc_core.ranges import is_count, whole_number

GRAPH_SUFFIX = ".json"
FILE_SUFFIXES = (".pt2", ".onnx", ".pt", ".pth", ".safetensors", GRAPH_SUFFIX)
USUAL = {Resource.EDGE: DEFAULT_EDGE, Resource.CLOUD: DEFAULT_CLOUD}
"""The devices that a model file has no profile of: their times are measured while it is read."""


@dataclass(frozen=True)
class NetworkOptions:
    """The network that a command names, and how its file is to be read."""

    command: str
    model: str
    weights: Path | None
    batch: int | None
    dimension: tuple[str, ...]

    @property
    def is_model_file(self) -> bool:
        """Whether the name stands for a file other than a graph file; built-in networks go first."""
        name = self.model
        return not name.endswith(GRAPH_SUFFIX) and name not in library.plannable_models() and files.is_file(name)

    @property
    def is_from_file(self) -> bool:
        """Whether the network, or its weights, come from a model file."""
        return self.weights is not None or self.is_model_file

    @property
    def sizes_given(self) -> str:
        """The first option that gives a size to an open dimension, if there is one."""
        return "--batch" if self.batch is not None else "--dimension" if self.dimension else ""

    def dimensions(self) -> dict[str, int]:
        sizes = {}
        for text in self.dimension:
            name, _, size = text.rpartition("=")
            if not name or not is_count(size):
                raise InvalidInstance(
                    f"--dimension {text} is not understood; write NAME=SIZE, as in: length=128, or INPUT:AXIS=SIZE, as "
                    "in: image:2=224."
                )
            sizes[name] = int(size)
        return sizes

    def built_in(self) -> str:
        """The name of a network that can be built from it, where a command takes no graph file."""
        self.refuse_sizes()
        require_built_in(self.model)
        return self.model

    def refuse_sizes(self) -> None:
        if self.sizes_given:
            raise InvalidInstance(
                f"{self.sizes_given} is for open dimensions of a model file; leave it out for {self.model}."
            )


def add_source(parser: argparse.ArgumentParser) -> None:
    """The options that say how a model file is to be read."""
    group = parser.add_argument_group("model files", "MODEL may be a .pt2 file (torch.export) or an .onnx file")
    group.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="weights for a built-in MODEL: a safetensors file or a state_dict (default: random ones)",
    )
    group.add_argument(
        "--batch", type=whole_number, help="size of the open batch dimension of a model file (default: 1)"
    )
    group.add_argument(
        "--dimension",
        action="append",
        default=[],
        metavar="NAME=SIZE",
        help="size of another open dimension of a model file, also as INPUT:AXIS=SIZE; may be given several times "
        "(default: none is open)",
    )


def network_of(given: argparse.Namespace) -> NetworkOptions:
    """What was said of the network; its name is empty where it was left to a plan."""
    return NetworkOptions(given.command, given.model or "", given.weights, given.batch, tuple(given.dimension))


@dataclass(frozen=True)
class Source:
    """A network that was opened; `loaded` is there where it came from a model file."""

    name: str
    graph: LayerGraph
    loaded: LoadedModel | None = None

    @property
    def network(self) -> NetworkRef:
        """What is to be run."""
        if self.loaded is not None:
            return NetworkRef(self.graph.name, self.loaded.data())
        if self.name not in library.shipped_models():
            require_weights_for(self.name, self.graph)
        return NetworkRef(self.graph.name)

    def profile(self, side: Resource, device: str) -> DeviceProfile:
        """The profile of that name; of a model file's usual device what was measured while it was read."""
        if device == USUAL[side]:
            if self.loaded is not None:
                quick = self.loaded.edge if side is Resource.EDGE else self.loaded.cloud
                if quick is not None:
                    return quick
            elif self.name not in library.plannable_models():
                raise UnknownName(
                    f"{self.name} is a graph without times: name two profiles of it with --edge FILE and --cloud FILE; "
                    "`decc profile` measures or imports them."
                )
        return find_profile(self.name, device, self.graph)


@contextmanager
def opened(network: NetworkOptions, scenario: Scenario | None = None) -> Iterator[Source]:
    """The network that a command names; what a model file was unpacked into is gone afterwards.

    With a scenario, a model file is also timed in a few quick passes, as there is no shipped profile for it.
    """
    name = network.model
    if scenario is not None:
        require_profiles(name, scenario)
    if not network.is_from_file:
        network.refuse_sizes()
        if scenario is not None and {scenario.edge, scenario.cloud} <= library.catalogue().keys():
            yield Source(name, known_graph(network))
            return
        require_plannable(name)
        yield Source(name, library.load_graph(name))
        return
    if network.weights is not None and network.is_model_file:
        raise InvalidInstance(f"{name} is a file and has weights of its own; --weights is for a network known by name.")
    # Other weights of a shipped network take no other time.
    has_profiles = network.weights is not None and name in library.shipped_models()
    devices = {} if scenario is None else {Resource.EDGE: scenario.edge, Resource.CLOUD: scenario.cloud}
    timed = [side.value for side, device in devices.items() if device == USUAL[side] and not has_profiles]
    with tempfile.TemporaryDirectory(prefix="decc-model-") as place:
        loaded = _read(network, Path(place), bool(timed))
        for note in loaded.notes:
            output.note(str(note))
        if loaded.edge is not None:
            flags = " and ".join(f"--{side} FILE" for side in timed)
            output.note(
                f"times of {' and '.join(timed)} are from a few quick passes on this machine; name a profile that "
                f"`decc profile` measured, here or elsewhere, with {flags}."
            )
        yield Source(name, loaded.graph, loaded)


def require_profiles(model: str, scenario: Scenario) -> None:
    """Refuse a file of times that could not be read, before a model is."""
    for device in (scenario.edge, scenario.cloud):
        if is_profile_file(model, device):
            files.require(Path(device))


def _read(network: NetworkOptions, place: Path, measured: bool) -> LoadedModel:
    file, architecture = (
        (network.weights, network.model) if network.weights is not None else (Path(network.model), None)
    )
    try:
        with bar(f"Reading {file.name}") as progress:
            loaded = load_file(
                file,
                place,
                architecture=architecture,
                batch=1 if network.batch is None else network.batch,
                dimensions=network.dimensions(),
                measured=measured,
                progress=progress,
            )
    except NeedsArchitecture as error:
        raise UnreadableFile(f"{error} As in: decc {network.command} googlenet --weights {file}") from None
    if loaded.kind not in (Kind.ONNX, Kind.PT2) and network.sizes_given:
        raise InvalidInstance(
            f"{network.sizes_given} is for open dimensions of a network's file, and {file.name} holds weights alone; "
            "leave it out."
        )
    return loaded


def graph_and_profiles(network: NetworkOptions, scenario: Scenario) -> tuple[LayerGraph, DeviceProfile, DeviceProfile]:
    """What a scenario makes its instance of."""
    with opened(network, scenario) as source:
        edge, cloud = source.profile(Resource.EDGE, scenario.edge), source.profile(Resource.CLOUD, scenario.cloud)
        return source.graph, edge, cloud


@contextmanager
def runnable(network: NetworkOptions) -> Iterator[NetworkRef]:
    """What is to be run or measured, where no graph file will do."""
    if network.is_from_file:
        with opened(network) as source:
            yield source.network
    else:
        yield NetworkRef(network.built_in())


def extracted(network: NetworkOptions) -> LayerGraph:
    """The graph of a network that can run."""
    if network.is_from_file:
        with opened(network) as source:
            return source.graph
    from decc_core.models import zoo

    return zoo.extracted(network.built_in()).graph


def known_graph(network: NetworkOptions) -> LayerGraph:
    """As it is shipped or stands in a graph file, and extracted only if it must be."""
    if not network.is_from_file and (network.model in library.plannable_models() or files.is_file(network.model)):
        return library.load_graph(network.model)
    return extracted(network)


def require_plannable(name: str) -> None:
    """Say what is missing where a name is neither a shipped network nor a file."""
    if name in library.plannable_models() or files.is_file(name):
        return
    require_built_in(name)
    raise UnknownName(
        f"'{name}' has no sample profiles. Make files of its own, `decc extract {name}` and, on each device, "
        f"`decc profile {name}`, and name them: {name}-graph.json --edge FILE --cloud FILE. Or name two of "
        "`decc devices`, for which times are estimated."
    )


def require_built_in(name: str) -> None:
    """Say that a file is missing, or what networks are called, where no built-in network has that name."""
    if name in library.shipped_models():
        # Known without torchvision, which takes seconds to import.
        return
    if name in library.plannable_models():
        raise UnknownName(f"'{name}' is shipped without weights to run; name the .pt2 or .onnx file of yours.")
    if name.endswith(GRAPH_SUFFIX) and files.is_file(name):
        raise UnknownName(f"{name} is a graph, without weights to run; name the network or the file that it is of.")
    if "/" in name or Path(name).suffix in FILE_SUFFIXES:
        if files.is_folder(name):
            raise UnknownName(f"{name} is a folder; name a file in it.")
        raise UnknownName(f"There is no file {name}; check its path.")
    from decc_core.models import zoo

    zoo.require(name)


def require_weights_for(file: str, graph: LayerGraph) -> None:
    """Refuse a graph file of a network that only its own file has the weights of."""
    from decc_core.models import zoo

    if not zoo.is_known(graph.name):
        raise UnknownName(
            f"{file} is the graph of '{graph.name}', without weights to run; name the .pt2 or .onnx file that it is of."
        )
