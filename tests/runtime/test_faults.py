"""What goes wrong ends within its deadline, with a sentence naming worker and request, and leaves nothing behind."""

from __future__ import annotations

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace

import grpc
import psutil
import pytest

from decc_core import store
from decc_core.cli import main
from decc_core.errors import WorkerFailed
from decc_core.models.device import ONE_THREAD
from decc_core.models.ref import NetworkRef
from decc_core.network.work import Resource
from decc_core.plans.plan import Execution
from decc_core.profiling.settings import ProfileSettings
from decc_core.runtime.controller import client as client_module
from decc_core.runtime.controller.client import WorkerClient, WorkerPair
from decc_core.runtime.controller.live import local_workers
from decc_core.runtime.controller.plan_run import PlanRun
from decc_core.runtime.controller.report import RunSettings
from decc_core.runtime.wire import messages as m
from decc_core.runtime.wire import methods, processes
from decc_core.runtime.wire.assembly import TensorChunk, TensorHead
from decc_core.runtime.wire.pacing import LinkShape
from decc_core.runtime.wire.processes import LocalWorker
from decc_core.runtime.wire.transport import Address, Security, metadata
from tests.runtime.networks import LINK, fork, instance, split_plan

SETTINGS = RunSettings(LinkShape.of(LINK), dilation=1.0, silence_s=3.0)
BOUND_S = 25.0
"""Every failure must be told within this time, generously for a busy machine."""


@pytest.fixture
def pair():
    with local_workers() as workers:
        workers.load(NetworkRef.of(fork()))
        yield workers
        pids = [client.process.process.pid for client in workers.clients.values()]
    assert not any(map(psutil.pid_exists, pids))


def process_of(pair, side):
    return pair.clients[side].process.process


def run_and_break(pair, breaking, settings=SETTINGS, requests=8, after=2):
    """Run consecutively, and break something once so many requests are finished."""
    one = instance(requests=requests)

    def told(done, total, what):
        if what == "running" and done == after:
            breaking()

    began = time.monotonic()
    report = pair.run(one, split_plan(one, Execution.CONSECUTIVE), settings, told)
    assert time.monotonic() - began < BOUND_S
    return report


@pytest.mark.parametrize("side", [Resource.EDGE, Resource.CLOUD])
def test_a_worker_killed_during_its_part_is_named_with_the_open_requests(pair, side):
    report = run_and_break(pair, process_of(pair, side).kill)
    assert f"The {side.value} worker at" in report.failure
    assert "was killed by signal 9" in report.failure
    assert "not finished; 2 of 8 keep their results" in report.failure
    assert sorted(report.outputs) == [0, 1]
    assert all(found.equal for found in report.differences.values())


def test_a_worker_killed_after_its_part_does_not_spoil_the_report_and_is_named_by_the_next_run(pair):
    one = instance()
    report = pair.run(one, split_plan(one), SETTINGS)
    process_of(pair, Resource.CLOUD).kill()
    assert report.outputs_equal
    with pytest.raises(WorkerFailed, match=r"The cloud worker at .* is not there any more"):
        pair.run(one, split_plan(one), SETTINGS)


def test_a_worker_killed_while_the_other_one_measures_is_told_before_that_is_done(pair, monkeypatch):
    monkeypatch.setattr(client_module, "WELL_S", 0.1)
    killed = []

    def told(done, total, what):
        if not killed:
            process_of(pair, Resource.CLOUD).kill()
            killed.append(time.monotonic())

    settings = ProfileSettings("here", ONE_THREAD, repeats=10_000, warmup=1)
    with pytest.raises(WorkerFailed, match=r"The cloud worker at .* was killed by signal 9"):
        pair.profile(Resource.EDGE, settings, told)
    assert time.monotonic() - killed[0] < 10.0


