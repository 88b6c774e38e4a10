"""How long studies take, and what they need: `python -m benchmarks.studies [--points N] [--dask] [--more] [--rows N]`.

A seeded sample of the zoo's conditions, with one and eight requests, is planned in one process, in two, with `--more`
in four, and, with `--dask`, by two workers of a Dask cluster on this machine, which is started and ended here. Printed
are times, how they compare with half the first, and whether all rows are the same to the bit; and the processor time of
all processes, which a busy machine leaves comparable. `--rows` measures instead how much memory the process needs that
puts so many rows together, without planning any.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from decc_core import library
from decc_core.studies import columns, results, work
from decc_core.studies.engines import ONE_THREAD, Answer, Dask, Engine, Local, Serial
from decc_core.studies.grid import Grid
from decc_core.studies.materials import Materials
from decc_core.studies.run import run
from decc_core.studies.study import Study

POINTS, WORKERS = 10_000, 2
START_S = 60.0
CLOUD = "cpu-2-threads-channels-last"


def study(points: int) -> Study:
    """All networks that are shipped, on a grid of 14,400 conditions for each."""
    axes = {
        "name": "zoo",
        "networks": list(library.shipped_models()),
        "requests": [1, 8],
        "devices": {"cloud": CLOUD, "edge_slowdown": [1, 2, 5, 10, 20, 50], "cloud_speedup": [1, 2, 4, 8]},
        "links": {
            "uplink_mbps": {"from": 0.1, "to": 1000, "count": 60},
            "rtt_ms": [0, 10, 20, 40, 80],
        },
    }
    return Study.from_dict({**axes, "sample": points, "seed": 1})


class Empty:
    """Plans nothing: every line is rows that say so."""

    workers = 1

    def run(self, grid: Grid, lines: Sequence[int], materials: Materials) -> Iterator[Answer | None]:
        for number in lines:
            line = grid[number]
            yield Answer(number, work.failed_line(line, materials.kit(line.kit), "not planned"))


@contextmanager
def cluster(workers: int) -> Iterator[str]:
    """The address of a scheduler with so many workers, which end with it."""
    with tempfile.TemporaryDirectory(prefix="decc-dask-") as place:
        file = Path(place) / "scheduler.json"
        root = str(Path(__file__).resolve().parents[1])
        environment = {
            **os.environ, **ONE_THREAD,
            "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH")))),
        }  # fmt: skip
        common = ("--no-dashboard", "--host", "127.0.0.1", "--scheduler-file", str(file))
        commands = [("distributed.cli.dask_scheduler", "--port", "0", *common)]
        commands += [("distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny", *common)] * workers
        processes = []
        try:
            for command in commands:
                processes.append(
                    subprocess.Popen(
                        [sys.executable, "-m", *command], env=environment, cwd=place, stderr=subprocess.DEVNULL
                    )
                )
                until_s = time.monotonic() + START_S
                while not file.exists() or not file.stat().st_size:
                    if time.monotonic() > until_s:
                        raise SystemExit("the Dask scheduler does not start")
                    time.sleep(0.1)
            yield json.loads(file.read_text(encoding="utf-8"))["address"]
        finally:
            for process in reversed(processes):
                process.terminate()
            for process in processes:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                process.kill()


def processor_s() -> float:
    """Processor time of this process, and of those that it started and that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def timed(name: str, points: int, engine: Engine) -> tuple[float, object]:
    """How long a study takes from its start to its table, and its rows without what no two runs share."""
    with tempfile.TemporaryDirectory(prefix="decc-studies-") as place:
        output = Path(place) / "study.parquet"
        began_s, used_s = time.perf_counter(), processor_s()
        made = run(study(points), output, engine=engine)
        took_s, used_s = time.perf_counter() - began_s, processor_s() - used_s
        table = results.read(output).drop_columns(list(columns.NOT_REPRODUCIBLE))
        print(
            f"{name:>12}: {took_s:7.1f} s, {used_s:.1f} s of processor time; {made.rows:,} rows, {made.failed:,} "
            "without a plan", flush=True,
        )  # fmt: skip
        return took_s, table


def memory(rows: int) -> None:
    with tempfile.TemporaryDirectory(prefix="decc-studies-") as place:
        before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        began_s = time.perf_counter()
        made = run(study(-(-rows // len(study(1).strategies))), Path(place) / "study.parquet", engine=Empty())
        took_s = time.perf_counter() - began_s
        most_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{made.rows:,} rows put together in {took_s:.1f} s; at most {most_mb:.0f} MB, {before_mb:.0f} MB before")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=POINTS, help="of the sample (default: 10,000)")
    parser.add_argument("--dask", action="store_true", help="plan on a Dask cluster, too (default: without)")
    parser.add_argument("--more", action="store_true", help="plan in four processes, too (default: without)")
    parser.add_argument("--rows", type=int, help="measure memory with so many rows instead (default: measure time)")
    given = parser.parse_args()
    if given.rows:
        memory(given.rows)
        return
    serial_s, rows = timed("one process", given.points, Serial())
    local_s, of_local = timed(f"{WORKERS} processes", given.points, Local(WORKERS))
    print(f"  {local_s / (serial_s / WORKERS):.2f}x half the time of one; the same rows: {rows == of_local}")
    if given.more:
        _, of_more = timed(f"{2 * WORKERS} processes", given.points, Local(2 * WORKERS))
        print(f"  the same rows: {rows == of_more}")
    if given.dask:
        used_s = processor_s()
        with cluster(WORKERS) as address:
            dask_s, of_dask = timed(f"{WORKERS} of Dask", given.points, Dask(address))
        print(f"  {processor_s() - used_s:.1f} s of processor time with scheduler and workers, their start included")
        print(f"  {dask_s / (serial_s / WORKERS):.2f}x half the time of one; the same rows: {rows == of_dask}")


if __name__ == "__main__":
    main()
