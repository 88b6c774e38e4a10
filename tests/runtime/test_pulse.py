"""A frozen worker is told in every phase, by one watcher; one that is only busy is not."""

from __future__ import annotations

import ctypes
import signal
import threading
import time
from contextlib import closing
from dataclasses import replace

import grpc
import pytest

from decc_core.errors import WorkerFailed
from decc_core.models.device import ONE_THREAD
from decc_core.models.ref import NetworkRef
from decc_core.network.work import Resource
from decc_core.plans.plan import Execution
from decc_core.profiling.settings import ProfileSettings
from decc_core.runtime.controller.client import WorkerClient
from decc_core.runtime.controller.live import local_workers
from decc_core.runtime.controller.report import RunSettings
from decc_core.runtime.wire import door, pulse
from decc_core.runtime.wire.assembly import TensorHead, chunks_of
from decc_core.runtime.wire.link_probe import measure_link
from decc_core.runtime.wire.methods import Method
from decc_core.runtime.wire.pacing import LinkShape
from decc_core.runtime.wire.pulse import Pulse
from decc_core.runtime.wire.transport import Address, Security, open_channel, start_call
from tests.runtime.networks import LINK, fork, instance, split_plan

SETTINGS = RunSettings(LinkShape.of(LINK), dilation=1.0)
TOLD_S = 10.0
"""From the freeze to the sentence."""
ECHO = Method("Echo", bytes, bytes, 60.0, streams=True)


@pytest.fixture(scope="module")
def pair():
    """Workers whose controller has little patience, so that the tests are quick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pulse, "SILENCE_S", 4.0)
        patch.setattr(pulse, "PINGS", (("grpc.keepalive_time_ms", 1_000), ("grpc.http2.ping_timeout_ms", 2_500)))
        with local_workers() as workers:
            workers.load(NetworkRef.of(fork()))
            yield workers


def run(pair, settings=SETTINGS):
    one = instance(requests=4)
    failure = pair.run(one, split_plan(one, Execution.CONSECUTIVE), settings).failure
    if failure is not None:
        raise WorkerFailed(failure)


def run_with_inputs(pair):
    head = TensorHead("uint8", (1, 3, 16, 16), (0, 1, 2, 3))
    chunks = tuple(chunk for request in range(4) for chunk in chunks_of(request, 0, head, bytes(768)))
    run(pair, replace(SETTINGS, inputs=chunks))


PHASES = {
    "connect": lambda pair: pair.connect(),
    "load": lambda pair: pair.load(NetworkRef.of(fork())),
    "profile": lambda pair: pair.profile(Resource.EDGE, ProfileSettings("here", ONE_THREAD, 3)),
    "prepare": run,
    "send_inputs": run_with_inputs,
    "whole": run,
    "warm": run,
    "pace": run,
    "watch": run,
}
"""What a controller does when its call of that name meets a worker that froze just before."""


@pytest.mark.parametrize("phase", PHASES)
def test_a_frozen_worker_is_told_in_every_phase(pair, phase, monkeypatch):
    pair.forget()
    process, call, froze = pair.clients[Resource.EDGE].process.process, getattr(WorkerClient, phase), []

    def freezing(client, *arguments):
        if client.role is Resource.EDGE and not froze:
            process.send_signal(signal.SIGSTOP)
            froze.append(time.monotonic())
        return call(client, *arguments)

    monkeypatch.setattr(WorkerClient, phase, freezing)
    try:
        with pytest.raises(WorkerFailed, match=r"The edge worker at .* was silent for 4 s"):
            PHASES[phase](pair)
        assert time.monotonic() - froze[0] < TOLD_S
    finally:
        process.send_signal(signal.SIGCONT)


def test_a_worker_that_was_frozen_and_came_back_is_asked_again(pair):
    pair.load(NetworkRef.of(fork()))
    run(pair)


def test_a_worker_that_freezes_while_its_link_is_measured_is_told(pair):
    client = pair.clients[Resource.CLOUD]
    process = client.process.process
    process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(WorkerFailed, match="was silent for 4 s"):
            measure_link(client.address, client.security)
        assert time.monotonic() - began < TOLD_S
    finally:
        process.send_signal(signal.SIGCONT)


@pytest.fixture
def busy_server():
    """A server that says one word, and is then busy until the test lets it go."""
    free = threading.Event()

    def answer(messages, context):
        yield next(messages)
        free.wait(30)
        yield b"done"

    server, port = door.start_server(Address("127.0.0.1", 0), Security(), {ECHO: answer})
    yield Address("127.0.0.1", port), free
    free.set()
    server.stop(0).wait(5)


def test_who_computes_for_long_is_not_given_up(busy_server, monkeypatch):
    monkeypatch.setattr(pulse, "SILENCE_S", 1.5)
    address, free = busy_server
    with closing(Pulse("edge", address, Security())) as watched, closing(open_channel(address, Security())) as channel:
        call = start_call(channel, ECHO, b"hello", Security(), 30.0)
        threading.Timer(4.0, free.set).start()
        with watched.watching(call):
            assert list(call) == [b"hello", b"done"]
        assert not watched.lost


def test_whoever_speaks_is_not_asked(busy_server, monkeypatch):
    """The two sides of a run tell every half second that they are there: watching them costs nothing."""
    asked = []
    monkeypatch.setattr(Pulse, "answers", lambda self, timeout_s: bool(asked.append(timeout_s)) or True)
    address, free = busy_server
    with closing(Pulse("edge", address, Security())) as watched, closing(open_channel(address, Security())) as channel:
        watched._linked_until = time.monotonic() + pulse.LINKED_S
        call = start_call(channel, ECHO, b"hello", Security(), 30.0)
        with watched.watching(call):
            for _ in range(8):
                watched.heard()
                time.sleep(0.3)
            free.set()
            assert list(call) == [b"hello", b"done"]
    assert not asked


def test_a_controller_that_was_held_up_itself_asks_once_more(busy_server, monkeypatch):
    """A laptop that slept must not give its workers up when it wakes."""
    monkeypatch.setattr(pulse, "SILENCE_S", 2.0)
    address, free = busy_server
    with closing(Pulse("edge", address, Security())) as watched, closing(open_channel(address, Security())) as channel:
        call = start_call(channel, ECHO, b"hello", Security(), 30.0)
        with watched.watching(call):
            time.sleep(0.5)
            # Keeps Python to itself, as if this process had been stopped.
            ctypes.PyDLL(None).usleep(6_000_000)
            time.sleep(0.5)
            free.set()
            assert list(call) == [b"hello", b"done"]


def test_all_calls_to_a_lost_worker_end(busy_server):
    address, _ = busy_server
    with closing(Pulse("edge", address, Security())) as watched, closing(open_channel(address, Security())) as channel:
        call = start_call(channel, ECHO, b"hello", Security(), 30.0)
        threading.Timer(0.5, watched.lose, [5.0]).start()
        with pytest.raises(WorkerFailed, match="was silent for 5 s"), watched.watching(call):
            list(call)
        assert call.code() is grpc.StatusCode.CANCELLED
        assert not watched.answers(1.0)
