"""A study from its file to its table: what is finished stays, and whoever stops it may go on later."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from decc_core import files
from decc_core.errors import InvalidStudy, StudyStopped
from decc_core.progress import Progress, silent
from decc_core.studies import columns, results, work
from decc_core.studies.engines import Engine, Local
from decc_core.studies.grid import Grid
from decc_core.studies.materials import Find, Materials, gather
from decc_core.studies.results import Parts
from decc_core.studies.study import Study
from decc_core.text import counted, roughly

START_S = 3.0
"""What it takes about to start processes and to put the table together."""
MOST_MEASURED = 8
"""Points that are planned of each network for an estimate."""


@dataclass(frozen=True)
class Summary:
    """What became of a study; `planned_points` are those of this run, `failed` rows without a plan."""

    points: int
    rows: int
    failed: int
    output: Path
    planned_points: int


@dataclass(frozen=True)
class Estimate:
    """How large a study is, and about how long it takes; measured on so many of its points, planned here."""

    points: int
    rows: int
    lines: int
    networks: int
    seconds: float
    measured_points: int
    processes: int


def run(
    study: Study,
    output: Path,
    *,
    engine: Engine | None = None,
    find: Find | None = None,
    progress: Progress = silent,
    stop: Callable[[], bool] = lambda: False,
    force: bool = False,
) -> Summary:
    """Plan what is not finished yet, and put the table together; `output` is a .parquet file, and a .csv comes beside.

    `stop` is asked a few times a second; where it says so, `StudyStopped` is raised. Finished lines stay beside the
    output until the table is there, and the next run goes on from them. `force` begins anew, and replaces what is
    there.
    """
    if output.suffix != ".parquet":
        raise InvalidStudy(f"The results {output} must be called .parquet; a .csv of the same name comes beside it.")
    files.require_place(output)
    files.require_place(results.csv_of(output))
    materials = gather(study, find)
    grid = Grid(study)
    identity = identity_of(study, materials)
    there = results.identity_of(output)
    if there == identity and not force:
        # Those that did not get a plan are counted anew, which takes no time.
        failed = study.rows - results.read(output, ["status"])["status"].to_pylist().count(columns.PLANNED)
        return Summary(study.points, study.rows, failed, output, 0)
    if there is not None and not force:
        raise InvalidStudy(
            f"{output} is there already, and of another study, or of another version of it, of its networks or of "
            "DECC; name another --output, or replace it with --force."
        )
    parts = Parts.of(output)
    with parts.opened(study, identity, force):
        planned = _plan(study, grid, materials, parts, engine or Local(), progress, stop)
        failed = results.gather(parts, len(grid), output, study, identity)
        parts.remove()
    return Summary(study.points, study.rows, failed, output, planned)


def _plan(
    study: Study,
    grid: Grid,
    materials: Materials,
    parts: Parts,
    engine: Engine,
    progress: Progress,
    stop: Callable[[], bool],
) -> int:
    """Plan the lines that are not finished; says how many points they have."""
    missing = [
        number for number in range(len(grid)) if parts.rows_of(number) != grid.points_of(number) * study.rows_per_point
    ]
    to_plan = sum(map(grid.points_of, missing))
    done, began_s = study.points - to_plan, time.monotonic()
    progress(done, study.points, "starting")
    if not missing:
        return 0
    with closing(engine.run(grid, _hard_first(grid, missing, materials), materials)) as answers:  # type: ignore[type-var]
        for answer in answers:
            if answer is not None:
                content = answer.content
                if answer.reason:
                    line = grid[answer.line]
                    content = work.failed_line(line, materials.kit(line.kit), answer.reason)
                parts.keep(answer.line, content)
                done += grid.points_of(answer.line)
                progress(done, study.points, _pace(done, study.points, to_plan, time.monotonic() - began_s))
            if stop():
                raise StudyStopped(
                    f"The study was stopped after {done:,} of {counted(study.points, 'point')}; start it again, and it "
                    "goes on from there."
                )
    return to_plan


def _pace(done: int, points: int, to_plan: int, took_s: float) -> str:
    planned, left = done - (points - to_plan), points - done
    return f"planning, about {roughly(took_s / planned * left)} left" if planned and left else "planning"


def _hard_first(grid: Grid, missing: list[int], materials: Materials) -> list[int]:
    """The lines with the most layers to plan first, so that all who plan end together; networks stay together."""

    layers = {model: len(materials.graphs[keys[0]].layers) for (model, *_), keys in materials.kits.items()}

    def work_of(number: int) -> int:
        ends = grid.ends(number)
        return -layers[str(ends[0].settings["model"])] * max(int(end.settings.get("requests") or 1) for end in ends)

    return sorted(missing, key=work_of)


def identity_of(study: Study, materials: Materials) -> str:
    """The digest of everything that the rows depend on; equal ones have equal rows."""
    said = asdict(replace(study, text="", folder=Path()))
    said.pop("folder")
    content = json.dumps(
        [said, materials.digest, columns.versions(), list(columns.COLUMNS)], sort_keys=True, default=str
    )
    return hashlib.sha256(content.encode()).hexdigest()


def estimate(
    study: Study,
    *,
    find: Find | None = None,
    processes: int | None = None,
    budget_s: float = 10.0,
    clock: Callable[[], float] = time.perf_counter,
) -> Estimate:
    """How many points a study has, and about how long it takes: some points of every network are planned, here.

    They are spread over each network's points; the exact solver is counted with its limit, which is the most it takes.
    """
    materials, grid = gather(study, find), Grid(study)
    of_model: dict[str, list[int]] = {}
    for number in range(len(grid)):
        of_model.setdefault(str(grid.ends(number)[0].settings["model"]), []).append(number)
    took: dict[str, list[float]] = {model: [] for model in of_model}
    ends_s = clock() + budget_s
    warm = False
    for turn in range(MOST_MEASURED):
        for model, numbers in of_model.items():
            if clock() > ends_s and any(took.values()):
                break
            line = grid[numbers[turn * len(numbers) // MOST_MEASURED]]
            place = (2 * turn + 1) * len(line.points) // (2 * MOST_MEASURED)
            alone = replace(line, points=(line.points[place],), exact_s=None)
            kit = materials.kit(line.kit)
            if not warm:
                # What is loaded and compiled once is no part of a point.
                work.rows_of(alone, kit)
                warm = True
            began_s = clock()
            work.rows_of(alone, kit)
            took[model].append(clock() - began_s)
    measured = [time_s for times in took.values() for time_s in times]
    usual_s = sum(measured) / len(measured)
    seconds = 0.0
    for model, numbers in of_model.items():
        points = sum(map(grid.points_of, numbers))
        each_s = sum(took[model]) / len(took[model]) if took[model] else usual_s
        seconds += points * (each_s + (study.exact_s or 0.0))
    workers = processes or Local().workers
    return Estimate(
        study.points, study.rows, len(grid), len(of_model), START_S + seconds / min(workers, len(grid)), len(measured),
        workers,
    )  # fmt: skip
