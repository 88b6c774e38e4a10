"""All strategies side by side against a pinned one, and the tensors that a plan sends."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.components.table import Cell, Row, Tone, table
from app.figures.bars import TITLES, bars
from app.shell.address import STRATEGY
from app.shell.choices import choose
from app.shell.page import theme
from app.shell.report import figures
from app.text import plain
from decc_core.network.work import Resource
from decc_core.printed.names import stem
from decc_core.problem.instance import CostInstance
from decc_core.study.compare import Comparison, Outcome
from decc_core.study.differences import SentTensor, sent_tensors
from decc_core.text import bytes_text, duration, ranges_text, rounded

PINNED = "pinned"
DEFAULT_PINNED = "dads-dsl"
GAIN = "gain (×)"
READERS = 3
"""So many readers of a tensor are named; more are counted."""


def strategies(comparison: Comparison, outcome: Outcome) -> None:
    """Bars and table of all strategies; a row that is clicked is drawn above."""
    title = TITLES[comparison.instance.objective]
    heading, pin = st.columns((2.4, 1), vertical_alignment="center")
    heading.markdown(f"**All strategies** by {title}; shorter is better")
    pinned = pinned_baseline(comparison, pin)
    for strategy, reason in comparison.not_possible.items():
        st.caption(plain(f"{strategy}: not possible. {reason}"))
    st.html(bars(comparison, theme()))
    rows = [_row(comparison, one, pinned) for one in comparison.outcomes]
    table(
        f"All strategies by {title}, gains over {pinned}",
        list(rows[0]),
        [
            Row(tuple(row.values()), tone=_tone(comparison, one.strategy, pinned), name=one.strategy)
            for row, one in zip(rows, comparison.outcomes, strict=True)
        ],
        "table",
        file=stem(comparison.instance.graph.name, "strategies"),
        note="The plan of the marked row is drawn above; click another to see its plan.",
        picked=outcome.strategy,
        on_pick=lambda strategy: choose({STRATEGY: strategy}),
    )
    st.caption(
        f"Blue: the best. Gain: how many times better than {pinned}, in grey. Edge, uplink, cloud "
        "and downlink: time busy, all requests together. Requests/s: the plan repeated for ever. "
        "The gap is to a bound that holds for every plan of this scenario. "
        "DECC is built after the abstract of Zhuang et al., IEEE TETC 2024; all beyond it is our reconstruction."
    )


def pinned_baseline(comparison: Comparison, place: st.delta_generator.DeltaGenerator) -> str:
    """The strategy that gains are told over; the visitor's choice lasts."""
    names = [outcome.strategy for outcome in comparison.outcomes]
    if st.session_state.get(PINNED) not in names:
        st.session_state[PINNED] = DEFAULT_PINNED if DEFAULT_PINNED in names else names[0]
    return place.selectbox(
        "Gains are over", names, key=PINNED, persist_state="session", label_visibility="collapsed",
        format_func=lambda name: f"gains over {name}", help="The strategy that all others are compared with.",
    )  # fmt: skip


def _row(comparison: Comparison, outcome: Outcome, pinned: str) -> dict[str, Cell]:
    told = figures(outcome)
    first = {key: told[key] for key in ("strategy", "execution")} | {GAIN: comparison.gain(pinned, outcome.strategy)}
    # The caption says that the times of resources are those that they are busy.
    row = first | {title.replace(" busy", ""): figure for title, figure in told.items()}
    return {title: cell if isinstance(cell, str) else (rounded(cell), cell) for title, cell in row.items()}


def _tone(comparison: Comparison, strategy: str, pinned: str) -> Tone | None:
    if strategy == comparison.best.strategy:
        return Tone.BEST
    return Tone.PINNED if strategy == pinned else None


def sent(comparison: Comparison, outcome: Outcome) -> None:
    """The tensors that cross in the plan shown, and the results on their way back."""
    instance = comparison.instance
    tensors = sent_tensors(instance, outcome.plan)
    st.markdown(f"**What {outcome.strategy} sends** to the cloud, and back")
    if not tensors:
        st.info("Nothing: every request stays on the edge.")
        return
    columns = ("tensor", "way", "made by", "read by", "travels as", "size (kB)", "each (ms)", "requests", "all (ms)")
    rows = [_sent_row(instance, tensor) for tensor in tensors]
    table(f"What {outcome.strategy} sends", columns, rows, "sent", file=stem(instance.graph.name, "sent"))
    told = [_in_all(tensors, link) for link in (Resource.UPLINK, Resource.DOWNLINK)]
    st.caption(
        f"In all {' and '.join(filter(None, told))}. A tensor is sent once for a request, however many layers read it, "
        "in the format chosen on the left. Results come back to the edge as soon as they are made. Round-trip "
        "time comes on top: it delays a tensor but does not occupy the link."
    )


def _sent_row(instance: CostInstance, tensor: SentTensor) -> Row:
    titles, back = instance.graph.titles, tensor.link is Resource.DOWNLINK
    readers = [titles[reader] for reader in tensor.readers]
    more = f" and {len(readers) - READERS} more" if len(readers) > READERS else ""
    return Row(
        (
            instance.graph.tensor_title(tensor.tensor),
            "back" if back else "up",
            f"{titles[tensor.producer]}, {'in the cloud' if back else 'on the edge'}",
            "returned as a result" if back else f"{', '.join(readers[:READERS])}{more}",
            tensor.wire,
            (rounded(tensor.size_bytes / 1e3), tensor.size_bytes / 1e3),
            (rounded(tensor.time_ns / 1e6), tensor.time_ns / 1e6),
            ranges_text(tuple(request + 1 for request in tensor.requests)),
            (rounded(tensor.time_ns * len(tensor.requests) / 1e6), tensor.time_ns * len(tensor.requests) / 1e6),
        ),
        layers=(tensor.producer,),
        requests=tensor.requests,
    )


def _in_all(tensors: Sequence[SentTensor], link: Resource) -> str:
    """What one link carries, and how long that takes."""
    own = [tensor for tensor in tensors if tensor.link is link]
    size = sum(tensor.size_bytes * len(tensor.requests) for tensor in own)
    time = sum(tensor.time_ns * len(tensor.requests) for tensor in own)
    verb = "go up, occupying" if link is Resource.UPLINK else "come back, occupying"
    return f"{bytes_text(size)} {verb} the {link.value} for {duration(time)}" if own else ""
