"""The last sentence: whatever fails, a user reads one line, and the details lie in a file of their own."""

from __future__ import annotations

import errno
import stat
import tempfile
from pathlib import Path

import pytest

from decc_core.cli import main
from decc_core.errors import WorkerFailed
from decc_core.unforeseen import enough_for, sentence


def failed(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as raised:
        return raised


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    "error", [KeyError("x"), OverflowError("y" * 10**7), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "z\udc80")]
)
def test_the_details_lie_in_a_file_that_nobody_else_may_read(place, error):
    told = [sentence(failed(error), "decc plan \udc80") for _ in range(2)]
    logs = list(place.iterdir())
    assert len(logs) == 2
    for log in logs:
        assert stat.S_IMODE(log.stat().st_mode) == 0o600
        assert any(str(log) in line for line in told)
        content = log.read_text()
        assert "decc plan" in content
        assert log.stat().st_size < 5_000_000
    assert all(type(error).__name__ in line and "\n" not in line for line in told)


def test_without_a_place_for_the_details_the_sentence_has_them(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    assert "could not be written (" in sentence(failed(KeyError("what")), "")


@pytest.mark.parametrize("error", [KeyError("x"), RecursionError("deep"), MemoryError(), AssertionError()])
def test_the_command_line_says_one_line_and_ends_with_status_1(capsys, monkeypatch, place, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("decc_core.cli.plan.compare", fail)
    assert main(["plan", "alexnet"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(
        f"decc: Something failed that DECC did not foresee ({type(error).__name__}). The details"
    )
    assert told.err.count("\n") == 1
    [log] = place.iterdir()
    assert "decc plan alexnet" in log.read_text()
    assert "Traceback" in log.read_text()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("can't start new thread"),
        OSError(errno.EMFILE, "Too many open files"),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
)
def test_what_the_system_does_not_give_is_told_with_the_remedy(error):
    says = r"does not give this process what a live run needs .*`ulimit -a`"
    with pytest.raises(WorkerFailed, match=says), enough_for("a live run", WorkerFailed):
        raise error


@pytest.mark.parametrize(
    "error", [FileNotFoundError(errno.ENOENT, "x"), RuntimeError("else"), WorkerFailed("gone"), KeyError()]
)
def test_other_errors_pass(error):
    with pytest.raises(type(error)) as passed, enough_for("a live run", WorkerFailed):
        raise error
    assert passed.value is error
