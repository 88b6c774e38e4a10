"""decc certificates: what workers on other hosts need, and the lines that start them."""

from __future__ import annotations

import secrets
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from decc_core import files, ranges
from decc_core.cli import output
from decc_core.cli.options import Commands, runs
from decc_core.errors import UnreadableFile
from decc_core.ranges import whole_number

if TYPE_CHECKING:
    from decc_core.runtime.wire.certificates import Authority

PORT = 7070
DAYS, MOST_DAYS = 365, 3650
MOST_HOSTS = 100
TOKEN_BYTES = 32
CERTIFICATE, KEY, TOKEN = "worker.pem", "worker.key", "token"
AUTHORITY, AUTHORITY_KEY = "ca.pem", "ca.key"
PEM_BYTES = files.SETTINGS_BYTES


@dataclass(frozen=True)
class CertificatesOptions:
    hosts: list[str]
    output: Path
    days: int

    def __post_init__(self) -> None:
        ranges.require("lifetime of a certificate", self.days, 1, MOST_DAYS, "days")
        ranges.require("number of hosts", len(self.hosts), 1, MOST_HOSTS)


@dataclass(frozen=True)
class _Host:
    """A host by all of its names, and the folder for it."""

    names: tuple[str, ...]
    folder: Path

    @property
    def is_here(self) -> bool:
        from decc_core.runtime.wire.transport import Address

        return Address(self.names[0], PORT).is_loopback

    @property
    def address(self) -> str:
        """Where callers reach its worker."""
        return f"[{self.names[0]}]:{PORT}" if ":" in self.names[0] else f"{self.names[0]}:{PORT}"

    @property
    def listens(self) -> str:
        """Where its worker listens; what a name stands for is known to others better than to the host itself."""
        digits = self.names[0].replace(".", "").isdecimal() or ":" in self.names[0]
        return self.address if digits else f"0.0.0.0:{PORT}"


def add_commands(commands: Commands) -> None:
    parser = commands.add_parser(
        "certificates", help="make certificates and a token for workers on other hosts, and say how to start them"
    )
    parser.add_argument(
        "hosts",
        metavar="HOST",
        nargs="+",
        help="address or name of a host that runs a worker, as in 192.0.2.1; several of one host comma-separated",
    )
    parser.add_argument(
        "--output",
        "-o",
        type=Path,
        default=Path("certificates"),
        metavar="DIR",
        help="folder for them; an authority and a token that are there already serve new hosts, too "
        "(default: certificates)",
    )
    parser.add_argument(
        "--days", type=whole_number, default=DAYS, help=f"how long the hosts' certificates are good (default: {DAYS})"
    )
    runs(parser, make_certificates, CertificatesOptions)


def make_certificates(options: CertificatesOptions) -> None:
    from decc_core.runtime.wire.certificates import require_host

    folder = options.output
    hosts = [_host(folder, tuple(require_host(name) for name in text.split(","))) for text in options.hosts]
    _require_free(folder, hosts)
    was_there = (folder / AUTHORITY).exists()
    authority, token = _authority(folder), _token(folder)
    for host in hosts:
        made = authority.sign(host.names, options.days)
        files.create(host.folder / CERTIFICATE, made.certificate)
        files.create(host.folder / KEY, made.key, private=True)
        files.create(host.folder / TOKEN, token, private=True)
    signed = (
        f"signed by the {AUTHORITY} that was there" if was_there else f"and {AUTHORITY} and {TOKEN} for their callers"
    )
    output.say(
        f"Wrote into {folder}: for each host a folder with {CERTIFICATE} (until {made.until:%Y-%m-%d}), {KEY} and "
        f"{TOKEN}, {signed}."
    )
    _tell(folder, hosts)


def _host(folder: Path, names: tuple[str, ...]) -> _Host:
    return _Host(names, folder / names[0].replace(":", "-"))


def _require_free(folder: Path, hosts: list[_Host]) -> None:
    """Refuse to write over anything, before anything is written."""
    files.require_place(hosts[0].folder / CERTIFICATE)
    taken = {folder / name for name in (AUTHORITY, AUTHORITY_KEY, TOKEN)}
    for host in hosts:
        if host.folder in taken:
            raise UnreadableFile(f"{host.names[0]} is named twice, or is called as a file in {folder}; name it once.")
        taken.add(host.folder)
        if host.folder.exists() or host.folder.is_symlink():
            raise UnreadableFile(
                f"{host.folder} is there already, and is not written over; move it away, or name another folder with "
                "--output."
            )


def _authority(folder: Path) -> Authority:
    """Who signs: the one that is there, or a new one, whose key stays in this folder alone."""
    from decc_core.runtime.wire.certificates import Authority

    certificate, key = folder / AUTHORITY, folder / AUTHORITY_KEY
    if certificate.exists() or key.exists():
        if not (certificate.exists() and key.exists()):
            missing = key if certificate.exists() else certificate
            raise UnreadableFile(f"{missing} is missing, and nothing can be signed; name another folder with --output.")
        return Authority.read(
            files.read(certificate, PEM_BYTES, "the authority"), files.read(key, PEM_BYTES, "its key"), certificate, key
        )
    authority = Authority.new()
    files.create(key, authority.key_pem, private=True)
    files.create(certificate, authority.pem)
    return authority


def _token(folder: Path) -> bytes:
    """The token that all workers of the folder share."""
    from decc_core.runtime.wire.transport import Security

    file = folder / TOKEN
    if file.exists():
        # Refused where it is none.
        return f"{Security.read(file, None).token}\n".encode()
    token = f"{secrets.token_hex(TOKEN_BYTES)}\n".encode()
    files.create(file, token, private=True)
    return token


def _tell(folder: Path, hosts: list[_Host]) -> None:
    """Every line that is to be typed now."""
    output.say(f"{AUTHORITY_KEY} signs more hosts, and could sign false ones: it stays here, and goes to nobody.")
    away = [host for host in hosts if not host.is_here]
    if away:
        output.say("Copy each host's folder to it, and nothing else:")
        for host in away:
            target = f"[{host.names[0]}]" if ":" in host.names[0] else host.names[0]
            output.say(f"    scp -r {shlex.quote(str(host.folder))} {target}:decc-worker")
    for number, host in enumerate(hosts):
        role, other = ("edge", "cloud") if number == 0 else ("cloud", "edge")
        where = "" if host.is_here else f" on {host.names[0]}, in that folder,"
        output.say(f"Start its worker{where} as the {role} (or with --role {other}):")
        place = host.folder if host.is_here else Path()
        certificate, key, token = (shlex.quote(str(place / name)) for name in (CERTIFICATE, KEY, TOKEN))
        output.say(
            f"    decc worker --role {role} --listen {host.listens} --token-file {token} "
            f"--tls-certificate {certificate} --tls-key {key}"
        )
    trusted = (
        f"--token-file {shlex.quote(str(folder / TOKEN))} --tls-certificate {shlex.quote(str(folder / AUTHORITY))}"
    )
    output.say("Call them from here, or from wherever these two files are:")
    output.say(f"    decc link {hosts[-1].address} {trusted}")
    if len(hosts) > 1:
        edge, cloud = hosts[0].address, hosts[1].address
        output.say(f"    decc run googlenet --edge-worker {edge} --cloud-worker {cloud} {trusted}")
