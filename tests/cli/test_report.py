"""decc report: tables on the screen and in files, figures, and one page."""

from __future__ import annotations

import csv
import io

import pyarrow.parquet
import pytest

from decc_core.cli import main
from decc_core.studies import columns, results
from tests.studies.test_report import PLANS, STUDY


@pytest.fixture
def file(tmp_path):
    table = columns.table(PLANS)
    path = tmp_path / "results.parquet"
    pyarrow.parquet.write_table(table.replace_schema_metadata({results.TEXT: STUDY.encode()}), path)
    return path


def test_tables_are_printed(file, capsys):
    assert main(["report", str(file)]) == 0
    said = capsys.readouterr().out
    for words in ("How many times better decc is", "Who wins", "Where decc loses", "no plan in 10 s", "contested"):
        assert words in said


def test_tables_are_printed_for_programs_and_for_papers(file, capsys):
    assert main(["report", str(file), "--format", "csv"]) == 0
    first = capsys.readouterr().out.split("\n\n")[0]
    rows = list(csv.DictReader(io.StringIO(first)))
    assert {row["network"] for row in rows} == {"all networks", "net", "other"}
    assert main(["report", str(file), "--format", "latex", "--columns", "2"]) == 0
    assert r"\begin{table*}" in capsys.readouterr().out


def test_a_folder_gets_tables_and_figures_and_a_page_comes_beside(file, tmp_path):
    folder, page = tmp_path / "out", tmp_path / "report.html"
    assert main(["report", str(file), "--format", "latex", "--output", str(folder), "--html", str(page)]) == 0
    there = {path.name for path in folder.iterdir()}
    assert {"gain-decc.tex", "winners.tex", "gain-decc.svg", "gain-decc.pdf", "distribution-decc.pdf"} <= there
    assert (folder / "gain-decc.pdf").read_bytes().startswith(b"%PDF")
    assert page.read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(200) + b"PAR1", b"a,b\n1,2\n"])
def test_a_file_that_is_no_results_is_refused_in_one_line(content, tmp_path, capsys):
    path = tmp_path / "results.parquet"
    path.write_bytes(content)
    assert main(["report", str(path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_what_cannot_be_written_is_told_before_anything_is_read(file, tmp_path, capsys):
    assert main(["report", str(file), "--output", str(file)]) == 2
    assert "names a folder" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "missing.parquet")]) == 2
    assert "missing.parquet" in capsys.readouterr().err
