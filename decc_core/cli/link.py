"""decc link: the way to a worker, measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from decc_core import files
from decc_core.cli import output
from decc_core.cli.options import Commands, add_security, runs
from decc_core.cli.progress import bar
from decc_core.problem.link import BPS_PER_MBPS, BYTES_PER_MB, MS_PER_S
from decc_core.text import duration_s


@dataclass(frozen=True)
class LinkOptions:
    address: str
    name: str
    output: Path | None
    json: bool
    token_file: Path | None
    tls_certificate: Path | None


def add_commands(commands: Commands) -> None:
    parser = commands.add_parser(
        "link", help="measure the link to a worker: rate, round trip, what tensors cost beside"
    )
    parser.add_argument("address", metavar="HOST:PORT", help="a worker that is up")
    parser.add_argument("--name", default="measured link", help="what to call the network (default: measured link)")
    parser.add_argument(
        "--output",
        "-o",
        type=Path,
        metavar="JSON",
        help="network preset to write, for --network of other commands (default: none)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_security(parser)
    runs(parser, measure, LinkOptions)


def measure(options: LinkOptions) -> None:
    from decc_core.runtime.wire.link_probe import measure_link
    from decc_core.runtime.wire.transport import Address, Security

    files.require_place(options.output)
    address = Address.parse(options.address)
    with bar("Measuring the link") as progress:
        measured = measure_link(address, Security.read(options.token_file, options.tls_certificate), progress)
    link = measured.link
    preset = {
        "name": options.name,
        "uplink_mbps": link.uplink_bps / BPS_PER_MBPS,
        "downlink_mbps": link.downlink_bps / BPS_PER_MBPS,
        "rtt_ms": link.rtt_s * MS_PER_S,
        "overhead_ms": link.overhead_s * MS_PER_S,
        "edge_tensor_ms": measured.here.per_tensor_s * MS_PER_S,
        "edge_mb_ms": measured.here.per_byte_s * MS_PER_S * BYTES_PER_MB,
        "cloud_tensor_ms": measured.there.per_tensor_s * MS_PER_S,
        "cloud_mb_ms": measured.there.per_byte_s * MS_PER_S * BYTES_PER_MB,
        "source": f"measured to {address}: {measured.round_trips} round trips, {measured.uplink_bytes / 1e6:.0f} MB "
        f"up, {measured.downlink_bytes / 1e6:.0f} MB down",
    }
    if options.json:
        output.print_json(preset)
    else:
        output.say(
            f"{address}: {preset['uplink_mbps']:.4g} Mbit/s up, {preset['downlink_mbps']:.4g} Mbit/s down, "
            f"round trip {duration_s(link.rtt_s)}, overhead per tensor {duration_s(link.overhead_s)}"
        )
        for side, work in (("this machine's processor", measured.here), ("the worker's", measured.there)):
            output.say(
                f"to send or receive takes {side} {duration_s(work.per_tensor_s)} a tensor and "
                f"{duration_s(work.per_byte_s * BYTES_PER_MB)} a megabyte"
            )
    if options.output:
        output.write_json(preset, options.output)
