"""decc worker: a worker that is started by hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from decc_core.cli import output
from decc_core.cli.options import Commands, add_security, runs
from decc_core.errors import WorkerFailed


@dataclass(frozen=True)
class WorkerOptions:
    role: str
    listen: str
    token_file: Path | None
    tls_certificate: Path | None
    tls_key: Path | None
    log: Path | None = None

    def __post_init__(self) -> None:
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise WorkerFailed("A worker speaks TLS with --tls-certificate and --tls-key; give both, or neither.")


def add_commands(commands: Commands) -> None:
    parser = commands.add_parser("worker", help="serve as edge or cloud, on this machine or for others")
    parser.add_argument(
        "--role",
        choices=("edge", "cloud"),
        required=True,
        help="which side of a plan it runs; a run needs one worker of each (required)",
    )
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        required=True,
        help="where callers reach it, as in 192.0.2.1:7070; port 0 lets the system choose (required)",
    )
    add_security(parser, serving=True)
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="key of the certificate (PEM; default: none)")
    parser.add_argument(
        "--log",
        type=Path,
        metavar="FILE",
        help="write a line on each connection to the end of this file, at most 1 MB and one older file of that size "
        "(default: standard error)",
    )
    runs(parser, serve, WorkerOptions)


def serve(options: WorkerOptions) -> None:
    from decc_core.network.work import Resource
    from decc_core.runtime.wire.certificates import doubts, read_certificates
    from decc_core.runtime.wire.transport import Address, Security
    from decc_core.runtime.worker.serve import serve_by_hand

    security = Security.read(options.token_file, options.tls_certificate, options.tls_key)
    address = Address.parse(options.listen)
    security.require_for(address, serving=True)
    if options.tls_certificate is not None and security.certificate is not None:
        owner = read_certificates(security.certificate, options.tls_certificate)[0]
        for doubt in doubts(owner, address.host):
            output.note(doubt)
    serve_by_hand(Resource(options.role), address, security, options.log)
