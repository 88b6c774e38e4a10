"""Names of files are taken by every system, and say what is in them."""

from __future__ import annotations

import pytest

from decc_core.printed.names import LONGEST_BYTES, file_name, scenario_parts, stem
from decc_core.problem.scenario import Scenario


def test_a_name_says_network_requests_uplink_and_what_it_is():
    scenario = Scenario("googlenet", uplink_mbps=18.88, requests=8)
    name = file_name(*scenario_parts("googlenet", scenario), "gantt decc", ending="pdf")
    assert name == "googlenet-8-requests-18.88-mbps-gantt-decc.pdf"
    assert (
        file_name(*scenario_parts("a", Scenario("a", uplink_mbps=7)), "x", ending="svg") == "a-1-request-7-mbps-x.svg"
    )


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("fusion (your model)", "fusion-your-model.csv"),
        ("own: ../../etc/passwd", "own-etc-passwd.csv"),
        ('a\\b:c*d?"e<f>g|h\n', "a-b-c-d-e-f-g-h.csv"),
        ("Größe 7", "Größe-7.csv"),
        ("..", "decc.csv"),
        ("", "decc.csv"),
        ("$(rm -rf ~)", "rm-rf.csv"),
    ],
)
def test_what_a_file_system_or_a_shell_would_act_on_becomes_a_hyphen(part, name):
    assert file_name(part, ending="csv") == name


def test_a_long_name_of_a_network_is_cut_and_what_it_is_stays():
    for letter in "aé图":
        name = file_name(letter * 10_000, "8 requests", "gantt decc", ending="pdf")
        assert name.endswith("-8-requests-gantt-decc.pdf")
        assert len(name.encode()) <= LONGEST_BYTES + len(".pdf")
    assert len(stem("a", "b" * 10_000).encode()) <= LONGEST_BYTES
