"""The Profile view: how long each layer takes on both devices, and where the times come from."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from app.figures.printed import of_times
from app.figures.profile_bars import times
from app.shell import exports, models, profiles
from app.shell.address import FIRST_PROFILE_TAB, OWN_PROFILES_TAB, PROFILE_TAB
from app.shell.page import PLOT_CONFIG, theme
from app.state import ESTIMATED, device_label, title_of
from app.text import plain
from app.views.profile_own import own_profiles
from decc_core.load.kinds.kind import Kind
from decc_core.network.graph import LayerGraph
from decc_core.network.work import Resource
from decc_core.pictures import COLOURS
from decc_core.printed.table import Value, as_csv
from decc_core.problem.instance import CostInstance
from decc_core.problem.profile import DeviceProfile, ProvenanceKind
from decc_core.problem.scenario import Scenario
from decc_core.profiling.layer_times import (
    GroupBy,
    LayerTimes,
    fewest_for_half,
    layer_times,
    overall_ratio,
    usual_ratios,
)
from decc_core.text import duration_s, three_digits

GROUPS = {GroupBy.LAYER: "layers", GroupBy.MODULE: "modules", GroupBy.OPERATOR: "operators"}
LONG = 150
"""A longer network is shown by module at first."""
SETTINGS = {
    "threads": "threads",
    "memory_format": "memory format",
    "onednn": "oneDNN",
    "repeats": "repeats",
    "measured_on": "measured on",
    "provider": "provider",
}


@dataclass(frozen=True)
class DeviceTimes:
    """One of the scenario's two devices: its profile as it is, and with the scenario's factor applied."""

    role: Resource
    name: str
    stored: DeviceProfile
    used: DeviceProfile
    factor_text: str


def view(scenario: Scenario, instance: CostInstance) -> None:
    """Provenance first, then the times as a picture and as a table, then the visitor's own profiles."""
    graph = instance.graph
    edge, cloud = _devices(scenario)
    st.subheader(f"{plain(title_of(scenario.model))}: time of every layer on both devices", anchor=False)
    for cell, device in zip(st.columns(2, gap="small"), (edge, cloud), strict=True):
        with cell.container(border=True, height="stretch"):
            _provenance(device)
    if any(device.stored.provenance.kind is ProvenanceKind.ESTIMATED for device in (edge, cloud)):
        _how_to_measure(scenario.model)
    rows = layer_times(graph, edge.used, cloud.used)
    st.markdown(_in_words(rows))
    names = [FIRST_PROFILE_TAB, "Table", OWN_PROFILES_TAB]
    picture, table, own = st.tabs(names, key=PROFILE_TAB, on_change="rerun")
    with picture:
        _picture(scenario, graph, edge.used, cloud.used)
    with table:
        _table(scenario, graph, rows)
    with own:
        own_profiles(scenario, graph)


def _how_to_measure(model: str) -> None:
    network = models.own().get(model)
    st.caption(
        "An estimate is a start. On the device itself, this measures every layer; load the file that it writes under "
        "*Measure, load, scale*:"
    )
    named = [network.file_name if network else model]
    if network and network.loaded.kind not in (Kind.PT2, Kind.ONNX):
        named = [network.loaded.graph.name, "--weights", network.file_name]
    st.code(shlex.join(["decc", "profile", *named, "--device", "board", "--output", "board.json"]), language="sh")


def _devices(scenario: Scenario) -> tuple[DeviceTimes, DeviceTimes]:
    edge = profiles.profile_of(scenario.model, scenario.edge)
    cloud = profiles.profile_of(scenario.model, scenario.cloud)
    used_edge, used_cloud = scenario.scaled(edge, cloud)
    slower, faster = scenario.edge_slowdown, scenario.cloud_speedup
    slower_text = f"times {slower:g}, as set at the left" if slower != 1 else ""
    faster_text = f"divided by {faster:g}, as set at the left" if faster != 1 else ""
    return (
        DeviceTimes(Resource.EDGE, scenario.edge, edge, used_edge, slower_text),
        DeviceTimes(Resource.CLOUD, scenario.cloud, cloud, used_cloud, faster_text),
    )


