"""The log of a worker's connections: who came, who was let in, why others were not, and never too much of it."""

from __future__ import annotations

import re
import socket
import threading
import time
from contextlib import closing, contextmanager, suppress

import grpc
import pytest

from decc_core.errors import UnreadableFile
from decc_core.runtime.wire import connections, door, log, strangers
from decc_core.runtime.wire.log import ConnectionLog, to_file
from decc_core.runtime.wire.methods import Method
from decc_core.runtime.wire.transport import Address, Security, open_channel, start_call

TOKEN = "a long shared secret"
ECHO = Method("Echo", bytes, bytes, 60.0, more=bytes, streams=True)
OWN = (("grpc.use_local_subchannel_pool", 1),)
SOON_S = 10.0
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d 127\.0\.0\.1:\d+ (.+)")


@contextmanager
def logged():
    """A worker's door, and the lines of its log."""
    lines = []
    written = ConnectionLog(lines.append)
    server, port = door.start_server(
        Address("127.0.0.1", 0), Security(TOKEN), {ECHO: lambda messages, context: iter(messages)}, written
    )
    try:
        yield Address("127.0.0.1", port), lines
    finally:
        server.stop(0).wait(5)
        written.close()


def call(address, security, times=1):
    with closing(open_channel(address, security, OWN)) as channel:
        for _ in range(times):
            with suppress(grpc.RpcError):
                list(start_call(channel, ECHO, iter([b"hello"]), security, SOON_S))


def wait_for(lines, number):
    limit = time.monotonic() + SOON_S
    while len(lines) < number and time.monotonic() < limit:
        time.sleep(0.05)
    return [LINE.fullmatch(line)[1] for line in lines]


def test_who_is_let_in_and_who_is_not_is_one_line_for_each_connection():
    with logged() as (address, lines):
        call(address, Security(TOKEN), times=3)
        assert wait_for(lines, 1) == ["accepted"]
        call(address, Security("guess, which nobody has to read"), times=3)
        assert wait_for(lines, 2) == ["accepted", "refused: the token is missing or wrong"]
        call(address, Security())
        assert wait_for(lines, 3)[2:] == ["refused: the token is missing or wrong"]
    assert not any(TOKEN in line or "guess" in line for line in lines)


@pytest.mark.skipif(connections.OPEN_FILES is None, reason="the system does not show a process its connections")
def test_who_leaves_without_a_call_is_told_too():
    with logged() as (address, lines):
        with socket.create_connection((address.host, address.port)):
            time.sleep(3 * door.TICK_S)
        assert wait_for(lines, 1) == [strangers.LEFT]


@pytest.mark.skipif(connections.OPEN_FILES is None, reason="the system does not show a process its connections")
def test_who_is_shown_out_is_told_once(monkeypatch):
    monkeypatch.setattr(strangers, "STRANGER_S", 0.3)
    with logged() as (address, lines), socket.create_connection((address.host, address.port)):
        assert wait_for(lines, 1) == [strangers.CLOSED]
        time.sleep(3 * door.TICK_S)
        assert len(lines) == 1


def test_a_flood_is_a_few_lines_and_hides_nobody_who_is_let_in(monkeypatch):
    monkeypatch.setattr(log, "EVERY_S", 1e9)
    lines = []
    one = ConnectionLog(lines.append)
    for port in range(10_000):
        one.tell(("192.0.2.1", port), "refused: the token is missing or wrong")
    one.tell(("192.0.2.2", 1), "accepted", let_in=True)
    one.close()
    assert len(lines) == log.BURST + 1
    assert lines[-1].endswith("192.0.2.2:1 accepted")
    assert len(one._told) <= log.PEERS


def test_what_was_left_out_is_counted_in_the_next_line(monkeypatch):
    monkeypatch.setattr(log, "EVERY_S", 1e9)
    lines = []
    one = ConnectionLog(lines.append)
    for port in range(log.BURST + 1234):
        one.tell(("2001:db8::1", port), "refused: so")
    one._budgets[False].left = 1.0
    one.tell(("2001:db8::1", 60_000), "refused: so")
    one.close()
    assert lines[-1].endswith("[2001:db8::1]:60000 refused: so (1,234 more lines like this are left out)")


def test_where_nobody_reads_the_log_nobody_waits_for_it():
    over = threading.Event()
    one = ConnectionLog(lambda line: over.wait(60) and None)
    began = time.monotonic()
    for port in range(10_000):
        one.tell(("192.0.2.1", port), "accepted", let_in=True)
    one.close()
    assert time.monotonic() - began < 30
    over.set()


def test_a_disk_that_is_full_costs_lines_and_nothing_else():
    lines = []

    def write(line):
        lines.append(line)
        if len(lines) == 1:
            raise OSError(28, "No space left on device")

    one = ConnectionLog(write)
    for port in (1, 2):
        one.tell(("192.0.2.1", port), "accepted", let_in=True)
    one.close()
    assert len(lines) == 2


def test_a_log_file_is_appended_to_and_never_grows_beyond_its_limit(tmp_path, monkeypatch):
    file = tmp_path / "logs" / "worker.log"
    to_file(file)("first")
    to_file(file)("second")
    assert file.read_text() == "first\nsecond\n"
    monkeypatch.setattr(log, "FILE_BYTES", 100)
    write = to_file(file)
    for _ in range(100):
        write("x" * 20)
    assert sorted(path.name for path in file.parent.iterdir()) == ["worker.log", "worker.log.1"]
    assert sum(path.stat().st_size for path in file.parent.iterdir()) <= 200


def test_what_cannot_be_a_log_file_is_refused(tmp_path):
    with pytest.raises(UnreadableFile, match="no ordinary file"):
        to_file(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UnreadableFile, match="Cannot write"):
        to_file(tmp_path / "file" / "worker.log")
