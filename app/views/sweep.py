"""The Sweep view: how the answer changes with the uplink and with the edge's speed."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pandas as pd
import streamlit as st

from app.figures.bars import TITLES
from app.figures.lines import strategy_lines
from app.figures.strategy_style import edge_speed_text
from app.figures.sweep_map import BARELY, Conditions, MapKind, draw_map, map_rows, regret_of
from app.jobs.sweep import GRIDS, Grid, SweepJob, SweepTask
from app.shell import cached, profiles, visit
from app.shell.choices import choose
from app.shell.page import PLOT_CONFIG, theme
from app.state import title_of
from app.text import plain
from decc_core.planner.strategies import BASELINES, STRATEGIES
from decc_core.problem.instance import CostInstance, Objective
from decc_core.problem.link import BPS_PER_MBPS
from decc_core.problem.scenario import Scenario
from decc_core.study.compare import Comparison
from decc_core.study.sweep import Cell, SweepRow
from decc_core.text import duration, duration_s, gain_text, rate_text

JOB = "sweep_job"
REFRESH_S = 0.5
AT_ONCE_S = 10.0
"""A sweep that takes no longer is finished without being asked for."""
BEST_BASELINE = "the best baseline"
MAPS = {
    MapKind.WINNER: "who wins",
    MapKind.GAIN: "DECC's gain",
    MapKind.REGRET: "regret of keeping the plan",
}
MAP_NOTES = {
    MapKind.WINNER: "The strategy with the best plan under each cell's conditions; of equal ones the simplest is "
    f"named. ≈: a simpler strategy is less than {100 * BARELY:g} % behind.",
    MapKind.GAIN: "How many times better DECC's plan is than {over}. 1.00 means that DECC adds nothing there.",
    MapKind.REGRET: "DECC's plan for your scenario is kept while link and edge change: its cuts and sequences stay, "
    "its times are computed again. 1.00 means that keeping it costs nothing, 2.00 that a new plan would be twice as "
    "good; ✕ that it is not possible there.",
}


def view(scenario: Scenario, instance: CostInstance) -> None:
    """Start or find the sweep of the scenario, then map, cell and lines."""
    many = f"{scenario.requests} requests" if scenario.requests > 1 else "one request"
    title, size = st.columns((4, 1.5), vertical_alignment="bottom")
    title.subheader(f"Sweep: where the answer changes for {plain(title_of(scenario.model))}, {many}", anchor=False)
    grid = size.segmented_control(
        "Grid",
        range(len(GRIDS)),
        default=0,
        format_func=lambda i: GRIDS[i].name,
        key="sweep_grid",
        required=True,
        persist_state="session",
        label_visibility="collapsed",
        help="Uplink rates times edge speeds; your scenario's own rate and speed are added.",
    )
    comparison = cached.compared(instance)
    job = _job(_task(scenario, instance, comparison, GRIDS[grid or 0]), comparison)
    running = job.running
    st.fragment(_board, run_every=REFRESH_S if running else None)(job, running)


def _task(scenario: Scenario, instance: CostInstance, comparison: Comparison, grid: Grid) -> SweepTask:
    graph = instance.graph
    edge = profiles.profile_of(scenario.model, scenario.edge)
    cloud = profiles.profile_of(scenario.model, scenario.cloud)
    # All that is not swept; a downlink that follows the uplink is another problem than one of the same rate.
    fixed = replace(scenario, uplink_mbps=1.0, edge_slowdown=1.0)
    key = f"{cached.instance_key(fixed.instance(graph, edge, cloud))}-{scenario.downlink_mbps}"
    return SweepTask(scenario, graph, edge, cloud, comparison.of("decc").plan, grid, key, cached.owner_of(graph))


def _job(task: SweepTask, comparison: Comparison) -> SweepJob:
    """This visitor's sweep of the task; a sweep of anything else is stopped, and what it found is kept."""
    job: SweepJob | None = st.session_state.get(JOB)
    if job is None or job.task.identity != task.identity:
        if job is not None:
            job.stop()
        job = SweepJob(task, AT_ONCE_S)
        rate, slowdown = task.present
        # The scenario's own cell is what the Plan view shows.
        job.cells[task.present] = Cell.of(SweepRow(rate * BPS_PER_MBPS, slowdown, comparison))
        st.session_state[JOB] = job
        visit.begin(job)
    job.look()
    return job