def _provenance(device: DeviceTimes) -> None:
    """Where the times come from: always in sight, because no number below is better than its origin."""
    stored, used = device.stored, device.used
    kind = stored.provenance.kind
    mark = f':color[{"■" if device.role is Resource.EDGE else "●"}]{{foreground="{COLOURS[device.role]}"}}'
    name = f"**{device.role.value.capitalize()}: {plain(device_label(device.name).removesuffix(ESTIMATED))}**"
    within = f" ± {stored.error * 100:.0f} %" if stored.error else ""
    st.markdown(
        f"{mark} {name} &nbsp; **{duration_s(used.whole_s)}{within}** a request &nbsp; {BADGES[kind]}[{kind.value}]",
        help=KINDS[kind],
    )
    factor = f"; here {device.factor_text}" if device.factor_text else ""
    sums = (
        f"Whole network {duration_s(stored.whole_s)}, sum of {len(stored.median_s)} layers "
        f"{duration_s(stored.total_s)} (calibrated by ×{stored.calibration:.3f}){factor}"
    )
    st.caption("  \n".join((plain(stored.provenance.source[:400]), sums, _how(stored))))


BADGES = {
    ProvenanceKind.MEASURED: ":green-badge",
    ProvenanceKind.SCALED: ":orange-badge",
    ProvenanceKind.ESTIMATED: ":orange-badge",
}
KINDS = {
    ProvenanceKind.MEASURED: "Measured layer by layer on the machine that is described here.",
    ProvenanceKind.SCALED: "Not measured on this device: the layers' times of another one, multiplied so that the "
    "whole takes a published or chosen time. The ratio between layers is the other device's.",
    ProvenanceKind.ESTIMATED: "Not measured: worked out from what the layers compute and move, and from the device's "
    "rate, bandwidth and overhead. Of networks that were left out, four of five were within the range told here.",
}


def _how(profile: DeviceProfile) -> str:
    machine, settings = profile.provenance.machine, profile.provenance.settings
    parts = [f"{name} {value}" for key, name in SETTINGS.items() if (value := settings.get(key)) is not None]
    known = {"processor", "cores", "memory", "system", "torch", "python"}
    where = [machine[key] for key in ("processor",) if key in machine]
    where += [f"{machine[key]} {unit}".strip() for key, unit in (("cores", "cores"), ("memory", "")) if key in machine]
    where += [f"torch {machine['torch']}"] if "torch" in machine else []
    where += [f"{key} {value}" for key, value in machine.items() if key not in known]
    base = "Base measurement: " if profile.provenance.kind is ProvenanceKind.SCALED else ""
    nothing = f"Library: {settings['engine']}." if "engine" in settings else "No machine is described."
    return plain(f"{base}{', '.join([*parts, *where])[:500]}") or nothing


def _in_words(rows: tuple[LayerTimes, ...]) -> str:
    """What to look for in the picture."""
    overall, usual = overall_ratio(rows), usual_ratios(rows)
    half = fewest_for_half(row.edge_s for row in rows)
    words = f"Half of the edge's time goes into {half} of {len(rows)} layers."
    if overall is None or usual is None:
        return f"{words} The cloud takes no time at all."
    low, high = usual
    verdict = "slower" if overall >= 1 else "faster"
    times = three_digits(overall if overall >= 1 else 1 / overall)
    return (
        f"{words} The edge is **{times} times {verdict}** than the cloud for the whole network, "
        f"and {three_digits(low)} to {three_digits(high)} times as slow for most single layers; "
        "a split can use such differences."
    )


