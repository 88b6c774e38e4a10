"""The examples run as a reader would run them, each in a process of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
LIMIT_S = 300


def said_by(*command: str) -> str:
    """What a Python process prints; it finds this checkout, and fails with what went wrong."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    ended = subprocess.run(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": path},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.slow  # the notebook does the same
def test_the_script_runs_an_own_network_and_finds_its_outputs_equal():
    said = said_by("examples/own_model.py")
    assert "<'SightAndSound': 40 layers, 2 inputs, 1 output" in said
    assert "cloud this machine" in said
    assert re.search(r"^decc: outputs bit-identical; measured .* where .* were predicted", said, re.MULTILINE)


def test_the_notebook_runs_from_its_first_cell_to_its_last():
    said = said_by("-m", "tests.notebook", "examples/own_model.ipynb")
    assert "<table>" in said
    assert said.count("<svg") == 3
    assert "decc: outputs bit-identical" in said
    assert "'cloud.pt2', 'edge.pt2', 'split.json'" in said


def test_the_notebook_is_stored_without_outputs_and_has_the_networks_of_the_script():
    book = json.loads((EXAMPLES / "own_model.ipynb").read_text(encoding="utf-8"))
    assert all(cell["outputs"] == [] for cell in book["cells"] if cell["cell_type"] == "code")
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
    network = re.compile(r"def tower.*?return self\.classify\([^\n]*\)", re.DOTALL)
    (in_script,) = network.findall((EXAMPLES / "own_model.py").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in book["cells"]]
    assert sum(in_script in cell for cell in cells) == 1


def test_the_sweep_names_the_best_strategy_at_every_uplink_and_needs_no_torch():
    code = "import runpy, sys; runpy.run_path('examples/bandwidth_sweep.py'); sys.exit('torch' in sys.modules)"
    rows = [line.split() for line in said_by("-c", code).splitlines()[2:]]
    assert [float(row[0]) for row in rows] == [0.13, 1.1, 5.85, 18.88, 50, 100, 400, 1000]
    makespans = [float(row[3].replace(",", "")) for row in rows]
    assert makespans == sorted(makespans, reverse=True)


def test_the_study_becomes_a_table_of_two_networks_under_forty_conditions(tmp_path):
    assert "80 points" in said_by("-m", "decc_core", "study", "examples/study.toml", "--dry-run")
    rows = tmp_path / "uplinks.parquet"
    said_by("-m", "decc_core", "study", "examples/study.toml", "--output", str(rows))
    said = said_by("-m", "decc_core", "report", str(rows))
    assert re.search(r"^two_tower +8 +contested +7 ", said, re.MULTILINE)
    assert "over the best baseline" in said


@pytest.mark.parametrize("path", sorted(EXAMPLES.iterdir()), ids=lambda path: path.name)
def test_every_example_is_run_by_a_test(path):
    assert path.name == "__pycache__" or path.name in Path(__file__).read_text(encoding="utf-8")
