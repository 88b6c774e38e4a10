"""Studies from their file to their table, against paper and against comparisons one by one."""

from __future__ import annotations

import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from decc_core import library
from decc_core.errors import InvalidStudy, StudyStopped, UnreadableFile
from decc_core.problem.scenario import Scenario
from decc_core.studies import columns, results
from decc_core.studies.columns import NOT_REPRODUCIBLE, SCHEMA, scenario_of
from decc_core.studies.engines import Local, Serial
from decc_core.studies.grid import Grid
from decc_core.studies.materials import gather, profile_digest
from decc_core.studies.report import report_of
from decc_core.studies.results import Parts
from decc_core.studies.run import estimate, run
from decc_core.studies.study import Study
from decc_core.study.compare import compare
from tests.studies.small import TEXT, find


def planned(text, place, **more):
    """The rows of a study, planned in this process unless told otherwise."""
    run(Study.from_text(text), place / "study.parquet", **{"engine": Serial(), "find": find, **more})
    return results.read(place / "study.parquet")


def reproducible(table):
    return table.drop_columns(list(NOT_REPRODUCIBLE))


def test_rows_are_what_paper_says(tmp_path):
    rows = planned(TEXT, tmp_path).to_pylist()
    assert len(rows) == 96
    (edge,) = (row for row in rows if row["point"] == 0 and row["strategy"] == "edge-only")
    assert (edge["network"], edge["uplink_mbps"], edge["edge_slowdown"], edge["requests"]) == ("chain", 0.001, 1, 1)
    assert edge["objective_ns"] == 200_000_000
    # Two layers of 1 ms, 4 bytes each way at 32 kbit/s, and the round trip.
    (cloud,) = (
        row for row in rows if row["strategy"] == "cloud-only" and row["network"] == "chain"
        and (row["uplink_mbps"], row["edge_slowdown"], row["requests"]) == (0.032, 1, 1)
    )  # fmt: skip
    assert cloud["makespan_s"] == pytest.approx(0.002 + 2 * 0.001 + 0.01, abs=1e-9)
    assert cloud["uplink_bytes"] == 4
    assert cloud["status"] == "planned"
    assert cloud["error"] is None


def test_every_row_is_that_of_a_comparison(tmp_path):
    comparisons = {}
    for row in planned(TEXT, tmp_path).to_pylist():
        scenario = scenario_of(row)
        if scenario not in comparisons:
            instance = scenario.instance(*find(scenario.model, scenario.edge, scenario.cloud))
            comparisons[scenario] = compare(instance, ["edge-only", "cloud-only", "dads-dsl", "decc"])
        comparison = comparisons[scenario]
        assert row["objective_ns"] == comparison.of(row["strategy"]).objective_ns
        assert row["lower_bound_ns"] == comparison.lower_bound_ns


def test_the_table_has_typed_columns_the_study_and_a_csv_beside_it(tmp_path):
    table = planned(TEXT, tmp_path)
    assert table.schema.equals(SCHEMA)
    assert results.text_of(table) == TEXT
    assert results.study_of(table) == Study.from_text(TEXT)
    read = pyarrow.csv.read_csv(tmp_path / "study.csv")
    assert read.num_rows == 96
    assert read["makespan_s"].to_pylist() == table["makespan_s"].to_pylist()
    assert {path.name for path in tmp_path.iterdir()} == {"study.parquet", "study.csv"}


def test_fields_of_a_scenario_all_have_a_column():
    assert set(columns.SCENARIO.values()) == set(Scenario("").choices())


def test_what_is_there_is_not_planned_again(tmp_path):
    planned(TEXT, tmp_path)
    before = (tmp_path / "study.parquet").read_bytes()
    again = run(Study.from_text(TEXT), tmp_path / "study.parquet", engine=Serial(), find=find)
    assert (again.planned_points, again.points, again.rows) == (0, 24, 96)
    assert (tmp_path / "study.parquet").read_bytes() == before


def test_another_study_is_not_written_over_unless_told_to(tmp_path):
    planned(TEXT, tmp_path)
    with pytest.raises(InvalidStudy, match="--force"):
        planned(TEXT.replace("[1, 2]", "[1]", 1), tmp_path)
    assert planned(TEXT.replace("[1, 2]", "[1]", 1), tmp_path, force=True).num_rows == 48


