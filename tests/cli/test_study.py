"""decc study, as it is called."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas
import pytest

from decc_core import api
from decc_core.cli import main

TEXT = 'networks = "alexnet"\nstrategies = ["edge-only", "decc"]\n[links]\nuplink_mbps = [1, 10, 100]\n'


@pytest.fixture
def study(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(TEXT)
    return file


def test_a_study_becomes_a_table_and_csv_beside_it(study, capsys):
    assert main(["study", str(study), "--processes", "1"]) == 0
    said = capsys.readouterr().out
    assert "Planned 3 points of 3." in said
    assert "6 rows" in said
    frame = pandas.read_parquet(study.with_suffix(".parquet"))
    assert list(frame["strategy"]) == ["edge-only", "decc"] * 3
    assert study.with_suffix(".csv").exists()
    assert main(["study", str(study), "--processes", "1"]) == 0
    assert "nothing was planned" in capsys.readouterr().out
    assert main(["study", str(study), "--processes", "1", "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["planned_points"] == 3


@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGINT])
def test_what_ends_in_the_middle_goes_on_without_losing_or_doubling_a_row(study, capsys, ended_by):
    study.write_text(f"requests = [1, 8]\n{TEXT.replace('[1, 10, 100]', '{ from = 1, to = 100, count = 100 }')}")
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-m", "decc_core", "study", str(study), "--processes", "1"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    parts = study.with_name("mine.parquet.parts")
    until = time.monotonic() + 120
    while len(list(parts.glob("*.parquet"))) < 2 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(ended_by)
    _, said = process.communicate(timeout=60)
    finished = len(list(parts.glob("*.parquet")))
    assert finished >= 2
    assert not study.with_suffix(".parquet").exists()
    if ended_by == signal.SIGINT:
        assert process.returncode == 130
        assert "goes on from there" in said
    assert main(["study", str(study), "--processes", "1", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert 0 < made["planned_points"] < made["points"] == 200
    frame = pandas.read_parquet(study.with_suffix(".parquet"))
    assert len(frame) == 400
    assert not frame.duplicated(["point", "strategy"]).any()
    assert not parts.exists()


def test_a_dry_run_says_how_many_points_and_how_long(study, capsys):
    assert main(["study", str(study), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "3 points of 1 network" in said
    assert "6 rows" in said
    assert not study.with_suffix(".parquet").exists()


def test_mistakes_are_one_line_with_the_place(study, capsys):
    study.write_text(TEXT + "rt_ms = 3\n")
    assert main(["study", str(study)]) == 2
    assert capsys.readouterr().err == "decc: mine.toml, line 5: There is no key 'rt_ms'; did you mean 'rtt_ms'?\n"
    study.write_text(TEXT)
    assert main(["study", str(study), "--dask", "tcp://127.0.0.1:9", "--processes", "2"]) == 2
    assert "one of the two" in capsys.readouterr().err


def test_python_gets_a_frame(study):
    frame = api.study(study, processes=1)
    assert len(frame) == 6
    again = api.study({"networks": "alexnet", "strategies": ["decc"]}, processes=1)
    assert again["makespan_s"][0] > 0