def _board(job: SweepJob, was_running: bool) -> None:
    """Everything below the title; drawn again and again while cells arrive."""
    if was_running and job.over:
        st.rerun()
    job.look()
    kind, over = _controls()
    _progress(job)
    _map(job, kind, over)
    _chosen_cell(job)
    _lines(job)
    st.download_button(
        f"All {len(job.cells)} cells as CSV",
        lambda: csv_text(job),
        f"{job.task.graph.name}-sweep.csv",
        "text/csv",
        key="sweep_csv",
        help="One row for each cell and strategy. The pictures are saved as SVG with the camera at their upper right.",
    )


def _controls() -> tuple[MapKind, str | None]:
    which, rival = st.columns((2.6, 1.3), vertical_alignment="bottom")
    kind = which.segmented_control(
        "Map",
        list(MapKind),
        default=MapKind.WINNER,
        format_func=MAPS.__getitem__,
        key="sweep_map_kind",
        required=True,
        persist_state="session",
        label_visibility="collapsed",
    )
    if kind is not MapKind.GAIN:
        return kind or MapKind.WINNER, None
    over = rival.selectbox(
        "Gain over",
        (BEST_BASELINE, *BASELINES),
        key="sweep_over",
        format_func=lambda name: f"over {name}",
        label_visibility="collapsed",
        persist_state="session",
    )
    return kind, None if over == BEST_BASELINE else over


def _progress(job: SweepJob) -> None:
    """What is going on, and the button that fits."""
    if job.failure:
        st.error(plain(job.failure))
    if job.over and not job.missing:
        return
    text, button = st.columns((5, 1), vertical_alignment="center")
    left = "" if job.expected_s is None else f"about {duration_s(max(job.expected_s, 0.1))}"
    if job.running:
        done = f"{job.planned} of {job.to_plan} cells planned" + (f", {left} left" if left else "")
        text.progress(min(1.0, job.planned / max(1, job.to_plan)), "finding the crossovers" if job.refining else done)
        button.button("Stop", key="sweep_stop", on_click=job.stop, width="stretch")
        return
    many = f"{len(job.missing)} cells are not planned yet"
    takes = f"; all {len(STRATEGIES)} strategies in each of them take {left}" if left else ""
    text.info(f"{many}{takes}. The map fills as they arrive, and can be stopped.")
    if button.button("Go on" if job.stopped.is_set() else "Start", key="sweep_start", type="primary", width="stretch"):
        # The rest, however long it takes: somebody asked for it.
        fresh = SweepJob(job.task, cells=dict(job.cells), kept=dict(job.kept))
        st.session_state[JOB] = fresh
        visit.begin(fresh)
        st.rerun()


def _map(job: SweepJob, kind: MapKind, over: str | None) -> None:
    task = job.task
    tiles = map_rows(kind, task.map_points, dict(job.cells), dict(job.kept), dict(job.refused), over)
    st.caption(MAP_NOTES[kind].format(over=over or BEST_BASELINE))
    selected = (st.session_state.get("sweep_rate"), st.session_state.get("sweep_slowdown"))
    height = 110 + (44 if len(task.slowdowns) <= 7 else 36) * len(task.slowdowns)
    figure = draw_map(kind, tiles, task.rates, task.slowdowns, task.present, selected, theme(), height)
    st.plotly_chart(
        figure,
        key="sweep_map",
        theme=None,
        config=PLOT_CONFIG,
        on_select=_take_click,
        selection_mode="points",
    )


def _take_click() -> None:
    points = st.session_state["sweep_map"].selection.points
    if points and points[0].get("customdata"):
        rate, slowdown = points[0]["customdata"][:2]
        choose({"sweep_rate": rate, "sweep_slowdown": slowdown})


