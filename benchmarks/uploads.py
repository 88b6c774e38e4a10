"""How long a file takes to its first plan: `python -m benchmarks.uploads [--runs N] [--output FILE]`.

A ResNet-50 (about 100 MB of weights) and a SqueezeNet as `.pt2` and as `.onnx`, random weights, each from the file to
the table of all strategies for one request: read by the locked-down process, measured in its quick passes on one and on
all threads, planned at 18.88 Mbit/s and 10 ms. Every run is a fresh process that does nothing else, so that its start
and imports count, which a page that is open has behind it. Stages, in seconds:

- start: both processes, and their imports;
- check: what kind of file it is;
- read: checked part by part, and made a graph by PyTorch or ONNX Runtime;
- write: layers and weights as workers take them;
- measure: the quick profiles, until the reading process has ended;
- plan: all strategies, the proven bound included.

The closing line has the medians of the totals, and how many MB each file has.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from decc_core.problem.scenario import Scenario

STAGES = ("start", "check", "read", "write", "measure", "plan")
SCENARIO = Scenario("upload", uplink_mbps=18.88, rtt_ms=10.0)
BYTES_PER_MB = 1e6
NETWORKS = {"resnet50": "large", "squeezenet1_1": "small"}
FORMATS = ("pt2", "onnx")
SAID = {"checking": "check", "reading": "read", "writing": "write", "measuring": "measure"}
"""The first word of what the loader reports, and the stage that begins with it."""


def first_plan(file: Path) -> dict[str, float]:
    """Read and plan one file; seconds of every stage but the start, on this process's clock."""
    from decc_core.load.process.loader import load_file
    from decc_core.study.compare import compare

    began: dict[str, float] = {}

    def told(done: int, total: int, what: str) -> None:
        began.setdefault(SAID[what.split()[0]], time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        found = load_file(file, Path(folder), progress=told)
    began["plan"] = time.perf_counter()
    assert found.edge is not None
    assert found.cloud is not None
    compare(SCENARIO.instance(found.graph, found.edge, found.cloud))
    ends = [*list(began.values())[1:], time.perf_counter()]
    return {stage: end - begin for (stage, begin), end in zip(began.items(), ends, strict=True)}


def in_a_fresh_process(file: Path) -> dict[str, float]:
    """Seconds of every stage; what the process took beside the others is its start."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.uploads", "--one", str(file)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    total = time.perf_counter() - began
    stages: dict[str, float] = json.loads(said)
    return {"start": total - sum(stages.values()), **stages}


def write(network: str, file: Path) -> None:
    """A network of torchvision with random weights as a file of the kind that its name says."""
    import torch
    import torchvision

    torch.manual_seed(0)
    module, image = torchvision.models.get_model(network).eval(), torch.randn(1, 3, 224, 224)
    if file.suffix == ".pt2":
        torch.export.save(torch.export.export(module, (image,)), file)
        return
    logging.disable(logging.WARNING)
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(module, (image,), file, dynamo=True, external_data=False, verbose=False)


def measure(network: str, kind: str, runs: int) -> dict[str, float]:
    """Median seconds of every stage, and of the whole, over some runs; and the size of the file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{network}.{kind}"
        write(network, file)
        found = [in_a_fresh_process(file) for _ in range(runs)]
        medians = {stage: statistics.median(one[stage] for one in found) for stage in STAGES}
        total_s = statistics.median(sum(one.values()) for one in found)
        return {**medians, "total": total_s, "file_mb": file.stat().st_size / BYTES_PER_MB}


def print_report(rows: dict[str, dict[str, float]]) -> None:
    print(f"{'':22}" + "".join(f"{stage:>10}" for stage in (*STAGES, "total")))
    for name, row in rows.items():
        print(f"{name:22}" + "".join(f"{row[stage]:9.2f}s" for stage in (*STAGES, "total")))


def closing_line(rows: dict[str, dict[str, float]]) -> str:
    figures = {}
    for name, row in rows.items():
        network, _, kind = name.partition(".")
        figures[f"{kind}_{NETWORKS[network]}_mb"] = f"{row['file_mb']:.1f}"
        figures[f"{kind}_{NETWORKS[network]}_s"] = f"{row['total']:.2f}"
    return " ".join(f"{name}={value}" for name, value in figures.items())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=3, help="fresh processes for each file, of which the median counts")
    parser.add_argument("--output", type=Path, help="JSON file for the rows")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(first_plan(options.one)))
        return
    rows = {f"{network}.{kind}": measure(network, kind, options.runs) for network in NETWORKS for kind in FORMATS}
    if options.output:
        options.output.write_text(json.dumps(rows, indent=1))
    print_report(rows)
    print(closing_line(rows))


if __name__ == "__main__":
    main()
