"""Tables that say in every row what they are about."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

from decc_core import __version__
from decc_core.printed.table import as_csv, scenario_columns
from decc_core.problem.scenario import Scenario
from tests.builders import make_graph, two_profiles


def columns(scenario: Scenario) -> dict[str, object]:
    graph = make_graph({"x": [], "a": ["x"]}, name="net")
    edge, cloud = two_profiles(graph, {"a": 1.0}, {"a": 0.5})
    return scenario_columns(scenario, graph, replace(edge, error=0.31), cloud)


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_row_tells_its_network_devices_link_and_version():
    scenario = Scenario(
        "own: net", "own: edge", "cloud", 2.0, 4.0, 18.88, None, 10.0, requests=8, keep_on_edge="inputs"
    )
    (row,) = read(as_csv([{"strategy": "decc"}], columns(scenario)))
    wanted = {
        "strategy": "decc", "network": "net", "edge_device": "edge", "edge_times": "measured",
        "edge_times_off_by_percent": "31", "cloud_times_off_by_percent": "0", "edge_slowdown": "2",
        "cloud_speedup": "4",
        "uplink_mbps": "18.88", "downlink_mbps": "18.88", "rtt_ms": "10", "overhead_ms": "0.1", "wire": "fp32",
        "requests": "8", "objective": "makespan", "keep_on_edge": "inputs", "limit_edge_memory_mb": "",
        "decc_version": __version__,
    }  # fmt: skip
    assert {name: row[name] for name in wanted} == wanted
    assert len(row["network_fingerprint"]) >= 16
    assert not any("own: " in value for value in row.values())


def test_every_choice_of_a_scenario_has_a_column():
    names = {"model", "edge", "cloud"}
    found = columns(Scenario("net"))
    assert all(any(name in column for column in found) for name in Scenario("net").choices() if name not in names)


def test_a_column_of_the_rows_goes_before_the_scenarios():
    rows = read(as_csv([{"uplink_mbps": 1.0}, {"uplink_mbps": 2.0}], columns(Scenario("net", uplink_mbps=50.0))))
    assert [row["uplink_mbps"] for row in rows] == ["1", "2"]


def test_numbers_have_six_digits_and_no_exponent():
    values = [7200.000024, 75.45281649220989, 1e-9, 12345678.9, 0.1 + 0.2, 0.0, -3.5, 3, None, float("inf")]
    rows = read(as_csv([{"v": value} for value in values], {}))
    assert [row["v"] for row in rows] == [
        "7200", "75.4528", "0.000000001", "12345679", "0.3", "0", "-3.5", "3", "", "inf",
    ]  # fmt: skip


def test_names_with_commas_quotes_and_breaks_come_back():
    name = 'a,"b"\nc'
    assert read(as_csv([{"layer": name}], {}))[0]["layer"] == name
