"""Tables as CSV that say in every row what they are about, so that a row means something wherever it is read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping

from decc_core import __version__
from decc_core.network.graph import LayerGraph
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.scenario import Scenario
from decc_core.text import written

Value = str | float | int | None
LIMITS = {"edge_memory_mb": "limit_edge_memory_mb", "uplink_kb": "limit_uplink_kb"}
"""Columns of a scenario that would be taken for something measured, and what they are called."""


def scenario_columns(
    scenario: Scenario, graph: LayerGraph, edge: DeviceProfile, cloud: DeviceProfile
) -> dict[str, Value]:
    """What every row of a table of this scenario is about; the profiles are those chosen, before its factors."""
    columns: dict[str, Value] = {"network": graph.name, "network_fingerprint": graph.fingerprint}
    for side, profile in (("edge", edge), ("cloud", cloud)):
        columns |= {
            f"{side}_device": profile.device,
            f"{side}_times": profile.provenance.kind.value,
            f"{side}_times_off_by_percent": 100 * profile.error,
        }
    chosen = {name: value for name, value in scenario.choices().items() if name not in ("model", "edge", "cloud")}
    chosen["downlink_mbps"] = scenario.uplink_mbps if scenario.downlink_mbps is None else scenario.downlink_mbps
    columns |= {LIMITS.get(name, name): value for name, value in chosen.items()}
    return {**columns, "decc_version": __version__}


def as_csv(rows: Iterable[Mapping[str, Value]], about: Mapping[str, Value]) -> str:
    """The rows, and behind their own columns what all of them are about; a column that the rows have is theirs."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    head: list[str] | None = None
    for row in rows:
        whole = {**row, **{name: value for name, value in about.items() if name not in row}}
        if head is None:
            head = list(whole)
            writer.writerow(head)
        writer.writerow([_cell(whole[name]) for name in head])
    return file.getvalue()


def _cell(value: Value) -> str:
    return "" if value is None else written(value) if isinstance(value, float) else str(value)
