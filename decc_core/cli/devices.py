"""decc devices: the devices for which times are estimated, and the estimate for a network."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from decc_core import files, library
from decc_core.cli import output
from decc_core.cli.options import Commands, runs
from decc_core.cli.sources import NetworkOptions, add_source, known_graph, network_of
from decc_core.errors import UnknownName
from decc_core.problem.roofline import Device, estimate
from decc_core.text import duration_s


@dataclass(frozen=True)
class DevicesOptions:
    json: bool


@dataclass(frozen=True)
class EstimateOptions:
    network: NetworkOptions
    device: str
    output: Path | None


def add_commands(commands: Commands) -> None:
    parser = commands.add_parser("devices", help="list the devices for which times of any network are estimated")
    parser.add_argument("--json", action="store_true", help="print JSON")
    runs(parser, list_devices, DevicesOptions)
    parser = commands.add_parser("estimate", help="estimate a network's times on a device of `decc devices`")
    parser.add_argument("model", metavar="MODEL", help="a name from `decc models`, a graph or a model file")
    parser.add_argument("device", metavar="DEVICE", help="a name from `decc devices`")
    parser.add_argument("--output", "-o", type=Path, help="profile file to write (default: none)")
    add_source(parser)
    runs(parser, estimate_times, EstimateOptions, network=network_of)


def list_devices(options: DevicesOptions) -> None:
    devices = library.catalogue().values()
    if options.json:
        rows = [{**vars(device), "engine": device.engine.name} for device in devices]
        output.print_json({"devices": rows})
        return
    output.print_table(
        f"{len(devices)} devices, estimated; errors are of whole networks that the fit did not know",
        ("device", "what", "half within", "4 of 5 within", "GFLOP/s", "GB/s", "µs a layer", "fitted to"),
        [_row(device) for device in devices],
        dispensable=("fitted to", "µs a layer", "GB/s", "GFLOP/s", "half within"),
    )


def _row(device: Device) -> tuple[str, ...]:
    return (
        device.name,
        device.title,
        f"{100 * device.median_error:.0f} %",
        f"{100 * device.error:.0f} %",
        f"{device.flops_per_s / 1e9:,.0f}",
        f"{device.bytes_per_s / 1e9:,.0f}",
        f"{device.overhead_s * 1e6:.0f}",
        f"{device.fitted_to} networks" if device.fitted_to else "data sheet",
    )


def estimate_times(options: EstimateOptions) -> None:
    files.require_place(options.output)
    known = library.catalogue()
    if options.device not in known:
        close = difflib.get_close_matches(options.device, known, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "`decc devices` lists them."
        raise UnknownName(f"There is no device '{options.device}' to estimate times for; {hint}")
    profile = estimate(known_graph(options.network), known[options.device])
    output.say(
        f"{profile.graph_name} on {profile.device}: {duration_s(profile.whole_s)}, estimated; of networks that the fit "
        f"did not know, 4 of 5 were within {100 * profile.error:.0f} %."
    )
    if options.output:
        output.save(profile, options.output)
