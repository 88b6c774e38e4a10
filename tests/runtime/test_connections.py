"""Others' sockets are seen by their numbers, and what was looked at is left as it was."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from decc_core.runtime.wire import connections
from decc_core.runtime.wire.connections import by_tcp, open_numbers

pytestmark = pytest.mark.skipif(
    connections.OPEN_FILES is None, reason="the system does not show what a process has open"
)


def seen(number: int) -> bool:
    with by_tcp(number) as found:
        return found is not None


def test_sockets_of_tcp_are_told_from_all_else_that_is_open(tmp_path):
    with (
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as local,
        (tmp_path / "file").open("w", encoding="utf-8") as file,
    ):
        here = [one.fileno() for one in (tcp, udp, local, file)]
        assert set(here) <= set(open_numbers())
        assert [seen(number) for number in here] == [True, False, False, False]


def test_what_was_looked_at_ends_when_its_owner_closes_it(monkeypatch):
    copies: list[int] = []
    monkeypatch.setattr(os, "dup", lambda number, dup=os.dup: copies.append(dup(number)) or copies[-1])
    reading, writing = os.pipe()
    here, there = socket.socketpair()
    with here, there, socket.socket() as tcp:
        assert [seen(number) for number in (reading, writing, here.fileno(), tcp.fileno())] == [False] * 3 + [True]
        there.close()
        os.close(writing)
        # A writer that somebody has still open would keep these waiting.
        os.set_blocking(reading, False)
        here.setblocking(False)
        assert os.read(reading, 1) == here.recv(1) == b""
    os.close(reading)
    assert len(copies) == 2


def test_a_number_that_was_closed_meanwhile_is_nothing_and_too_many_files_are_an_error(monkeypatch):
    def fails(code: int):
        def dup(number: int) -> int:
            raise OSError(code, os.strerror(code))

        return dup

    with socket.socket() as tcp:
        monkeypatch.setattr(os, "dup", fails(errno.EBADF))
        assert not seen(tcp.fileno())
        monkeypatch.setattr(os, "dup", fails(errno.EMFILE))
        with pytest.raises(OSError, match="Too many open files"):
            seen(tcp.fileno())


def test_options_and_ends_hold_for_whose_copy_it_is():
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()) as near:
        with by_tcp(near.fileno()) as found:
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            found.shutdown(socket.SHUT_RDWR)
        assert near.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert near.recv(1) == b""
