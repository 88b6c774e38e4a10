"""decc worker: a worker that is started by hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from decc_core.cli.options import Commands, add_security, runs


@dataclass(frozen=True)
class WorkerOptions:
    role: str
    listen: str
    token_file: Path | None
    tls_certificate: Path | None
    tls_key: Path | None


def add_commands(commands: Commands) -> None:
    parser = commands.add_parser("worker", help="serve as edge or cloud, on this machine or for others")
    parser.add_argument("--role", choices=("edge", "cloud"), required=True)
    parser.add_argument("--listen", metavar="HOST:PORT", required=True, help="port 0 lets the system choose")
    add_security(parser)
    parser.add_argument("--tls-key", type=Path, help="key of the certificate (PEM)")
    runs(parser, serve, WorkerOptions)


def serve(options: WorkerOptions) -> None:
    from decc_core.network.work import Resource
    from decc_core.runtime.wire.transport import Address, Security
    from decc_core.runtime.worker.serve import serve_by_hand

    security = Security.read(options.token_file, options.tls_certificate, options.tls_key)
    serve_by_hand(Resource(options.role), Address.parse(options.listen), security)
