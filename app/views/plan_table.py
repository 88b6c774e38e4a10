"""All strategies side by side against a pinned one, downloads, and the tensors that a plan sends."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from app.figures.bars import TITLES, bars
from app.shell.address import STRATEGY
from app.shell.choices import choose
from app.shell.page import theme
from app.shell.report import figures
from decc_core.study.compare import Comparison, Outcome
from decc_core.study.differences import sent_tensors
from decc_core.text import bytes_text, duration, ranges_text, three_digits

# The table is styled cell by cell, for which pandas' usual texts, in Arrow's memory, take twice as long.
pd.set_option("mode.string_storage", "python")
PINNED = "pinned"
DEFAULT_PINNED = "dads-dsl"


def strategies(comparison: Comparison, outcome: Outcome) -> None:
    """Bars and table of all strategies; a row that is clicked is drawn above."""
    title = TITLES[comparison.instance.objective]
    heading, pin = st.columns((2.4, 1), vertical_alignment="center")
    heading.markdown(f"**All strategies** by {title}; shorter is better")
    pinned = pinned_baseline(comparison, pin)
    st.html(bars(comparison, theme()))
    st.dataframe(
        _styled(comparison, pinned),
        hide_index=True,
        height="content",
        key="table",
        column_config={_gain_over(pinned): st.column_config.NumberColumn("gain (×)")},
        on_select=lambda: _show_row(comparison),
        selection_mode="single-row",
    )
    st.caption(
        "Tick a row to draw its plan above. Gain: how many times better than the pinned strategy. Edge, uplink, cloud "
        "and downlink: time busy, all requests together. Requests/s: the plan repeated for ever. "
        "The gap is to a bound that holds for every plan of this scenario. "
        "DECC is built after the abstract of Zhuang et al., IEEE TETC 2024; all beyond it is our reconstruction."
    )


def pinned_baseline(comparison: Comparison, place: st.delta_generator.DeltaGenerator) -> str:
    """The strategy that gains are told over; the visitor's choice lasts."""
    names = [outcome.strategy for outcome in comparison.outcomes]
    if st.session_state.get(PINNED) not in names:
        st.session_state[PINNED] = DEFAULT_PINNED
    return place.selectbox(
        "Gains are over", names, key=PINNED, persist_state="session", label_visibility="collapsed",
        format_func=lambda name: f"gains over {name}", help="The strategy that all others are compared with.",
    )  # fmt: skip


def _show_row(comparison: Comparison) -> None:
    rows = st.session_state["table"].selection.rows
    if rows:
        choose({STRATEGY: comparison.outcomes[rows[0]].strategy})


def _styled(comparison: Comparison, pinned: str) -> pd.io.formats.style.Styler:
    table = pd.DataFrame([_row(comparison, outcome, pinned) for outcome in comparison.outcomes])
    colours = {comparison.best.strategy: "rgba(0, 114, 178, 0.18)", pinned: "rgba(128, 128, 128, 0.18)"}
    if comparison.best.strategy == pinned:
        colours = {pinned: "rgba(0, 114, 178, 0.18)"}
    return table.style.apply(
        lambda row: [f"background-color: {colours[row['strategy']]}" if row["strategy"] in colours else ""] * len(row),
        axis=1,
    ).format(partial(three_digits, thousands=","), subset=list(table.columns[2:]))


def _gain_over(pinned: str) -> str:
    return f"gain over {pinned} (×)"


def _row(comparison: Comparison, outcome: Outcome, pinned: str) -> dict[str, object]:
    first = {"strategy": None, "execution": None, _gain_over(pinned): comparison.gain(pinned, outcome.strategy)}
    # The caption says that the times of resources are those that they are busy.
    return first | {title.replace(" busy", ""): figure for title, figure in figures(outcome).items()}


def sent(comparison: Comparison, outcome: Outcome) -> None:
    """The crossing tensors of the plan shown."""
    instance, graph = comparison.instance, comparison.instance.graph
    tensors = sent_tensors(instance, outcome.plan)
    st.markdown(f"**What {outcome.strategy} sends to the cloud**")
    if not tensors:
        st.info("Nothing: every request stays on the edge.")
        return
    st.dataframe(
        pd.DataFrame(
            [
                {
                    "tensor": graph.tensor_title(tensor.tensor),
                    "made on the edge by": graph.titles[tensor.producer],
                    "read in the cloud by": ", ".join(graph.titles[reader] for reader in tensor.readers),
                    "size (kB)": round(tensor.size_bytes / 1e3, 3),
                    "uplink, each (ms)": round(tensor.uplink_ns / 1e6, 3),
                    "requests": ranges_text(tuple(request + 1 for request in tensor.requests)),
                    "uplink, all (ms)": round(tensor.uplink_ns * len(tensor.requests) / 1e6, 3),
                }
                for tensor in tensors
            ]
        ),
        hide_index=True,
        height="content",
        key="sent",
    )
    total = sum(tensor.size_bytes * len(tensor.requests) for tensor in tensors)
    time = sum(tensor.uplink_ns * len(tensor.requests) for tensor in tensors)
    st.caption(
        f"In all {bytes_text(total)}, which occupy the uplink for {duration(time)}. A tensor is sent once for a "
        "request, however many layers read it, in the number format chosen on the left. Round-trip time comes on top: "
        "it delays a tensor but does not occupy the link."
    )
