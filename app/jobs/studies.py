"""A study in the background of a visit: one process with little priority plans point by point, and may be ended.

The process gets the study and all that it plans with from this server, and opens no file but the results that it
writes into a folder of its own.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.jobs.file import FileJob
from app.jobs.job import Job, ProcessJob
from app.jobs.planner import LITTLE_PRIORITY
from app.jobs.planners import PLANNERS, ROOT
from decc_core.errors import DeccError, InvalidStudy, NotPossible, UnreadableFile
from decc_core.load.limits import Limits
from decc_core.load.process.loader import read_table
from decc_core.network.graph import LayerGraph
from decc_core.problem.instance import CostInstance
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.scenario import Scenario
from decc_core.studies.columns import COLUMNS, PLANNED, SCHEMA, Row
from decc_core.studies.report import Report, report_of
from decc_core.studies.study import Study

if TYPE_CHECKING:
    from pyarrow import Table

Kits = dict[tuple[str, str, str], tuple[LayerGraph, DeviceProfile, DeviceProfile]]
"""Graph and profiles by the names of network, edge and cloud."""
one_study_at_a_time = threading.Lock()
MOST_POINTS = 5_000
"""Of a study on the page; `decc study` plans larger ones."""
MOST_ROWS = 50_000
"""Of results that are sent; `decc report` takes more."""
READER_BYTES = 4 << 30
LONGEST_TEXT = 1_000_000
LONGEST_S = 1800.0
MOST_SHOWN = 1_000
"""So many points stand in the list from which one is opened."""
ESTIMATE_S = 3.0
QUIET_S = 0.6
"""Choices that follow each other are one question: how long it takes is asked where they come to rest."""
RESULTS = "results.parquet"
TABLES = ("devices", "links", "constraints")
"""Tables of a study's file; all others stand on top."""


def toml_of(said: Mapping[str, Any], comment: str = "") -> str:
    """What the page says, as the file that `decc study` takes."""
    lines = [f"# {line}" for line in comment.splitlines()]
    lines += [f"{key} = {_value(value)}" for key, value in said.items() if key not in TABLES]
    for table in TABLES:
        if said.get(table):
            lines += ["", f"[[{table}]]", *(f"{key} = {_value(value)}" for key, value in said[table].items())]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    """As TOML writes it: texts and lists as in JSON, but for letters that JSON need not escape, and TOML must."""
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")


def require_size(study: Study) -> None:
    """Refuse what would keep the server for too long."""
    if study.points > MOST_POINTS:
        raise InvalidStudy(
            f"The study has {study.points:,} points, and the page plans at most {MOST_POINTS:,} at a time; choose "
            "fewer, take a seeded sample of them (sample = 1000 in the file), or save the file and run `decc study`."
        )


def finder(kits: Kits) -> Callable[[str, str, str], tuple[LayerGraph, DeviceProfile, DeviceProfile]]:
    """Finds what was gathered, and nothing else."""

    def find(network: str, edge: str, cloud: str) -> tuple[LayerGraph, DeviceProfile, DeviceProfile]:
        try:
            return kits[network, edge, cloud]
        except KeyError:
            raise InvalidStudy(f"There is nothing known of '{network}' on '{edge}' and '{cloud}'.") from None

    return find


def expected_s(text: str, kits: Kits) -> float:
    """About how long a study takes, by planning some of its points; asked of a process that plans for the page."""
    from decc_core.studies.run import estimate

    return float(estimate(Study.from_text(text), find=finder(kits), processes=1, budget_s=ESTIMATE_S).seconds)


@dataclass
class EstimateJob(Job):
    """How long a study would take."""

    what = "The estimate"
    longest_s = 60.0
    study: Study
    kits: Kits = field(repr=False)
    seconds: float | None = None
    made_s: float = field(default_factory=time.monotonic)

    def _work(self) -> None:
        if self.stopped.wait(QUIET_S):
            return
        self.seconds = PLANNERS.ask(_any_instance(self.kits), expected_s, self.study.text, self.kits)


def _any_instance(kits: Kits) -> CostInstance:
    """What a question is about, where it is about many."""
    (model, _, _), (graph, edge, cloud) = next(iter(kits.items()))
    return Scenario(model).instance(graph, edge, cloud)


