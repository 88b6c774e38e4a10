"""Damaged files of every format end in a value or in one sentence, in bounded time and memory.

A few hundred for each in the ordinary tests; `pytest -m fuzz` makes a hundred thousand, or as many as DECC_FUZZ_FILES
says. What fails is kept, made smaller, below `.hypothesis/finds`; `DECC_FUZZ_FINDS` names another folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from decc_core.models.torch.operators import every_operator
from tests.fuzz import with_atheris
from tests.fuzz.operators import finds
from tests.fuzz.targets import FORMATS, checked
from tests.fuzz.watch import FINDS, Watch, smallest

ROOT = Path(__file__).resolve().parents[2]
FEW = 200
MANY = int(os.environ.get("DECC_FUZZ_FILES", "100000"))
FILES_A_DRAW = 20
"""Drawing takes Hypothesis longer than most files take to read."""
TOLD_EVERY_S = 10


def fuzz(name: str, files: int, tell: Callable[[Watch], None] | None = None) -> Watch:
    """Let Hypothesis draw seeds of damage; the file is what counts, so that it is made smaller by us and not by it.

    With somebody to tell, the draws are other ones each time.
    """
    watch = Watch(name)
    told_s = time.perf_counter()

    @settings(
        max_examples=-(-files // FILES_A_DRAW),
        derandomize=tell is None,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.randoms(use_true_random=True))
    def damaged_files_are_told_apart_from_good_ones(rng):
        nonlocal told_s
        for _ in range(FILES_A_DRAW):
            watch.look(watch.damaged(rng))
        if tell is not None and time.perf_counter() - told_s > TOLD_EVERY_S:
            told_s = time.perf_counter()
            tell(watch)

    damaged_files_are_told_apart_from_good_ones()
    watch.finish()
    return watch


@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_file_ends_in_a_value_or_in_one_sentence(name):
    fuzz(name, FEW)


@pytest.mark.fuzz
@pytest.mark.parametrize("name", FORMATS)
def test_very_many_damaged_files_end_in_a_value_or_in_one_sentence(name, capfd):
    def tell(watch: Watch) -> None:
        with capfd.disabled():
            print(watch, flush=True)

    watch = fuzz(name, MANY, tell)
    tell(watch)
    assert watch.files >= MANY


@pytest.mark.parametrize("name", FORMATS)
def test_a_real_file_is_taken(name):
    assert any(checked(FORMATS[name], seed) for seed in FORMATS[name].seeds())


@pytest.mark.fuzz
@pytest.mark.parametrize("path", sorted(FINDS.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_before_is_mended(path):
    if path.parent.name in FORMATS:
        Watch(path.parent.name).look(path.read_bytes())


def test_a_file_that_fails_is_made_smaller():
    assert smallest(b"0123456789" * 100 + b"!", lambda data: b"!" in data) == b"!"


def test_without_atheris_its_driver_says_what_else_there_is(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "atheris", None)
    assert with_atheris.main(["pt2"]) == 2
    assert "pytest -m fuzz" in capsys.readouterr().err


@pytest.mark.fuzz
def test_atheris_damages_files_as_well():
    pytest.importorskip("atheris", reason="atheris is not installed; it has no wheel for every Python")
    command = [sys.executable, "-m", "tests.fuzz.with_atheris", "stored-profile", "-runs=2000"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert "Done 2000 runs" in ran.stderr


@pytest.mark.fuzz
@pytest.mark.parametrize("operator", every_operator())
def test_no_operator_reads_beside_its_tensors_whatever_its_arguments(operator):
    _, wrong = finds(operator, 0, int(os.environ.get("DECC_FUZZ_SETS", "20000")))
    assert not wrong
