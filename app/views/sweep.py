"""The Sweep view: how the answer changes with the uplink, and with the edge's speed or the bits a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from app.figures.bars import TITLES
from app.figures.lines import line_rows, strategy_lines
from app.figures.printed import of_lines, of_map
from app.figures.sweep_map import BARELY, Axis, Conditions, MapKind, Tile, draw_map, map_rows, regret_of
from app.jobs.sweep import GRIDS, Grid, SweepJob, SweepTask
from app.shell import cached, exports, profiles, visit
from app.shell.address import (
    BESIDE,
    BEST_BASELINE,
    CELL_BITS,
    CELL_RATE,
    CELL_SLOWDOWN,
    GRID,
    MAP,
    OVER,
    QUICK_GRID,
    follow,
)
from app.shell.choices import choose
from app.shell.page import PLOT_CONFIG, theme
from app.state import title_of
from app.text import plain
from decc_core.planner.strategies import BASELINES, STRATEGIES
from decc_core.printed.table import Value, as_csv, scenario_columns
from decc_core.problem.instance import CostInstance, Objective
from decc_core.problem.link import BPS_PER_MBPS
from decc_core.problem.scenario import Scenario
from decc_core.problem.wire import FP32
from decc_core.study.compare import Comparison
from decc_core.study.crossover import Crossover
from decc_core.study.sweep import Cell, SweepRow
from decc_core.text import duration, gain_text, gap_text, rate_text, roughly, written

JOB = "sweep_job"
REFRESH_S = 0.5
AT_ONCE_S = 10.0
"""A sweep that takes no longer is finished without being asked for."""
WIDE = 0.5
"""Of a crossover: between rates that differ by more than this there is no middle worth an error."""
GRID_NAMES = (QUICK_GRID, "fine")
"""What the address calls the grids."""
AXES = {Axis.EDGE.value: "the edge's speed", Axis.BITS.value: "bits a value"}
CELLS = {Axis.EDGE: CELL_SLOWDOWN, Axis.BITS: CELL_BITS}
"""Where the chosen cell's second condition is kept."""
BITS_NOTE = (
    "Every float takes so many bits on the wire, whatever format would manage that, and coding takes what 8-bit "
    "numbers take; 32 are floats as they are. Inputs travel as in your scenario. What that does to the accuracy is not "
    "told here: a wire profile tells how many bits formats need."
)
MAPS = {
    MapKind.WINNER: "who wins",
    MapKind.GAIN: "DECC's gain",
    MapKind.REGRET: "regret of keeping the plan",
}
MAP_NOTES = {
    MapKind.WINNER: "The strategy with the best plan under each cell's conditions; of equal ones the simplest is "
    f"named. ≈: a simpler strategy is less than {100 * BARELY:g} % behind. "
    "No cut: one device does it all, while more is on its way.",
    MapKind.GAIN: "How many times better DECC's plan is than {over}. 1.00 means that DECC adds nothing there.",
    MapKind.REGRET: "DECC's plan for your scenario is kept while link and edge change: its cuts and sequences stay, "
    "its times are computed again. 1.00 means that keeping it costs nothing, 2.00 that a new plan would be twice as "
    "good; ✕ that it is not possible there.",
}


def view(scenario: Scenario, instance: CostInstance) -> None:
    """Start or find the sweep of the scenario, then map, cell and lines."""
    many = f"{scenario.requests} requests" if scenario.requests > 1 else "one request"
    st.subheader(f"Sweep: where the answer changes for {plain(title_of(scenario.model))}, {many}", anchor=False)
    choices = st.container(horizontal=True, gap="large")
    _keep_known(BESIDE, tuple(AXES))
    axis = choices.segmented_control(
        "Over the uplink's rate and",
        list(AXES),
        format_func=AXES.__getitem__,
        key=BESIDE,
        required=True,
        persist_state="session",
        help="What the map goes over beside the uplink's rate.",
    )
    _keep_known(GRID, GRID_NAMES)
    grid = choices.segmented_control(
        "Grid",
        GRID_NAMES,
        format_func=lambda name: GRIDS[GRID_NAMES.index(name)].name,
        key=GRID,
        required=True,
        persist_state="session",
        help=f"How many rates of the uplink, and edge speeds or bits a value: {'; '.join(map(str, GRIDS))}. Your "
        "scenario's own are added.",
    )
    comparison = cached.compared(instance)
    cells = GRIDS[GRID_NAMES.index(grid or QUICK_GRID)]
    job = _job(_task(scenario, instance, comparison, cells, Axis(axis or Axis.EDGE)), comparison)
    running = job.running
    st.fragment(_board, run_every=REFRESH_S if running else None)(job, running)


