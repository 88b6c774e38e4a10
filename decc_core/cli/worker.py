"""decc worker and link: workers that are started by hand, and the way to them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from decc_core.cli import output
from decc_core.cli.progress import bar
from decc_core.problem.instance import BPS_PER_MBPS
from decc_core.text import duration


def add_commands(commands: Any) -> None:
    worker = commands.add_parser("worker", help="serve as edge or cloud, on this machine or for others")
    worker.add_argument("--role", choices=("edge", "cloud"), required=True)
    worker.add_argument("--listen", metavar="HOST:PORT", required=True, help="port 0 lets the system choose")
    add_security(worker)
    worker.add_argument("--tls-key", type=Path, help="key of the certificate (PEM)")
    worker.set_defaults(run=serve)

    link = commands.add_parser("link", help="measure the link to a worker: rate, round trip, overhead per tensor")
    link.add_argument("address", metavar="HOST:PORT", help="a worker that is up")
    link.add_argument("--name", default="measured link", help="what to call the network")
    link.add_argument("--output", "-o", type=Path, help="network preset to write, for --network of other commands")
    link.add_argument("--json", action="store_true", help="print JSON")
    add_security(link)
    link.set_defaults(run=measure)


def add_security(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--token-file", type=Path, help="file with the token that controllers and workers share")
    parser.add_argument("--tls-certificate", type=Path, help="the workers' certificate (PEM); needed off loopback")


def serve(options: argparse.Namespace) -> None:
    from decc_core.network.work import Resource
    from decc_core.runtime.wire.transport import Address, Security
    from decc_core.runtime.worker.serve import serve_by_hand

    security = Security.read(options.token_file, options.tls_certificate, options.tls_key)
    serve_by_hand(Resource(options.role), Address.parse(options.listen), security)


def measure(options: argparse.Namespace) -> None:
    from decc_core.runtime.wire.link_probe import measure_link
    from decc_core.runtime.wire.transport import Address, Security

    address = Address.parse(options.address)
    with bar("Measuring the link") as progress:
        found = measure_link(address, Security.read(options.token_file, options.tls_certificate), progress)
    link = found.link
    preset = {
        "name": options.name,
        "uplink_mbps": link.uplink_bps / BPS_PER_MBPS,
        "downlink_mbps": link.downlink_bps / BPS_PER_MBPS,
        "rtt_ms": link.rtt_s * 1e3,
        "overhead_ms": link.overhead_s * 1e3,
        "source": f"measured to {address}: {found.round_trips} round trips, {found.uplink_bytes / 1e6:.0f} MB up, "
        f"{found.downlink_bytes / 1e6:.0f} MB down",
    }
    if options.json:
        output.print_json(preset)
    else:
        print(
            f"{address}: {preset['uplink_mbps']:.4g} Mbit/s up, {preset['downlink_mbps']:.4g} Mbit/s down, "
            f"round trip {duration(link.rtt_s * 1e9)}, overhead per tensor {duration(link.overhead_s * 1e9)}"
        )
    if options.output:
        output.write_json(preset, options.output)
