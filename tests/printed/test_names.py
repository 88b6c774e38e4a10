"""Names of files are taken by every system, and say what is in them."""

from __future__ import annotations

import pytest

from decc_core.printed.names import LONGEST, file_name, scenario_name
from decc_core.problem.scenario import Scenario


def test_a_name_says_network_requests_uplink_and_what_it_is():
    scenario = Scenario("googlenet", uplink_mbps=18.88, requests=8)
    name = file_name(scenario_name("googlenet", scenario), "gantt decc", ending="pdf")
    assert name == "googlenet-8-requests-18.88-mbps-gantt-decc.pdf"
    assert file_name(scenario_name("a", Scenario("a", uplink_mbps=7)), "x", ending="svg") == "a-1-request-7-mbps-x.svg"


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("fusion (your model)", "fusion-your-model.csv"),
        ("own: ../../etc/passwd", "own-etc-passwd.csv"),
        ("a\\b:c*d?\"e<f>g|h\n", "a-b-c-d-e-f-g-h.csv"),
        ("Größe 7", "Größe-7.csv"),
        ("..", "decc.csv"),
        ("", "decc.csv"),
        ("$(rm -rf ~)", "rm-rf.csv"),
    ],
)
def test_what_a_file_system_or_a_shell_would_act_on_becomes_a_hyphen(part, name):
    assert file_name(part, ending="csv") == name


def test_a_name_is_never_longer_than_file_systems_take():
    name = file_name("é" * 10_000, "b", ending="pdf")
    assert len(name) == LONGEST + len(".pdf")
    assert len(name.encode()) <= 255