def _keep_known(key: str, values: Sequence[str]) -> None:
    """A control stands on one of its values; an address may say anything."""
    if st.session_state.get(key) not in values:
        st.session_state[key] = values[0]


def _task(scenario: Scenario, instance: CostInstance, comparison: Comparison, grid: Grid, axis: Axis) -> SweepTask:
    graph = instance.graph
    edge = profiles.profile_of(scenario.model, scenario.edge)
    cloud = profiles.profile_of(scenario.model, scenario.cloud)
    # All that is not swept; a downlink that follows the uplink is another problem than one of the same rate.
    swept: dict[str, Any] = {"edge_slowdown": 1.0} if axis is Axis.EDGE else {"wire": FP32, "min_agreement": None}
    fixed = replace(scenario, uplink_mbps=1.0, **swept)
    key = f"{cached.instance_key(fixed.instance(graph, edge, cloud))}-{scenario.downlink_mbps}-{axis.value}"
    plan, owner = comparison.of("decc").plan, cached.owner_of(graph)
    return SweepTask(scenario, graph, edge, cloud, plan, grid, key, owner, axis)


def _job(task: SweepTask, comparison: Comparison) -> SweepJob:
    """This visitor's sweep of the task; a sweep of anything else is stopped, and what it found is kept."""
    job: SweepJob | None = st.session_state.get(JOB)
    if job is None or job.task.identity != task.identity:
        if job is not None:
            job.stop()
        job = SweepJob(task, AT_ONCE_S)
        if task.is_present_planned:
            # The scenario's own cell is what the Plan view shows.
            slowdown, bits = task.beside(task.present[1])
            row = SweepRow(task.present[0] * BPS_PER_MBPS, slowdown, comparison, bits)
            job.cells[task.present] = Cell.of(row)
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
    follow(job.task.scenario)
    _lines(job)
    _files(job, kind, over)


def _files(job: SweepJob, kind: MapKind, over: str | None) -> None:
    """Map, lines and table to be saved, with what is known when they are asked for."""
    task = job.task
    present, many = task.scenario.uplink_mbps, len(job.cells)
    pictures = [
        of_map(
            kind,
            lambda: _tiles(job, kind, over),
            task.rates,
            task.slowdowns,
            task.present,
            over or BEST_BASELINE,
            task.axis,
        ),
        of_lines(
            lambda: line_rows(job.line_cells),
            lambda: _placed(job.crossovers),
            present,
            TITLES[Objective(task.scenario.objective)],
        ),
    ]
    with st.container(horizontal=True, gap="small"):
        exports.save_figures(task.scenario, task.graph, pictures, in_fragment=True)
        st.download_button(
            f"All {many} cells as CSV",
            lambda: csv_text(job),
            exports.file(task.scenario, task.graph, "sweep", "csv"),
            "text/csv",
            key="sweep_csv",
            on_click="ignore",
            help="One row for each cell and strategy, with the scenario in columns of its own.",
        )


