"""Processes that plan: whoever does, the rows are the same, and one that ends takes no row with it."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from decc_core.errors import InvalidStudy, StudyStopped
from decc_core.network.graph import LayerGraph
from decc_core.studies import results
from decc_core.studies.engines import Local, Serial
from decc_core.studies.run import run
from decc_core.studies.study import Study
from tests.studies import small
from tests.studies.small import TEXT, find
from tests.studies.test_run import reproducible


def planners():
    """The processes of this one that plan for studies."""
    return [child for child in psutil.Process().children() if "decc_core.studies.process" in child.cmdline()]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The rows as one process plans them."""
    output = tmp_path_factory.mktemp("alone") / "study.parquet"
    run(Study.from_text(TEXT), output, engine=Serial(), find=find)
    return reproducible(results.read(output))


@pytest.mark.parametrize("processes", [1, 2])
def test_processes_plan_the_same_to_the_bit(tmp_path, alone, processes):
    output = tmp_path / "study.parquet"
    run(Study.from_text(TEXT), output, engine=Local(processes), find=find)
    assert reproducible(results.read(output)).equals(alone)
    assert not planners()


def test_a_process_that_is_killed_takes_no_row_with_it(tmp_path, alone):
    output, killed = tmp_path / "study.parquet", []

    def kill_one():
        if not killed and planners():
            killed.append(planners()[0].pid)
            os.kill(killed[0], signal.SIGKILL)
        return False

    run(Study.from_text(TEXT), output, engine=Local(2), find=find, stop=kill_one)
    assert killed
    assert reproducible(results.read(output)).equals(alone)


class Deadly(LayerGraph):
    """A graph that ends the process that reads it."""

    def __reduce__(self):
        return os._exit, (7,)


def test_a_line_that_ends_its_process_twice_is_rows_that_say_why(tmp_path):
    deadly = Deadly(small.WIDE.name, small.WIDE.layers, small.WIDE.outputs)

    def found(model, *pair):
        graph, edge, cloud = find(model, *pair)
        return (deadly if model == "wide" else graph), edge, cloud

    output = tmp_path / "study.parquet"
    made = run(Study.from_text(TEXT), output, engine=Local(2), find=found)
    rows = results.read(output).to_pylist()
    assert (made.rows, made.failed, len(rows)) == (96, 48, 96)
    assert {row["network"] for row in rows if row["status"] == "planned"} == {"chain"}
    bad = next(row for row in rows if row["status"] == "failed")
    assert bad["error"] == "The process that planned it ended 2 times (exit status 7)."
    assert bad["uplink_mbps"] > 0


def test_a_study_that_is_stopped_leaves_no_process(tmp_path):
    with pytest.raises(StudyStopped):
        run(Study.from_text(TEXT), tmp_path / "a.parquet", engine=Local(2), find=find, stop=lambda: bool(planners()))
    assert not planners()


def test_a_process_that_cannot_start_says_what_it_said(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(StudyStopped, match="could not be started"):
        run(Study.from_text(TEXT), tmp_path / "study.parquet", engine=Local(1), find=find)


def test_so_many_processes_are_refused():
    with pytest.raises(InvalidStudy, match="1 to 256"):
        Local(0)
