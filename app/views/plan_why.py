"""Why this cut: what it would cost to move the partition point of each branch by one layer."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.components.table import Cell, Row, table
from app.figures.bars import TITLES
from app.figures.branch_graph import cut_groups
from app.shell import cached
from app.text import code
from decc_core.network.graph import LayerGraph
from decc_core.printed.names import stem
from decc_core.problem.instance import RESOURCES, CostInstance
from decc_core.study.compare import Comparison, Outcome
from decc_core.study.moves import Move
from decc_core.text import MINUS, duration, ranges_text, three_digits


def why(comparison: Comparison, outcome: Outcome) -> None:
    """Every move of one layer, the best first, with what it changes."""
    measure = TITLES[comparison.instance.objective]
    st.markdown(f"**Why {outcome.strategy} cuts here**: what one layer more or less on the edge would cost")
    moves = [
        move for requests in _requests(outcome) for move in cached.moved(comparison.instance, outcome.plan, requests)
    ]
    if not moves:
        st.info("There is nothing to move: no layer can change sides alone.")
        return
    st.markdown(_in_words(comparison, moves))
    ordered = sorted(moves, key=lambda move: (move.change_ns is None, move.change_ns or 0))
    rows = [_row(comparison.instance, outcome, move, measure) for move in ordered]
    table(
        f"Why {outcome.strategy} cuts here",
        list(rows[0]),
        [Row(tuple(row.values()), (move.layer,), move.requests) for row, move in zip(rows, ordered, strict=True)],
        "moves",
        file=stem(comparison.instance.graph.name, "moves"),
    )
    st.caption(
        "Each row moves one layer, at the point where a branch is cut, to the other side and plans the rest anew in "
        f"the best order found. + means that the {measure} grows. The columns of edge, uplink, cloud and downlink say "
        "how much more (+) or less (−) each has to do. Layers that would need others to go with them are not listed; "
        "try those under What if."
    )


def _requests(outcome: Outcome) -> list[tuple[int, ...]]:
    """The requests that are moved together: of every kind of cut one request, or all."""
    groups = [group.requests for group in cut_groups(outcome.plan)]
    if all(len(requests) == 1 for requests in groups):
        return groups
    every = st.segmented_control(
        "Of the requests that are cut alike, move",
        (False, True),
        default=False,
        format_func=lambda every: "all" if every else "one",
        key="why_all",
        required=True,
        persist_state="session",
    )
    return groups if every else [requests[:1] for requests in groups]


def _in_words(comparison: Comparison, moves: Sequence[Move]) -> str:
    possible = [(move.change_ns, move) for move in moves if move.change_ns is not None]
    if not possible:
        return "The constraints allow none of these moves."
    (least, best), (most, worst) = (choose(possible, key=lambda pair: pair[0]) for choose in (min, max))
    graph = comparison.instance.graph
    if least < 0:
        return f"Moving {_what(graph, best)} would gain {duration(-least)}: a single move betters this plan."
    if best is worst:
        return f"No single move helps: {_what(graph, best)} costs {duration(least)}{_because(best)}."
    first = (
        f"No single move helps: even the cheapest, {_what(graph, best)}, costs {duration(least)}."
        if least
        else "No single move helps, but some cost nothing: cuts that are as good lie beside this one."
    )
    if most <= 0:
        return first
    return f"{first} The most expensive is {_what(graph, worst)}: it costs {duration(most)}{_because(worst)}."


def _what(graph: LayerGraph, move: Move) -> str:
    return f"{code(graph.titles[move.layer])} to the {move.to.value}"


def _because(move: Move) -> str:
    """What grows most."""
    extra, resource = max(zip(move.change_of_loads, RESOURCES, strict=True))
    return f", because the {resource.value} gets {duration(extra)} more to do" if extra > 0 else ""


def _row(instance: CostInstance, outcome: Outcome, move: Move, measure: str) -> dict[str, Cell]:
    graph, change = instance.graph, move.change_ns
    requests = tuple(request + 1 for request in move.requests)
    return {
        **({"requests": ranges_text(requests)} if instance.requests > 1 else {}),
        "branch": graph.run_title(move.branch),
        "layer": graph.titles[move.layer],
        "moves to": f"the {move.to.value}",
        f"{measure} (ms)": "not allowed" if change is None else _change(change / 1e6),
        "in %": "" if change is None else _change(100 * change / max(1, outcome.objective_ns)),
        **{f"{r.value} (ms)": _change(ns / 1e6) for r, ns in zip(RESOURCES, move.change_of_loads, strict=True)},
        "sent up (kB)": _change(move.change_of_bytes / 1e3),
        "allowed": move.refused or "yes",
    }


def _change(value: float) -> Cell:
    return signed(value), value


def signed(value: float) -> str:
    """A change with its sign; no change at all is 0."""
    if value == 0:
        return "0"
    size, sign = abs(value), "+" if value > 0 else MINUS
    if size < 0.001:
        return f"{sign}<0.001"
    return f"{sign}{size:.3f}" if size < 1 else f"{sign}{three_digits(size, ',')}"
