"""The table of wire formats that a visitor takes along."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

from app.views.plan_wire import PLANNED, csv_text
from decc_core import library
from decc_core.problem.scenario import Scenario
from decc_core.study.depth import coded, planned
from tests.app.wire import wire_profile


def test_the_table_has_a_row_for_each_tensor_and_format_with_what_was_measured_and_what_is_planned():
    graph, profile = library.load_graph("alexnet"), wire_profile()
    scenario = replace(Scenario("alexnet", wire="any", wire_profile="own: wire", min_agreement=0.99), measured=profile)
    edge, cloud = (library.load_profile("alexnet", device) for device in (scenario.edge, scenario.cloud))
    instance = scenario.instance(graph, edge, cloud)
    found = (coded(graph, "int4", profile, 50), planned(instance, profile, PLANNED))
    rows = list(csv.DictReader(io.StringIO(csv_text(instance, found, scenario, {"network": "alexnet"}))))
    assert len(rows) == 2 * len(graph.tensors)
    int4 = [row for row in rows if row["drawn_as"] == "int4" and row["dtype"] == "float32"]
    assert {row["agreement"] for row in int4} == {"0.95"}
    assert all(float(row["bytes"]) == int(row["raw_bytes"]) // 8 for row in int4)
    assert {row["encode_ms"] for row in int4} == {"0.1"}
    as_planned = [row for row in rows if row["drawn_as"] == PLANNED and row["dtype"] == "float32"]
    # int4 keeps too little of the outputs, so that no tensor takes it.
    assert {row["format"] for row in as_planned} <= {"int8", "raw"}
    assert "int8" in {row["format"] for row in as_planned}
    assert {row["network"] for row in rows} == {"alexnet"}
