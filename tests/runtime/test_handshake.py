"""Where no connection comes about, the cause is named: whose certificate, for whom, until when, or no TLS at all."""

from __future__ import annotations

import re
import socket
import threading
import time
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from decc_core.errors import WorkerFailed
from decc_core.network.work import Resource
from decc_core.runtime.controller.client import WorkerClient
from decc_core.runtime.wire import door, handshake
from decc_core.runtime.wire.certificates import Authority
from decc_core.runtime.wire.methods import Method
from decc_core.runtime.wire.transport import Address, Security

TOKEN = "a long shared secret"
ECHO = Method("Echo", bytes, bytes, 60.0, more=bytes, streams=True)
HOST = "127.0.0.1"
HOSTILE = "\x1b]0;title\x07[/x]\n" + "n" * 40


@pytest.fixture(scope="module")
def authority():
    return Authority.new()


@contextmanager
def served(certificate=None, key=None):
    """A worker's door on loopback; its address."""
    security = Security(TOKEN, key, certificate)
    server, port = door.start_server(Address(HOST, 0), security, {ECHO: lambda messages, context: iter(messages)})
    try:
        yield Address(HOST, port)
    finally:
        server.stop(0).wait(5)


def signed(authority, *hosts, since=None, days=30):
    made = authority.sign(hosts, days, since)
    return served(made.certificate, made.key)


def self_signed(common_name):
    """As `openssl req -x509 -subj /CN=...` makes them: without a subjectAltName."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    return certificate, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def told(address, trusted):
    """What a controller says that calls a worker and trusts that certificate."""
    with closing(WorkerClient(Resource.EDGE, address, Security(TOKEN, None, trusted, "ca.pem"))) as client:
        with pytest.raises(WorkerFailed) as caught:
            client.connect("")
        return str(caught.value)


def test_an_authority_that_did_not_sign_is_named_with_the_one_that_did(authority):
    with signed(authority, HOST) as address:
        sentence = told(address, Authority.new().pem)
    assert (
        f"The edge worker at {address} shows a certificate that is not signed by ca.pem, but by 'DECC auth" in sentence
    )
    assert "`decc certificates 127.0.0.1`" in sentence


def test_a_certificate_for_another_host_is_named_with_the_hosts_that_it_is_for(authority):
    with signed(authority, "edge", "127.0.0.9") as address:
        sentence = told(address, authority.pem)
    assert "is for '127.0.0.9', 'edge', not for 127.0.0.1; make one with `decc certificates 127.0.0.1`" in sentence


def test_a_certificate_without_a_host_is_named_even_where_it_is_trusted():
    certificate, key = self_signed("edge")
    with served(certificate, key) as address:
        sentence = told(address, certificate)
    assert "names no host (it has no subjectAltName, and that it is called 'edge' does not count)" in sentence
    assert "so it is not for 127.0.0.1; make one with `decc certificates 127.0.0.1`" in sentence


def test_an_expired_certificate_is_named_with_its_day(authority):
    since = datetime.now(UTC) - timedelta(days=40)
    with signed(authority, HOST, since=since) as address:
        sentence = told(address, authority.pem)
    assert f"expired on {since + timedelta(days=30):%Y-%m-%d}; make a new one with `decc certificates`" in sentence


def test_a_certificate_of_the_future_sends_to_the_clocks(authority):
    with signed(authority, HOST, since=datetime.now(UTC) + timedelta(days=20)) as address:
        assert "is not valid before" in (sentence := told(address, authority.pem))
    assert "set the clocks of both machines" in sentence


def test_a_worker_with_tls_is_told_from_one_that_is_not_there(authority):
    with signed(authority, HOST) as address:
        assert f"The edge worker at {address} speaks TLS: give the certificate" in told(address, None)


def test_a_worker_without_tls_is_told_from_one_that_is_not_there(authority):
    with served() as address:
        assert f"The edge worker at {address} does not speak TLS" in told(address, authority.pem)


def test_where_nobody_listens_tls_is_not_blamed(authority):
    with socket.create_server((HOST, 0)) as server:
        address = Address(HOST, server.getsockname()[1])
    for trusted in (None, authority.pem):
        assert told(address, trusted) == f"The edge worker at {address} is not there any more, or was never reached."


def test_a_host_that_nobody_knows_is_named():
    sentence = handshake.why_unreachable("edge", Address("no-such-host.invalid", 7070), Security(TOKEN))
    assert sentence is None or "There is no host 'no-such-host.invalid'" in sentence


def test_what_fits_gives_no_cause(authority):
    with signed(authority, HOST) as address:
        assert handshake.why_unreachable("edge", address, Security(TOKEN, None, authority.pem)) is None


def test_names_in_certificates_of_strangers_cannot_act_on_a_terminal():
    certificate, key = self_signed(HOSTILE)
    with served(certificate, key) as address:
        sentence = told(address, Authority.new().pem)
    assert "\x1b" not in sentence
    assert "\n" not in sentence
    assert "?]0;title?[/x]" in sentence


@contextmanager
def stranger(answer):
    """Something that listens, and says of each connection what `answer` says of its first bytes."""
    heard = []

    def serve(server):
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

    def talk(connection):
        with connection, suppress(OSError):
            connection.settimeout(5)
            while data := connection.recv(1 << 16):
                heard.append(data)
                answer(connection)

    with socket.create_server((HOST, 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        yield Address(HOST, server.getsockname()[1]), heard


def test_neither_the_token_nor_anything_else_is_said_while_the_cause_is_found(authority):
    with stranger(lambda connection: None) as (address, heard):
        for trusted in (None, authority.pem):
            handshake.why_unreachable("edge", address, Security(TOKEN, None, trusted))
    assert heard
    # Records of a handshake in TLS, and nothing else.
    assert all(data[:2] == b"\x16\x03" for data in heard)
    assert not any(TOKEN.encode() in data for data in heard)


def test_who_says_nothing_is_not_waited_for(authority, monkeypatch):
    monkeypatch.setattr(handshake, "PROBE_S", 0.5)
    with stranger(lambda connection: None) as (address, _):
        began = time.monotonic()
        assert handshake.why_unreachable("edge", address, Security(TOKEN, None, authority.pem)) is None
        assert time.monotonic() - began < 30


def test_who_never_ends_is_cut_off(authority, monkeypatch):
    sent = []

    def flood(connection):
        # An endless record of a handshake, as it seems.
        while True:
            sent.append(connection.send(b"\x16\x03\x03\x40\x00" + bytes(1 << 14)))

    monkeypatch.setattr(handshake, "PROBE_S", 20.0)
    with stranger(flood) as (address, _):
        sentence = handshake.why_unreachable("edge", address, Security(TOKEN, None, authority.pem))
    assert sentence is None or "TLS" in sentence
    assert sum(sent) < 1 << 26


def test_another_kind_of_server_is_none_of_ours(authority):
    with stranger(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as (address, _):
        sentence = handshake.why_unreachable("edge", address, Security(TOKEN, None, authority.pem))
    assert re.fullmatch(r"The edge worker at \S+ does not speak TLS: .*", sentence)
