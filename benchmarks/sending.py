"""What sending costs the cores that compute: `python -m benchmarks.sending [--networks NAME ...] [--rounds N]`.

A process computes passes of a network on one thread while it sends at a steady rate, as an edge worker does: tensors of
1 MB, framed, paced and carried by the project's own code to a cloud worker, which swallows them. The worker has the
second core; the thread that sends shares the core that computes, or the worker's. Passes with and without sending take
turns, so that whatever else happens on the machine meets both alike.

Printed is the median time of a pass, how much longer it takes while sending, the processor time of sender and receiver
as a share of a core, what the sender takes for each megabyte, and how many messages there were.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import product
from multiprocessing import get_context
from typing import Any

import psutil
import torch

from decc_core.models import zoo
from decc_core.network.work import Resource
from decc_core.problem.link import Link
from decc_core.runtime.wire import pacing
from decc_core.runtime.wire.assembly import TensorChunk
from decc_core.runtime.wire.messages import encode
from decc_core.runtime.wire.methods import PROBE
from decc_core.runtime.wire.pacing import LinkShape, Pacer, sleep_until
from decc_core.runtime.wire.processes import LocalWorker
from decc_core.runtime.wire.transport import open_channel, start_call

TENSOR_BYTES = 1_000_000
BLOCK_S = 0.5


@dataclass
class Sender:
    """Sends tensors one after the other at a rate, for as long as it is `on`."""

    worker: LocalWorker
    mbps: float
    on: threading.Event = field(default_factory=threading.Event)
    over: bool = False
    sent_bytes: int = 0
    messages: int = 0

    def messages_of(self) -> Iterator[bytes]:
        data, shape = bytes(TENSOR_BYTES), LinkShape.of(Link.mbps(self.mbps, overhead_ms=0.1))
        while True:
            while not self.on.wait(0.05):
                if self.over:
                    return
            pacer = Pacer(shape.uplink, shape, time.perf_counter_ns())
            while self.on.is_set():
                for first, end, deadline_ns in pacer.plan(len(data), time.perf_counter_ns()):
                    while self.on.is_set() and time.perf_counter_ns() < deadline_ns:
                        sleep_until(deadline_ns)
                    if not self.on.is_set():
                        break
                    self.sent_bytes += end - first
                    self.messages += 1
                    # A probe swallows what begins with this letter.
                    yield b"u" + encode(TensorChunk(0, 0, first, bytes(data[first:end])))

    def run(self) -> None:
        with closing(open_channel(self.worker.address, self.worker.security)) as channel:
            for _ in start_call(channel, PROBE, self.messages_of(), self.worker.security, None):
                pass


@dataclass(frozen=True)
class Row:
    """What one network felt of one rate; times in seconds."""

    pass_s: float
    slower: float
    sender_share: float
    receiver_share: float
    sender_ms_per_mb: float
    messages_per_s: float


def measured(network: str, mbps: float, rounds: int, computes_on: int, sends_on: int) -> Row:
    """Blocks of passes with and without sending, by turns."""
    os.sched_setaffinity(0, {sends_on})
    model, worker = zoo.extracted(network), LocalWorker.start(Resource.CLOUD)
    try:
        worker.wait_ready()
        receiver = psutil.Process(worker.process.pid)
        for thread in receiver.threads():
            os.sched_setaffinity(thread.id, {1})
        sender = Sender(worker, mbps)
        thread = threading.Thread(target=sender.run, daemon=True)
        thread.start()
        rows: list[Row] = []
        computer = threading.Thread(target=lambda: rows.append(_rounds(model, sender, receiver, rounds, computes_on)))
        computer.start()
        computer.join()
        sender.over = True
        thread.join(5)
        return rows[0]
    finally:
        worker.stop()


def _rounds(model: Any, sender: Sender, receiver: psutil.Process, rounds: int, core: int) -> Row:
    os.sched_setaffinity(0, {core})
    torch.set_num_threads(1)
    inputs = model.random_inputs(0)
    for _ in range(3):
        model.run(inputs)
    began = time.perf_counter()
    model.run(inputs)
    passes = max(2, round(BLOCK_S / (time.perf_counter() - began)))

    def block() -> float:
        began = time.perf_counter()
        for _ in range(passes):
            model.run(inputs)
        return (time.perf_counter() - began) / passes

    alone, slower, sending_s, sender_s, receiver_s = [], [], 0.0, 0.0, 0.0
    for _ in range(rounds):
        before = block()
        sender.on.set()
        time.sleep(0.1)
        wall, own, process, theirs = time.perf_counter(), time.thread_time(), time.process_time(), _cpu_s(receiver)
        while_sending = block()
        sending_s += time.perf_counter() - wall
        sender_s += time.process_time() - process - (time.thread_time() - own)
        receiver_s += _cpu_s(receiver) - theirs
        sender.on.clear()
        time.sleep(0.1)
        after = block()
        alone += [before, after]
        slower.append(2 * while_sending / (before + after) - 1)
    # Bytes and messages were counted in the 0.1 s before each block, too.
    total_s = sending_s + 0.1 * rounds
    return Row(
        statistics.median(alone), statistics.median(slower), sender_s / sending_s, receiver_s / sending_s,
        1e3 * sender_s / (sender.sent_bytes / 1e6) * total_s / sending_s, sender.messages / total_s,
    )  # fmt: skip


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--networks", nargs="*", default=["googlenet", "squeezenet1_1"])
    parser.add_argument("--mbps", nargs="*", type=float, default=[20.0, 100.0, 500.0])
    parser.add_argument("--chunks-ms", nargs="*", type=float, default=[pacing.CHUNK_S * 1e3])
    parser.add_argument("--rounds", type=int, default=12)
    chosen = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {psutil.cpu_count()} cores, torch {torch.__version__}")
    print("network          Mbit/s  chunk ms  sends on    pass ms  slower  sender  receiver  sender ms/MB  messages/s")
    for network, mbps, chunk_ms in product(chosen.networks, chosen.mbps, chosen.chunks_ms):
        for sends_on, told in ((0, "same core"), (1, "other core")):
            with ProcessPoolExecutor(1, get_context("spawn"), _set_chunk, (chunk_ms / 1e3,)) as pool:
                row = pool.submit(measured, network, mbps, chosen.rounds, 0, sends_on).result()
            print(
                f"{network:16} {mbps:6g}  {chunk_ms:8g}  {told:10}  {row.pass_s * 1e3:7.2f}  {row.slower:6.1%}  "
                f"{row.sender_share:6.1%}  {row.receiver_share:8.1%}  {row.sender_ms_per_mb:12.2f}  "
                f"{row.messages_per_s:10.0f}",
                flush=True,
            )


def _set_chunk(time_s: float) -> None:
    pacing.CHUNK_S = time_s


if __name__ == "__main__":
    main()
