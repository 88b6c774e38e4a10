"""TLS and token: what other hosts need, tried on loopback."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from decc_core.cli.link import LinkOptions, measure
from decc_core.cli.worker import WorkerOptions, serve
from decc_core.errors import UnreadableFile, WorkerFailed
from decc_core.models.ref import NetworkRef
from decc_core.network.work import Resource
from decc_core.runtime.controller.client import WorkerClient
from decc_core.runtime.controller.live import remote_workers
from decc_core.runtime.controller.report import RunSettings
from decc_core.runtime.wire.pacing import LinkShape
from decc_core.runtime.wire.transport import Address, Security
from tests.runtime.networks import LINK, fork, instance, split_plan


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Token, certificate of the authority, and key and certificate of the workers."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    server.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "cert.pem").write_bytes(b"".join(part.bytes() for part in server.cert_chain_pems))
    (folder / "token").write_text("a long shared secret\n")
    return folder


@pytest.fixture(scope="module")
def secured(files):
    """An edge and a cloud worker, started by hand, that speak TLS only."""
    processes, addresses = [], []
    for role in ("edge", "cloud"):
        process = subprocess.Popen(
            [sys.executable, "-m", "decc_core", "worker", "--role", role, "--listen", "127.0.0.1:0",
             "--token-file", files / "token", "--tls-certificate", files / "cert.pem", "--tls-key", files / "key.pem"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        processes.append(process)
        addresses.append(Address.parse(re.search(r"listens on (\S+);", process.stdout.readline()).group(1)))
    yield addresses
    for process in processes:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def test_a_plan_runs_over_tls_between_all_three(secured, files):
    security = Security.read(files / "token", files / "ca.pem")
    with remote_workers(*secured, security) as workers:
        workers.load(NetworkRef.of(fork()))
        one = instance(requests=2)
        report = workers.run(one, split_plan(one), RunSettings(LinkShape.of(LINK), dilation=1.0))
    assert report.failure is None
    assert report.outputs_equal


def test_a_wrong_token_is_refused_over_tls(secured, files):
    security = Security("guess", None, (files / "ca.pem").read_bytes())
    with pytest.raises(WorkerFailed, match="refuses the token"):
        WorkerClient(Resource.EDGE, secured[0], security).connect("")


def test_a_certificate_of_another_authority_is_not_trusted(secured):
    security = Security("a long shared secret", None, trustme.CA().cert_pem.bytes())
    with pytest.raises(WorkerFailed, match=r"not signed by the certificate that was given, but by '.*trustme"):
        WorkerClient(Resource.EDGE, secured[0], security).connect("")


def test_plain_text_does_not_reach_a_tls_worker(secured):
    with pytest.raises(WorkerFailed, match="speaks TLS: give the certificate"):
        WorkerClient(Resource.EDGE, secured[0], Security("a long shared secret")).connect("")


def test_a_client_needs_certificate_and_token_for_other_hosts():
    with pytest.raises(WorkerFailed, match=r"not on this machine.*--token-file.*--tls-certificate"):
        WorkerClient(Resource.EDGE, Address.parse("192.0.2.1:7070"), Security())


def test_missing_files_are_named():
    with pytest.raises(UnreadableFile, match="no-such-token"):
        Security.read(Path("no-such-token"), None)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b" \n\t\n",
        "schl\u00fcssel".encode(),
        b"two\nlines",
        b"\xff\xfet\0",
        bytes(range(256)),
        b"x" * 100_000,
    ],
)
def test_a_token_that_is_none_is_refused_at_once(tmp_path, content):
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(UnreadableFile, match=r"holds no token: it has to be one line of .* makes a good one"):
        Security.read(tmp_path / "token", None)


@pytest.mark.parametrize("token", ["", "two\nlines", "schl\u00fcssel", "x" * 100_000])
def test_a_token_that_never_was_in_a_file_is_refused_too(token):
    with pytest.raises(WorkerFailed, match="This is no token: it has to be one line of"):
        Security(token)


def test_no_worker_and_no_controller_starts_with_an_empty_token(tmp_path):
    file = tmp_path / "token"
    file.write_text("\n")
    with pytest.raises(UnreadableFile, match="holds no token"):
        serve(WorkerOptions("edge", "127.0.0.1:0", file, None, None))
    with pytest.raises(UnreadableFile, match="holds no token"):
        measure(LinkOptions("127.0.0.1:9", "link", None, False, file, None))


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux")
def test_the_token_of_a_local_worker_stands_neither_in_its_environment_nor_on_its_command_line(workers):
    for client in workers.clients.values():
        process = Path(f"/proc/{client.process.process.pid}")
        token = client.security.token.encode()
        assert token not in process.joinpath("environ").read_bytes()
        assert token not in process.joinpath("cmdline").read_bytes()


@pytest.mark.parametrize("text", ["", "host", ":7070", "host:port", "host:70700", "7070"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(WorkerFailed, match=r"is no address; write HOST:PORT"):
        Address.parse(text)


@pytest.mark.parametrize(
    ("text", "loopback"),
    [("127.0.0.1:1", True), ("localhost:1", True), ("[::1]:1", True), ("10.0.0.1:1", False), ("example.org:1", False)],
)
def test_loopback_is_known_by_its_address(text, loopback):
    assert Address.parse(text).is_loopback is loopback


@pytest.mark.parametrize("content", [b"", b"  \n", b"a\nb", b"\xff\xfe", "pa\u00df".encode(), b"x" * 5000, b"a\0b"])
def test_what_cannot_travel_as_a_token_is_refused_as_soon_as_it_is_read(tmp_path, content):
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(UnreadableFile, match="holds no token"):
        Security.read(tmp_path / "token", None)


def test_what_is_no_certificate_or_key_is_refused_as_soon_as_it_is_read(files):
    for certificate, key in ((files / "token", None), (files / "key.pem", None), (None, files / "cert.pem")):
        with pytest.raises(UnreadableFile, match="a file in PEM begins with"):
            Security.read(None, certificate, key)
    with pytest.raises(UnreadableFile, match="the certificate /dev/zero: it is no ordinary file"):
        Security.read(None, Path("/dev/zero"))
