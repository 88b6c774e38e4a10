"""How a command names a network: in the zoo, by a graph file, or by a model file, which is then read safely."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from decc_core import library
from decc_core.cli.progress import bar
from decc_core.errors import InvalidInstance, NeedsArchitecture, UnknownName, UnreadableFile
from decc_core.load.kinds.kind import Kind
from decc_core.load.process.loader import LoadedModel, load_file
from decc_core.models.ref import NetworkRef
from decc_core.network.graph import LayerGraph
from decc_core.problem.profile import DeviceProfile
from decc_core.profiling.imports import find_profile

GRAPH_SUFFIX = ".json"
FILE_SUFFIXES = (".pt2", ".onnx", ".pt", ".pth", ".safetensors", GRAPH_SUFFIX)


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

    def edge_profile(self, device: str) -> DeviceProfile:
        return self._profile(device, library.DEFAULT_EDGE, self.loaded.edge if self.loaded else None)

    def cloud_profile(self, device: str) -> DeviceProfile:
        return self._profile(device, library.DEFAULT_CLOUD, self.loaded.cloud if self.loaded else None)

    def _profile(self, device: str, default: str, quick: DeviceProfile | None) -> DeviceProfile:
        """The profile of that name; for a model file the default is what was measured while it was read."""
        if quick is not None and device == default:
            return quick
        if device == default and self.loaded is None and self.name not in library.shipped_models():
            raise UnknownName(
                f"{self.name} is a graph without times: name two profiles of it with --edge FILE and --cloud FILE; "
                "`decc profile` measures or imports them."
            )
        return find_profile(self.name, device, self.graph)


def add_source(parser: argparse.ArgumentParser) -> None:
    """The options that say how a model file is to be read."""
    group = parser.add_argument_group("model files", "MODEL may be a .pt2 file (torch.export) or an .onnx file")
    group.add_argument(
        "--weights", type=Path, metavar="FILE", help="weights for a built-in MODEL: a safetensors file or a state_dict"
    )
    group.add_argument("--batch", type=int, help="size of an open batch dimension of an .onnx file (default: 1)")
    group.add_argument(
        "--dimension",
        action="append",
        default=[],
        metavar="NAME=SIZE",
        help="size of another open dimension of an .onnx file; may be given several times",
    )


@contextmanager
def opened(options: argparse.Namespace, measured: bool = True) -> Iterator[Source]:
    """The network that a command names; what a model file was unpacked into is gone afterwards.

    With `measured`, a model file is also timed in a few quick passes, as there is no shipped profile for it.
    """
    name: str = options.model
    if not is_from_file(options):
        _refuse_sizes(options)
        require_plannable(name)
        yield Source(name, library.load_graph(name))
        return
    if options.weights is not None and is_model_file(name):
        raise InvalidInstance(f"{name} is a file and has weights of its own; --weights is for a network known by name.")
    with tempfile.TemporaryDirectory(prefix="decc-model-") as place:
        loaded = _read(options, Path(place), measured and not _has_profiles(options))
        for note in loaded.notes:
            print(f"note: {note}", file=sys.stderr)
        if loaded.edge is not None:
            print(f"note: {_how_measured(options)}", file=sys.stderr)
        yield Source(name, loaded.graph, loaded)


def _read(options: argparse.Namespace, place: Path, measured: bool) -> LoadedModel:
    name: str = options.model
    file, architecture = (options.weights, name) if options.weights is not None else (Path(name), None)
    try:
        with bar(f"Reading {file.name}") as progress:
            loaded = load_file(
                file,
                place,
                architecture=architecture,
                batch=1 if options.batch is None else options.batch,
                dimensions=_dimensions(options.dimension),
                measured=measured,
                progress=progress,
            )
    except NeedsArchitecture as error:
        raise UnreadableFile(f"{error} As in: decc {options.command} googlenet --weights {file}") from None
    if loaded.kind is not Kind.ONNX and (sizes := _sizes_given(options)):
        raise InvalidInstance(
            f"{sizes} is for open dimensions of an .onnx file; {file.name} has fixed shapes. Leave it out, or export "
            "the network again with example inputs of that size."
        )
    return loaded


def _how_measured(options: argparse.Namespace) -> str:
    defaults = {"edge": library.DEFAULT_EDGE, "cloud": library.DEFAULT_CLOUD}
    sides = [side for side, default in defaults.items() if getattr(options, side) == default]
    return (
        f"times of {' and '.join(sides)} are from a few quick passes on this machine; name a profile that "
        f"`decc profile` measured, here or elsewhere, with {' and '.join(f'--{side} FILE' for side in sides)}."
    )


def _sizes_given(options: argparse.Namespace) -> str:
    """The first option that gives a size to an open dimension, if there is one."""
    return "--batch" if options.batch is not None else "--dimension" if options.dimension else ""


def is_from_file(options: argparse.Namespace) -> bool:
    """Whether the network, or its weights, come from a model file."""
    return options.weights is not None or is_model_file(options.model)


def is_model_file(name: str) -> bool:
    """Whether a name stands for a file other than a graph file; built-in networks go first."""
    return not name.endswith(GRAPH_SUFFIX) and name not in library.shipped_models() and Path(name).is_file()


def _has_profiles(options: argparse.Namespace) -> bool:
    """Whether none needs to be measured: both are named, or shipped, as other weights take no other time."""
    if options.weights is not None and options.model in library.shipped_models():
        return True
    edge, cloud = getattr(options, "edge", None), getattr(options, "cloud", None)
    return edge not in (None, library.DEFAULT_EDGE) and cloud not in (None, library.DEFAULT_CLOUD)


def _dimensions(given: list[str]) -> dict[str, int]:
    found = {}
    for text in given:
        name, _, size = text.partition("=")
        if not name or not size.isdecimal() or int(size) < 1:
            raise InvalidInstance(f"--dimension {text} is not understood; write NAME=SIZE, as in: length=128.")
        found[name] = int(size)
    return found


def built_in(options: argparse.Namespace) -> str:
    """The name of a network that can be built from it, where a command takes no graph file."""
    _refuse_sizes(options)
    require_built_in(options.model)
    return str(options.model)


def _refuse_sizes(options: argparse.Namespace) -> None:
    if sizes := _sizes_given(options):
        raise InvalidInstance(f"{sizes} is for open dimensions of an .onnx file; leave it out for {options.model}.")


def require_plannable(name: str) -> None:
    """Say what is missing where a name is neither a shipped network nor a file."""
    if name in library.shipped_models() or library.is_file(name):
        return
    require_built_in(name)
    raise UnknownName(
        f"'{name}' has no sample profiles. Make files of its own, `decc extract {name}` and, on each device, "
        f"`decc profile {name}`, and name them: {name}-graph.json --edge FILE --cloud FILE."
    )


def require_built_in(name: str) -> None:
    """Say that a file is missing, or what networks are called, where no built-in network has that name."""
    if name in library.shipped_models():
        # Known without torchvision, which takes seconds to import.
        return
    if name.endswith(GRAPH_SUFFIX) and Path(name).is_file():
        raise UnknownName(f"{name} is a graph, without weights to run; name the network or the file that it is of.")
    if "/" in name or Path(name).suffix in FILE_SUFFIXES:
        what = "a folder" if Path(name).is_dir() else None
        raise UnknownName(
            f"{name} is {what}; name a file in it." if what else f"There is no file {name}; check its path."
        )
    from decc_core.models import zoo

    zoo.require(name)


def require_weights_for(file: str, graph: LayerGraph) -> None:
    """Refuse a graph file of a network that only its own file has the weights of."""
    from decc_core.models import zoo

    if not zoo.is_known(graph.name):
        raise UnknownName(
            f"{file} is the graph of '{graph.name}', without weights to run; name the .pt2 or .onnx file that it is of."
        )