@dataclass
class StudyJob(ProcessJob):
    """One study of one visitor; of one that was stopped, what was finished stays."""

    what = "The study"
    longest_s = LONGEST_S
    study: Study
    kits: Kits = field(repr=False)
    report: Report | None = None
    table: Table | None = field(default=None, repr=False)
    points: list[Row] = field(default_factory=list, repr=False)
    started_s: float | None = None

    def __post_init__(self) -> None:
        require_size(self.study)
        self.total = self.study.points

    @property
    def left_s(self) -> float | None:
        """About how long it will go on, by its own pace."""
        if self.started_s is None or not 0 < self.done < self.total:
            return None
        return (time.monotonic() - self.started_s) / self.done * (self.total - self.done)

    def _work(self) -> None:
        self.doing = "waiting for another visitor's study"
        with (
            tempfile.TemporaryDirectory(prefix="decc-study-", ignore_cleanup_errors=True) as place,
            self._turn(one_study_at_a_time) as mine,
        ):
            if not mine:
                return
            self.doing = "starting a process to plan"
            self.started_s = time.monotonic()
            try:
                self._planned(Path(place) / RESULTS)
            finally:
                self._take(Path(place) / RESULTS)
                # Networks may be large.
                self.kits = {}

    def _planned(self, output: Path) -> None:
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        process = subprocess.Popen(
            [sys.executable, "-m", "app.jobs.studies"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            # Ctrl-C in the server's terminal ends the server, which ends its processes.
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        self._started(process.kill)
        try:
            with suppress(OSError):
                pickle.dump((self.study.text, self.study.name, self.kits, str(output)), process.stdin)
                process.stdin.flush()
            for line in process.stdout:
                told = json.loads(line)
                if "failure" in told:
                    raise NotPossible(told["failure"])
                self._hear(told["done"], told["total"], told["what"])
            if process.wait() != 0 and not self.stopped.is_set():
                raise NotPossible("The process that planned the study was ended by the system; choose fewer points.")
        finally:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                with suppress(OSError):
                    stream.close()

    def _take(self, output: Path) -> None:
        """Keep what is finished, whatever came in between."""
        from decc_core.studies import results

        with suppress(DeccError):
            table = results.so_far(output)
            if table.num_rows:
                # Read, so that it outlives the folder.
                self.table = table.combine_chunks()
                self.points = point_rows(self.table)
                self.report = report_of(self.table, self.study.text)


@dataclass
class ResultsJob(FileJob):
    """Results that somebody made with `decc study`, read by a process of its own."""

    what = "Reading the results"
    report: Report | None = None
    table: Table | None = field(default=None, repr=False)
    points: list[Row] = field(default_factory=list, repr=False)

    def _read(self) -> None:
        import pyarrow

        from decc_core.studies import results

        kinds = {name: str(kind) for name, kind in COLUMNS.items()}
        limits = replace(Limits.from_environment(), memory_bytes=READER_BYTES)
        limits.require(file_bytes=len(self.content))
        found = read_table(self.content, self.file_name, kinds, MOST_ROWS, limits, self._hear, self._started)
        try:
            table = pyarrow.Table.from_pydict(found.columns, schema=SCHEMA)
        except (pyarrow.ArrowException, TypeError, ValueError):
            raise UnreadableFile(f"{self.file_name} does not hold what its columns say; make it anew.") from None
        # Of what is said about it the study's file alone is taken.
        text = found.about.get(results.TEXT.decode(), "")[:LONGEST_TEXT]
        self.table = table.replace_schema_metadata({results.TEXT: text.encode()})
        self.report = report_of(self.table, text)
        self.points = point_rows(self.table)


def point_rows(table: Table) -> list[Row]:
    """A row of each of the first points that were planned: decc's where there is one."""
    rows: dict[int, Row] = {}
    for batch in table.to_batches(max_chunksize=1000):
        for row in batch.to_pylist():
            if row["status"] == PLANNED and (row["point"] not in rows or row["strategy"] == "decc"):
                if len(rows) == MOST_SHOWN and row["point"] not in rows:
                    return list(rows.values())
                rows[row["point"]] = row
    return list(rows.values())


def parquet_of(table: Table) -> bytes:
    """The results as the file that `decc report` reads."""
    import pyarrow.parquet

    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file, compression="zstd")
    return file.getvalue()


def csv_of(table: Table) -> bytes:
    import pyarrow.csv

    file = io.BytesIO()
    pyarrow.csv.write_csv(table, file)
    return file.getvalue()


def main() -> int:
    """Plan the study that stands on standard input; says how far it is in lines of JSON."""
    from decc_core.studies.engines import Serial
    from decc_core.studies.run import run

    os.nice(LITTLE_PRIORITY)
    out, sys.stdout = sys.stdout, sys.stderr

    def tell(**told: object) -> None:
        print(json.dumps(told), file=out, flush=True)

    try:
        text, _, kits, output = pickle.load(sys.stdin.buffer)
        threading.Thread(target=_end_with_the_parent, daemon=True).start()
        study = Study.from_text(text)
        run(
            study,
            Path(output),
            engine=Serial(),
            find=finder(kits),
            progress=lambda done, total, what: tell(done=done, total=total, what=what),
        )
    except DeccError as error:
        tell(failure=str(error))
    return 0


def _end_with_the_parent() -> None:
    """The parent holds our standard input open for as long as it wants us."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    # At once: the thread that waits for the parent holds standard input.
    os._exit(main())
