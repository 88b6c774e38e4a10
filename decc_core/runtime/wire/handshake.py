"""Why a call to a worker failed, in one sentence.

Where no connection came about, gRPC says no more than that; a handshake by Python's own TLS, over which nothing is
sent, finds the cause. It is as strict as gRPC's, and what it finds changes nothing but the sentence.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime

import grpc

from decc_core.errors import DeccError, WorkerFailed
from decc_core.runtime.wire.certificates import called, misnamed, read_shown, untimely
from decc_core.runtime.wire.transport import Address, Security
from decc_core.text import first_line, shown

PROBE_S = 3.0
"""All that finding the cause may take."""
SEEN_S = 1.0
"""So long a connection stays that the worker's log has a line of it, whatever came of the handshake."""
MOST_BYTES = 1 << 17
"""A handshake has a few thousand; who sends more is no worker."""
CHUNK_BYTES = 1 << 14
ALERT, HANDSHAKE = 0x15, 0x16
"""How an answer in TLS begins."""
HTTP2 = "h2"
EXPIRED, NOT_YET, OTHER_NAME = {10}, {9}, {62, 64}
"""Numbers that OpenSSL has for what is wrong with a certificate."""
UNTRUSTED = {2, 7, 18, 19, 20, 21}


class _NoTls(Exception):
    """What answers does not speak TLS."""


def as_failure(
    error: grpc.RpcError, who: str, address: Address, security: Security, answered: bool = False
) -> WorkerFailed:
    """What became of a call, with its remedy; a worker that has `answered` before was reached, so TLS is not why."""
    code, details, worker = error.code(), error.details() or "", f"The {who} worker at {address}"
    if code is grpc.StatusCode.UNAVAILABLE:
        gone = f"{worker} is not there any more, or was never reached."
        return WorkerFailed((None if answered else why_unreachable(who, address, security)) or gone)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return WorkerFailed(f"{worker} did not answer in time.")
    if code is grpc.StatusCode.UNAUTHENTICATED:
        if security.token is None:
            return WorkerFailed(f"{worker} demands a token; give the one it was started with, as --token-file.")
        return WorkerFailed(f"{worker} refuses the token; give the one it was started with.")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return WorkerFailed(f"What listens at {address} is no DECC worker of this version.")
    if code is grpc.StatusCode.CANCELLED:
        return WorkerFailed(f"The call to the {who} worker at {address} was cancelled.")
    return WorkerFailed(f"The {who} worker says: {details.rstrip('.')}.")


def why_unreachable(who: str, address: Address, security: Security) -> str | None:
    """Why no connection came about, if its TLS or the worker's name tells; no byte of ours is sent beside TLS."""
    found: list[str | None] = []
    told = threading.Event()

    def look() -> None:
        # A stranger may answer with anything; of what nobody foresaw nothing is told.
        with suppress(Exception):
            found.append(_cause(f"the {who} worker at {address}", address, security, time.monotonic() + PROBE_S))
        told.set()
        if any(found):
            with suppress(OSError):
                _be_seen(address)

    # Names are looked up without a deadline, so that somebody else has to wait for them.
    thread = threading.Thread(target=look, name="handshake", daemon=True)
    thread.start()
    if told.wait(PROBE_S):
        thread.join(2 * SEEN_S)
    cause = found[0] if found else None
    return cause and cause[0].upper() + cause[1:]


def _cause(worker: str, address: Address, security: Security, ends: float) -> str | None:
    try:
        return _of_tls(worker, address, security, ends)
    except socket.gaierror:
        return f"there is no host {shown(address.host)} that this machine knows of; check its name, or use its address."
    except (OSError, ValueError):
        # Nothing listens there, or what does hangs up: TLS is not to blame.
        return None


