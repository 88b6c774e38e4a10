"""decc models, extract and profile: the commands that know networks."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from decc_core import library
from decc_core.cli import output
from decc_core.cli.progress import bar
from decc_core.cli.sources import add_source, built_in, is_from_file, opened
from decc_core.cli.worker import add_security
from decc_core.errors import UnreadableFile
from decc_core.models.device import DeviceSettings
from decc_core.models.ref import NetworkRef
from decc_core.network.branches import nested, split_branches
from decc_core.network.graph import LayerGraph
from decc_core.problem.profile import DeviceProfile
from decc_core.profiling import imports
from decc_core.profiling.imports import template_csv, template_json
from decc_core.profiling.settings import ProfileSettings
from decc_core.progress import Progress
from decc_core.text import duration

SHOWN_PROBLEMS = 10


def add_commands(commands: Any) -> None:
    listing = commands.add_parser("models", help="list the networks that are known by name")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=list_models)

    extraction = commands.add_parser("extract", help="extract the layer graph of a network into a file")
    extraction.add_argument("model", metavar="MODEL", help="a name from `decc models`, or a model file")
    extraction.add_argument("--output", "-o", type=Path, help="graph file to write (default: MODEL-graph.json)")
    add_source(extraction)
    extraction.set_defaults(run=extract_model)

    profiling = commands.add_parser("profile", help="measure every layer of a network, here or on a worker, or import")
    profiling.add_argument("model", metavar="MODEL", help="a name from `decc models`, or a model file")
    profiling.add_argument(
        "--import",
        dest="imported",
        type=Path,
        metavar="FILE",
        help="take times measured elsewhere: CSV, an ONNX Runtime profile or a PyTorch profiler trace",
    )
    profiling.add_argument(
        "--template", type=Path, metavar="FILE", help="write a .csv or .json file to fill in with times, and --import"
    )
    profiling.add_argument("--output", "-o", type=Path, help="profile file to write (default: MODEL-DEVICE.json)")
    profiling.add_argument("--device", help="what to call the device (default: this-machine, or the imported file)")
    profiling.add_argument("--threads", type=int, default=None, help="CPU threads (default: all cores)")
    profiling.add_argument("--memory-format", choices=("contiguous", "channels_last"), default="contiguous")
    profiling.add_argument("--no-onednn", action="store_true", help="switch oneDNN kernels off")
    profiling.add_argument("--accelerator", choices=("cpu", "cuda"), default="cpu")
    profiling.add_argument("--worker", metavar="HOST:PORT", help="measure on the device where this worker runs")
    add_security(profiling)
    profiling.add_argument("--repeats", type=int, default=30, help="timed passes over the network (default: 30)")
    add_source(profiling)
    profiling.set_defaults(run=profile_model)


def list_models(options: argparse.Namespace) -> None:
    from decc_core.models import zoo

    shipped = library.shipped_models()
    if options.json:
        rows = [
            {"model": name, "family": zoo.family(name), "sample_profiles": list(library.shipped_devices(name))}
            for name in zoo.names()
        ]
        output.print_json({"models": rows})
        return
    output.print_table(
        f"{len(zoo.names())} networks, {len(shipped)} with sample profiles",
        ("model", "family", "sample profiles"),
        [(name, zoo.family(name), ", ".join(library.shipped_devices(name))) for name in zoo.names()],
    )


def extract_model(options: argparse.Namespace) -> None:
    graph = _graph(options)
    top = split_branches(graph)
    print(
        f"{graph.name}: {len(graph.layers)} layers, {len(graph.inputs)} input(s), {len(graph.outputs)} output(s), "
        f"{len(top.waists)} waists, {sum(1 for _ in nested(top)) - 1} branches, "
        f"{sum(layer.flops for layer in graph.layers) / 1e9:.2f} GFLOP, "
        f"{sum(graph.parameter_bytes.values()) / 1e6:.1f} MB of parameters, fingerprint {graph.fingerprint}"
    )
    output.save(graph, options.output or Path(f"{graph.name}-graph.json"))


def _graph(options: argparse.Namespace) -> LayerGraph:
    if is_from_file(options):
        with opened(options, measured=False) as source:
            return source.graph
    from decc_core.models import zoo

    return zoo.extracted(built_in(options)).graph


def _known_graph(options: argparse.Namespace) -> LayerGraph:
    """As it is shipped or stands in a graph file, and extracted only if it must be."""
    if not is_from_file(options) and (options.model in library.shipped_models() or library.is_file(options.model)):
        return library.load_graph(options.model)
    return _graph(options)


def profile_model(options: argparse.Namespace) -> None:
    if options.template:
        write_template(options)
    elif options.imported:
        import_profile(options)
    else:
        measure_profile(options)


def write_template(options: argparse.Namespace) -> None:
    """A file with a row for each layer, as CSV or JSON, by the ending of its name."""
    makers = {".csv": template_csv, ".json": template_json}
    maker = makers.get(options.template.suffix.lower())
    if maker is None:
        raise UnreadableFile(f"A template is a .csv or a .json file, not '{options.template.name}'.")
    output.write_bytes(maker(_known_graph(options)), options.template)


def import_profile(options: argparse.Namespace) -> None:
    """Times from a file as a profile; says what a reader of its numbers should know."""
    graph = _known_graph(options)
    found = imports.import_profile(graph, options.imported, options.device)
    profile = found.profile
    print(
        f"{graph.name} on {profile.device}: {duration(profile.whole_s * 1e9)} for the whole network, "
        f"{len(profile.median_s)} layers, {profile.provenance.source}"
    )
    for note in found.notes:
        print(f"- {note}")
    for layer, what in found.problems[:SHOWN_PROBLEMS]:
        print(f"  {layer}: {what}")
    if len(found.problems) > SHOWN_PROBLEMS:
        print(f"  and {len(found.problems) - SHOWN_PROBLEMS} more layers")
    output.save(profile, options.output or Path(f"{graph.name}-{_file_part(profile.device)}.json"))


def _file_part(name: str) -> str:
    """A device's name as part of a file's name."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "imported"


