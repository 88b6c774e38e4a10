"""The main area: headline, branch graph, Gantt chart, and the table of all strategies."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import cached
from app.figures.bars import TITLES, bar_rows, draw_bars
from app.figures.branch_graph import CutGroup, cut_groups, draw_branch_graph
from app.figures.gantt import draw_gantt, gantt_rows
from app.page import PLOT_CONFIG, theme
from app.state import Scenario
from app.units import gain_text, gap_text, ns_text, ranges_text, rate_text
from decc_core.compare import Comparison, Outcome
from decc_core.cost import RESOURCES, CostInstance, Objective
from decc_core.explain import explain

BEST = "best"
"""The strategy selector's first entry, which follows whatever strategy wins."""


def view(scenario: Scenario, instance: CostInstance) -> None:
    """Everything beside the controls, from the headline to the table."""
    comparison = cached.compared(instance)
    headline(scenario, comparison)
    body(comparison)


def headline(scenario: Scenario, comparison: Comparison) -> None:
    """The answer first: how good the plan is, and why."""
    best, rival = comparison.best, comparison.best_baseline.strategy
    many = f"{scenario.requests} requests" if scenario.requests > 1 else "one request"
    st.subheader(f"{scenario.model}, {many}, {rate_text(scenario.uplink_mbps)} up", anchor=False)
    cells = st.columns((1.2, 1, 1.05, 1.35, 0.9), gap="small")
    if comparison.instance.objective is Objective.MAKESPAN:
        cells[0].metric(f"{best.strategy} makespan", ns_text(best.schedule.makespan_ns), border=True, help=MAKESPAN)
    else:
        cells[0].metric(f"{best.strategy}, requests/s", f"{best.throughput_rps:.3g}", border=True, help=THROUGHPUT)
    for cell, title, over in (
        (cells[1], "gain over DADS", "dads-dsl"),
        (cells[2], "gain over single cut", "single-cut"),
        (cells[3], f"gain over best ({rival})", rival),
    ):
        cell.metric(title, gain_text(comparison.gain(over)), border=True, help=GAINS[title.split(" (")[0]])
    cells[4].metric("gap to bound", gap_text(comparison.of("decc").gap), border=True, help=GAP)
    st.markdown(explain(comparison))


MAKESPAN = "Time until the last result is back on the edge. Where several strategies tie, the simplest is named."
THROUGHPUT = "Requests per second when the plan repeats for ever."
GAINS = {
    "gain over DADS": "How many times better decc is than DADS for light load (one min cut, consecutive requests).",
    "gain over single cut": "How many times better decc is than the best single cut for all requests, pipelined.",
    "gain over best": "How many times better decc is than the best of the eight baselines; 1.00× means that one is "
    "just as good.",
}
GAP = "Distance of decc's plan from a bound that no plan can beat; 0 % proves it optimal."


def body(comparison: Comparison) -> None:
    """Pictures of one plan, then all strategies side by side."""
    outcome = _chosen(comparison)
    _branch_graph(comparison.instance, outcome)
    _gantt(comparison, outcome)
    _strategies(comparison)


def _chosen(comparison: Comparison) -> Outcome:
    """The strategy whose plan is drawn: at first the best one."""
    names = [BEST, *(outcome.strategy for outcome in comparison.outcomes)]
    chosen = st.segmented_control(
        "Plan shown",
        names,
        default=BEST,
        format_func=lambda name: f"best: {comparison.best.strategy}" if name == BEST else name,
        key="shown",
        required=True,
        label_visibility="collapsed",
    )
    return comparison.best if chosen in (None, BEST) else comparison.of(chosen)


def _branch_graph(instance: CostInstance, outcome: Outcome) -> None:
    groups = cut_groups(outcome.plan)
    group = groups[0]
    if len(groups) > 1:
        # A plan with other cuts has other groups: its key is its own, and the first group is shown.
        place = st.segmented_control(
            "Requests with the same cut",
            range(len(groups)),
            default=0,
            format_func=lambda i: _group_text(groups[i]),
            key=f"cut_{outcome.strategy}_{hash(outcome.plan.cuts)}",
            required=True,
            label_visibility="collapsed",
        )
        group = groups[place or 0]
    figure = draw_branch_graph(cached.picture(instance, group.cut), theme())
    st.plotly_chart(figure, key="branches", theme=None, config=PLOT_CONFIG)


def _group_text(group: CutGroup) -> str:
    noun = "requests" if len(group.requests) > 1 else "request"
    return f"{noun} {ranges_text(tuple(request + 1 for request in group.requests))}"


def _gantt(comparison: Comparison, outcome: Outcome) -> None:
    numbered = ", numbered by request" if comparison.instance.requests > 1 else ""
    st.markdown(f"**Schedule of {outcome.strategy}** ({outcome.execution.value}){numbered}")
    bound = comparison.lower_bound_ns if comparison.instance.objective is Objective.MAKESPAN else None
    bars = gantt_rows(comparison.instance, outcome.schedule)
    figure = draw_gantt(bars, outcome.schedule.makespan_ns, bound, theme())
    st.plotly_chart(figure, key="gantt", theme=None, config=PLOT_CONFIG)


def _strategies(comparison: Comparison) -> None:
    title = TITLES[comparison.instance.objective]
    st.markdown(f"**All strategies** by {title}; shorter is better")
    figure = draw_bars(bar_rows(comparison), comparison.lower_bound_ns, title, theme())
    st.plotly_chart(figure, key="bars", theme=None, config=PLOT_CONFIG)
    table = pd.DataFrame([_row(outcome) for outcome in comparison.outcomes])
    best = comparison.best.strategy
    styled = table.style.apply(
        lambda row: ["background-color: rgba(0, 114, 178, 0.18)" if row["strategy"] == best else ""] * len(row), axis=1
    ).format(_three_digits, subset=list(table.columns[2:]))
    st.dataframe(styled, hide_index=True, height="content", key="table")
    st.caption(
        "Edge, uplink, cloud and downlink: time busy, all requests together. Requests/s: the plan repeated for ever. "
        "The bound holds for every plan of this scenario. "
        "DECC is built after the abstract of Zhuang et al., IEEE TETC 2024; all beyond it is our "
        "reconstruction."
    )


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _row(outcome: Outcome) -> dict[str, object]:
    return {
        "strategy": outcome.strategy,
        "execution": outcome.execution.value,
        "makespan (ms)": outcome.makespan_s * 1e3,
        "requests/s": outcome.throughput_rps,
        **{f"{r.value} (ms)": ns / 1e6 for r, ns in zip(RESOURCES, outcome.busy_ns, strict=True)},
        "sent up (kB)": outcome.uplink_bytes / 1e3,
        "gap (%)": outcome.gap * 100,
        "planning (ms)": outcome.plan_s * 1e3,
    }