def _of_tls(worker: str, address: Address, security: Security, ends: float) -> str | None:
    if security.certificate is None:
        try:
            _shake_hands(address, _careless(), ends)
        except _NoTls:
            return None
        except ssl.SSLError:
            # An alert is an answer in TLS, too.
            pass
        return f"{worker} speaks TLS: give the certificate of the authority behind it, as --tls-certificate ca.pem."
    try:
        protocol = _shake_hands(address, _strict(security.certificate), ends)[1]
    except _NoTls:
        return (
            f"{worker} does not speak TLS: start it with --tls-certificate and --tls-key, or leave --tls-certificate "
            "out here."
        )
    except ssl.SSLCertVerificationError as error:
        return _of_certificate(worker, address, security, error, ends)
    except ssl.SSLError as error:
        reason = str(error.reason or "no reason given").replace("_", " ").lower()
        return (
            f"{worker} and this machine do not agree on TLS ({shown(reason)}); make its certificate anew with "
            f"`decc certificates {address.host}`."
        )
    if protocol != HTTP2:
        return f"what listens at {address} speaks TLS, but is no DECC worker."
    return None


def _of_certificate(
    worker: str, address: Address, security: Security, error: ssl.SSLCertVerificationError, ends: float
) -> str:
    """What is wrong with the certificate that a worker shows, in a sentence with its names and days."""
    code, now = error.verify_code, datetime.now(UTC)
    shows = f"the certificate of {worker}"
    with suppress(OSError, ValueError, DeccError, _NoTls):
        certificate = read_shown(_shake_hands(address, _careless(), ends)[0])
        if code in UNTRUSTED:
            return (
                f"{worker} shows a certificate that is not signed by {security.file}, but by "
                f"{called(certificate.issuer)}: give that authority's certificate as --tls-certificate, or make the "
                f"worker's anew with `decc certificates {address.host}`."
            )
        if code in OTHER_NAME:
            return f"{shows} {misnamed(certificate, address.host)}."
        if code in EXPIRED | NOT_YET:
            trouble = untimely(certificate, now)
            if trouble is not None:
                return f"{shows} {trouble}."
            return (
                f"the authority in {security.file}, which signed the certificate of {worker}, has expired or is not "
                "valid yet; make a new one with `decc certificates`."
            )
    return (
        f"{shows} is not accepted ({first_line(ValueError(error.verify_message))}); make one with "
        f"`decc certificates {address.host}`."
    )


def _strict(trusted: bytes) -> ssl.SSLContext:
    """As strict as gRPC: who is trusted, and for which name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_TRUSTED_FIRST
    context.load_verify_locations(cadata=trusted.decode("ascii", errors="replace"))
    context.set_alpn_protocols([HTTP2])
    return context


def _careless() -> ssl.SSLContext:
    """Looks at whatever certificate is shown; nothing is ever said over such a connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([HTTP2])
    return context


def _shake_hands(address: Address, context: ssl.SSLContext, ends: float) -> tuple[bytes, str | None]:
    """The certificate that the other side shows, and the protocol that it would speak; `_NoTls` if that is not TLS."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=address.host)
    taken = 0
    with socket.create_connection((address.host, address.port), _left_s(ends)) as connection:
        while True:
            try:
                tls.do_handshake()
                return tls.getpeercert(binary_form=True) or b"", tls.selected_alpn_protocol()
            except ssl.SSLWantReadError:
                pass
            finally:
                # What we think of a certificate, too; whoever does not want to hear it has hung up.
                if outgoing.pending:
                    with suppress(OSError):
                        connection.sendall(outgoing.read())
            connection.settimeout(_left_s(ends))
            data = connection.recv(CHUNK_BYTES)
            if not data:
                raise ConnectionError("hung up")
            if not taken and data[0] not in (ALERT, HANDSHAKE):
                raise _NoTls
            taken += len(data)
            if taken > MOST_BYTES:
                raise _NoTls
            incoming.write(data)


def _left_s(ends: float) -> float:
    left_s = ends - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("too late")
    return left_s


def _be_seen(address: Address) -> None:
    """A connection that says nothing, for the worker's log: a handshake that failed is over too soon to be noted."""
    with socket.create_connection((address.host, address.port), SEEN_S):
        time.sleep(SEEN_S)