@pytest.mark.parametrize("side", [pytest.param(Resource.EDGE, marks=pytest.mark.slow), Resource.CLOUD])
def test_a_worker_that_falls_silent_is_given_up(pair, side):
    process = process_of(pair, side)
    report = run_and_break(pair, lambda: process.send_signal(signal.SIGSTOP))
    assert f"The {side.value} worker at" in report.failure
    assert "not finished" in report.failure
    process.send_signal(signal.SIGCONT)


def test_what_cannot_finish_remotely_is_completed_on_the_edge_and_marked(pair):
    report = run_and_break(pair, process_of(pair, Resource.CLOUD).kill, replace(SETTINGS, fallback_edge=True))
    assert report.fallen_back == (2, 3, 4, 5, 6, 7)
    assert report.outputs_equal
    assert "cloud worker" in report.failure


class Proxy:
    """A TCP relay to a worker on loopback that can be cut."""

    def __init__(self, target):
        self.target = target
        self.server = socket.create_server(("127.0.0.1", 0))
        self.sockets = []
        self.carried = 0
        self.cut_after = None
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def address(self):
        return Address("127.0.0.1", self.server.getsockname()[1])

    def accept(self):
        with suppress(OSError):
            while True:
                client, _ = self.server.accept()
                there = socket.create_connection((self.target.host, self.target.port))
                self.sockets += [client, there]
                for pair in ((client, there), (there, client)):
                    threading.Thread(target=self.relay, args=pair, daemon=True).start()

    def relay(self, source, sink):
        with suppress(OSError):
            while data := source.recv(4096):
                self.carried += len(data)
                if self.cut_after is not None and self.carried > self.cut_after:
                    self.cut()
                    return
                sink.sendall(data)

    def cut(self):
        for one in [self.server, *self.sockets]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def test_a_link_cut_in_the_middle_of_a_tensor_is_told_from_a_dead_worker(workers, monkeypatch):
    proxy = Proxy(workers.clients[Resource.CLOUD].address)
    monkeypatch.setattr(workers, "cloud_from_edge", proxy.address)
    # One tensor has 8 kB; the third breaks off halfway.
    proxy.cut_after = 22_000
    began = time.monotonic()
    one = instance(requests=8)
    report = workers.run(one, split_plan(one, Execution.CONSECUTIVE), SETTINGS)
    assert time.monotonic() - began < BOUND_S
    assert "link" in report.failure
    assert "was cut" in report.failure
    assert 0 < len(report.outputs) < 8
    monkeypatch.undo()
    assert workers.run(one, split_plan(one), SETTINGS).outputs_equal


HEAD = TensorHead("float32", (1, 8, 16, 16), (0, 1, 2, 3))
DATA = bytes(4 * 8 * 16 * 16)


def attack(pair, messages):
    """Talk to the cloud worker as its edge worker would, and return what the cloud tells the controller."""
    cloud = pair.clients[Resource.CLOUD]
    one = instance(requests=2)
    events = queue.SimpleQueue()
    with PlanRun(pair, one, split_plan(one), SETTINGS).prepared() as run:
        cloud.pace(m.Pace(run.name, SETTINGS.link, one.cloud_ns, 20.0))
        cloud.watch(run.name, 20.0, events)
        link = cloud.channel.stream_stream(methods.LINK.path)
        crossing, open_ = run.plan.sequences[Resource.UPLINK][0].item, threading.Event()

        def sent():
            yield m.encode(m.Hello(run.name))
            # What comes earlier may be over before the worker has heard of it.
            open_.wait(10)
            for message in messages:
                yield message(crossing)
            time.sleep(5)

        with suppress(grpc.RpcError):
            for _ in link(sent(), timeout=10, metadata=metadata(cloud.security)):
                open_.set()
        while True:
            _, event = events.get(timeout=15)
            if not isinstance(event, m.Beat):
                return event.reason if isinstance(event, m.Failed) else str(event)


def part(**changes):
    def make(tensor):
        content = {"request": 0, "tensor": tensor, "offset": 0, "data": DATA, "head": HEAD, "due_ns": 0}
        return m.encode(TensorChunk(**{**content, **changes}))

    return make


