"""Connections between controller and workers: gRPC on loopback as it is, elsewhere only with TLS and a token."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc

from decc_core import files, ranges
from decc_core.errors import UnreadableFile, WorkerFailed
from decc_core.runtime.wire.certificates import read_certificates, read_key, require_pair
from decc_core.runtime.wire.messages import MAX_MESSAGE_BYTES
from decc_core.runtime.wire.methods import Method

TOKEN_KEY = "decc-token"
MAX_TOKEN = 1024
"""Letters; longer ones would not fit the head of a call."""
TOKEN = (
    f"one line of 1 to {MAX_TOKEN:,} letters, digits and signs of ASCII; "
    "`openssl rand -hex 32 > token` makes a good one"
)
"""What a token is, in a sentence that refuses something else."""
OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # A peer that does not answer pings for so long is given up: a frozen process, or a network that swallows packets.
    ("grpc.keepalive_time_ms", 2_000),
    ("grpc.keepalive_timeout_ms", 4_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 1_000),
    ("grpc.http2.max_ping_strikes", 0),
    # Chunks are paced by us; the transport shall pass each on at once.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.enable_http_proxy", 0),
    # Nobody may send what unpacks to more than it is: weights do not get shorter anyway.
    ("grpc.compression_enabled_algorithms_bitset", 1),
)


@dataclass(frozen=True)
class Address:
    """Where a worker listens."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        host, separator, port = text.rpartition(":")
        host = host.strip("[]")
        if not separator or not host or not ranges.is_count(port) or int(port) > 65535:
            raise WorkerFailed(f"'{text}' is no address; write HOST:PORT, as in 127.0.0.1:7070.")
        return cls(host, int(port))

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Security:
    """A shared token, and TLS: a server needs key and certificate, a client the certificate (PEM) that it trusts.

    `file` is what sentences call the certificate.
    """

    token: str | None = None
    key: bytes | None = None
    certificate: bytes | None = None
    file: str = "the certificate that was given"

    def __post_init__(self) -> None:
        if self.token is not None and not _is_token(self.token):
            raise WorkerFailed(f"This is no token: it has to be {TOKEN}.")

    @classmethod
    def read(cls, token_file: Path | None, certificate: Path | None, key: Path | None = None) -> Security:
        """From files; refuses what cannot be a token, a certificate or a key, and a key of another certificate."""
        found = cls(_token(token_file))
        if certificate is not None:
            pem = _pem(certificate, "the certificate", b"CERTIFICATE")
            owner = read_certificates(pem, certificate)[0]
            found = replace(found, certificate=pem, file=str(certificate))
        if key is not None:
            pem = _pem(key, "the key", b"PRIVATE KEY")
            own = read_key(pem, key)
            if certificate is not None:
                require_pair(owner, own, certificate, key)
            found = replace(found, key=pem)
        return found

    def require_for(self, address: Address, serving: bool) -> None:
        """Off loopback nothing goes without TLS and a token."""
        if address.is_loopback:
            return
        missing = [
            name
            for name, value in (
                ("a token (--token-file)", self.token),
                ("a certificate (--tls-certificate)", self.certificate),
                ("its key (--tls-key)", self.key if serving else b"-"),
            )
            if not value
        ]
        if missing:
            raise WorkerFailed(
                f"{address} is not on this machine, so the connection needs {' and '.join(missing)}; "
                "127.0.0.1 needs neither."
            )


def _token(file: Path | None) -> str | None:
    """The token in a file; gRPC takes nothing but printable ASCII."""
    if file is None:
        return None
    content = files.read(file, files.SETTINGS_BYTES, "the token file")
    token = content.decode("ascii", errors="replace").strip()
    if not _is_token(token):
        raise UnreadableFile(f"{file} holds no token: it has to be {TOKEN}.")
    return token


def _is_token(text: str) -> bool:
    return 0 < len(text) <= MAX_TOKEN and text.isascii() and text.isprintable()


def _pem(file: Path, what: str, mark: bytes) -> bytes:
    content = files.read(file, files.SETTINGS_BYTES, what)
    if not re.search(rb"-----BEGIN [A-Z ]*" + mark + rb"-----", content):
        raise UnreadableFile(f"{file} is not {what}: a file in PEM begins with -----BEGIN {mark.decode()}-----.")
    return content


def open_channel(address: Address, security: Security, more: tuple[tuple[str, int], ...] = ()) -> grpc.Channel:
    """A connection to a worker, with `more` options of gRPC's; nothing is sent before the first call."""
    security.require_for(address, serving=False)
    options = (*[option for option in OPTIONS if option[0] not in dict(more)], *more)
    if security.certificate is None:
        return grpc.insecure_channel(str(address), options)
    return grpc.secure_channel(str(address), grpc.ssl_channel_credentials(security.certificate), options)


def metadata(security: Security) -> tuple[tuple[str, str], ...]:
    return ((TOKEN_KEY, security.token),) if security.token is not None else ()


def start_call(
    channel: grpc.Channel, method: Method, request: bytes | Iterator[bytes], security: Security, timeout_s: float | None
) -> Any:
    """Call a worker; gRPC's call iterates over the encoded answers, of which most methods have one."""
    stub = (channel.stream_stream if method.more else channel.unary_stream)(method.path)
    return stub(request, timeout=timeout_s, metadata=metadata(security))
