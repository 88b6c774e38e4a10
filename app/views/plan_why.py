"""Why this cut: what it would cost to move the partition point of each branch by one layer."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import cached
from app.figures.bars import TITLES
from app.figures.branch_graph import CutGroup, cut_groups, run_title
from app.plain import code
from app.units import ns_text, ranges_text
from decc_core.compare import Comparison, Outcome
from decc_core.cost import RESOURCES
from decc_core.graph import LayerGraph
from decc_core.moves import Move


def why(comparison: Comparison, outcome: Outcome) -> None:
    """Every move of one layer, the best first, with what it changes."""
    measure = TITLES[comparison.instance.objective]
    st.markdown(f"**Why {outcome.strategy} cuts here**: what one layer more or less on the edge would cost")
    requests = _requests(outcome)
    moves = cached.costs_of_moves(comparison.instance, outcome.plan, requests)
    if not moves:
        st.info("There is nothing to move: no layer can change sides alone.")
        return
    st.markdown(_in_words(comparison, outcome, moves))
    ordered = sorted(moves, key=lambda move: (move.change_ns is None, move.change_ns or 0))
    rows = [_row(comparison.instance.graph, outcome, move, measure) for move in ordered]
    st.dataframe(pd.DataFrame(rows), hide_index=True, height="content", key="moves")
    st.caption(
        f"Each row moves one layer at the end of a branch to the other side and plans the rest anew in the best order "
        f"found. +: the {measure} grows. The columns of edge, uplink, cloud and downlink say how much more (+) or less "
        "(−) each has to do. Layers that would need others to go with them are not listed; try those under What if."
    )


def _requests(outcome: Outcome) -> tuple[int, ...]:
    """The requests whose cut is moved: of one kind of cut, one request or all."""
    groups = cut_groups(outcome.plan)
    left, right = st.columns(2)
    group = groups[0]
    if len(groups) > 1:
        place = left.selectbox(
            "Cut",
            range(len(groups)),
            format_func=lambda i: f"the cut of {_group_text(groups[i])}",
            key=f"why_{outcome.strategy}_{hash(outcome.plan.cuts)}",
        )
        group = groups[place or 0]
    if len(group.requests) == 1:
        return group.requests
    all_of_them = right.segmented_control(
        "Move it for",
        (False, True),
        default=False,
        format_func=lambda every: f"all {len(group.requests)} requests" if every else "one request",
        key="why_all",
        required=True,
        persist_state="session",
    )
    return group.requests if all_of_them else group.requests[:1]


def _group_text(group: CutGroup) -> str:
    noun = "requests" if len(group.requests) > 1 else "request"
    return f"{noun} {ranges_text(tuple(request + 1 for request in group.requests))}"


def _in_words(comparison: Comparison, outcome: Outcome, moves: tuple[Move, ...]) -> str:
    possible = [(move.change_ns, move) for move in moves if move.change_ns is not None]
    if not possible:
        return "The constraints allow none of these moves."
    (least, best), (most, worst) = (choose(possible, key=lambda pair: pair[0]) for choose in (min, max))
    graph = comparison.instance.graph
    if least < 0:
        first = f"Moving {_what(graph, best)} would gain {ns_text(-least)}: this plan can be bettered by a single move."
    elif least == 0:
        first = "No single move helps, but some cost nothing: cuts that are as good lie beside this one."
    else:
        first = f"No single move helps: even the cheapest, {_what(graph, best)}, costs {ns_text(least)}."
    if most <= 0:
        return first
    return f"{first} The most expensive is {_what(graph, worst)}: it costs {ns_text(most)}{_because(worst)}."


def _what(graph: LayerGraph, move: Move) -> str:
    place = "the edge" if move.to.computes and move.to.value == "edge" else "the cloud"
    return f"{code(graph.layers[move.layer].name)} to {place}"


def _because(move: Move) -> str:
    """What grows most."""
    extra, resource = max(zip(move.change_of_loads, RESOURCES, strict=True))
    return f", because the {resource.value} gets {ns_text(extra)} more to do" if extra > 0 else ""


def _row(graph: LayerGraph, outcome: Outcome, move: Move, measure: str) -> dict[str, object]:
    change = move.change_ns
    return {
        "branch": run_title(graph, move.branch),
        "layer": graph.layers[move.layer].name,
        "moves to": f"the {move.to.value}",
        f"{measure} (ms)": "not allowed" if change is None else signed(change / 1e6),
        "in %": "" if change is None else signed(100 * change / max(1, outcome.objective_ns)),
        **{f"{r.value} (ms)": signed(ns / 1e6) for r, ns in zip(RESOURCES, move.change_of_loads, strict=True)},
        "sent up (kB)": signed(move.change_of_bytes / 1e3),
        "allowed": move.refused or "yes",
    }


def signed(value: float) -> str:
    """A change with its sign; no change at all is 0."""
    if value == 0:
        return "0"
    digits = 3 if abs(value) < 10 else 1
    text = f"{abs(value):,.{digits}f}"
    return (
        f"{'+' if value > 0 else '−'}{text}" if float(text.replace(",", "")) else f"{'+' if value > 0 else '−'}<0.001"
    )
