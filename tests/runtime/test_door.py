"""A worker's door: who has no token costs nothing, who says nothing has to leave, and health is always answered."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from contextlib import ExitStack, closing, contextmanager

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from decc_core.runtime.wire import door, strangers
from decc_core.runtime.wire.messages import MAX_MESSAGE_BYTES
from decc_core.runtime.wire.methods import Method
from decc_core.runtime.wire.transport import Address, Security, metadata, open_channel, start_call

SECURITY = Security("a long shared secret")
ECHO = Method("Echo", bytes, bytes, 60.0, more=bytes, streams=True)
OWN = (("grpc.use_local_subchannel_pool", 1),)
SOON_S = 10.0
"""Generous for a busy machine, and much less than anybody would be waited for."""


@contextmanager
def served(method=ECHO):
    """A server whose one method repeats what it is told."""
    server, port = door.start_server(
        Address("127.0.0.1", 0), SECURITY, {method: lambda messages, context: iter(messages)}
    )
    address = Address("127.0.0.1", port)
    try:
        with closing(open_channel(address, SECURITY, OWN)) as channel:
            yield address, channel
    finally:
        server.stop(0).wait(5)


@pytest.fixture
def silence():
    """Messages that never come, until the test is over."""
    over = threading.Event()

    def messages():
        over.wait(60)
        yield from ()

    yield messages
    over.set()


def half_open(channel, messages, count, path=ECHO.path, security=SECURITY):
    """Calls that have begun; they last for as long as somebody holds them."""
    call = channel.stream_stream(path)
    return [call(messages(), timeout=60, metadata=metadata(security)) for _ in range(count)]


def echo(channel, data=b"hello"):
    return next(iter(start_call(channel, ECHO, iter([data]), SECURITY, SOON_S)))


def is_well(channel, timeout_s=SOON_S):
    stub = health_pb2_grpc.HealthStub(channel)
    answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=timeout_s, metadata=metadata(SECURITY))
    return answer.status == health_pb2.HealthCheckResponse.SERVING


def ended(calls, within_s=SOON_S):
    limit = time.monotonic() + within_s
    while not all(call.done() for call in calls) and time.monotonic() < limit:
        time.sleep(0.05)
    return [call.code() if call.done() else None for call in calls]


@pytest.mark.parametrize("security", [Security(), Security("guess"), Security("a long shared secret, and more")])
def test_calls_without_the_token_are_refused_before_a_message_is_waited_for(silence, security):
    with served() as (address, channel), closing(open_channel(address, security, OWN)) as stranger:
        calls = half_open(stranger, silence, 3 * door.THREADS, security=security)
        assert echo(channel) == b"hello"
        assert set(ended(calls)) == {grpc.StatusCode.UNAUTHENTICATED}


def test_who_has_the_token_and_says_nothing_leaves_when_others_wait(silence):
    with served() as (address, channel), closing(open_channel(address, SECURITY, OWN)) as idler:
        calls = half_open(idler, silence, 2 * door.THREADS)
        time.sleep(0.2)
        assert echo(channel) == b"hello"
        assert not all(call.done() for call in calls)


def test_who_says_nothing_for_long_leaves_anyhow(silence, monkeypatch):
    monkeypatch.setattr(door, "MESSAGE_S", 0.5)
    with served() as (_, channel):
        assert ended(half_open(channel, silence, 2)) == [grpc.StatusCode.CANCELLED] * 2


def test_a_stream_that_stops_in_the_middle_is_ended(silence, monkeypatch):
    monkeypatch.setattr(door, "MESSAGE_S", 0.5)

    def stalled():
        yield b"one"
        yield from silence()

    with served() as (_, channel), pytest.raises(grpc.RpcError, match="CANCELLED"):
        list(half_open(channel, stalled, 1)[0])


def test_a_link_may_pause_for_as_long_as_its_run_lasts(monkeypatch):
    monkeypatch.setattr(door, "MESSAGE_S", 0.3)
    paced = Method("Echo", bytes, bytes, None, more=bytes, streams=True)

    def slow():
        yield b"one"
        time.sleep(1.5)
        yield b"two"

    with served(paced) as (_, channel):
        assert list(start_call(channel, paced, slow(), SECURITY, SOON_S)) == [b"one", b"two"]


def test_a_call_is_over_some_time_after_its_limit(monkeypatch):
    monkeypatch.setattr(door, "GRACE_S", 0.2)

    def chatter():
        while True:
            yield b"and"
            time.sleep(0.05)

    with served(Method("Echo", bytes, bytes, 0.3, more=bytes, streams=True)) as (_, channel):
        call = channel.stream_stream(ECHO.path)(chatter(), metadata=metadata(SECURITY))
        with pytest.raises(grpc.RpcError, match="CANCELLED"):
            list(call)


def test_health_is_answered_however_busy_all_threads_are(silence):
    with served() as (address, channel), closing(open_channel(address, SECURITY, OWN)) as busy:

        def chatter():
            yield b"one"
            yield from silence()

        calls = half_open(busy, chatter, door.THREADS)
        assert [next(call) for call in calls] == [b"one"] * door.THREADS
        calls += half_open(busy, silence, door.THREADS, "/grpc.health.v1.Health/Check")
        assert is_well(channel, 5.0)
        assert not any(call.done() for call in calls[: door.THREADS])


def test_health_needs_the_token_too():
    with served() as (address, _), closing(open_channel(address, Security(), OWN)) as stranger:
        check = health_pb2_grpc.HealthStub(stranger).Check
        with pytest.raises(grpc.RpcError, match="token is missing"):
            check(health_pb2.HealthCheckRequest(), timeout=SOON_S)


def test_more_calls_than_may_wait_are_refused_in_a_sentence(silence, monkeypatch):
    monkeypatch.setattr(door, "WAITING", 0)
    monkeypatch.setattr(door, "CROWDED_S", 60.0)
    with served() as (address, channel), closing(open_channel(address, SECURITY, OWN)) as busy:
        calls = half_open(busy, silence, door.THREADS)
        time.sleep(0.5)
        with pytest.raises(grpc.RpcError, match="calls are here already; wait"):
            echo(channel)
        assert is_well(channel)
        assert not any(call.done() for call in calls)


def test_a_message_is_measured_before_it_is_read():
    with served() as (address, _):
        careless = grpc.insecure_channel(str(address), (*OWN, ("grpc.max_send_message_length", -1)))
        with closing(careless), pytest.raises(grpc.RpcError, match="larger than max"):
            echo(careless, bytes(MAX_MESSAGE_BYTES + 1))


def test_what_unpacks_to_more_than_it_is_is_not_taken():
    with served() as (address, _):
        packed = grpc.insecure_channel(str(address), OWN, compression=grpc.Compression.Gzip)
        with closing(packed), pytest.raises(grpc.RpcError, match="gzip"):
            echo(packed, bytes(1 << 20))


def test_connections_that_say_nothing_are_closed_and_are_limited(monkeypatch):
    monkeypatch.setattr(door, "HANDSHAKE_S", 1)
    monkeypatch.setattr(door, "CONNECTIONS", 8)
    with served() as (address, channel):
        assert echo(channel) == b"hello"
        idle = [socket.create_connection((address.host, address.port)) for _ in range(40)]
        assert echo(channel) == b"hello"
        assert all(map(_is_hung_up_on, idle))
        with closing(open_channel(address, SECURITY, OWN)) as late:
            assert echo(late) == b"hello"


def ready(address):
    """A connection that was made to the end, over which nothing has been asked yet."""
    channel = open_channel(address, Security(), OWN)
    grpc.channel_ready_future(channel).result(SOON_S)
    return channel


def left(channel):
    """An event: the connection is not there any more."""
    gone = threading.Event()
    channel.subscribe(lambda state: gone.set() if state is not grpc.ChannelConnectivity.READY else None)
    return gone


def test_connections_without_a_call_that_was_let_in_make_room_for_others(monkeypatch):
    monkeypatch.setattr(door, "CONNECTIONS", 8)
    with served() as (address, channel), ExitStack() as all_of_them:
        assert echo(channel) == b"hello"
        for _ in range(3):
            for _ in range(7):
                stranger = all_of_them.enter_context(closing(open_channel(address, Security(), OWN)))
                call = stranger.unary_unary("/grpc.health.v1.Health/Check")
                with pytest.raises(grpc.RpcError):
                    call(b"", timeout=SOON_S)
            time.sleep(3 * strangers.CROWDED_S)
            with closing(open_channel(address, SECURITY, OWN)) as late:
                assert echo(late) == b"hello"
        assert echo(channel) == b"hello"


def test_a_connection_stays_when_its_caller_has_shown_the_token_once(monkeypatch):
    monkeypatch.setattr(strangers, "STRANGER_S", 0.5)
    with served() as (address, channel), closing(ready(address)) as stranger, closing(ready(address)) as patient:
        assert is_well(channel)
        assert echo(patient) == b"hello"
        goes, stays, too = left(stranger), left(channel), left(patient)
        assert goes.wait(SOON_S)
        time.sleep(1.0)
        assert not stays.is_set()
        assert not too.is_set()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_connection_is_known_by_its_address_of_either_kind(host, monkeypatch):
    monkeypatch.setattr(strangers, "STRANGER_S", 0.5)
    server, port = door.start_server(Address(host, 0), SECURITY, {ECHO: lambda messages, context: iter(messages)})
    with closing(ready(Address(host, port))) as channel:
        assert echo(channel) == b"hello"
        gone = left(channel)
        assert not gone.wait(1.5)
    server.stop(0).wait(5)


def test_a_worker_without_a_token_keeps_who_has_asked_for_something(monkeypatch):
    monkeypatch.setattr(strangers, "STRANGER_S", 0.5)
    none = Security()
    server, port = door.start_server(Address("127.0.0.1", 0), none, {ECHO: lambda messages, context: iter(messages)})
    with closing(ready(Address("127.0.0.1", port))) as channel:
        assert list(start_call(channel, ECHO, iter([b"one"]), none, SOON_S)) == [b"one"]
        assert not left(channel).wait(1.5)
    server.stop(0).wait(5)


def _is_hung_up_on(one):
    """Whether the other side closes the connection in time."""
    one.settimeout(SOON_S)
    with one:
        try:
            while one.recv(1000):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True


def test_a_look_that_fails_shows_nobody_out(monkeypatch):
    monkeypatch.setattr(strangers, "STRANGER_S", 0.3)
    with served() as (_, channel):
        assert echo(channel) == b"hello"
        gone = left(channel)

        def no_more_files(number):
            raise OSError(errno.EMFILE, "Too many open files")

        monkeypatch.setattr(os, "dup", no_more_files)
        assert not gone.wait(1.5)
        monkeypatch.undo()
        assert not gone.wait(1.0)
        assert echo(channel) == b"hello"
