"""The Load view: requests that keep arriving, the latency of every policy over the rate, and what each sustains."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pandas as pd
import streamlit as st

from app.figures.load_curve import draw_latencies, draw_load, draw_queue, load_rows
from app.jobs.load import LoadJob, LoadTask, looked_at_closely
from app.shell import cached, profiles, visit
from app.shell.address import (
    ARRIVALS,
    CAMERAS,
    DEADLINE,
    FEWEST_SIMULATED,
    MOST_CAMERAS,
    MOST_SIMULATED,
    PERCENTILE,
    PERCENTILES,
    POLICY,
    SERVERS,
    SHARE,
    SIMULATED,
    VARIATION,
    VIEW_STATES,
    follow,
)
from app.shell.frame import instance_of
from app.shell.page import PLOT_CONFIG, theme
from app.state import OPENING, title_of
from app.text import plain
from decc_core.errors import DeccError
from decc_core.network.graph import LayerGraph
from decc_core.problem.instance import CostInstance, Objective
from decc_core.problem.scenario import Scenario
from decc_core.streams.arrivals import Process
from decc_core.streams.load import Asked, Demand
from decc_core.study.verdict import AS_GOOD
from decc_core.text import duration, gain_text

JOB = "load_job"
REFRESH_S = 0.4
PROCESSES = {
    Process.CONSTANT: "as a clock ticks",
    Process.POISSON: "by chance (Poisson)",
    Process.GAMMA: "in bursts (Gamma)",
}
USUAL = {state.key: state.first(OPENING.scenario) for state in VIEW_STATES if state.view == "load"}
"""How the controls stand at first."""


def view(scenario: Scenario, instance: CostInstance) -> None:
    """Controls, curve, table, and one policy at one rate."""
    del instance
    st.subheader(f"Load: requests that keep arriving at {plain(title_of(scenario.model))}", anchor=False)
    st.caption(
        "Cameras do not wait until a batch is done: each is cut when it arrives. A fixed cut or pattern is good "
        "at one load; decc's dispatcher sees the queues, and chooses the cut that costs least now. Requests in flight "
        "and the objective at the left do not matter here."
    )
    errors = {
        role: profiles.profile_of(scenario.model, device).error
        for role, device in (("edge", scenario.edge), ("cloud", scenario.cloud))
    }
    if known := [f"{role} within {100 * error:.0f} %" for role, error in errors.items() if error]:
        st.caption(f"Times are estimated ({', '.join(known)}), and rates and latencies with them.")
    task = _controls(scenario)
    job = _job(task)
    running = not job.over
    st.fragment(_board, run_every=REFRESH_S if running else None)(job, running, scenario)


def _controls(scenario: Scenario) -> LoadTask:
    for key, usual in USUAL.items():
        st.session_state.setdefault(key, usual)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="load_controls"):
        process = st.selectbox(
            "Requests arrive", list(PROCESSES), format_func=PROCESSES.__getitem__, key=ARRIVALS,
            persist_state="session", width=190,
        )  # fmt: skip
        if process is Process.GAMMA:
            st.number_input(
                "CV", 0.1, 10.0, "min", step=0.5, format="%g", key=VARIATION, persist_state="session", width=110,
                help="How much the time between two requests varies: its standard deviation over its mean. 1 is "
                "Poisson, above it are bursts.",
            )  # fmt: skip
        factor = st.number_input(
            "Deadline (× fastest)", 1.0, 1000.0, "min", step=0.5, format="%g", key=DEADLINE, persist_state="session",
            width=150, help="How many times what a request takes alone on the fastest cut.",
        )  # fmt: skip
        percentile = st.selectbox(
            "kept by", PERCENTILES, format_func=lambda p: f"{p:g} %", key=PERCENTILE, persist_state="session", width=90
        )
        sources = st.number_input(
            "Cameras", 1, MOST_CAMERAS, "min", key=CAMERAS, persist_state="session", width=110,
            help="Each has its own edge and link; the cloud is shared.",
        )  # fmt: skip
        servers = st.number_input(
            "Servers", 1, MOST_CAMERAS, "min", key=SERVERS, persist_state="session", width=110,
            help="Each does one piece of work at a time, for whichever camera it is.",
        )  # fmt: skip
        requests = st.number_input(
            "Simulated requests", FEWEST_SIMULATED, MOST_SIMULATED, "min", step=1000, key=SIMULATED,
            persist_state="session", width=160, help="At each rate. More tell a percentile better, and take longer.",
        )  # fmt: skip
    one = _one_request(scenario)
    fastest = cached.compared(one).of("decc").schedule.makespan_ns
    demand = Demand(
        max(1, round(factor * fastest)),
        Process(process),
        cv=float(st.session_state[VARIATION]),
        percentile=float(percentile),
        requests=int(requests),
    )
    asked = Asked(int(sources), int(servers), demand)
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


def _board(job: LoadJob, was_running: bool, scenario: Scenario) -> None:
    """Everything below the controls; drawn again and again while rates arrive."""
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
    follow(scenario)


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
    if job.over and not any(found.values()):
        st.info("No policy keeps this deadline at any rate: allow more time, or let fewer requests keep it.")
        return
    if found.get("decc") and baselines and len(found) == len(limits.policies):
        best = max(baselines, key=lambda name: baselines[name])
        gain = found["decc"] / baselines[best] if baselines[best] else float("inf")
        says = (
            f"{gain_text(gain)} the rate of the best baseline ({best})" if baselines[best] else "which no baseline can"
        )
        if 1 / AS_GOOD < gain < AS_GOOD:
            says = f"which {best} does, too"
        st.markdown(
            f"decc sustains **{found['decc']:.3g} requests/s**, {says}, and "
            f"{100 * found['decc'] / limits.capacity_hz:.0f} % of what no policy can exceed."
        )
    rows = [
        {
            "policy": name,
            "sustained (requests/s)": float(f"{rate:.3g}"),
            "of the capacity (%)": round(100 * rate / limits.capacity_hz),
        }
        for name, rate in sorted(found.items(), key=lambda item: -item[1])
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, height="content", key="load_table")


def _cut_in_words(edge_layers: int, graph: LayerGraph) -> str:
    if edge_layers == len(graph.layers):
        return "all on the edge"
    if edge_layers == len(graph.inputs):
        return "all in the cloud"
    return f"{edge_layers} of {len(graph.layers)} layers on the edge"


def _chosen_rate(capacity_hz: float) -> float:
    share = st.slider(
        "Look closely at (% of the capacity)", 5, 100, step=5, key=SHARE, persist_state="session",
    )  # fmt: skip
    return capacity_hz * share / 100


def _closely(job: LoadJob, rate_hz: float) -> None:
    limits, demand = job.limits, job.task.asked.demand
    assert limits is not None
    if st.session_state.get(POLICY) not in limits.policies:
        # Under limits a policy may have no cut.
        st.session_state[POLICY] = limits.policies[-1]
    name = st.segmented_control(
        "Policy", limits.policies, key=POLICY, required=True, persist_state="session", label_visibility="collapsed"
    )
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
    graph = job.task.instance.graph
    taken = [
        {"cut": _cut_in_words(layers, graph), "taken by (% of the requests)": float(f"{100 * share:.2g}")}
        for layers, share in zip(found.edge_layers, found.shares, strict=True)
        if share
    ]
    st.markdown("**Which cut the requests took**")
    st.dataframe(pd.DataFrame(taken), hide_index=True, height="content", key="load_cuts")
