"""The columns of a study's results: a row for each point and strategy, with all conditions, units in the names.

What a row says is the same whoever planned it, except for the columns in `NOT_REPRODUCIBLE`.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import pyarrow as pa

from decc_core import __version__
from decc_core.network.work import Resource
from decc_core.problem.scenario import Scenario
from decc_core.streams.served import PERCENTILES

Row = dict[str, Any]

PLANNED, NOT_POSSIBLE, FAILED = "planned", "not possible", "failed"
"""What became of a strategy at a point; `error` says why it has no plan."""
RENAMED = {"edge_memory_mb": "limit_edge_memory_mb", "uplink_kb": "limit_uplink_kb"}
"""Fields of a scenario that would be taken for something measured, and what their columns are called."""
NOT_REPRODUCIBLE = ("plan_s",)
SIDES = (Resource.EDGE.value, Resource.CLOUD.value)

TEXT, REAL, WHOLE = pa.string(), pa.float64(), pa.int64()


def _of(kind: str) -> pa.DataType:
    """The type of a column for a field of a scenario, by its annotation."""
    return REAL if "float" in kind else WHOLE if "int" in kind else TEXT


FIELDS = [field for field in fields(Scenario) if field.name in Scenario("").choices()]
SCENARIO = {RENAMED.get(field.name, field.name): field.name for field in FIELDS}
"""Columns that are fields of the scenario, and which."""

COLUMNS: dict[str, pa.DataType] = {
    **{"study": TEXT, "point": WHOLE, "strategy": TEXT, "status": TEXT, "error": TEXT, "execution": TEXT},
    **{"model": TEXT, "network": TEXT, "network_fingerprint": TEXT, "layers": WHOLE},
    **{
        f"{side}{name}": kind
        for side in SIDES
        for name, kind in (
            ("", TEXT), ("_device", TEXT), ("_fingerprint", TEXT), ("_times", TEXT), ("_times_off_by_percent", REAL)
        )
    },
    **{RENAMED.get(field.name, field.name): _of(str(field.type)) for field in FIELDS},
    "wire_profile_fingerprint": TEXT,
    **{"makespan_s": REAL, "throughput_rps": REAL, "objective_ns": WHOLE},
    **{"lower_bound_ns": WHOLE, "lower_bound_s": REAL, "gap": REAL},
    **{f"{resource.value}_busy_s": REAL for resource in Resource},
    "uplink_bytes": WHOLE,
    **{"arrivals": TEXT, "arrivals_cv": REAL, "stream_requests": WHOLE, "stream_seed": WHOLE},
    **{"sources": WHOLE, "servers": WHOLE, "deadline_s": REAL, "percentile": REAL},
    **{"rate_rps": REAL, "rate_of_capacity": REAL, "sustained_rps": REAL, "capacity_rps": REAL, "least_s": REAL},
    **{f"p{percentile:g}_s": REAL for percentile in PERCENTILES},
    **{"goodput_rps": REAL, "kept_deadline": REAL},
    **{f"{resource.value}_utilisation": REAL for resource in Resource},
    "grows": pa.bool_(),
    **{"plan_s": REAL, "decc_version": TEXT, "python_version": TEXT, "numpy_version": TEXT},
}  # fmt: skip

SCHEMA = pa.schema(list(COLUMNS.items()))


def versions() -> dict[str, str]:
    """What two processes must have in common to plan the same, as columns."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"decc_version": __version__, "python_version": python, "numpy_version": np.__version__}


def table(rows: list[Row]) -> pa.Table:
    """The rows as a table; what a row does not say is empty, and what is no column is left out."""
    return pa.Table.from_pydict({name: [row.get(name) for row in rows] for name in COLUMNS}, schema=SCHEMA)


def scenario_of(row: Mapping[str, Any]) -> Scenario:
    """The scenario of a row, as page and commands take it."""
    chosen = {field: row[column] for column, field in SCENARIO.items() if row.get(column) is not None}
    return Scenario(**chosen)
