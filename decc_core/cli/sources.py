"""How a command names a network: in the zoo, by a graph file, or by a model file, which is then read safely."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decc_core import library
from decc_core.cli.progress import bar
from decc_core.errors import InvalidInstance, UnknownName
from decc_core.graph import LayerGraph
from decc_core.load.loader import LoadedModel, load_file
from decc_core.profile import DeviceProfile

GRAPH_SUFFIX = ".json"


@dataclass(frozen=True)
class Source:
    """A network that was opened; `loaded` is there where it came from a model file."""

    name: str
    graph: LayerGraph
    loaded: LoadedModel | None = None

    @property
    def for_workers(self) -> str | tuple[bytes, bytes]:
        """What workers take: a name in the zoo, or the network as data."""
        return self.graph.name if self.loaded is None else self.loaded.data()

    def edge_profile(self, device: str) -> DeviceProfile:
        return self._profile(device, library.DEFAULT_EDGE, self.loaded.edge if self.loaded else None)

    def cloud_profile(self, device: str) -> DeviceProfile:
        return self._profile(device, library.DEFAULT_CLOUD, self.loaded.cloud if self.loaded else None)

    def _profile(self, device: str, default: str, quick: DeviceProfile | None) -> DeviceProfile:
        """The profile of that name; for a model file the default is what was measured while it was read."""
        return quick if quick is not None and device == default else library.load_profile(self.name, device, self.graph)

    def model(self) -> Any:
        """The network as something that runs in this process."""
        if self.loaded is None:
            from decc_core.runtime.models import from_zoo

            return from_zoo(self.name)
        from decc_core import portable

        return portable.from_data(*self.loaded.data())


def add_source(parser: argparse.ArgumentParser) -> None:
    """The options that say how a model file is to be read."""
    group = parser.add_argument_group("model files", "MODEL may be a .pt2 file (torch.export) or an .onnx file")
    group.add_argument(
        "--weights", type=Path, metavar="FILE", help="weights for a built-in MODEL: a safetensors file or a state_dict"
    )
    group.add_argument("--batch", type=int, default=1, help="size of an open batch dimension (default: 1)")
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
        require_no_missing_file(name)
        yield Source(name, library.load_graph(name))
        return
    file, architecture = (options.weights, name) if options.weights is not None else (Path(name), None)
    with tempfile.TemporaryDirectory(prefix="decc-model-") as place:
        with bar(f"Reading {file.name}") as progress:
            loaded = load_file(
                file,
                Path(place),
                architecture=architecture,
                batch=options.batch,
                dimensions=_dimensions(options.dimension),
                measured=measured and not _all_given(options),
                progress=progress,
            )
        for note in loaded.notes:
            print(f"note: {note}", file=sys.stderr)
        yield Source(name, loaded.graph, loaded)


def is_from_file(options: argparse.Namespace) -> bool:
    """Whether the network, or its weights, come from a model file."""
    return options.weights is not None or is_model_file(options.model)


def is_model_file(name: str) -> bool:
    """Whether a name stands for a file other than a graph file; built-in networks go first."""
    return not name.endswith(GRAPH_SUFFIX) and name not in library.shipped_models() and Path(name).is_file()


def _all_given(options: argparse.Namespace) -> bool:
    """Whether the scenario names both profiles, so that none needs to be measured."""
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


def require_no_missing_file(name: str) -> None:
    """Say that a file is missing, rather than that no network has its name."""
    if Path(name).suffix in (".pt2", ".onnx", ".pt", ".pth", ".safetensors") and not Path(name).is_file():
        raise UnknownName(f"There is no file {name}; check its path.")
