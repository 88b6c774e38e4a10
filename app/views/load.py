"""The Load view: requests that keep arriving, the latency of every policy over the rate, and what each sustains."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pandas as pd
import streamlit as st

from app.figures.load_curve import draw_latencies, draw_load, draw_queue, load_rows
from app.jobs.load import LoadJob, LoadTask, looked_at_closely
from app.shell import cached, visit
from app.shell.frame import instance_of
from app.shell.page import PLOT_CONFIG, theme
from app.state import title_of
from app.text import plain
from decc_core.errors import DeccError
from decc_core.problem.instance import CostInstance, Objective
from decc_core.problem.scenario import Scenario
from decc_core.streams.arrivals import Process
from decc_core.streams.load import Asked, Demand
from decc_core.text import duration, gain_text

JOB = "load_job"
REFRESH_S = 0.4
ARRIVALS = {
    Process.CONSTANT: "as a clock ticks",
    Process.POISSON: "by chance (Poisson)",
    Process.GAMMA: "in bursts (Gamma, CV 3)",
}
PERCENTILES = (90.0, 95.0, 99.0)
REQUESTS = 4_000
"""Simulated at each rate; `decc load` simulates as many as it is asked for."""
MOST_SOURCES = 64


def view(scenario: Scenario, instance: CostInstance) -> None:
    """Controls, curve, table, and one policy at one rate."""
    del instance
    st.subheader(f"Load: requests that keep arriving at {plain(title_of(scenario.model))}", anchor=False)
    st.caption(
        "Cameras do not wait until a batch is done: each is cut when it arrives. A fixed cut or pattern is good "
        "at one load; decc's dispatcher sees the queues, and chooses the cut that costs least now. Requests in flight "
        "and the objective at the left do not matter here."
    )
    task = _controls(scenario)
    job = _job(task)
    running = not job.over
    st.fragment(_board, run_every=REFRESH_S if running else None)(job, running)


def _controls(scenario: Scenario) -> LoadTask:
    how, within, many, cameras, servers = st.columns((2.6, 1.2, 1, 1, 1), vertical_alignment="bottom")
    process = how.selectbox(
        "Requests arrive", list(ARRIVALS), index=1, format_func=ARRIVALS.__getitem__, key="load_arrivals",
        persist_state="session",
    )  # fmt: skip
    one = _one_request(scenario)
    factor = within.number_input(
        "Deadline (× fastest)", 1.0, 1000.0, 3.0, step=0.5, format="%g", key="load_deadline", persist_state="session",
        help="How many times what a request takes alone on the fastest cut.",
    )  # fmt: skip
    percentile = many.selectbox(
        "kept by", PERCENTILES, index=2, format_func=lambda p: f"{p:g} %", key="load_percentile",
        persist_state="session",
    )  # fmt: skip
    sources = cameras.number_input("Cameras", 1, MOST_SOURCES, 1, key="load_sources", persist_state="session")
    clouds = servers.number_input(
        "Servers", 1, MOST_SOURCES, 1, key="load_servers", persist_state="session",
        help="Each camera has its own edge and link; the cloud is shared.",
    )  # fmt: skip
    fastest = cached.compared(one).of("decc").schedule.makespan_ns
    demand = Demand(
        max(1, round(factor * fastest)), Process(process), percentile=float(percentile or 99), requests=REQUESTS
    )
    asked = Asked(int(sources), int(clouds), demand)
    key = hashlib.sha256(f"{cached.instance_key(one)} {asked}".encode()).hexdigest()
    return LoadTask(one, asked, key, cached.owner_of(one.graph))


def _one_request(scenario: Scenario) -> CostInstance:
    return instance_of(replace(scenario, requests=1, objective=Objective.MAKESPAN))


def _job(task: LoadTask) -> LoadJob:
    job: LoadJob | None = st.session_state.get(JOB)
    if job is None or job.task.key != task.key:
        if job is not None:
            job.stop()
        job = LoadJob(task)
        st.session_state[JOB] = job
        visit.begin(job)
    job.look()
    return job


def _board(job: LoadJob, was_running: bool) -> None:
    if was_running and job.over:
        st.rerun()
    job.look()
    if job.failure:
        st.error(plain(job.failure))
    if not job.over:
        st.progress(min(1.0, job.done), plain(job.doing))
    limits = job.limits
    if limits is None:
        return
    if limits.capacity_hz == float("inf"):
        st.info("The fastest cut takes no time at all, so that every rate is sustained.")
        return
    demand = job.task.asked.demand
    lines = load_rows(list(job.rows), demand.percentile)
    chosen_hz = _chosen_rate(limits.capacity_hz)
    figure = draw_load(
        lines, demand.percentile, demand.deadline_ns, limits.least_ns, limits.capacity_hz, theme(), chosen_hz
    )
    st.plotly_chart(figure, key="load_curve", theme=None, config=PLOT_CONFIG)
    _sustained(job)
    if job.over and not job.failure:
        _closely(job, chosen_hz)


def _sustained(job: LoadJob) -> None:
    """The rate that each policy sustains, the winner first."""
    found, limits, demand = dict(job.sustained_hz), job.limits, job.task.asked.demand
    assert limits is not None
    st.markdown(
        f"**What each policy sustains**: the highest rate at which {demand.percentile:g} % of requests are finished "
        f"within {duration(demand.deadline_ns)}"
    )
    if not found:
        st.caption("This follows the curve.")
        return
    baselines = {name: rate for name, rate in found.items() if name != "decc"}
    if "decc" in found and baselines:
        best = max(baselines, key=lambda name: baselines[name])
        gain = found["decc"] / baselines[best] if baselines[best] else float("inf")
        says = (
            f"{gain_text(gain)} the rate of the best baseline ({best})" if baselines[best] else "which no baseline can"
        )
        st.markdown(
            f"decc sustains **{found['decc']:.3g} requests/s**, {says}, and "
            f"{100 * found['decc'] / limits.capacity_hz:.0f} % of what no policy can exceed."
        )
    rows = [
        {
            "policy": name,
            "sustained (requests/s)": rate,
            "of the capacity (%)": 100 * rate / limits.capacity_hz,
        }
        for name, rate in sorted(found.items(), key=lambda item: -item[1])
    ]
    st.dataframe(pd.DataFrame(rows).round(2), hide_index=True, height="content", key="load_table")


def _chosen_rate(capacity_hz: float) -> float:
    share = st.slider(
        "Look closely at (% of the capacity)", 5, 100, 60, 5, key="load_share", persist_state="session",
    )  # fmt: skip
    return capacity_hz * share / 100


def _closely(job: LoadJob, rate_hz: float) -> None:
    limits, demand = job.limits, job.task.asked.demand
    assert limits is not None
    name = st.segmented_control(
        "Policy", limits.policies, default=limits.policies[-1], key="load_policy", required=True,
        persist_state="session", label_visibility="collapsed",
    )  # fmt: skip
    try:
        found = looked_at_closely(job.task, str(name), rate_hz)
    except DeccError as error:
        st.error(plain(str(error)))
        return
    if not len(found.latency_ns):
        st.warning(f"At {rate_hz:.3g} requests/s the queues of {name} grow without end.")
        return
    left, right = st.columns(2)
    left.markdown(f"**Latency** at {rate_hz:.3g} requests/s")
    left.plotly_chart(
        draw_latencies(found, demand.deadline_ns, theme()), key="load_latencies", theme=None, config=PLOT_CONFIG
    )
    right.markdown("**Requests in the system**")
    right.plotly_chart(draw_queue(found, theme()), key="load_queue", theme=None, config=PLOT_CONFIG)
    taken = [
        {"cut after (layers on the edge)": layers, "taken by (% of the requests)": 100 * share}
        for layers, share in zip(found.edge_layers, found.shares, strict=True)
    ]
    st.markdown("**Which cut the requests took**")
    st.dataframe(pd.DataFrame(taken).round(1), hide_index=True, height="content", key="load_cuts")
