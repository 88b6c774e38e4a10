"""A Dask cluster on this machine, started and ended by the tests: one scheduler, two workers, processes all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from decc_core.errors import InvalidStudy
from decc_core.studies import columns, engines, results
from decc_core.studies.engines import Dask, Serial
from decc_core.studies.run import run
from decc_core.studies.study import Study
from tests.studies.small import TEXT, find
from tests.studies.test_run import reproducible

pytest.importorskip("distributed")
ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 100.0
WORKER = ("distributed.cli.dask_worker", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1")
SCHEDULER = ("distributed.cli.dask_scheduler", "--no-dashboard", "--host", "127.0.0.1", "--port", "0")


class Cluster:
    def __init__(self, place: Path) -> None:
        self.place, self.file, self.processes = place, place / "scheduler.json", []
        self.start(*SCHEDULER, "--scheduler-file", str(self.file))
        until = time.monotonic() + LIMIT_S
        while not self.file.exists() or not self.file.stat().st_size:
            assert time.monotonic() < until
            time.sleep(0.1)

    @property
    def address(self) -> str:
        import json

        return json.loads(self.file.read_text())["address"]

    def start(self, module: str, *options: str) -> subprocess.Popen:
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        process = subprocess.Popen(
            [sys.executable, "-m", module, *options],
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            cwd=self.place,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.processes.append(process)
        return process

    def worker(self, *options: str) -> subprocess.Popen:
        # Without a nurse, which would start a worker that is killed anew.
        return self.start(*WORKER, "--no-nanny", "--scheduler-file", str(self.file), *options)

    def end(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


@pytest.fixture
def cluster(tmp_path_factory, monkeypatch):
    # Where much else is going on, workers take long to start.
    monkeypatch.setattr(engines, "WAITING_S", 3 * LIMIT_S)
    made = Cluster(tmp_path_factory.mktemp("dask"))
    yield made
    made.end()


def test_a_cluster_plans_the_same_to_the_bit_and_a_worker_that_is_killed_takes_no_row_with_it(tmp_path, cluster):
    first, _ = cluster.worker(), cluster.worker()
    study, alone = Study.from_text(TEXT), tmp_path / "alone.parquet"
    run(study, alone, engine=Serial(), find=find)
    run(study, tmp_path / "both.parquet", engine=Dask(cluster.address), find=find)
    assert reproducible(results.read(tmp_path / "both.parquet")).equals(reproducible(results.read(alone)))

    def kill_one():
        if first.poll() is None:
            os.kill(first.pid, signal.SIGKILL)
        return False

    run(study, tmp_path / "one.parquet", engine=Dask(cluster.address), find=find, stop=kill_one)
    assert first.wait(10) == -signal.SIGKILL
    assert reproducible(results.read(tmp_path / "one.parquet")).equals(reproducible(results.read(alone)))


def test_workers_of_several_threads_and_of_other_versions_are_refused(tmp_path, cluster, monkeypatch):
    cluster.worker("--nthreads", "2")
    study = Study.from_text(TEXT)
    with pytest.raises(InvalidStudy, match="--nthreads 1"):
        run(study, tmp_path / "a.parquet", engine=Dask(cluster.address), find=find)
    cluster.processes.pop().kill()
    time.sleep(1)
    cluster.worker()
    here = columns.versions()
    monkeypatch.setattr(engines.columns, "versions", lambda: {**here, "decc_version": "0.0.1"})
    with pytest.raises(InvalidStudy, match="install the same version on both sides"):
        run(study, tmp_path / "b.parquet", engine=Dask(cluster.address), find=find)


def test_a_scheduler_that_is_not_there_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "CONNECTING_S", 1.0)
    with pytest.raises(InvalidStudy, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        run(Study.from_text(TEXT), tmp_path / "a.parquet", engine=Dask("tcp://127.0.0.1:9"), find=find)
    with pytest.raises(InvalidStudy, match="No Dask scheduler answers"):
        run(Study.from_text(TEXT), tmp_path / "a.parquet", engine=Dask("no address \n"), find=find)


def test_a_cluster_without_workers_is_one_sentence(tmp_path, cluster, monkeypatch):
    monkeypatch.setattr(engines, "WAITING_S", 1.0)
    with pytest.raises(InvalidStudy, match="dask worker"):
        run(Study.from_text(TEXT), tmp_path / "a.parquet", engine=Dask(cluster.address), find=find)