@pytest.mark.parametrize(
    ("messages", "sentence"),
    [
        ([part(data=DATA[:100])], "of request 0 .* is truncated: 100 of 8192 bytes"),
        ([part(data=DATA + b"x")], "of request 0 .* is oversized"),
        ([part(head=TensorHead("float64", (1, 8, 16, 16), (0, 1, 2, 3)))], "of request 0 .* wrong type"),
        ([part(request=7)], "of request 7 .* unknown request"),
        ([part(), part()], "of request 0 .* sent twice"),
        ([lambda tensor: b"garbage"], "The edge worker sent a malformed message"),
        ([lambda tensor: bytes(m.MAX_MESSAGE_BYTES + 1)], "edge worker"),
    ],
    ids=["truncated", "oversized", "wrong-type", "unknown-request", "twice", "garbage", "too-long"],
)
def test_malformed_messages_end_the_run_and_the_worker_goes_on(workers, messages, sentence):
    reason = attack(workers, messages)
    assert re.search(sentence, reason), reason
    one = instance()
    assert workers.run(one, split_plan(one), SETTINGS).outputs_equal


def test_a_link_for_an_unknown_run_is_refused(workers):
    cloud = workers.clients[Resource.CLOUD]
    link = cloud.channel.stream_stream(methods.LINK.path)
    call = link(iter([m.encode(m.Hello("nobody"))]), timeout=5, metadata=metadata(cloud.security))
    with pytest.raises(grpc.RpcError, match="knows no run 'nobody'"):
        next(call)


def test_a_busy_worker_refuses_a_second_controller_until_the_first_is_done(workers):
    one = instance()
    plan = split_plan(one)
    with (
        PlanRun(workers, one, plan, SETTINGS).prepared(),
        pytest.raises(WorkerFailed, match="worker is busy with another run"),
    ):
        workers.run(one, plan, SETTINGS)
    assert workers.run(one, plan, SETTINGS).outputs_equal


def test_a_run_whose_controller_is_gone_makes_room_at_once(workers):
    one = instance()
    plan = split_plan(one)
    gone = {side: WorkerClient(side, client.address, client.security) for side, client in workers.clients.items()}
    for side, client in gone.items():
        client.loaded = workers.clients[side].loaded
    run = PlanRun(WorkerPair(*gone.values()), one, plan, SETTINGS)
    run.name = "left"
    saved = store.to_json(store.SavedPlan(one.graph.name, one.graph.fingerprint, plan, "plan"))
    for client in gone.values():
        client.prepare(run._order(client, saved))
    with pytest.raises(WorkerFailed, match="worker is busy with another run"):
        workers.run(one, plan, SETTINGS)
    for client in gone.values():
        client.close()
    time.sleep(1.0)
    assert workers.run(one, plan, SETTINGS).outputs_equal


def test_a_run_that_is_stopped_while_the_unsplit_network_is_computed_begins_no_more(workers):
    one, stop = instance(requests=4), threading.Event()
    with pytest.raises(WorkerFailed, match="stopped before it began"):
        workers.run(one, split_plan(one), SETTINGS, lambda *_: stop.set(), stop)
    assert workers.run(one, split_plan(one), SETTINGS).outputs_equal


