"""Studies in the background: the file that choices make, an estimate, a stop, and results of strangers."""

from __future__ import annotations

import io
import tomllib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.jobs import studies
from app.jobs.studies import EstimateJob, Kits, ResultsJob, StudyJob, toml_of
from decc_core import library
from decc_core.errors import InvalidStudy
from decc_core.problem.scenario import DEFAULT_CLOUD, DEFAULT_EDGE
from decc_core.studies import columns, results
from decc_core.studies.study import Study

DEADLINE_S = 120
TEXT = toml_of({"networks": ["alexnet"], "requests": [1, 2], "links": {"uplink_mbps": [1.0, 10.0]}})


def kits() -> Kits:
    graph = library.load_graph("alexnet")
    profiles = [library.load_profile("alexnet", device) for device in (DEFAULT_EDGE, DEFAULT_CLOUD)]
    return {("alexnet", DEFAULT_EDGE, DEFAULT_CLOUD): (graph, *profiles)}


def test_what_is_chosen_comes_back_from_the_file_whatever_its_name_is():
    name = 'own: a "b"\\ \x7f \t图 ]] # [x]'
    said = {"networks": [name], "requests": [1, 8], "wire": "fp32", "links": {"uplink_mbps": [0.5], "rtt_ms": 1.0}}
    found = tomllib.loads(toml_of(said, "Two\nlines."))
    assert found == {**said, "links": [said["links"]]}
    assert toml_of(said, "Two\nlines.").startswith("# Two\n# lines.\n")


def test_a_study_that_is_too_large_is_refused_with_what_to_do():
    text = 'networks = ["alexnet"]\n[[links]]\nuplink_mbps = { from = 1, to = 100, count = 5001 }\n'
    with pytest.raises(InvalidStudy, match="5,001 points, and the page plans at most 5,000"):
        StudyJob(Study.from_text(text), kits())


def test_an_estimate_says_seconds(monkeypatch):
    monkeypatch.setattr(studies, "ESTIMATE_S", 0.1)
    monkeypatch.setattr(studies, "QUIET_S", 0.0)
    job = EstimateJob(Study.from_text(TEXT), kits())
    job.start()
    job.wait(DEADLINE_S)
    assert job.failure is None
    assert job.seconds > 0


def test_a_study_that_is_stopped_has_not_failed_and_lets_the_next_one_begin():
    job = StudyJob(Study.from_text(TEXT), kits())
    job.start()
    job.stop()
    job.wait(DEADLINE_S)
    assert job.over
    assert job.failure is None
    assert studies.one_study_at_a_time.acquire(timeout=DEADLINE_S)
    studies.one_study_at_a_time.release()


def test_a_network_that_was_not_handed_over_is_refused_in_the_process_too():
    job = StudyJob(Study.from_text(toml_of({"networks": ["googlenet"]})), kits())
    job.start()
    job.wait(DEADLINE_S)
    assert "nothing known of 'googlenet'" in job.failure
    assert job.report is None


def read(content: bytes) -> ResultsJob:
    job = ResultsJob("results.parquet", content)
    job.start()
    job.wait(DEADLINE_S)
    return job


def parquet(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({results.TEXT: b"networks = []"}), file)
    return file.getvalue()


ROW = {
    "study": "s", "point": 0, "strategy": "decc", "status": columns.PLANNED, "network": "n", "network_fingerprint": "f",
    "uplink_mbps": 1.0, "requests": 1, "objective_ns": 5, "lower_bound_ns": 5,
}  # fmt: skip


def test_results_of_strangers_are_what_they_say_or_refused(monkeypatch):
    table = columns.table([ROW])
    found = read(parquet(table))
    assert found.failure is None
    assert found.report.text == "networks = []"
    assert [row["strategy"] for row in found.points] == ["decc"]
    place = table.column_names.index("point")
    other = table.set_column(place, "point", pa.array(["0"]))
    assert "no column 'point' of the kind" in read(parquet(other)).failure
    monkeypatch.setattr(studies, "MOST_ROWS", 3)
    assert "4 rows" in read(parquet(columns.table([ROW] * 4))).failure


def test_what_unpacks_to_very_much_is_refused():
    long = columns.table([ROW | {"error": "x" * 40_000}] * 5_000)
    content = parquet(long)
    assert len(content) < 1_000_000
    assert "unpacks to more than 100 MB" in read(content).failure