def _controls() -> tuple[MapKind, str | None]:
    which, rival = st.columns((2.6, 1.3), vertical_alignment="bottom")
    _keep_known(MAP, [kind.value for kind in MapKind])
    name = which.segmented_control(
        "Map",
        [kind.value for kind in MapKind],
        format_func=lambda name: MAPS[MapKind(name)],
        key=MAP,
        required=True,
        persist_state="session",
        label_visibility="collapsed",
    )
    kind = MapKind(name or MapKind.WINNER)
    if kind is not MapKind.GAIN:
        return kind, None
    _keep_known(OVER, (BEST_BASELINE, *BASELINES))
    over = rival.selectbox(
        "Gain over",
        (BEST_BASELINE, *BASELINES),
        key=OVER,
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
    left = "" if job.expected_s is None else f"about {roughly(job.expected_s)}"
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
    tiles = _tiles(job, kind, over)
    st.caption(MAP_NOTES[kind].format(over=over or BEST_BASELINE))
    if task.axis is Axis.BITS:
        st.caption(BITS_NOTE)
    selected = (st.session_state.get(CELL_RATE), st.session_state.get(CELLS[task.axis]))
    height = 110 + (44 if len(task.slowdowns) <= 7 else 36) * len(task.slowdowns)
    figure = draw_map(kind, tiles, task.rates, task.slowdowns, task.present, selected, theme(), height, task.axis)
    st.plotly_chart(
        figure,
        key="sweep_map",
        theme=None,
        config=PLOT_CONFIG,
        on_select=partial(_take_click, CELLS[task.axis]),
        selection_mode="points",
    )


def _tiles(job: SweepJob, kind: MapKind, over: str | None) -> tuple[Tile, ...]:
    return map_rows(kind, job.task.map_points, dict(job.cells), dict(job.kept), dict(job.refused), over, job.task.axis)


def _take_click(second_key: str) -> None:
    points = st.session_state["sweep_map"].selection.points
    if points and points[0].get("customdata"):
        rate, second = points[0]["customdata"][:2]
        choose({CELL_RATE: rate, second_key: second})


def _chosen_cell(job: SweepJob) -> None:
    """A cell by click or by keyboard, its numbers, and the way into the sidebar."""
    task = job.task
    axis, second_key = task.axis, CELLS[task.axis]
    for key, options, present in (
        (CELL_RATE, task.rates, task.present[0]),
        (second_key, task.slowdowns, task.present[1]),
    ):
        if st.session_state.get(key) not in options:
            st.session_state[key] = present
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="sweep_cell"):
        point: Conditions = (
            st.selectbox("Cell: uplink", task.rates, key=CELL_RATE, format_func=rate_text, width=170),
            st.selectbox(axis.title, task.slowdowns, key=second_key, format_func=axis.tick, width=130),
        )
        by_edge = axis is Axis.EDGE
        taken = st.button(
            f"Plan at {rate_text(point[0])}" + (f", {axis.words(point[1])}" if by_edge else ""),
            key="sweep_take",
            disabled=point == task.present if by_edge else point[0] == task.present[0],
            on_click=choose,
            args=({"uplink_mbps": point[0], **({"edge_slowdown": point[1]} if by_edge else {})},),
            help="Sets the sidebar to this cell's conditions; then open Plan to see the plan."
            if by_edge
            else "Sets the sidebar to this cell's uplink; how tensors travel stays as you chose it.",
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
    if point == job.task.present and job.task.is_present_planned:
        parts.append("This is your scenario.")
    elif regret is not None and regret < 1 + BARELY:
        parts.append("Keeping your plan costs nothing here.")
    elif regret is not None:
        parts.append(f"Your plan, kept, would take {gain_text(regret)} the time of a new one.")
    return " ".join(parts)


def _lines(job: SweepJob) -> None:
    task = job.task
    title = TITLES[Objective(task.scenario.objective)]
    of = f"{task.axis.words(task.present[1])}, as in your scenario" if task.is_present_planned else "raw tensors"
    st.markdown(f"**Every strategy over the uplink's rate**, {of}; lower is better")
    crossings = job.crossovers
    figure = strategy_lines(
        job.line_cells,
        _placed(crossings),
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
                        "known to": _known_to(crossover),
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


def _placed(crossovers: Sequence[Crossover]) -> list[Crossover]:
    """Those whose rate is known well enough for a mark at it."""
    return [crossover for crossover in crossovers if crossover.width < WIDE]


def _known_to(crossover: Crossover) -> str:
    """How well the rate is known; where the planned rates lie far apart, which these are."""
    if crossover.width < WIDE:
        return f"± {gap_text(crossover.width / 2)}"
    low, high = (cell.uplink_bps / BPS_PER_MBPS for cell in (crossover.low, crossover.high))
    return f"{written(low, 3)} to {written(high, 3)} Mbit/s"


def csv_text(job: SweepJob) -> str:
    """One row for each cell and strategy, units in the heads, and what all of it is about."""
    task, rows = job.task, list[dict[str, Value]]()
    follows = task.scenario.downlink_mbps is None
    for point, cell in sorted(dict(job.cells).items()):
        regret = regret_of(cell, job.kept.get(point))
        for strategy, value in cell.objective_ns.items():
            rows.append(
                {
                    "uplink_mbps": point[0],
                    "downlink_mbps": point[0] if follows else task.scenario.downlink_mbps,
                    "edge_slowdown": cell.edge_slowdown,
                    **({} if cell.bits is None else {"bits_a_value": cell.bits}),
                    "strategy": strategy,
                    "objective_ms": value / 1e6,
                    "lower_bound_ms": cell.lower_bound_ns / 1e6,
                    "winner": int(strategy == cell.winner),
                    "both_devices": int(strategy not in cell.whole),
                    "regret_of_kept_plan": regret,
                }
            )
    return as_csv(rows, scenario_columns(task.scenario, task.graph, task.edge, task.cloud))
