"""The wire: bytes that cross over the depth of a network in every format, what that costs in accuracy, and the cut."""

from __future__ import annotations

import streamlit as st

from app.figures.branch_graph import cut_groups
from app.figures.printed import of_wire
from app.figures.wire_depth import CutMark, draw_agreement, draw_bytes
from app.shell import cached, exports, profiles, widgets
from app.shell.page import PLOT_CONFIG, theme
from app.state import wire_in_words
from app.text import plain
from decc_core.formats import RAW
from decc_core.printed.table import Value, as_csv
from decc_core.problem.instance import CostInstance, crossing_tensors
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.scenario import Scenario
from decc_core.problem.wire import tensor_name
from decc_core.study.compare import Comparison, Outcome
from decc_core.study.depth import Coded, WireLine, coded, depths_of, offered, planned, wire_lines

SHOWN = "wire_shown"
FIRST = (RAW, "fp16", "int8", "int4")
MOST = 9
"""More lines than this nobody tells apart."""
PLANNED = "as planned"


def wire(comparison: Comparison, outcome: Outcome) -> None:
    """Which formats to draw, bytes and agreement over the depth, and files of both."""
    scenario, instance = widgets.scenario(), comparison.instance
    st.markdown(f"**What crosses, and how it travels**: {plain(wire_in_words(scenario))}")
    known = offered(instance.graph, scenario.measured)
    if doubt := scenario.travel.doubt:
        told = doubt.replace("--min-agreement", "*Least agreement*, at the left,")
        st.warning(told)
    shown = _chosen(known, scenario)
    found = tuple(coded(instance.graph, name, scenario.measured, scenario.wire_percentile) for name in shown)
    found += (planned(instance, scenario.measured, PLANNED),)
    depths = depths_of(instance.graph)
    lines, cuts = wire_lines(depths, found), _cuts(instance, outcome)
    st.plotly_chart(
        draw_bytes(instance.graph, depths, lines, cuts, PLANNED, theme()),
        key="wire_bytes", theme=None, config=PLOT_CONFIG,
    )  # fmt: skip
    st.caption(
        "If the network is cut after each layer, in stored order: large dots where a single tensor crosses. A format "
        "of the input alone stands at 0, with a line across: what lies above that line is no smaller than the input. "
        f"The thick line is what is planned with, the diamond the cut of {outcome.strategy}."
    )
    if not scenario.travel.is_raw:
        st.markdown(plain(cached.wire_ablated(scenario, comparison, _devices(scenario))))
    _agreement(instance, scenario, lines)
    with st.container(horizontal=True, gap="small"):
        exports.save_figures(scenario, instance.graph, [of_wire(lines, cuts, PLANNED, scenario.min_agreement)])
        about = exports.about(scenario, instance.graph)
        st.download_button(
            "All tensors as CSV",
            lambda: csv_text(instance, found, scenario, about),
            exports.file(scenario, instance.graph, "wire", "csv"),
            "text/csv",
            key="wire_csv",
            on_click="ignore",
            help="One row for each tensor and format that is drawn, with the scenario in columns of its own.",
        )


def _devices(scenario: Scenario) -> tuple[DeviceProfile, DeviceProfile]:
    return (
        profiles.profile_of(scenario.model, scenario.edge),
        profiles.profile_of(scenario.model, scenario.cloud),
    )


def _chosen(known: tuple[str, ...], scenario: Scenario) -> list[str]:
    """Formats to draw; at first a few, those that were measured, and those of the input."""
    measured = [name for name in scenario.measured.codings if name in known] if scenario.measured else []
    first = [name for name in dict.fromkeys((*FIRST, *measured)) if name in known][:MOST]
    mine: list[str] = [name for name in st.session_state.get(SHOWN) or first if name in known]
    st.session_state[SHOWN] = mine or first
    return st.multiselect(
        "Formats drawn", known, key=SHOWN, max_selections=MOST,
        persist_state="session", label_visibility="collapsed",
    )  # fmt: skip


def _cuts(instance: CostInstance, outcome: Outcome) -> list[CutMark]:
    groups, inputs = cut_groups(outcome.plan), len(instance.graph.inputs)
    return [
        CutMark(
            len(group.cut) - inputs,
            sum(instance.wire_bytes[tensor] for tensor in crossing_tensors(instance.graph, group.cut)),
            len(group.requests),
            len(groups) == 1,
        )
        for group in groups
    ]


def _agreement(instance: CostInstance, scenario: Scenario, lines: tuple[WireLine, ...]) -> None:
    profile = scenario.measured
    if profile is None or not profile.trained:
        st.info(
            "What formats do to the outputs of this network was not measured: bytes above are those that are certain. "
            "`decc wire MODEL --images FOLDER --output wire.json` measures it with trained weights on your images; "
            "load the file under *Wire* at the left."
        )
        return
    st.markdown(f"**Agreement** with the outputs of uncoded tensors, over {profile.samples:,} samples")
    st.plotly_chart(
        draw_agreement(instance.graph, depths_of(instance.graph), lines, scenario.min_agreement, theme(), PLANNED),
        key="wire_agreement", theme=None, config=PLOT_CONFIG,
    )  # fmt: skip
    st.caption(
        "Each tensor was coded by itself; where several cross, the lowest counts. For a classifier it is the share of "
        "samples whose best class stays the same, else 1 less the error of the outputs."
    )


def csv_text(instance: CostInstance, found: tuple[Coded, ...], scenario: Scenario, about: dict[str, Value]) -> str:
    """One row for each tensor and format, units in the heads, and what all of it is about."""
    graph, depths, profile = instance.graph, depths_of(instance.graph), scenario.measured
    rows: list[dict[str, Value]] = []
    for one in found:
        measured = profile.codings.get(one.wire, {}) if profile else {}
        for i, tensor in enumerate(graph.tensors):
            coding = measured.get(tensor_name(graph, i))
            rows.append(
                {
                    "tensor": tensor_name(graph, i),
                    "dtype": tensor.spec.dtype,
                    "shape": "x".join(map(str, tensor.spec.shape)),
                    "crosses_from_depth": depths.first[i],
                    "to_depth": depths.stop[i] - 1 if depths.stop[i] > depths.first[i] else None,
                    "format": instance.format_of(i) if one.wire == PLANNED else one.wire,
                    "drawn_as": one.wire,
                    "raw_bytes": tensor.spec.size_bytes,
                    "bytes": one.size_bytes[i],
                    "bytes_median": coding.bytes_median if coding else None,
                    "bytes_p95": coding.bytes_p95 if coding else None,
                    "encode_ms": 1e3 * coding.encode_s if coding else None,
                    "decode_ms": 1e3 * coding.decode_s if coding else None,
                    "tensor_error": coding.error if coding else None,
                    "output_error": coding.output_error if coding else None,
                    "agreement": one.agreement[i],
                }
            )
    return as_csv(rows, about)
