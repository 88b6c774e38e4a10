"""The Live view's streams: requests that keep arriving at two workers, measured beside their simulation."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pandas as pd
import streamlit as st

from app.components.gantt import SMALL, gantt_chart
from app.figures.gantt import gantt
from app.figures.stream import draw_latency_lines, latency_lines
from app.jobs.live import Conditions, crowd
from app.jobs.live_stream import LONGEST_S, MOST_POLICIES, MOST_REQUESTS, Stream, StreamJob, one_request
from app.jobs.load import LoadTask, known
from app.shell import cached, exports, models, visit
from app.shell.frame import instance_of
from app.shell.page import PLOT_CONFIG, theme
from app.shell.report import command_line, command_notes, in_lines
from app.state import title_of
from app.text import plain
from app.views import live_inputs
from decc_core.errors import DeccError
from decc_core.network.work import Span
from decc_core.plans import trace
from decc_core.problem.instance import RESOURCES, CostInstance
from decc_core.problem.link import MS_PER_S, NS_PER_S
from decc_core.problem.scenario import Scenario
from decc_core.runtime.controller.report import Speed
from decc_core.runtime.controller.stream_report import StreamReport
from decc_core.streams.arrivals import Process
from decc_core.streams.load import POLICIES, Asked, Demand, Limits, limits_of
from decc_core.streams.served import PERCENTILES, requests_needed
from decc_core.text import change_text, duration, rate_text

JOB, SHOWN = "live_stream_job", "live_stream_shown"
REFRESH_S = 0.5
DEFAULT = ("decc", "dads")
ARRIVALS = {
    Process.CONSTANT: "as a clock ticks",
    Process.POISSON: "by chance (Poisson)",
    Process.GAMMA: "in bursts (Gamma, CV 3)",
}
SHARE, RATE = "% of the capacity", "requests/s"
DEADLINE_FACTOR = 3.0


def view(scenario: Scenario, speeds: dict[Speed, str]) -> None:
    """Controls, progress while a stream goes on, and then what was measured."""
    scenario = one_request(scenario)
    instance = instance_of(scenario)
    job: StreamJob | None = st.session_state.get(JOB)
    _controls(scenario, instance, job, speeds)
    if job is None:
        st.info(
            "Nothing was run yet. Start has each policy serve the same requests, one policy after the other. Requests "
            "in flight and the objective at the left do not matter here."
        )
    elif job.over:
        _results(job)
    else:
        _progress(job)


def _limits(instance: CostInstance) -> Limits:
    """Capacity and usual deadline, which a process that plans for the page finds out once."""
    asked = Asked(1, 1, Demand(deadline_ns=1))
    task = LoadTask(instance, asked, f"live {cached.instance_key(instance)}", cached.owner_of(instance.graph))
    found: Limits = known(task, "limits", limits_of)
    return found


def _controls(scenario: Scenario, instance: CostInstance, job: StreamJob | None, speeds: dict[Speed, str]) -> None:
    busy = job is not None and not job.over
    meets = live_inputs.conditions(scenario, instance.graph, busy)
    limits = _limits(instance)
    if limits.capacity_hz == float("inf"):
        st.info("The fastest cut takes no time at all, so that every rate is sustained: there is nothing to run.")
        return
    stream = _asked(limits, busy)
    which, speed, button = st.columns((3, 2.2, 0.9), vertical_alignment="bottom")
    chosen = which.multiselect(
        "Policies to run", [name for name in POLICIES if name in limits.policies], default=DEFAULT,
        key="live_policies", persist_state="session", max_selections=MOST_POLICIES, disabled=busy,
    )  # fmt: skip
    how = speed.segmented_control(
        "Device speeds", list(speeds), default=Speed.EMULATED, format_func=speeds.__getitem__, key="live_speed",
        persist_state="session", required=True, disabled=busy,
        help="Emulated: every layer takes the time that its profile says, by waiting. As it is: layers are measured "
        "now and run as fast as they can; rate and policies are as chosen here, whatever this machine can do.",
    )  # fmt: skip
    if meets.fallback_edge:
        st.warning("A stream has no fallback to the edge; if the cloud is lost, it ends.")
        meets = replace(meets, fallback_edge=False)
    if busy:
        assert job is not None
        button.button("Stop", key="live_stop", on_click=job.stop, width="stretch")
    elif button.button(
        "Start", key="live_start", type="primary", width="stretch", disabled=not chosen or stream is None
    ):
        fresh = StreamJob(
            scenario, models.network_of(scenario.model), instance, tuple(chosen), how or Speed.EMULATED, meets,
            stream=stream,
        )  # fmt: skip
        st.session_state[JOB] = fresh
        visit.begin(fresh)
        st.rerun()
    if stream is not None:
        needed, share = requests_needed(99), stream.rate_hz / limits.capacity_hz
        enough = "" if stream.requests >= needed else f"; a 99th percentile takes {needed:,}"
        st.caption(
            f"{stream.requests:,} requests at {stream.rate_hz:.3g}/s, {100 * share:.0f} % of the "
            f"capacity of {limits.capacity_hz:.3g}/s{enough}. At most {MOST_REQUESTS:,} here."
        )
        _command(scenario, stream, tuple(chosen), how or Speed.EMULATED, meets)
    if how is Speed.NATIVE and not busy and (now := crowd()).busy:
        st.warning(plain(str(now)))


def _asked(limits: Limits, busy: bool) -> Stream | None:
    """What arrives, how often and for how long; None where that is refused, which is said."""
    unit, amount, lasts, how_often, within = st.columns((1.7, 1.1, 1.1, 1.9, 1.1), vertical_alignment="bottom")
    by = unit.segmented_control(
        "Rate in", (SHARE, RATE), default=SHARE, key="live_rate_in", required=True, persist_state="session",
        disabled=busy, help=f"No policy sustains more than {limits.capacity_hz:.3g} requests/s for ever.",
    )  # fmt: skip
    if by == SHARE:
        share = amount.number_input(
            "Rate", 1.0, 200.0, 60.0, step=5.0, format="%g", key="live_share", persist_state="session", disabled=busy
        )
        rate_hz = share / 100 * limits.capacity_hz
    else:
        rate_hz = amount.number_input(
            "Rate", 0.01, 1000.0, float(f"{0.6 * limits.capacity_hz:.2g}"), format="%g", key="live_rate",
            persist_state="session", disabled=busy,
        )  # fmt: skip
    duration_s = lasts.number_input(
        "For (s)", 1.0, LONGEST_S, 30.0, step=5.0, format="%g", key="live_duration", persist_state="session",
        disabled=busy,
    )  # fmt: skip
    process = how_often.selectbox(
        "Requests arrive", list(ARRIVALS), index=1, format_func=ARRIVALS.__getitem__, key="live_arrivals",
        persist_state="session", disabled=busy,
    )  # fmt: skip
    deadline_ms = within.number_input(
        "Deadline (ms)", 0.01, 1e6, float(f"{limits.usual_deadline_ns / NS_PER_S * MS_PER_S:.3g}"), format="%g",
        key="live_deadline", persist_state="session", disabled=busy,
        help="The latency that a request should keep; at first three times what one takes alone on the fastest cut.",
    )  # fmt: skip
    try:
        return Stream(rate_hz, duration_s, Process(process), max(1, round(deadline_ms / MS_PER_S * NS_PER_S)))
    except DeccError as error:
        st.error(plain(str(error)))
        return None


def _command(scenario: Scenario, stream: Stream, policies: tuple[str, ...], speed: Speed, meets: Conditions) -> None:
    """The same run from a command line, to copy."""
    with st.expander("The same on the command line"):
        more = ["--rate", f"{stream.rate_hz:.6g}", "--duration", f"{stream.duration_s:g}"]
        more += ["--arrivals", stream.process.value, "--deadline-ms", f"{stream.deadline_ns / NS_PER_S * MS_PER_S:g}"]
        more += ["--policy", ",".join(policies)] if policies else []
        more += meets.options()
        more += ["--native"] if speed is Speed.NATIVE else []
        text = command_line(scenario, "run", more, devices=speed is Speed.EMULATED)
        st.code(in_lines(text), language="sh", wrap_lines=True)
        for note in command_notes(scenario):
            st.caption(plain(note))


@st.fragment(run_every=REFRESH_S)
def _progress(job: StreamJob) -> None:
    if job.over:
        st.rerun()
    assert job.stream is not None
    doing, total = plain(job.doing), job.stream.requests
    if job.stopped.is_set():
        st.caption(f"Stopping: {doing}.")
        return
    if job.running is None:
        st.caption(f"Getting ready: {doing}.")
    for policy in job.strategies:
        done = next((report for report in job.streams if report.policy == policy), None)
        if done is not None:
            st.progress(1.0, f"{policy}: {done.finished:,} of {total:,} requests finished")
        elif job.running == policy:
            st.progress(min(1.0, job.finished / total), f"{policy}: {doing}, {job.finished:,} of {total:,} finished")
        else:
            st.progress(0.0, f"{policy}: waiting")


def _results(job: StreamJob) -> None:
    if job.failure:
        st.error(plain(job.failure))
    reports = job.streams
    if not reports:
        if job.stopped.is_set():
            st.info("The stream was stopped before it began; there is nothing to show.")
        return
    assert job.stream is not None
    st.markdown(f"**{plain(_title(job))}**")
    if (dilation := reports[0].dilation) != 1:
        st.warning(
            f"Run {dilation:.3g} times slower than shown: this machine cannot keep up with the devices that it stands "
            "in for. All times and the link were stretched alike, and are told in the plan's time."
        )
    if job.crowd is not None and job.crowd.busy:
        st.warning(plain(str(job.crowd)))
    for report in reports:
        if report.failure and not job.stopped.is_set():
            st.error(plain(f"{report.policy}: {report.failure}"))
    if lines := latency_lines(reports):
        st.markdown("**Latency, measured and simulated**, of the same arrivals; from a request's scheduled arrival")
        figure = draw_latency_lines(lines, job.stream.deadline_ns, theme())
        st.plotly_chart(figure, key="live_stream_latencies", theme=None, config=PLOT_CONFIG)
    st.markdown("**All policies**")
    rows = pd.DataFrame([_row(report) for report in reports])
    st.dataframe(rows, hide_index=True, height="content", key="live_stream_table")
    st.segmented_control(
        "Policy shown", range(len(reports)), default=0, format_func=lambda i: reports[i].policy, key=SHOWN,
        required=True, label_visibility="collapsed",
    )  # fmt: skip
    report = reports[min(st.session_state.get(SHOWN) or 0, len(reports) - 1)]
    _closely(job, report)


def _title(job: StreamJob) -> str:
    assert job.stream is not None
    scenario, stream = job.scenario, job.stream
    link = f"{rate_text(scenario.uplink_mbps)} up, {scenario.rtt_ms:g} ms round trip"
    speed = "emulated device speeds" if job.speed is Speed.EMULATED else "this machine's own speed"
    meets = f", {job.conditions}" if str(job.conditions) else ""
    return (
        f"{title_of(scenario.model)}, {stream.rate_hz:.3g} requests/s for {stream.duration_s:g} s, arriving "
        f"{ARRIVALS[stream.process]}, {link}{meets}; {speed}"
    )


def _row(report: StreamReport) -> dict[str, object]:
    measured, simulated = report.measured, report.simulated
    row: dict[str, object] = {
        "policy": report.policy,
        "finished": f"{report.finished:,} of {len(report.taken):,}",
        "outputs": report.outputs_text,
    }
    for percentile in PERCENTILES:
        found = measured.percentile_ns(percentile) if measured else None
        expected = simulated.percentile_ns(percentile) if simulated else None
        if found is None:
            row[f"p{percentile:g} (ms), simulated"] = f"takes {requests_needed(percentile):,} requests"
        else:
            told = f" / {expected / 1e6:.1f} ({change_text(found / expected - 1)})" if expected else ""
            row[f"p{percentile:g} (ms), simulated"] = f"{found / 1e6:.1f}{told}"
    row["in time (requests/s)"] = f"{measured.goodput_hz(report.deadline_ns):.3g}" if measured else ""
    for resource, busy, planned in zip(RESOURCES, report.utilisation, report.planned_utilisation, strict=True):
        row[f"{resource.value} busy, simulated (%)"] = f"{100 * busy:.0f} / {100 * planned:.0f}"
    row["queues"] = "" if measured is None else "grow" if measured.grows or report.overloaded else "stable"
    row["decision"] = duration(report.decision_median_ns)
    return row


def _closely(job: StreamJob, report: StreamReport) -> None:
    if not report.finished:
        return
    st.caption(plain(str(report)))
    st.markdown(f"**Which cut the requests took** under {report.policy}")
    taken = [
        {
            "layers on the edge": layers,
            "measured (% of the requests)": round(100 * measured, 1),
            "simulated (%)": round(100 * simulated, 1),
        }
        for layers, (measured, simulated) in zip(report.edge_layers, report.shares(), strict=True)
    ]
    st.dataframe(pd.DataFrame(taken), hide_index=True, height="content", key="live_stream_cuts")
    shown = _from_its_start(report.trace)
    if shown.result_ns and any(shown.spans.values()):
        first, last = report.window
        st.markdown(f"**Requests {first + 1} to {last + 1}** as they were measured")
        chart = gantt(job.instance, shown)
        gantt_chart(chart, f"stream {report.policy}", "live_stream_gantt", theme(), height=SMALL)
    graph = job.instance.graph
    about = {"network": job.scenario.model, "policy": report.policy, "dilation": report.dilation}
    left, right = st.columns(2)
    left.download_button(
        "All requests (CSV)",
        _as_csv(report),
        exports.file(job.scenario, graph, f"stream {report.policy}", "csv"),
        "text/csv",
        key="live_stream_csv",
    )
    right.download_button(
        "Trace for Perfetto (JSON)",
        json.dumps(trace.chrome_trace(job.instance, None, report.trace, about)),
        exports.file(job.scenario, graph, f"stream trace {report.policy}", "json"),
        "application/json",
        key="live_stream_trace",
        help="The work of the requests in the picture; opens in Perfetto and in Chrome's tracing page.",
    )


def _from_its_start(measured: trace.Trace) -> trace.Trace:
    """The same spans, so that the first begins at 0."""
    starts = [spans[0].start_ns for spans in (*measured.spans.values(), *measured.coding.values()) if spans]
    zero_ns = min(starts, default=0)
    spans, coding = (
        {
            resource: tuple(
                Span(span.resource, span.work, span.start_ns - zero_ns, span.end_ns - zero_ns) for span in of_resource
            )
            for resource, of_resource in by_resource.items()
        }
        for by_resource in (measured.spans, measured.coding)
    )
    ends = [span.end_ns for of_resource in spans.values() for span in of_resource]
    last_ns = max(ends, default=0)
    return trace.Trace(
        spans, {r: max(at - zero_ns, last_ns) for r, at in measured.result_ns.items()}, coding, measured.beside
    )


def _as_csv(report: StreamReport) -> str:
    rows, text = report.requests(), io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
