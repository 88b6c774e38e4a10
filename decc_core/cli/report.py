"""decc report: the tables and figures of a study, for terminals, programs and papers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from decc_core import files
from decc_core.cli import output
from decc_core.cli.options import Commands, runs
from decc_core.errors import InvalidInstance
from decc_core.printed.findings import as_latex, as_text, table_csv
from decc_core.printed.sheet import SIZES, Form, printed
from decc_core.studies import results
from decc_core.studies.report import Report, html_page, report_of
from decc_core.study.findings import Table

ENDINGS = {"text": "txt", "csv": "csv", "latex": "tex"}
SIZE_OF = {1: "column", 2: "columns"}


@dataclass(frozen=True)
class ReportOptions:
    results: Path
    format: str
    output: Path | None
    html: Path | None
    columns: int

    def __post_init__(self) -> None:
        files.require(self.results, "the results")
        files.require_place(self.html)
        if self.output is not None and self.output.exists() and not self.output.is_dir():
            raise InvalidInstance(f"{self.output} is a file; --output names a folder for tables and figures.")


def add_commands(commands: Commands) -> None:
    report = commands.add_parser("report", help="tables and figures of a study's results")
    report.add_argument("results", type=Path, metavar="RESULTS", help="the .parquet file that `decc study` wrote")
    report.add_argument("--format", choices=list(ENDINGS), default="text", help="of the tables (default: text)")
    report.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="write the tables, and the figures as SVG and PDF, into this folder (default: print the tables)",
    )
    report.add_argument(
        "--html", type=Path, metavar="FILE", help="write one page with everything in it, too (default: none)"
    )
    report.add_argument(
        "--columns",
        type=int,
        choices=sorted(SIZE_OF),
        default=1,
        help="of a paper that figures and LaTeX tables are as wide as (default: 1)",
    )
    runs(report, tell, ReportOptions)


def tell(options: ReportOptions) -> None:
    table = results.read(options.results)
    report = report_of(table, results.text_of(table))
    if not report.findings.points and not report.findings.failures:
        raise InvalidInstance(f"{options.results} holds no rows; `decc study` makes them.")
    if options.output is None:
        print("\n".join(tables(report, options.format, options.columns).values()), end="")
    else:
        size = SIZES[SIZE_OF[options.columns]]
        for name, text in tables(report, options.format, options.columns).items():
            output.write_bytes(text.encode(), options.output / f"{name}.{ENDINGS[options.format]}")
        for picture in report.pictures:
            for form in (Form.SVG, Form.PDF):
                output.write_bytes(printed(picture, size, form), options.output / f"{picture.name}.{form.value}")
    if options.html is not None:
        output.write_bytes(html_page(report).encode(), options.html)


def tables(report: Report, form: str, columns: int) -> dict[str, str]:
    """Every table by its name."""
    write: Callable[[Table], str] = {
        "text": as_text,
        "csv": lambda table: table_csv(table, report.about),
        "latex": lambda table: as_latex(table, columns),
    }[form]
    return {table.name: write(table) for table in report.findings.tables}
