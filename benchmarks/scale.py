"""What planning takes on large and on awkward networks: `python -m benchmarks.scale [NAME ...]`.

All strategies and the bound, each probe in a fresh process. Seconds are the processor's, for planning alone; memory is
the peak on top of what the imports and the first small plan (which loads the compiled loops) hold, the network
included. A probe that takes more than two such minutes or 8 GB is ended, and the table says so.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from decc_core.network.graph import INPUT, Layer, LayerGraph, TensorRef, TensorSpec
from decc_core.problem.constraints import Constraints
from decc_core.problem.instance import CostInstance
from decc_core.study.compare import compare

SEED = 2024
LIMIT_S = 120
LIMIT_BYTES = 8 << 30
KIB_PER_MB = 1e6 / 1024
SPEC = (TensorSpec((1,), "float32"),)


def network(reads: Sequence[Sequence[int]], returned: Sequence[int] = ()) -> LayerGraph:
    """Layers by the numbers of those that they read; unread ones are returned, and those in `returned`."""
    layers = tuple(
        Layer(f"n{i}", "op" if parents else INPUT, tuple(TensorRef(f"n{parent}") for parent in parents), SPEC)
        for i, parents in enumerate(reads)
    )
    outputs = {*range(len(reads))}.difference(*reads) | {*returned}
    return LayerGraph("probe", layers, tuple(TensorRef(f"n{i}") for i in sorted(outputs)))


def instance(graph: LayerGraph, requests: int = 1, seed: int = SEED) -> CostInstance:
    """Random times of which the cloud's are a fifth of the edge's, and tensors that take as long as a few layers."""
    rng = random.Random(seed)

    def times(scale: int) -> tuple[int, ...]:
        return tuple(0 if layer.is_input else rng.randint(1, scale) for layer in graph.layers)

    sent = tuple(rng.randint(1, 300_000) for _ in graph.tensors)
    return CostInstance(graph, times(100_000), times(20_000), sent, sent, sent, half_rtt_ns=100_000, requests=requests)


def chain(layers: int) -> CostInstance:
    return instance(network([[], *([i] for i in range(layers - 1))]))


def limited(plain: CostInstance) -> CostInstance:
    """The same where every layer reads weights of its own, and the edge has memory for half of them."""
    layers = tuple(
        layer if layer.is_input else replace(layer, parameters=(layer.name,)) for layer in plain.graph.layers
    )
    weights = {layer.name: 1 for layer in layers if not layer.is_input}
    graph = replace(plain.graph, layers=layers, parameter_bytes=weights)
    return replace(plain, graph=graph, constraints=Constraints(edge_memory_bytes=len(layers) // 2))


def residual_chain(layers: int, requests: int) -> CostInstance:
    """Blocks of two layers and the sum of their result and what they read."""
    reads: list[list[int]] = [[]]
    while len(reads) < layers:
        last = len(reads) - 1
        reads += [[last], [last + 1], [last, last + 2]]
    return instance(network(reads), requests)


def readers(layers: int) -> CostInstance:
    """Layers that all read the input, and are all returned; the cloud is done with all before the edge is with one."""
    found = instance(network([[], *([0] for _ in range(layers))]))
    soon = tuple(time_ns // 100 for time_ns in found.uplink_ns)
    return replace(found, edge_ns=(0, *(20_000_000,) * layers), uplink_ns=soon, downlink_ns=soon)


def random_dag(seed: int) -> CostInstance:
    """20 to 30 layers that read up to three others, most of them recent ones; several are returned."""
    rng = random.Random(seed)
    reads: list[list[int]] = [[]]
    for i in range(1, rng.randint(20, 30)):
        pool = range(max(0, i - 4), i) if rng.random() < 0.7 else range(i)
        reads.append(rng.sample(pool, min(len(pool), rng.choice((1, 1, 1, 2, 3)))))
    return instance(network(reads, rng.sample(range(1, len(reads)), 2)), seed=seed)


PROBES: dict[str, tuple[str, Callable[[], list[CostInstance]]]] = {
    "chain-20000": ("3 s, 500 MB", lambda: [chain(20_000)]),
    "chain-5000": ("150 MB", lambda: [chain(5_000)]),
    "chain-5000-memory": ("under a limit on the edge's memory: 3 s, 150 MB", lambda: [limited(chain(5_000))]),
    "chain-20000-memory": ("likewise: 3 s, 500 MB", lambda: [limited(chain(20_000))]),
    "residual-10000": ("8 requests: 5 s, 600 MB", lambda: [residual_chain(10_000, 8)]),
    "readers-500": ("a plan", lambda: [readers(500)]),
    "dags-200": ("slowest 1 s, median 50 ms", lambda: [random_dag(seed) for seed in range(200)]),
}
"""What is planned, and what it should take at most."""


def probe(name: str) -> None:
    """Plan, and print what it took as JSON; runs in a process of its own."""
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
    for requests in (1, 8):
        compare(residual_chain(20, requests=requests))
    compare(random_dag(SEED))
    end_s = int(time.process_time()) + LIMIT_S
    resource.setrlimit(resource.RLIMIT_CPU, (end_s, end_s))
    before = _memory_kib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
    seconds = []
    for one in PROBES[name][1]():
        began = time.process_time()
        compare(one)
        seconds.append(time.process_time() - began)
    print(json.dumps({"seconds": seconds, "mb": (_memory_kib("VmHWM") - before) / KIB_PER_MB}))


def _memory_kib(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def measured(name: str) -> str:
    """What a probe took, or how it ended, in the columns of the table."""
    command = [sys.executable, "-m", "benchmarks.scale", "--probe", name]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    if child.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"{f'ended after {LIMIT_S} s':>40}"
    if child.returncode:
        why = child.stderr.strip().splitlines() or [f"ended with status {child.returncode}"]
        return f"{why[-1][:40]:>40}"
    found = json.loads(child.stdout)
    seconds = found["seconds"]
    return f"{max(seconds):>12.3f} {statistics.median(seconds):>12.3f} {found['mb']:>14.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PROBES)} (default: all)")
    parser.add_argument("--probe", choices=PROBES, help="only this one, in this process")
    options = parser.parse_args()
    if options.probe:
        probe(options.probe)
        return
    print(f"{'probe':<16} {'slowest, s':>12} {'median, s':>12} {'MB on top':>14}   to reach")
    for name in options.names or PROBES:
        print(f"{name:<16} {measured(name)}   {PROBES[name][0]}", flush=True)


if __name__ == "__main__":
    main()
