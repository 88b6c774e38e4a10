"""Trade-offs: the plans that no other one beats in latency, bytes up and requests per second at once."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.components.gantt import SMALL, gantt_chart
from app.figures.gantt import gantt
from app.figures.trade_offs import Measure, TradeOff, draw_trade_offs, trade_off_rows
from app.jobs.trade_offs import TradeOffJob, whole
from app.shell import cached, visit
from app.shell.choices import choose
from app.shell.page import PLOT_CONFIG, theme
from app.text import plain
from decc_core.printed.names import stem
from decc_core.problem.instance import CostInstance
from decc_core.problem.scenario import BYTES_PER_KB
from decc_core.study.compare import Comparison, Outcome
from decc_core.study.pareto import ParetoPoint
from decc_core.text import bytes_text

JOB, CHOSEN = "trade_off_job", "trade_off_chosen"
CHART, TABLE = "trade_off_chart", "trade_off_table"
REFRESH_S = 0.5
AT_ONCE_S = 0.4
"""So long the answer for a small network is waited for; after that the page goes on, and tells how far it is."""


def trade_offs(comparison: Comparison, outcome: Outcome) -> None:
    """The search for them, or what it found: a picture, a table, and what can be done with the plan that is clicked."""
    st.markdown(
        "**Trade-offs**: no plan below is beaten by another in latency, bytes up *and* requests per second. Click one "
        "to see it, and to keep to it."
    )
    job = _job(comparison.instance)
    if not job.over:
        job.wait(AT_ONCE_S)
    if not job.over:
        _progress(job)
        return
    if job.failure is not None:
        st.error(plain(job.failure))
    if not job.complete:
        found = f"{job.planned} of {job.total} plannings were done" if job.planned else "nothing was planned yet"
        st.info(f"The search was stopped: {found}.")
        st.button("Search again", key="trade_off_again", on_click=st.session_state.pop, args=(JOB, None))
    if job.points:
        _board(job, comparison.instance, outcome)


def _job(instance: CostInstance) -> TradeOffJob:
    """This visitor's search for the scenario; a search for another one is stopped."""
    asked = whole(instance)
    key = ("trade offs", cached.instance_key(asked))
    job: TradeOffJob | None = st.session_state.get(JOB)
    if job is None or job.key != key:
        if job is not None:
            job.stop()
        job = TradeOffJob(asked, key, cached.owner_of(instance.graph))
        st.session_state[JOB] = job
        if not job.over:
            visit.begin(job)
    return job


@st.fragment(run_every=REFRESH_S)
def _progress(job: TradeOffJob) -> None:
    if job.over:
        st.rerun()
    bar, button = st.columns((4, 1), vertical_alignment="center")
    doing = "stopping" if job.stopped.is_set() else f"{len(job.points)} plans so far that none beats"
    bar.progress(min(1.0, job.planned / job.total), f"Planning under several limits on bytes up: {doing}")
    button.button("Stop", key="trade_off_stop", on_click=job.stop, width="stretch", disabled=job.stopped.is_set())


def _board(job: TradeOffJob, instance: CostInstance, outcome: Outcome) -> None:
    rows, place = trade_off_rows(job.points), _chosen(job)
    measure = st.segmented_control(
        "Latency against",
        list(Measure),
        default=Measure.BYTES,
        format_func=lambda measure: f"latency against {measure.value}",
        key="trade_off_measure",
        required=True,
        persist_state="session",
        label_visibility="collapsed",
    )
    present = TradeOff(
        outcome.strategy,
        instance.objective,
        outcome.schedule.makespan_ns,
        outcome.throughput_rps,
        outcome.uplink_bytes / len(outcome.plan.cuts),
    )
    st.plotly_chart(
        draw_trade_offs(rows, present, place, Measure(measure or Measure.BYTES), theme()),
        key=CHART,
        theme=None,
        config=PLOT_CONFIG,
        on_select=lambda: _take_point(job),
        selection_mode="points",
    )
    if place is None:
        st.caption("Click a mark, or tick a row below, to see the plan and to keep to what it sends.")
    else:
        _detail(instance, job.points[place], rows[place])
    st.dataframe(
        pd.DataFrame([_row(row) for row in rows]),
        hide_index=True,
        height="content",
        key=TABLE,
        on_select=lambda: _take_row(job),
        selection_mode="single-row",
    )
    st.caption(
        "Circles were planned for makespan, squares for throughput; the ring is the plan shown above. Limits on bytes "
        "up are left out here, as they are what is traded; all others hold. A sample: other plans may lie in between."
    )


def _row(row: TradeOff) -> dict[str, object]:
    return {
        "strategy": row.strategy,
        "planned for": row.objective.value,
        "latency (ms)": round(row.makespan_ns / 1e6, 3),
        "requests/s": float(f"{row.throughput_rps:.4g}"),
        "up per request (kB)": round(row.bytes_per_request / BYTES_PER_KB, 3),
    }


def _chosen(job: TradeOffJob) -> int | None:
    """The plan that was clicked, if it is one of this search."""
    key, place = st.session_state.get(CHOSEN, (None, 0))
    return place if key == job.key and 0 <= place < len(job.points) else None


def _take_point(job: TradeOffJob) -> None:
    points = st.session_state[CHART].selection.points
    # The second trace is the ring around the plan shown above.
    mine = [point for point in points if point.get("curve_number", 0) == 0]
    if mine:
        st.session_state[CHOSEN] = (job.key, int(mine[0]["point_index"]))


def _take_row(job: TradeOffJob) -> None:
    rows = st.session_state[TABLE].selection.rows
    if rows:
        st.session_state[CHOSEN] = (job.key, int(rows[0]))


def _detail(instance: CostInstance, point: ParetoPoint, row: TradeOff) -> None:
    """The plan that was clicked, and the button that has the page plan like it."""
    most = point.most_bytes(instance)
    asked = {"uplink_kb": most / BYTES_PER_KB, "objective": point.objective.value}
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{row.strategy}**, planned for {row.objective.value}: {row.text}.")
        st.button(
            f"Keep to at most {bytes_text(most)} up",
            key="trade_off_keep",
            on_click=choose,
            args=({**asked, "shown": row.strategy},),
            disabled=all(st.session_state.get(key) == value for key, value in asked.items()),
            help="Limits what each request may send to what this plan sends at most, and plans for what it was planned "
            "for. The limit stands at the left, and can be taken away there.",
        )
    network = instance.graph
    gantt_chart(
        gantt(instance, point.outcome.schedule),
        f"trade-off-{network.fingerprint[:12]}",
        "trade_off_gantt",
        theme(),
        file=stem(network.name, row.strategy, "schedule"),
        height=SMALL,
    )