def test_a_study_that_was_stopped_goes_on_without_losing_or_doubling_a_row(tmp_path):
    study, output = Study.from_text(TEXT), tmp_path / "study.parquet"
    seen = []
    with pytest.raises(StudyStopped, match="start it again"):
        run(
            study, output, engine=Serial(), find=find, progress=lambda done, *_: seen.append(done),
            stop=lambda: seen[-1] > 0,
        )  # fmt: skip
    assert 0 < seen[-1] < 24
    assert results.so_far(output).num_rows == 4 * seen[-1]
    assert not output.exists()
    rest = run(study, output, engine=Serial(), find=find)
    assert rest.planned_points == 24 - seen[-1]
    whole = tmp_path / "whole"
    whole.mkdir()
    assert reproducible(results.read(output)).equals(reproducible(planned(TEXT, whole)))


def test_a_part_that_is_damaged_is_planned_again(tmp_path):
    study, output = Study.from_text(TEXT), tmp_path / "study.parquet"
    grid, parts = Grid(study), Parts.of(output)
    seen = []
    with pytest.raises(StudyStopped):
        run(study, output, engine=Serial(), find=find, stop=lambda: bool(seen.append(1)) or len(seen) > 4)
    first = parts.there()[0]
    first.write_bytes(first.read_bytes()[:-10])
    (parts.folder / "line-9999999.parquet.new").write_bytes(b"half")
    run(study, output, engine=Serial(), find=find)
    assert results.read(output).num_rows == 96
    assert len(grid) > 1
    assert not parts.folder.exists()


def test_finished_lines_of_another_study_are_refused(tmp_path):
    output = tmp_path / "study.parquet"
    with pytest.raises(StudyStopped):
        run(Study.from_text(TEXT), output, engine=Serial(), find=find, stop=lambda: True)
    other = Study.from_text(TEXT.replace("rtt_ms = 10", "rtt_ms = 20"))
    with pytest.raises(InvalidStudy, match="another study"):
        run(other, output, engine=Serial(), find=find)
    assert run(other, output, engine=Serial(), find=find, force=True).planned_points == 24


def test_a_point_that_cannot_be_planned_is_rows_that_say_why(tmp_path):
    text = TEXT + '[[constraints]]\n[[constraints]]\nkeep_on_edge = "b"\n[[constraints]]\nkeep_on_edge = "y"\n'
    rows = planned(text, tmp_path).to_pylist()
    assert len(rows) == 3 * 96
    bad = [row for row in rows if row["status"] == "failed"]
    # 'chain' has no layer y; 'wide' has both.
    assert {(row["network"], row["keep_on_edge"]) for row in bad} == {("chain", "y")}
    assert len(bad) == 48
    assert "no layer 'y'" in bad[0]["error"]
    impossible = [row for row in rows if row["status"] == "not possible"]
    assert {row["strategy"] for row in impossible} == {"cloud-only"}
    assert all(row["error"] and row["objective_ns"] is None and row["lower_bound_ns"] > 0 for row in impossible)


def test_the_exact_solver_has_rows_of_its_own(tmp_path):
    text = 'networks = "chain"\nstrategies = ["decc"]\nexact_s = 5\n[links]\nuplink_mbps = [0.001, 1]\n'
    rows = planned(text, tmp_path).to_pylist()
    assert [row["strategy"] for row in rows] == ["decc", "exact"] * 2
    assert rows[0]["objective_ns"] == rows[1]["objective_ns"] == rows[1]["lower_bound_ns"]


def test_streams_have_rows_of_policies(tmp_path):
    text = (
        'networks = "chain"\n[links]\nuplink_mbps = 1\noverhead_ms = 0\n[streams]\nrates_rps = [1, 2]\n'
        'sustained = true\nrequests = 1000\ndeadline_ms = 1000\narrivals = "constant"\n'
        'policies = ["edge-only", "cloud-only"]\n'
    )
    rows = planned(text, tmp_path).to_pylist()
    assert [(row["strategy"], row["rate_rps"]) for row in rows[:4]] == [
        ("edge-only", 1), ("cloud-only", 1), ("edge-only", 2), ("cloud-only", 2)
    ]  # fmt: skip
    # 200 ms on the edge, and requests come one second apart.
    assert rows[0]["p50_s"] == pytest.approx(0.2)
    assert rows[0]["edge_utilisation"] == pytest.approx(0.2, rel=0.01)
    assert rows[0]["sustained_rps"] is None
    assert rows[4]["sustained_rps"] == rows[4]["rate_rps"] == pytest.approx(5, rel=0.01)
    assert all(row["makespan_s"] is None and row["deadline_s"] == 1 for row in rows)


def test_an_estimate_counts_points_and_rows_and_plans_some(tmp_path):
    found = estimate(Study.from_text(TEXT), find=find, processes=2, budget_s=1)
    assert (found.points, found.rows, found.networks, found.processes) == (24, 96, 2, 2)
    assert found.measured_points > 0
    assert found.seconds > 0
    assert not list(tmp_path.iterdir())