def measure_profile(options: argparse.Namespace) -> None:
    with _network(options) as network, bar(f"Profiling {network.name}") as progress:
        found = _profile(options, network, progress)
    print(
        f"{network.name} on {found.device}: {duration(found.whole_s * 1e9)} for the whole network, "
        f"{len(found.median_s)} layers, calibration {found.calibration:.3f}"
    )
    output.save(found, options.output or Path(f"{network.name}-{_file_part(found.device)}.json"))


@contextmanager
def _network(options: argparse.Namespace) -> Iterator[NetworkRef]:
    """What is to be measured."""
    if is_from_file(options):
        with opened(options, measured=False) as source:
            yield source.network
    else:
        yield NetworkRef(built_in(options))


def _profile(options: argparse.Namespace, network: NetworkRef, progress: Progress) -> DeviceProfile:
    """Measured where the named worker runs, or by a worker process on this machine."""
    from decc_core.network.work import Resource
    from decc_core.runtime.controller.client import WorkerClient
    from decc_core.runtime.controller.live import profile_here
    from decc_core.runtime.wire.transport import Address, Security

    runs_on = DeviceSettings(options.threads, options.memory_format, not options.no_onednn, options.accelerator)
    settings = ProfileSettings(options.device or "this-machine", runs_on, options.repeats)
    if not options.worker:
        progress(0, 1, "starting a worker")
        return profile_here(network, settings, progress)
    security = Security.read(options.token_file, options.tls_certificate)
    with closing(WorkerClient(Resource.EDGE, Address.parse(options.worker), security)) as client:
        progress(0, 1, f"loading on {client.address}")
        return client.profile(client.load(network).fingerprint, settings, progress)
