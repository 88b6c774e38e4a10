"""decc study: many networks under many conditions, in one table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from decc_core.cli import output
from decc_core.cli.options import Commands, runs
from decc_core.cli.progress import bar
from decc_core.errors import InvalidStudy
from decc_core.ranges import whole_number
from decc_core.text import counted, roughly


@dataclass(frozen=True)
class StudyOptions:
    study: Path
    output: Path | None
    processes: int | None
    dask: str | None
    dry_run: bool
    force: bool
    json: bool

    def __post_init__(self) -> None:
        if self.dask is not None and self.processes is not None:
            raise InvalidStudy("--processes are of this machine and --dask names a cluster; give one of the two.")


def add_commands(commands: Commands) -> None:
    parser = commands.add_parser("study", help="plan many networks under many conditions, as a file describes them")
    parser.add_argument("study", type=Path, metavar="STUDY", help="a TOML file; see docs/studies.md")
    parser.add_argument(
        "--output",
        "-o",
        type=Path,
        metavar="FILE",
        help="the table, a .parquet file; a .csv comes beside it (default: called as the study, in the same folder)",
    )
    parser.add_argument(
        "--processes", type=whole_number, metavar="N", help="to plan with on this machine (default: one for each core)"
    )
    parser.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="plan on the workers of this Dask scheduler, in a network that you trust (default: on this machine)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say how many points there are and about how long they take, and end"
    )
    parser.add_argument(
        "--force", action="store_true", help="begin anew, and replace a table that is there (default: go on)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    runs(parser, plan_study, StudyOptions)


def plan_study(options: StudyOptions) -> None:
    # Imported here: no other command needs tables.
    from decc_core.studies.engines import Dask, Local
    from decc_core.studies.results import csv_of
    from decc_core.studies.run import estimate, run
    from decc_core.studies.study import Study

    study = Study.from_file(options.study)
    # Refused now, and not when all is read.
    engine = Dask(options.dask) if options.dask is not None else Local(options.processes)
    what = "policy" if study.is_streams else "strategy"
    if options.dry_run:
        found = estimate(study, processes=None if options.dask is not None else engine.workers)
        if options.json:
            output.print_json({"study": study.name, **asdict(found)})
            return
        output.say(
            f"{study.name}: {counted(found.points, 'point')} of {counted(found.networks, 'network')}, a row for each "
            f"and {what}, {counted(found.rows, 'row')} in all; about {roughly(found.seconds)} with "
            f"{_processes(found.processes)} of this machine, by {counted(found.measured_points, 'point')} planned here."
        )
        return
    path = options.output or options.study.with_suffix(".parquet")
    try:
        with bar(study.name) as progress:
            made = run(study, path, engine=engine, progress=progress, force=options.force)
    except KeyboardInterrupt:
        output.note(f"what is finished is kept beside {path}; the same command goes on from there.", "decc: ")
        raise
    if options.json:
        output.print_json({"study": study.name, "csv": str(csv_of(path)), **{**asdict(made), "output": str(path)}})
        return
    if not made.planned_points:
        output.say(f"{path} has all of it already; nothing was planned. --force begins anew.")
    else:
        output.say(f"Planned {counted(made.planned_points, 'point')} of {made.points:,}.")
        output.say(f"Wrote {path} and {csv_of(path)}, {counted(made.rows, 'row')}.")
    if made.failed:
        output.note(f"{counted(made.failed, 'row')} without a plan; the column 'error' says why.")


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"