def test_networks_that_are_not_there_are_told_before_anything_is_planned(tmp_path):
    study = Study.from_text('networks = ["alexnet", "alexmet"]\n')
    with pytest.raises(InvalidStudy, match="alexmet"):
        run(study, tmp_path / "study.parquet", engine=Serial())
    assert not list(tmp_path.iterdir())


def test_files_of_a_study_lie_beside_it(tmp_path):
    from decc_core import library, store

    store.save(library.load_graph("alexnet"), tmp_path / "mine.json")
    store.save(library.load_profile("alexnet", "cpu-1-thread"), tmp_path / "edge.json")
    (tmp_path / "s.toml").write_text('networks = "mine.json"\n[devices]\nedge = "edge.json"\ncloud = "edge.json"\n')
    study = Study.from_file(tmp_path / "s.toml")
    graph, edge, *_ = gather(study).kit(("mine.json", "edge.json", "edge.json"))
    assert (graph.name, edge.device) == ("alexnet", "cpu-1-thread")


def test_results_must_be_a_table_of_a_study(tmp_path):
    other = tmp_path / "other.parquet"
    pq.write_table(SCHEMA.empty_table(), other)
    with pytest.raises(UnreadableFile, match="no results of a study"):
        results.read(other)
    other.write_bytes(b"PAR1 and no more")
    with pytest.raises(UnreadableFile, match="no Parquet file"):
        results.read(other)


def test_results_are_called_parquet(tmp_path):
    with pytest.raises(InvalidStudy, match=r"\.parquet"):
        run(Study.from_text(TEXT), tmp_path / "study.csv", find=find)


def test_two_at_once_do_not_share_a_folder(tmp_path):
    study, output = Study.from_text(TEXT), tmp_path / "study.parquet"

    def meanwhile():
        with pytest.raises(InvalidStudy, match="in use"):
            run(study, output, engine=Serial(), find=find)
        return True

    with pytest.raises(StudyStopped):
        run(study, output, engine=Serial(), find=find, stop=meanwhile)


WIRES = """\
name = "wires"
networks = ["efficientnet_lite0", "googlenet"]
wire = ["fp32", "int8+zstd", "any"]
min_agreement = ["none", 0.99]
strategies = ["edge-only", "single-cut", "decc"]

[[links]]
uplink_mbps = 5

[wire_profiles]
efficientnet_lite0 = "efficientnet_lite0"
"""


@pytest.mark.parametrize("engine", [Serial(), Local(2)])
def test_what_coding_was_measured_to_do_decides_as_it_does_for_one_comparison(tmp_path, engine):
    rows = planned(WIRES, tmp_path, engine=engine, find=None).to_pylist()
    graph = library.load_graph("efficientnet_lite0")
    profile = library.load_wire_profile("efficientnet_lite0")
    devices = [library.load_profile("efficientnet_lite0", name) for name in (Scenario.edge, Scenario.cloud)]
    for row in rows:
        if row["model"] == "googlenet":
            # Nothing was measured of it: 8 bits and zstd are so many bytes as nobody knows.
            assert (row["status"] == "planned") == (row["wire"] == "fp32")
            assert row["wire_profile"] is row["wire_profile_fingerprint"] is None
            continue
        scenario = Scenario("", wire=row["wire"], uplink_mbps=5.0, min_agreement=row["min_agreement"], measured=profile)
        found = compare(scenario.instance(graph, *devices), ["edge-only", "single-cut", "decc"])
        assert row["objective_ns"] == found.of(row["strategy"]).objective_ns
        assert row["wire_profile"] == "efficientnet_lite0"
        assert row["wire_profile_fingerprint"] == profile_digest(profile)
    assert len({row["objective_ns"] for row in rows if row["strategy"] == "decc"}) > 2
    facts = dict(report_of(results.read(tmp_path / "study.parquet"), WIRES).facts)
    assert facts["wire"] == "any, fp32, int8+zstd"
    assert facts["agreement at least"] == "0.99"
    assert "coded bytes' percentile (%)" not in facts


def test_whoever_says_only_what_is_to_be_kept_leaves_the_format_open(tmp_path):
    text = (
        WIRES.replace('wire = ["fp32", "int8+zstd", "any"]\n', "").replace('"none", ', "").replace(', "googlenet"', "")
    )
    assert {row["wire"] for row in planned(text, tmp_path, find=None).to_pylist()} == {"any"}


def test_a_wire_profile_of_another_network_ends_before_anything_is_planned(tmp_path):
    text = WIRES.replace('efficientnet_lite0 = "efficientnet_lite0"', 'googlenet = "efficientnet_lite0"')
    with pytest.raises(InvalidStudy, match="The wire profile is of 'efficientnet_lite0'"):
        planned(text, tmp_path, find=None)