@pytest.mark.parametrize("more_bytes", [4 << 20, 64 << 20, 256 << 20])
def test_a_controller_that_may_hardly_grow_says_so_at_once(more_bytes):
    script = (
        "import os, resource; from decc_core.errors import WorkerFailed\n"
        "from decc_core.runtime.controller.live import local_workers\n"
        "held = int(open('/proc/self/statm').read().split()[0]) * os.sysconf('SC_PAGE_SIZE')\n"
        f"resource.setrlimit(resource.RLIMIT_AS, (held + {more_bytes},) * 2)\n"
        "try:\n    with local_workers(): pass\nexcept WorkerFailed as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    assert "does not give this process what a worker needs (768 MB more for threads)" in done.stdout


def test_a_worker_whose_controller_goes_while_it_starts_ends_soon():
    worker = LocalWorker.start(Resource.EDGE)
    worker.process.stdin.close()
    worker.process.wait(30)


def test_a_worker_that_cannot_start_a_thread_ends_and_says_so():
    script = (
        "import runpy, sys, threading; import decc_core.runtime.worker.serve as serve\n"
        'def fail(*_): raise RuntimeError("can\'t start new thread")\n'
        "serve.start_server = fail; sys.argv = ['worker', 'edge']\n"
        "runpy.run_module('decc_core.runtime', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", script], input="token\n", capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "RuntimeError: can't start new thread"


def test_a_run_that_outlasts_its_deadline_is_ended(workers):
    one = instance(requests=8)
    report = workers.run(one, split_plan(one, Execution.CONSECUTIVE), replace(SETTINGS, deadline_s=0.3))
    assert "did not end within" in report.failure
    assert workers.run(one, split_plan(one), SETTINGS).outputs_equal


def test_a_call_without_the_token_is_refused(workers):
    address = workers.clients[Resource.EDGE].address
    for security, sentence in ((Security(), "demands a token"), (Security("guess"), "refuses the token")):
        with pytest.raises(WorkerFailed, match=sentence):
            WorkerClient(Resource.EDGE, address, security).connect("")


def test_a_worker_of_the_other_role_is_refused(workers):
    edge = workers.clients[Resource.EDGE]
    with pytest.raises(WorkerFailed, match="serves as edge, not as cloud"):
        WorkerClient(Resource.CLOUD, edge.address, edge.security).connect("")


def test_a_worker_that_is_frozen_before_it_is_ready_is_given_up(monkeypatch):
    monkeypatch.setattr(processes, "STOPPED_S", 1.0)
    worker = LocalWorker.start(Resource.EDGE)
    worker.process.send_signal(signal.SIGSTOP)
    began_s = time.monotonic()
    with pytest.raises(WorkerFailed, match="The edge worker was stopped from outside before it was ready"):
        worker.wait_ready()
    assert time.monotonic() - began_s < 10.0
    assert worker.process.poll() == -signal.SIGKILL


def test_nobody_there_is_said_at_once():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(WorkerFailed, match="not there any more, or was never reached"):
        WorkerClient(Resource.EDGE, Address("127.0.0.1", port), Security()).connect("")


def cli(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "decc_core", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_a_port_that_is_taken_is_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        process = cli("worker", "--role", "edge", "--listen", f"127.0.0.1:{port}")
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"Cannot listen on 127.0.0.1:{port}" in errors
    assert len([line for line in errors.splitlines() if line.startswith("decc:")]) == 1


@pytest.mark.parametrize("address", ["0.0.0.0:0", "192.0.2.1:7070", "example.org:1"])
def test_other_addresses_demand_tls_and_a_token(address, capsys):
    assert main(["worker", "--role", "edge", "--listen", address]) == 2
    errors = capsys.readouterr().err
    assert "needs a token (--token-file) and a certificate (--tls-certificate) and its key (--tls-key)" in errors


def descendants(pid):
    return psutil.Process(pid).children(recursive=True)


@contextmanager
def running_cli():
    """A live run from the command line, in the middle of its work, and its worker processes."""
    process = cli(
        "run", "squeezenet1_1", "--strategy", "cloud-only", "--uplink-mbps", "0.5", "--requests", "8",
        start_new_session=True,
    )  # fmt: skip
    try:
        limit = time.monotonic() + 60
        while time.monotonic() < limit and len(descendants(process.pid)) < 2:
            time.sleep(0.2)
        time.sleep(8)
        yield process, descendants(process.pid)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_controller_that_is_interrupted_leaves_no_worker(number):
    with running_cli() as (process, workers):
        assert len(workers) == 2
        os.kill(process.pid, number)
        _, errors = process.communicate(timeout=30)
        if number == signal.SIGINT:
            assert process.returncode == 130
            assert "interrupted" in errors
        gone, alive = psutil.wait_procs(workers, timeout=15)
        assert not alive, gone
