"""decc profile: the times of every layer of a network, measured here or on a worker, or taken from a file."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from decc_core import files
from decc_core.cli import output
from decc_core.cli.options import Commands, add_security, runs
from decc_core.cli.progress import bar
from decc_core.cli.sources import NetworkOptions, add_source, known_graph, network_of, runnable
from decc_core.errors import UnreadableFile
from decc_core.models.device import ACCELERATORS, DeviceSettings
from decc_core.models.ref import NetworkRef
from decc_core.problem.profile import DeviceProfile
from decc_core.profiling.imports import import_profile, template_csv, template_json
from decc_core.profiling.settings import ProfileSettings
from decc_core.progress import Progress
from decc_core.ranges import whole_number
from decc_core.text import duration_s

if TYPE_CHECKING:
    from decc_core.runtime.wire.transport import Address, Security

SHOWN_PROBLEMS = 10
TEMPLATES = {".csv": template_csv, ".json": template_json}


@dataclass(frozen=True)
class ProfileOptions:
    network: NetworkOptions
    imported: Path | None
    template: Path | None
    output: Path | None
    device: str | None
    threads: int | None
    memory_format: str
    no_onednn: bool
    accelerator: str
    worker: str | None
    token_file: Path | None
    tls_certificate: Path | None
    repeats: int


def add_commands(commands: Commands) -> None:
    parser = commands.add_parser("profile", help="measure every layer of a network, here or on a worker, or import")
    parser.add_argument("model", metavar="MODEL", help="a name from `decc models`, or a model file")
    parser.add_argument(
        "--import",
        dest="imported",
        type=Path,
        metavar="FILE",
        help="take times measured elsewhere: CSV, an ONNX Runtime profile or a PyTorch profiler trace "
        "(default: measure)",
    )
    parser.add_argument(
        "--template",
        type=Path,
        metavar="FILE",
        help="write a .csv or .json file to fill in with times, and --import (default: measure)",
    )
    parser.add_argument("--output", "-o", type=Path, help="profile file to write (default: MODEL-DEVICE.json)")
    parser.add_argument("--device", help="what to call the device (default: this-machine, or the imported file)")
    parser.add_argument("--threads", type=whole_number, default=None, help="CPU threads (default: all cores)")
    parser.add_argument(
        "--memory-format",
        choices=("contiguous", "channels_last"),
        default="contiguous",
        help="how images lie in memory: one channel after the other, or all channels of a pixel together, which many "
        "CPUs compute faster (default: contiguous)",
    )
    parser.add_argument(
        "--no-onednn", action="store_true", help="do without oneDNN, PyTorch's library of fast loops for CPUs"
    )
    parser.add_argument(
        "--accelerator", choices=ACCELERATORS, default="cpu", help="what runs the layers (default: cpu)"
    )
    parser.add_argument(
        "--worker", metavar="HOST:PORT", help="measure on the device where this worker runs (default: on this machine)"
    )
    add_security(parser)
    parser.add_argument("--repeats", type=whole_number, default=30, help="timed passes over the network (default: 30)")
    add_source(parser)
    runs(parser, profile_model, ProfileOptions, network=network_of)


def profile_model(options: ProfileOptions) -> None:
    files.require_place(options.output)
    if options.template:
        _write_template(options, options.template)
    elif options.imported:
        _import_profile(options, options.imported)
    else:
        _measure_profile(options)


def _write_template(options: ProfileOptions, file: Path) -> None:
    """A file with a row for each layer, as CSV or JSON, by the ending of its name."""
    make = TEMPLATES.get(file.suffix.lower())
    if make is None:
        raise UnreadableFile(f"A template is a .csv or a .json file, not '{file.name}'.")
    output.write_bytes(make(known_graph(options.network)), file)


def _import_profile(options: ProfileOptions, file: Path) -> None:
    """Times from a file as a profile; says what a reader of its numbers should know."""
    graph = known_graph(options.network)
    imported = import_profile(graph, file, options.device)
    profile = imported.profile
    output.say(_headline(graph.name, profile, profile.provenance.source))
    for note in imported.notes:
        output.say(f"- {note}")
    for layer, what in imported.problems[:SHOWN_PROBLEMS]:
        output.say(f"  {layer}: {what}")
    if len(imported.problems) > SHOWN_PROBLEMS:
        output.say(f"  and {len(imported.problems) - SHOWN_PROBLEMS} more layers")
    output.save(profile, options.output or _file_of(graph.name, profile))


def _measure_profile(options: ProfileOptions) -> None:
    from decc_core.runtime.wire.transport import Address, Security

    # Read and checked before a network is built.
    address = Address.parse(options.worker) if options.worker else None
    security = Security.read(options.token_file, options.tls_certificate)
    if address is not None:
        security.require_for(address, serving=False)
    with runnable(options.network) as network, bar(f"Profiling {network.name}") as progress:
        profile = _measured(options, network, address, security, progress)
    output.say(_headline(network.name, profile, _calibrated(profile)))
    if profile.doubt:
        output.note(f"these times are doubtful, as on a busy machine: {profile.doubt}; measure again when it is quiet.")
    output.save(profile, options.output or _file_of(network.name, profile))


def _headline(name: str, profile: DeviceProfile, more: str) -> str:
    whole = duration_s(profile.whole_s)
    return f"{name} on {profile.device}: {whole} for the whole network, {len(profile.median_s)} layers, {more}"


def _calibrated(profile: DeviceProfile) -> str:
    """What the layers' times were multiplied by."""
    apart = profile.calibration
    if abs(apart - 1) < 0.005:
        return "which together take as long as the network"
    return f"whose times were multiplied by {apart:.2f} to add up to it"


def _file_of(name: str, profile: DeviceProfile) -> Path:
    """A file in this folder, called after the network and the device."""
    device = re.sub(r"[^\w.-]+", "-", profile.device).strip("-.") or "imported"
    return Path(f"{name}-{device}.json")


def _measured(
    options: ProfileOptions, network: NetworkRef, address: Address | None, security: Security, progress: Progress
) -> DeviceProfile:
    """Measured where the named worker runs, or by a worker process on this machine."""
    from decc_core.network.work import Resource
    from decc_core.runtime.controller.client import WorkerClient
    from decc_core.runtime.controller.live import profile_here

    runs_on = DeviceSettings(options.threads, options.memory_format, not options.no_onednn, options.accelerator)
    settings = ProfileSettings(options.device or "this-machine", runs_on, options.repeats)
    if address is None:
        progress(0, 1, "starting a worker")
        return profile_here(network, settings, progress)
    with closing(WorkerClient(Resource.EDGE, address, security)) as client:
        progress(0, 1, f"loading on {client.address}")
        client.load(network)
        return client.profile(settings, progress)
