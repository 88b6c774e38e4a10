"""The Live view: run plans on an edge and a cloud worker process, and see how the prediction holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import streamlit as st

from app.figures.overlay import overlay, stage_errors
from app.figures.printed import of_run
from app.jobs.live import Conditions, LiveJob, crowd
from app.shell import exports, models, visit
from app.shell.frame import instance_of
from app.shell.page import PLOT_CONFIG, theme
from app.shell.report import command_line, command_notes, in_lines
from app.state import title_of
from app.text import plain
from app.views import live_inputs, live_stream
from decc_core.network.graph import LayerGraph
from decc_core.planner.strategies import STRATEGIES
from decc_core.plans import trace
from decc_core.problem.instance import CostInstance, Results
from decc_core.problem.scenario import Scenario
from decc_core.runtime.controller.outputs import Verdict
from decc_core.runtime.controller.report import RunReport, Speed, together_text, work_text
from decc_core.text import bytes_text, change_text, duration, gain_text, ranges_text, rate_text

JOB, SHOWN = "live_job", "live_shown"
REFRESH_S = 0.5
MUCH_SLOWER = 5.0
"""A run that goes so many times slower than shown is warned of."""
DEFAULT = ("decc", "dads-dsl")
BATCH, STREAM = "batch", "stream"
KINDS = {BATCH: "all requests at once", STREAM: "requests that keep arriving"}
SPEEDS = {Speed.EMULATED: "emulate the two devices", Speed.NATIVE: "this machine as it is"}


def view(scenario: Scenario, instance: CostInstance) -> None:
    """Controls, progress while a run goes on, and then what was measured."""
    st.subheader("Live run: the plan on real processes", anchor=False)
    st.markdown(
        "An edge and a cloud worker run the plans layer by layer and send the tensors over a link that is held to the "
        "rate and round trip on the left. Every output is compared with the unsplit network's, bit for bit. "
        "Both workers share this machine."
    )
    kind = st.segmented_control(
        "What is run",
        list(KINDS),
        default=BATCH,
        format_func=KINDS.__getitem__,
        key="live_kind",
        required=True,
        persist_state="session",
        label_visibility="collapsed",
        disabled=any(job is not None and not job.over for job in map(st.session_state.get, (JOB, live_stream.JOB))),
    )
    if scenario.results is Results.CLOUD:
        # They are compared with the unsplit network's, and are planned with their way back.
        scenario = replace(scenario, results=Results.EDGE)
        instance = instance_of(scenario)
        st.caption(
            "Results may stay in the cloud, but a run brings them back, to compare them: it is planned with that."
        )
    if kind == STREAM:
        live_stream.view(scenario, SPEEDS)
        return
    job: LiveJob | None = st.session_state.get(JOB)
    _controls(scenario, instance, job)
    if job is None:
        st.info("Nothing was run yet. Start runs the strategies above one after the other; it takes about a minute.")
    elif job.over:
        _results(job)
    else:
        _progress(job)


def _controls(scenario: Scenario, instance: CostInstance, job: LiveJob | None) -> None:
    busy = job is not None and not job.over
    meets = live_inputs.conditions(scenario, instance.graph, busy)
    which, speed, button = st.columns((3, 2.2, 0.9), vertical_alignment="bottom")
    chosen = which.multiselect(
        "Strategies to run",
        list(STRATEGIES),
        default=DEFAULT,
        key="live_strategies",
        persist_state="session",
        disabled=busy,
    )
    how = speed.segmented_control(
        "Device speeds",
        list(SPEEDS),
        default=Speed.EMULATED,
        format_func=SPEEDS.__getitem__,
        key="live_speed",
        persist_state="session",
        required=True,
        disabled=busy,
        help="Emulated: every layer takes the time that its profile says, by waiting; this tests transport, overlap "
        "and queueing, not the compute times. As it is: layers are measured now and run as fast as they can; the "
        "profiles on the left are not used.",
    )
    if busy:
        assert job is not None
        button.button("Stop", key="live_stop", on_click=job.stop, width="stretch")
    elif button.button("Start", key="live_start", type="primary", width="stretch", disabled=not chosen):
        fresh = LiveJob(
            scenario, models.network_of(scenario.model), instance, tuple(chosen), how or Speed.EMULATED, meets
        )
        st.session_state[JOB] = fresh
        visit.begin(fresh)
        st.rerun()
    if how is Speed.NATIVE and not busy and (now := crowd()).busy:
        st.warning(plain(str(now)))
    _command(scenario, tuple(chosen), how or Speed.EMULATED, meets)


def _command(scenario: Scenario, strategies: Sequence[str], speed: Speed, meets: Conditions) -> None:
    """The same run from a command line, to copy."""
    with st.expander("The same on the command line"):
        more = [*(("--strategy", strategies[0]) if strategies else ()), *meets.options()]
        more += ["--compare", ",".join(strategies[1:])] if len(strategies) > 1 else []
        more += ["--native"] if speed is Speed.NATIVE else []
        # Native runs here measure both devices, whatever is chosen at the left.
        text = command_line(scenario, "run", more, devices=speed is Speed.EMULATED)
        st.code(in_lines(text), language="sh", wrap_lines=True)
        for note in command_notes(scenario):
            st.caption(plain(note))
        if meets.pictures:
            st.caption("FOLDER-OF-IMAGES is a folder with the images that were sent here.")


@st.fragment(run_every=REFRESH_S)
def _progress(job: LiveJob) -> None:
    if job.over:
        st.rerun()
    doing, total = plain(job.doing), job.instance.requests
    if job.stopped.is_set():
        st.caption(f"Stopping: {doing}.")
        return
    if job.running is None:
        st.caption(f"Getting ready: {doing}.")
    for strategy in job.strategies:
        done = next((report for report in job.reports if report.strategy == strategy), None)
        if done is not None:
            many = f"{len(done.differences)} of {len(done.plan.cuts)} requests finished"
            measured, predicted = duration(done.trace.makespan_ns), duration(done.at_level.makespan_ns)
            outcome = f"broke off with {many}" if done.failure else f"measured {measured}, predicted {predicted}"
            st.progress(1.0, f"{strategy}: {outcome}")
        elif job.running == strategy:
            st.progress(job.finished / total, f"{strategy}: {doing}, {job.finished} of {total} requests finished")
        else:
            st.progress(0.0, f"{strategy}: waiting")


def _results(job: LiveJob) -> None:
    if job.failure:
        st.error(plain(job.failure))
    if not job.reports:
        if job.stopped.is_set():
            st.info("The run was stopped before a strategy was finished; nothing of it is kept.")
        return
    st.markdown(f"**{plain(_title(job))}**")
    if (dilation := job.reports[0].dilation) >= MUCH_SLOWER:
        st.warning(
            f"This machine is too slow, or too busy, for these device speeds: everything went {dilation:.3g} times "
            "slower than is shown here. All times below are counted back to the speeds of the devices."
        )
    st.segmented_control(
        "Run shown",
        range(len(job.reports)),
        default=0,
        format_func=lambda i: job.reports[i].strategy,
        key=SHOWN,
        required=True,
        label_visibility="collapsed",
    )
    report = job.reports[min(st.session_state.get(SHOWN) or 0, len(job.reports) - 1)]
    if report.failure:
        st.error(plain(report.failure))
    _warnings(job, report)
    if report.trace.result_ns:
        _headline(job, report)
        if job.simpler and report.strategy == "decc":
            st.caption(plain(f"The plan {job.simpler}"))
        if job.speed is Speed.NATIVE:
            with st.expander("What was measured before the runs: sending, and two workers on one machine"):
                for sentence in work_text(job.tensor_work):
                    st.markdown(plain(f"{sentence} Plans and predictions count it."))
                st.markdown(plain(f"{together_text(job.slowed_together)} The rehearsals know it, plans do not."))
        st.markdown("**Planned over measured**")
        figure = overlay(job.instance, report.at_level, report.trace, theme())
        st.plotly_chart(figure, key="live_overlay", theme=None, config=PLOT_CONFIG)
        st.markdown("**Every stage against its plan**; a stage is the work of one resource on one request")
        figure = stage_errors(report.at_level, report.trace, theme())
        st.plotly_chart(figure, key="live_errors", theme=None, config=PLOT_CONFIG)
        pictures = of_run(job.instance, report.strategy, report.at_level, report.trace)
        exports.save_figures(job.scenario, job.instance.graph, pictures)
    st.markdown("**All runs**, one after the other under the same conditions")
    coded = any(done.formats for done in job.reports)
    rows = [_row(done, job.reports[0], coded) for done in job.reports]
    st.dataframe(pd.DataFrame(rows), hide_index=True, height="content", key="live_table")
    with st.expander("All stages and layers in numbers: predicted and measured"):
        _deviations(job.instance.graph, report)
    _download(job, report)


def _warnings(job: LiveJob, report: RunReport) -> None:
    """What a reader of the numbers has to know first."""
    # Where it is much slower, that stands above all runs.
    if report.dilation != 1 and job.reports[0].dilation < MUCH_SLOWER:
        st.warning(
            f"Run {report.dilation:g} times slower than shown: this machine cannot keep up with the devices that it "
            "stands in for. All times and the link were stretched alike, and are told in the plan's time."
        )
    if job.crowd is not None and job.crowd.busy:
        st.warning(plain(str(job.crowd)))
    if report.fallen_back:
        many = ranges_text(sorted(request + 1 for request in report.fallen_back))
        st.warning(f"Completed on the edge, because the cloud was lost: requests {many}.")
    if job.conditions.recording is not None:
        st.info(
            plain(
                f"The uplink followed {job.conditions.recording.name}. Plans and predictions hold "
                f"{rate_text(job.scenario.uplink_mbps)}: how far off they are tells what the change of the link did."
            )
        )


def _title(job: LiveJob) -> str:
    scenario = job.scenario
    many = f"{scenario.requests} requests" if scenario.requests > 1 else "one request"
    link = f"{rate_text(scenario.uplink_mbps)} up, {scenario.rtt_ms:g} ms round trip"
    speed = "emulated device speeds" if job.speed is Speed.EMULATED else "this machine's own speed"
    meets = f", {job.conditions}" if str(job.conditions) else ""
    return f"{title_of(scenario.model)}, {many}, {link}{meets}; {speed}"


def _headline(job: LiveJob, report: RunReport) -> None:
    cells = st.columns(4, gap="small")
    cells[0].metric("outputs", _verified(report), border=True, help=VERIFIED)
    cells[1].metric("measured makespan", duration(report.trace.makespan_ns), border=True)
    cells[2].metric("predicted", duration(report.at_level.makespan_ns), border=True, help=PREDICTED)
    cells[3].metric("prediction off by", _off_by(report), border=True)
    worst = trace.furthest_off(report.trace, report.at_level)
    waits = f" {WAITING}" if job.speed is Speed.EMULATED else ""
    st.caption(
        f"Furthest off is the {worst.name}: busy for {duration(worst.measured_ns)} instead of "
        f"{duration(worst.predicted_ns)}.{waits}"
    )
    if report.wire_text:
        outputs = "" if report.verdict is Verdict.IDENTICAL else f"Outputs {report.outputs_text}. "
        coding = [
            f"The {total.resource.value} {trace.CODES[total.resource]} for {duration(total.measured_ns)}"
            + (f", {duration(total.predicted_ns)} were planned." if total.predicted_ns else ".")
            for total in trace.coding_totals(job.instance, report.trace, report.at_level)
        ]
        st.caption(plain(" ".join([f"{outputs}{report.wire_text}", *coding])))


WAITING = (
    "Emulated workers wait for profiled times, so the compute part cannot differ: this tests transport, overlap and "
    "queueing. *This machine as it is* tests the compute times, too."
)
VERIFIED = (
    "Every output of every request, compared with what the unsplit network returns for the same input. Within "
    "tolerance: the wire's formats, or the kernels of another device, explain all differences. Different: they do not, "
    "and something is wrong."
)
PREDICTED = (
    "What the schedule says. At this machine's own speed: for layers as slow as they were in the rehearsals, right "
    "before the run."
)


def _verified(report: RunReport) -> str:
    return report.verdict.value if report.verdict else report.outputs_text


def _off_by(report: RunReport) -> str:
    return change_text(report.error_at_level)


def _deviations(graph: LayerGraph, report: RunReport) -> None:
    """Stages, then the median of every layer and tensor over the requests."""
    tables = (
        ("stage", trace.stages(report.trace, report.at_level)),
        ("layer or tensor", trace.items(report.trace, report.at_level, graph)),
    )
    for what, rows in tables:
        table = pd.DataFrame(
            [
                {
                    "resource": deviation.resource.value,
                    what: deviation.name,
                    "predicted (ms)": round(deviation.predicted_ns / 1e6, 3),
                    "measured (ms)": round(deviation.measured_ns / 1e6, 3),
                    "ratio": round(deviation.ratio, 3),
                }
                for deviation in rows
            ]
        )
        st.dataframe(table, hide_index=True, key=f"live_{what}")


def _row(report: RunReport, first: RunReport, coded: bool) -> dict[str, object]:
    measured, predicted = report.trace.makespan_ns, report.at_level.makespan_ns
    both = bool(first.trace.makespan_ns and measured)
    busy = {
        f"{total.name} (ms)": f"{total.measured_ns / 1e6:.1f} / {total.predicted_ns / 1e6:.1f}"
        for total in trace.totals(report.trace, report.at_level)
    }
    return {
        "strategy": report.strategy,
        "execution": report.plan.execution.value,
        "outputs": report.outputs_text,
        **({"sent up": bytes_text(report.sent_bytes)} if coded else {}),
        "measured (ms)": round(measured / 1e6, 1),
        "predicted (ms)": round(predicted / 1e6, 1),
        "off by": _off_by(report) if not report.failure else "broke off",
        f"times {first.strategy}, measured": gain_text(measured / first.trace.makespan_ns) if both else "",
        "the same, predicted": gain_text(predicted / first.at_level.makespan_ns) if both else "",
        **busy,
    }


def _download(job: LiveJob, report: RunReport) -> None:
    about = {"network": job.scenario.model, "strategy": report.strategy, "dilation": report.dilation}
    content = trace.chrome_trace(job.instance, report.at_level, report.trace, about)
    st.download_button(
        "Trace for Perfetto (JSON)",
        json.dumps(content),
        exports.file(job.scenario, job.instance.graph, f"trace {report.strategy}", "json"),
        "application/json",
        key="live_trace",
        help="Plan and measurement as two processes; opens in Perfetto and in Chrome's tracing page.",
    )