def _chosen_cell(job: SweepJob) -> None:
    """A cell by click or by keyboard, its numbers, and the way into the sidebar."""
    task = job.task
    for key, options, present in (
        ("sweep_rate", task.rates, task.present[0]),
        ("sweep_slowdown", task.slowdowns, task.present[1]),
    ):
        if st.session_state.get(key) not in options:
            st.session_state[key] = present
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="sweep_cell"):
        point: Conditions = (
            st.selectbox("Cell: uplink", task.rates, key="sweep_rate", format_func=rate_text, width=170),
            st.selectbox(
                "edge slower by", task.slowdowns, key="sweep_slowdown", format_func=lambda s: f"{s:g} ×", width=130
            ),
        )
        taken = st.button(
            f"Plan at {rate_text(point[0])}, {edge_speed_text(point[1])}",
            key="sweep_take",
            disabled=point == task.present,
            on_click=choose,
            args=({"uplink_mbps": point[0], "edge_slowdown": point[1]},),
            help="Sets the sidebar to this cell's conditions; then open Plan to see the plan.",
        )
    st.markdown(_cell_text(job, point))
    if taken:
        st.rerun()


def _cell_text(job: SweepJob, point: Conditions) -> str:
    if point in job.refused:
        return plain(job.refused[point])
    cell = job.cells.get(point)
    if cell is None:
        return "This cell is not planned yet."
    gain, regret = cell.gain(), regret_of(cell, job.kept.get(point))
    parts = [
        f"Best is **{cell.winner}** with {duration(cell.best_ns)} (no plan beats {duration(cell.lower_bound_ns)})."
    ]
    if gain is not None:
        over = f"the best baseline ({cell.best_baseline})"
        if gain == 1:
            parts.append(f"DECC is just as good as {over}.")
        else:
            little = f"less than {100 * BARELY:g} %" if gain < 1 + BARELY else gain_text(gain)
            parts.append(f"DECC gains {little} over {over}.")
    if point == job.task.present:
        parts.append("This is your scenario.")
    elif regret is not None and regret < 1 + BARELY:
        parts.append("Keeping your plan costs nothing here.")
    elif regret is not None:
        parts.append(f"Your plan, kept, would take {gain_text(regret)} the time of a new one.")
    return " ".join(parts)


def _lines(job: SweepJob) -> None:
    task = job.task
    title = TITLES[Objective(task.scenario.objective)]
    slowdown = task.scenario.edge_slowdown
    st.markdown(
        f"**Every strategy over the uplink's rate**, {edge_speed_text(slowdown)}, as in your scenario; lower is better"
    )
    crossings = job.crossovers
    figure = strategy_lines(
        job.line_cells,
        crossings,
        task.scenario.uplink_mbps,
        title,
        theme(),
        (task.points[0][0], task.points[-1][0]),
    )
    st.plotly_chart(figure, key="sweep_lines", theme=None, config=PLOT_CONFIG)
    if crossings:
        st.markdown("**Crossovers**: where the best strategy changes, by planning at rates ever closer to it")
        st.dataframe(
            pd.DataFrame(
                [
                    {
                        "uplink (Mbit/s)": float(f"{crossover.uplink_bps / BPS_PER_MBPS:.3g}"),
                        "known to": f"± {100 * crossover.width / 2:.1f} %",
                        "below it": crossover.before,
                        "above it": crossover.after,
                        "time there": duration((crossover.low.best_ns + crossover.high.best_ns) // 2),
                    }
                    for crossover in crossings
                ]
            ),
            hide_index=True,
            key="sweep_crossovers",
            height="content",
        )
    elif job.over and job.line_cells:
        st.caption(f"No crossover: **{job.line_cells[0].winner}** is best at every rate that was planned.")


def csv_text(job: SweepJob) -> str:
    """One row for each cell and strategy, units in the heads."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(
        ("uplink_mbps", "edge_slowdown", "strategy", "objective_ms", "lower_bound_ms", "winner", "regret_of_kept_plan")
    )
    for point, cell in sorted(dict(job.cells).items()):
        regret = regret_of(cell, job.kept.get(point))
        for strategy, value in cell.objective_ns.items():
            writer.writerow(
                (
                    f"{point[0]:.6g}",
                    f"{point[1]:g}",
                    strategy,
                    f"{value / 1e6:.6f}",
                    f"{cell.lower_bound_ns / 1e6:.6f}",
                    int(strategy == cell.winner),
                    "" if regret is None else f"{regret:.6f}",
                )
            )
    return out.getvalue()
