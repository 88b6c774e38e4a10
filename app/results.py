"""The main area: headline, branch graph, Gantt chart, and the table of all strategies."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import cached
from app.figures.bars import TITLES, bar_rows, draw_bars
from app.figures.branch_graph import CutGroup, cut_groups, draw_branch_graph
from app.figures.gantt import draw_gantt, gantt_rows
from app.figures.style import DARK, LIGHT, Theme
from app.state import Scenario
from app.units import gain_text, gap_text, ns_text, ranges_text, rate_text
from decc_core.compare import Comparison, Outcome
from decc_core.cost import RESOURCES, Objective
from decc_core.explain import explain

PLOT_CONFIG = {"displaylogo": False, "scrollZoom": True, "modeBarButtonsToRemove": ["select2d", "lasso2d"]}


def theme() -> Theme:
    return DARK if st.context.theme.type == "dark" else LIGHT


def headline(scenario: Scenario, comparison: Comparison) -> None:
    """The answer first: how good the plan is, and why."""
    decc = comparison.of("decc")
    many = f"{scenario.requests} requests" if scenario.requests > 1 else "one request"
    st.subheader(f"{scenario.model}: {many} over {rate_text(scenario.uplink_mbps)}", anchor=False)
    makespan, dads, single, best, gap = st.columns(5)
    if comparison.instance.objective is Objective.MAKESPAN:
        makespan.metric("DECC finishes in", ns_text(decc.schedule.makespan_ns), border=True)
    else:
        makespan.metric("DECC sustains", f"{decc.throughput_rps:.3g} requests/s", border=True)
    dads.metric("against DADS (consecutive)", gain_text(comparison.gain("dads-dsl")), border=True)
    single.metric("against one cut for all", gain_text(comparison.gain("single-cut")), border=True)
    rival = comparison.best_baseline.strategy
    best.metric(f"against the best ({rival})", gain_text(comparison.gain(rival)), border=True)
    gap.metric("gap to the proven bound", gap_text(decc.gap), border=True)
    st.markdown(explain(comparison))


def choose(comparison: Comparison) -> Outcome:
    """The strategy whose plan is drawn; DECC's at first."""
    names = [outcome.strategy for outcome in comparison.outcomes]
    chosen = st.segmented_control("Show the plan of", names, default="decc", key="shown", required=True)
    return comparison.of(chosen or "decc")


def branch_graph(scenario: Scenario, comparison: Comparison, outcome: Outcome, profiles_key: str) -> None:
    """The network with the placement of one kind of request."""
    groups = cut_groups(outcome.plan)
    group = groups[0]
    if len(groups) > 1:
        group = st.radio(
            "Requests with this cut",
            groups,
            format_func=_group_text,
            horizontal=True,
            key=f"cut_{outcome.strategy}_{len(groups)}",
        )
    picture = cached.picture(scenario, group.cut, profiles_key, comparison.instance)
    figure = draw_branch_graph(picture, theme())
    st.plotly_chart(figure, key="branches", config=PLOT_CONFIG)


def _group_text(group: CutGroup) -> str:
    return ranges_text(tuple(request + 1 for request in group.requests))


def gantt(comparison: Comparison, outcome: Outcome) -> None:
    """Who works when."""
    st.markdown(f"**Schedule of {outcome.strategy}** ({outcome.execution.value}), numbered by request")
    bound = comparison.lower_bound_ns if comparison.instance.objective is Objective.MAKESPAN else None
    bars = gantt_rows(comparison.instance, outcome.schedule)
    st.plotly_chart(draw_gantt(bars, outcome.schedule.makespan_ns, bound, theme()), key="gantt", config=PLOT_CONFIG)


def strategies(comparison: Comparison) -> None:
    """All strategies under the same bound."""
    title = TITLES[comparison.instance.objective]
    st.markdown(f"**All strategies** by {title}; shorter is better")
    figure = draw_bars(bar_rows(comparison), comparison.lower_bound_ns, title, theme())
    st.plotly_chart(figure, key="bars", config=PLOT_CONFIG)
    best = comparison.best.strategy
    table = pd.DataFrame([_row(outcome) for outcome in comparison.outcomes])
    weight = ["font-weight: 700" if name == best else "" for name in table["strategy"]]
    st.dataframe(
        table.style.apply(lambda column: weight).format(precision=2),
        hide_index=True,
        height="content",
        key="table",
    )
    st.caption(
        "Busy times add up all requests. Throughput is for the plan repeated for ever. The bound holds for every plan "
        "of this scenario. DECC after the abstract of Zhuang et al., IEEE TETC 2024; all beyond it is our reconstruction."
    )


def _row(outcome: Outcome) -> dict[str, object]:
    return {
        "strategy": outcome.strategy,
        "execution": outcome.execution.value,
        "makespan (ms)": outcome.makespan_s * 1e3,
        "throughput (requests/s)": outcome.throughput_rps,
        **{f"{r.value} busy (ms)": ns / 1e6 for r, ns in zip(RESOURCES, outcome.busy_ns, strict=True)},
        "sent up (kB)": outcome.uplink_bytes / 1e3,
        "gap (%)": outcome.gap * 100,
        "planned in (ms)": outcome.plan_s * 1e3,
    }