def _picture(scenario: Scenario, graph: LayerGraph, edge: DeviceProfile, cloud: DeviceProfile) -> None:
    first = GroupBy.MODULE if len(graph) > LONG else GroupBy.LAYER
    with st.container(horizontal=True, vertical_alignment="center"):
        by = st.segmented_control(
            "One bar for each of the",
            list(GROUPS),
            default=first,
            format_func=GROUPS.__getitem__,
            key=f"profile_by_{'long' if first is GroupBy.MODULE else 'short'}",
            required=True,
            label_visibility="collapsed",
            persist_state="session",
        )
        log = st.toggle("Logarithmic time", key="profile_log", persist_state="session")
    chosen = graph, edge, cloud, GroupBy(by or first), bool(log)
    figure = times(*chosen, theme())
    st.plotly_chart(figure, key="profile_times", theme=None, config=PLOT_CONFIG)
    exports.save_figures(scenario, graph, [of_times(*chosen)])
    st.caption(
        "Whiskers and bands reach from the median up to the 95th percentile of the repeats; sums over modules and "
        "operators have none, because percentiles do not add up. The ratio is edge time over cloud time."
    )


def _table(scenario: Scenario, graph: LayerGraph, rows: tuple[LayerTimes, ...]) -> None:
    # What is made when it is asked for is made where no visit is known.
    about = exports.about(scenario, graph)
    edge_s, cloud_s = sum(row.edge_s for row in rows), sum(row.cloud_s for row in rows)
    table = pd.DataFrame(
        {
            "#": range(1, len(rows) + 1),
            "layer": [row.title for row in rows],
            "module": [row.module_path for row in rows],
            "operator": [row.operator.removeprefix("aten.").removesuffix(".default") for row in rows],
            "edge (ms)": [row.edge_s * 1e3 for row in rows],
            "cloud (ms)": [row.cloud_s * 1e3 for row in rows],
            "edge / cloud": [row.ratio for row in rows],
            "of edge": [100 * row.edge_s / edge_s if edge_s else 0.0 for row in rows],
            "of cloud": [100 * row.cloud_s / cloud_s if cloud_s else 0.0 for row in rows],
            "edge p95": [row.edge_spread for row in rows],
            "cloud p95": [row.cloud_spread for row in rows],
        }
    )
    number, text, times = st.column_config.NumberColumn, st.column_config.TextColumn, "%.2f×"
    highest = max(table["of edge"].max(), table["of cloud"].max(), 1e-9)
    share = st.column_config.ProgressColumn
    st.dataframe(
        table,
        hide_index=True,
        height=430,
        key="profile_table",
        column_config={
            "edge (ms)": number(format="%.4g", help="Median of the repeats, calibrated"),
            "cloud (ms)": number(format="%.4g", help="Median of the repeats, calibrated"),
            "#": number(width=40),
            "layer": text(width=130),
            "module": text(width=150),
            "operator": text(width=120),
            "edge p95": number(format=times, help="Spread: 95th percentile of the repeats over their median"),
            "cloud p95": number(format=times, help="Spread: 95th percentile of the repeats over their median"),
            "edge / cloud": number(format=times, help="How many times longer the edge takes"),
            "of edge": share(format="%.1f %%", width=105, min_value=0, max_value=highest, help="Of all layers' time"),
            "of cloud": share(format="%.1f %%", width=105, min_value=0, max_value=highest, help="Of all layers' time"),
        },
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Download as CSV",
            lambda: as_csv([_csv_row(row) for row in rows], about).encode(),
            exports.file(scenario, graph, "times", "csv"),
            "text/csv",
            key="times_csv",
            icon=exports.ICON,
            on_click="ignore",
            help="One row a layer, with the scenario in columns of its own.",
        )
        st.caption("Click a column's head to sort. Times with the factors at the left applied.")


def _csv_row(row: LayerTimes) -> dict[str, Value]:
    return {
        "layer": row.title,
        "module": row.module_path,
        "operator": row.operator,
        "edge_ms": row.edge_s * 1e3,
        "cloud_ms": row.cloud_s * 1e3,
        "edge_over_cloud": row.ratio,
        "edge_p95_over_median": row.edge_spread,
        "cloud_p95_over_median": row.cloud_spread,
    }
