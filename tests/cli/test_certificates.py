"""Two workers behind TLS, made and started as `decc certificates` says, and every way in which that goes wrong."""

from __future__ import annotations

import re
import shlex
import socket
import stat
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from decc_core.cli import main
from decc_core.runtime.wire.certificates import Authority, hosts_of, read_certificates

EDGE, CLOUD = "127.0.0.2", "127.0.0.3"
MODEL = "squeezenet1_1"


def _may_listen(host):
    try:
        socket.create_server((host, 0)).close()
    except OSError:
        return False
    return True


two_hosts = pytest.mark.skipif(
    not (_may_listen(EDGE) and _may_listen(CLOUD)), reason="this system has one loopback address"
)


def run(capsys, *arguments):
    """Status, output and errors of a command."""
    status = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


@contextmanager
def workers(*commands):
    """Workers started by these lines, on ports that the system chose; their addresses and processes."""
    with ExitStack() as all_of_them:
        started = []
        for command in commands:
            arguments = [re.sub(r"^(127\.\d+\.\d+\.\d+):\d+$", r"\1:0", word) for word in command[1:]]
            process = subprocess.Popen(
                [sys.executable, "-m", "decc_core", *arguments],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            all_of_them.callback(_end, process)
            started.append(process)
        addresses = [re.search(r"listens on (\S+);", process.stdout.readline())[1] for process in started]
        yield addresses, started


def _end(process):
    if process.poll() is None:
        process.terminate()
        process.wait(20)
    process.stdout.close()
    process.stderr.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder, and the lines to type, as they were printed."""
    place = tmp_path_factory.mktemp("recipe")
    done = subprocess.run(
        [sys.executable, "-m", "decc_core", "certificates", EDGE, CLOUD],
        cwd=place, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    lines = [shlex.split(line) for line in done.stdout.splitlines() if line.startswith("    decc ")]
    return place / "certificates", lines


def absolute(folder, command):
    return [str(folder.parent / word) if word.startswith("certificates/") else word for word in command]


@two_hosts
def test_the_lines_that_are_printed_start_two_workers_and_run_a_plan_on_them(made, capsys):
    folder, (edge, cloud, link, live) = made
    everywhere = ["0.0.0.0:0" if word == f"{CLOUD}:7070" else word for word in absolute(folder, cloud)]
    with workers(absolute(folder, edge), everywhere) as (addresses, processes):
        addresses[1] = addresses[1].replace("0.0.0.0", CLOUD)
        there = dict(zip((f"{EDGE}:7070", f"{CLOUD}:7070"), addresses, strict=True))
        assert link[1:3] == ["link", f"{CLOUD}:7070"]
        status, out, err = run(capsys, *(there.get(word, word) for word in absolute(folder, link)[1:]))
        assert status == 0, err
        assert "Mbit/s up" in out
        arguments = [there.get(word, word) for word in absolute(folder, live)[1:]]
        arguments[1:2] = [MODEL, "--strategy", "jps", "--uplink-mbps", "100", "--requests", "2"]
        status, out, err = run(capsys, *arguments)
        assert status == 0, err
        assert "jps: outputs bit-identical" in out
        # The edge, too, says why it does not reach the cloud: under this address nobody signed for it.
        elsewhere = f"127.0.0.1:{addresses[1].rpartition(':')[2]}"
        arguments[arguments.index("jps")] = "cloud-only"
        status, _, err = run(capsys, *arguments, "--cloud-from-edge", elsewhere)
        assert status == 2
        assert f"From the edge worker: The certificate of the cloud worker at {elsewhere} is for '{CLOUD}'" in err
        status, _, err = run(capsys, "link", addresses[0], "--tls-certificate", folder / "ca.pem")
        assert (status, "demands a token" in err) == (2, True)
        for process in processes:
            process.terminate()
        logs = [process.communicate(timeout=20)[1] for process in processes]
    for log in logs:
        assert " accepted" in log
        # Neither raw lines of gRPC nor complaints of libraries at the end.
        assert all(re.match(r"\d{4}-\d\d-\d\dT\S+ 127\.0\.0\.\d+:\d+ ", line) for line in log.splitlines()), log
        assert (folder / "token").read_text().strip() not in log
    assert "refused: the token is missing or wrong" in logs[0]


@two_hosts
def test_each_way_in_which_tls_goes_wrong_is_named_by_every_command_and_leaves_a_line_in_the_log(
    made, tmp_path, capsys
):
    folder, (edge, *_) = made
    assert run(capsys, "certificates", EDGE, "--output", tmp_path / "other")[0] == 0
    trusts = ("--token-file", folder / "token", "--tls-certificate", folder / "ca.pem")
    stranger = ("--token-file", folder / "token", "--tls-certificate", tmp_path / "other" / "ca.pem")
    plain = ("--token-file", folder / "token")
    with workers(absolute(folder, edge)) as ((address,), (process,)):
        for command in (
            ("link", address),
            ("profile", MODEL, "--worker", address, "--repeats", "1"),
            ("run", MODEL, "--edge-worker", address, "--cloud-worker", address),
        ):
            for options, sentence in ((stranger, "is not signed by"), (plain, "speaks TLS: give the certificate")):
                status, _, err = run(capsys, *command, *options)
                assert status == 2
                assert sentence in err
                assert err.count("decc:") == 1
                assert "SSL_ERROR" not in err
        # Served by another address than the certificate's.
        (tmp_path / "guess").write_text("guess\n")
        status, _, err = run(capsys, "link", address, *trusts[2:], "--token-file", tmp_path / "guess")
        assert (status, "refuses the token" in err) == (2, True)
        process.terminate()
        log = process.communicate(timeout=20)[1]
    # A worker that gets no time to look for a second misses one.
    assert log.count("left without a call") >= 4, log
    assert "SSL_ERROR" not in log
    misled = [word.replace(EDGE + ":", CLOUD + ":") if ":" in word else word for word in absolute(folder, edge)]
    with workers(misled) as ((address,), (process,)):
        status, _, err = run(capsys, "link", address, *trusts)
        assert status == 2
        assert f"is for '{EDGE}', not for {CLOUD}; make one with `decc certificates {CLOUD}`" in err
        process.terminate()
        # The worker has said so itself, before anybody came.
        assert f"note: The certificate is for '{EDGE}', not for {CLOUD}" in process.communicate(timeout=20)[1]
    with workers(["decc", "worker", "--role", "edge", "--listen", f"{EDGE}:0"]) as ((address,), _):
        status, _, err = run(capsys, "link", address, *trusts)
        assert (status, "does not speak TLS" in err) == (2, True)


def test_secrets_are_for_their_owner_alone_and_the_authority_s_key_is_on_no_host(tmp_path, capsys):
    folder = tmp_path / "made"
    status, out, _ = run(capsys, "certificates", "192.0.2.1,board.example.org", "2001:db8::2", "-o", folder)
    assert status == 0
    found = {str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*.*")}
    for secret in ("ca.key", "192.0.2.1/worker.key", "2001-db8--2/worker.key"):
        assert found[secret] == 0o600
    assert stat.S_IMODE((folder / "token").stat().st_mode) == 0o600
    assert sorted(path.name for path in (folder / "192.0.2.1").iterdir()) == ["token", "worker.key", "worker.pem"]
    tokens = {path.read_text() for path in folder.rglob("token")}
    assert len(tokens) == 1
    assert re.fullmatch(r"[0-9a-f]{64}\n", tokens.pop())
    certificate = read_certificates((folder / "192.0.2.1" / "worker.pem").read_bytes(), folder)[0]
    assert hosts_of(certificate) == ("192.0.2.1", "board.example.org")
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=364) < left <= timedelta(days=365)
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    certificate.verify_directly_issued_by(read_certificates((folder / "ca.pem").read_bytes(), folder)[0])
    assert "scp -r" in out
    assert "--listen [2001:db8::2]:7070" in out
    assert "ca.key" not in "".join(line for line in out.splitlines() if line.startswith(" "))


def test_a_host_that_comes_later_is_signed_by_the_same_authority_and_nothing_is_written_over(tmp_path, capsys):
    assert run(capsys, "certificates", "192.0.2.1", "--output", tmp_path)[0] == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert run(capsys, "certificates", "192.0.2.2", "--output", tmp_path, "--days", "7")[0] == 0
    status, _, err = run(capsys, "certificates", "192.0.2.3", "192.0.2.1", "--output", tmp_path)
    assert (status, "192.0.2.1 is there already, and is not written over" in err) == (2, True)
    assert not (tmp_path / "192.0.2.3").exists()
    assert all(path.read_bytes() == content for path, content in before.items())
    assert (tmp_path / "192.0.2.2" / "token").read_bytes() == before[tmp_path / "token"]


@pytest.mark.parametrize(
    ("hosts", "sentence"),
    [
        (["192.0.2.1:7070"], "has a port; name the host alone"),
        (["[2001:db8::1]:7070"], "has a port; name the host alone"),
        (["0.0.0.0"], "stands for all addresses of a host"),
        (["300.1.1.1"], "neither an address nor the name of a host"),
        (["bücher.example"], "neither an address nor the name of a host"),
        (["*.example.org"], "neither an address nor the name of a host"),
        (["../../etc"], "neither an address nor the name of a host"),
        (["a,"], "neither an address nor the name of a host"),
        (["-x".replace("-", "\x1b")], "neither an address nor the name of a host"),
        (["192.0.2.1", "192.0.2.1"], "192.0.2.1 is named twice"),
        (["token"], "is called as a file"),
        (["192.0.2.1", "--days", "0"], "lifetime of a certificate is 0 days"),
    ],
)
def test_what_is_no_host_is_refused_before_anything_is_written(tmp_path, capsys, hosts, sentence):
    status, out, err = run(capsys, "certificates", *hosts, "--output", tmp_path / "made")
    assert status == 2
    assert sentence in err
    assert err.count("\n") == 1
    assert out == ""
    assert not (tmp_path / "made").exists()


def test_an_authority_that_cannot_sign_is_refused(tmp_path, capsys):
    assert run(capsys, "certificates", "192.0.2.1", "--output", tmp_path)[0] == 0
    key = (tmp_path / "ca.key").read_bytes()
    for content, sentence in (
        (Authority.new().key_pem, "does not fit the certificate"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "holds no key that can be read"),
        (None, "ca.key is missing"),
    ):
        (tmp_path / "ca.key").unlink(missing_ok=True)
        if content is not None:
            (tmp_path / "ca.key").write_bytes(content)
        status, _, err = run(capsys, "certificates", "192.0.2.2", "--output", tmp_path)
        assert (status, sentence in err) == (2, True), err
    (tmp_path / "ca.key").write_bytes(key)
    assert run(capsys, "certificates", "192.0.2.2", "--output", tmp_path)[0] == 0


def test_files_that_do_not_fit_are_named_before_a_worker_listens(made, tmp_path, capsys):
    folder, _ = made
    good, key = folder / EDGE / "worker.pem", folder / EDGE / "worker.key"
    damaged = tmp_path / "damaged.pem"
    damaged.write_bytes(good.read_bytes()[:200] + b"\n-----END CERTIFICATE-----\n")
    opened = serialization.load_pem_private_key(key.read_bytes(), None)
    locked = tmp_path / "locked.key"
    encryption = serialization.BestAvailableEncryption(b"secret")
    locked.write_bytes(opened.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
    for certificate, its_key, sentence in (
        (good, folder / CLOUD / "worker.key", "does not fit the certificate"),
        (damaged, key, "holds no certificate that can be read"),
        (good, locked, "is locked with a passphrase"),
        (key, key, "a file in PEM begins with"),
        (good, None, "--tls-certificate and --tls-key; give both, or neither"),
    ):
        given = ["--tls-certificate", certificate, *(["--tls-key", its_key] if its_key else [])]
        status, _, err = run(capsys, "worker", "--role", "edge", "--listen", f"{EDGE}:0", *given)
        assert status == 2
        assert sentence in err
        assert err.count("\n") == 1
