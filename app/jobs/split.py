"""The pieces of a network as one zip file, made in a process of its own.

Run as a program (`python -m app.jobs.split MODEL PLAN FOLDER [LAYERS TENSORS]`) it is that process: a line of JSON for
each step; with the two files a network that was sent, without them one of the zoo.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.jobs.job import ProcessJob
from decc_core import store
from decc_core.errors import DeccError, SplitFailed
from decc_core.models.ref import NetworkRef
from decc_core.network.graph import LayerGraph
from decc_core.plans.plan import Plan
from decc_core.text import counted

ROOT = Path(__file__).resolve().parents[2]
MAX_BYTES = 1_000_000_000
"""A zip file is held in memory until it is fetched; larger ones are for the command line."""
Progress = Callable[[int, int, str], None]


def size_bytes(graph: LayerGraph, plan: Plan) -> int:
    """About how large the programs of a plan are: each distinct cut has all weights once."""
    return len(set(plan.cuts)) * sum(graph.parameter_bytes.values())


def split_zip(
    graph: LayerGraph,
    saved: store.SavedPlan,
    network: NetworkRef,
    progress: Progress | None = None,
    started: Callable[[Callable[[], None]], None] | None = None,
) -> bytes:
    """The programs, manifest and README of a plan for a network; `started` hears how to kill the process."""
    size = size_bytes(graph, saved.plan)
    if size > MAX_BYTES:
        raise SplitFailed(
            f"The pieces of '{graph.name}' for {counted(len(set(saved.plan.cuts)), 'cut')} take {size / 1e9:.1f} GB, "
            "too much for the page; save the plan and run `decc split` on it."
        )
    with tempfile.TemporaryDirectory(prefix="decc-split-") as place:
        plan_file, folder = Path(place) / "plan.json", Path(place) / "pieces"
        store.save(saved, plan_file)
        arguments = [graph.name, *map(str, (plan_file, folder, *(network.data or ())))]
        _in_process(arguments, progress or (lambda *_: None), started or (lambda kill: None))
        packed = Path(place) / "pieces.zip"
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as file:
            for path in sorted(folder.iterdir()):
                file.write(path, f"pieces/{path.name}")
            file.write(plan_file, "pieces/plan.json")
        return packed.read_bytes()


def _in_process(arguments: list[str], progress: Progress, started: Callable[[Callable[[], None]], None]) -> None:
    progress(0, 1, "starting")
    process = subprocess.Popen(
        [sys.executable, "-m", "app.jobs.split", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    started(process.kill)
    failure = f"The process that splits '{arguments[0]}' ended before it was done; try again."
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            told = json.loads(line)
            if "failure" in told:
                failure = told["failure"]
            else:
                progress(told["done"], told["total"], told["what"])
    if process.returncode != 0:
        raise SplitFailed(failure)


@dataclass
class SplitJob(ProcessJob):
    """One click on Build: progress, and in the end the zip file or a failure."""

    what = "The split"
    graph: LayerGraph
    saved: store.SavedPlan
    network: NetworkRef
    data: bytes | None = None

    def _work(self) -> None:
        try:
            self.data = split_zip(self.graph, self.saved, self.network, self._hear, self._started)
        finally:
            self._kill = None


def main(model: str, plan: Path, folder: Path, *data: Path) -> int:
    from decc_core.split.write import split

    def tell(**words: object) -> None:
        print(json.dumps(words), flush=True)

    try:
        tell(done=0, total=1, what=f"building {model}")
        saved = store.load(plan, store.SavedPlan)
        network = NetworkRef(model, (data[0], data[1]) if data else None)
        split(
            network.build(), saved, folder, progress=lambda done, total, what: tell(done=done, total=total, what=what)
        )
    except DeccError as error:
        tell(failure=str(error))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(Path, sys.argv[2:])))
