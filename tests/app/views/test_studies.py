"""The Studies view: choices, how many points they are, a study in the background, and what it found."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from app.jobs import studies
from decc_core.studies.study import Study
from tests.app.server import MAIN

DEADLINE_S = 120
SMALL = {
    "model": "squeezenet1_1", "cloud_speedup": "4", "from_mbps": "5", "to_mbps": "20", "rates": "2", "in_flight": "1",
    "networks": "squeezenet1_1,alexnet",
}  # fmt: skip


def opened(**address: str) -> AppTest:
    page = AppTest.from_file(str(MAIN), default_timeout=DEADLINE_S)
    page._page_hash = calc_hash("studies")
    page.query_params.update({**SMALL, **address})
    page.run()
    assert not page.exception
    return page


def texts(page: AppTest) -> str:
    return "\n".join(element.value for kind in (page.markdown, page.caption, page.info) for element in kind)


def test_the_choices_stand_in_the_address_and_make_a_study_that_the_command_takes():
    page = opened(strategies="dads-dsl,decc", slower="1,5")
    assert page.multiselect(key="study_networks").value == ["squeezenet1_1", "alexnet"]
    assert page.multiselect(key="study_slower").value == [1.0, 5.0]
    assert page.query_params["networks"] == "squeezenet1_1,alexnet"
    assert "8 points, 16 rows" in texts(page)
    job = page.session_state["study_estimate_chosen"]
    study = Study.from_text(job.study.text)
    assert (study.points, study.strategies) == (8, ("dads-dsl", "decc"))
    assert [link["uplink_mbps"] for link in study.links] == [5.0, 20.0]
    job.stop()
    page.multiselect(key="study_requests").set_value([1, 4]).run()
    assert page.query_params["in_flight"] == "1,4"
    assert "16 points, 32 rows" in texts(page)
    page.session_state["study_estimate_chosen"].stop()


def test_what_an_address_says_wrongly_is_left_out():
    page = opened(networks="<b>x</b>", in_flight="0,9999", edges="nobody", slower="-1", rates="100000", from_mbps="nan")
    assert not page.error
    assert page.multiselect(key="study_networks").value == ["squeezenet1_1"]
    assert page.multiselect(key="study_requests").value == [1, 8]
    assert page.number_input(key="study_rates").value == 50
    page.session_state["study_estimate_chosen"].stop()


def test_nothing_chosen_and_too_much_chosen_are_told_and_cannot_be_started(monkeypatch):
    page = opened()
    page.session_state["study_estimate_chosen"].stop()
    page.multiselect(key="study_networks").set_value([]).run()
    assert any("networks" in warning.value for warning in page.warning)
    assert not any(button.key == "study_start_chosen" for button in page.button)
    monkeypatch.setattr(studies, "MOST_POINTS", 3)
    page.multiselect(key="study_networks").set_value(["squeezenet1_1", "alexnet"]).run()
    assert any("at most 3 at a time" in warning.value for warning in page.warning)


@pytest.fixture(scope="module")
def finished() -> AppTest:
    page = opened()
    page.session_state["study_estimate_chosen"].stop()
    page.button(key="study_start_chosen").click().run()
    job = page.session_state["study_job"]
    job.wait(DEADLINE_S)
    assert job.failure is None
    page.run()
    assert not page.exception
    assert not page.error
    return page


def test_a_study_ends_with_tables_and_figures(finished):
    job = finished.session_state["study_job"]
    assert job.done == job.total == 4
    assert job.report.findings.networks == ("alexnet", "squeezenet1_1")
    assert all(point.gain("decc", "dads-dsl") >= 1 for point in job.report.findings.points)
    said = texts(finished)
    for words in ("How many times better decc is", "Who wins", "What was studied", "Distribution of the gain of decc"):
        assert words in said


def test_results_are_taken_along_and_read_again_as_a_strangers(finished):
    job = finished.session_state["study_job"]
    read = studies.ResultsJob("results.parquet", studies.parquet_of(job.table))
    read.start()
    read.wait(DEADLINE_S)
    assert read.failure is None
    assert read.table.equals(job.table)
    assert read.report.text == job.report.text
    assert read.report.findings.tables == job.report.findings.tables
    assert studies.csv_of(job.table).decode().count("\n") == job.table.num_rows + 1


@pytest.mark.parametrize("content", [b"", b"PAR1 and no table PAR1", b"a,b\n"])
def test_what_is_no_table_is_refused_in_one_sentence(content):
    read = studies.ResultsJob("x.parquet", content)
    read.start()
    read.wait(DEADLINE_S)
    assert "no Parquet file" in read.failure
    assert read.table is None


def test_a_file_of_ones_own_is_offered_and_what_the_page_lacks_is_told():
    page = opened()
    page.session_state["study_estimate_chosen"].stop()
    text = b'networks = ["alexnet"]\n[[links]]\nuplink_mbps = [1, 2, 3]\n'
    page.file_uploader(key="study_file").upload("mine.toml", text, "application/toml").run()
    assert not page.exception
    assert "3 points, 27 rows" in texts(page)
    assert page.button(key="study_start_file")
    page.session_state["study_estimate_file"].stop()
    page.file_uploader(key="study_file").upload("mine.toml", b'networks = ["/etc/passwd"]', "application/toml").run()
    assert any("The page has no network '/etc/passwd'" in warning.value for warning in page.warning)
    page.file_uploader(key="study_file").upload("mine.toml", b"networks = 3\nx", "application/toml").run()
    assert any("mine.toml is no TOML" in warning.value for warning in page.warning)


def test_results_that_are_dropped_are_shown(finished):
    content = studies.parquet_of(finished.session_state["study_job"].table)
    page = opened()
    page.session_state["study_estimate_chosen"].stop()
    page.file_uploader(key="study_file").upload("theirs.parquet", content, "application/octet-stream").run()
    page.session_state["study_job"].wait(DEADLINE_S)
    page.run()
    assert not page.exception
    assert not page.error
    assert "Who wins" in texts(page)
