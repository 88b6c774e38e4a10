"""What a visitor takes along: figures, the report, the plan, the table, and the cut pieces of the model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import streamlit as st

from app.jobs.split import SplitJob, size_bytes
from app.shell import models, profiles, visit
from app.shell.report import html_report, strategies_csv
from app.state import title_of
from app.text import plain
from decc_core import store
from decc_core.models.ref import NetworkRef
from decc_core.network.graph import LayerGraph
from decc_core.plans import trace
from decc_core.printed.names import file_name, scenario_parts
from decc_core.printed.sheet import SIZES, Form, Picture, printed
from decc_core.printed.table import Value, scenario_columns
from decc_core.problem.scenario import Scenario
from decc_core.study.compare import Comparison, Outcome
from decc_core.text import bytes_text

SPLIT = "split_job"
REFRESH_S = 0.5
ICON = ":material/download:"
FORMS = {Form.PDF: "application/pdf", Form.SVG: "image/svg+xml", Form.PNG: "image/png"}
"""Kinds of files for figures, and what browsers call them."""


def file(scenario: Scenario, graph: LayerGraph, what: str, ending: str) -> str:
    """The name of a file that was made of a scenario: network, requests, uplink, and what it is."""
    return file_name(*scenario_parts(graph.name, scenario), what, ending=ending)


def about(scenario: Scenario, graph: LayerGraph) -> dict[str, Value]:
    """What stands in every row of a table that was made of a scenario."""
    edge, cloud = (profiles.profile_of(scenario.model, device) for device in (scenario.edge, scenario.cloud))
    return scenario_columns(scenario, graph, edge, cloud)


def save_figures(scenario: Scenario, graph: LayerGraph, pictures: Sequence[Picture], in_fragment: bool = False) -> None:
    """A button that unfolds the figures of a view, to be saved.

    They are a fragment of their own, so that a choice among them draws nothing else again, but where the caller is one
    already. Of a fragment that is run again Streamlit drops what it has not sent yet, and keeps what one within it has
    written into that: the browser then ends the page.
    """
    with st.popover("Save figures", icon=ICON):
        (choose_figure if in_fragment else figures)(scenario, graph, pictures)


def choose_figure(scenario: Scenario, graph: LayerGraph, pictures: Sequence[Picture]) -> None:
    """Figures in a size and a form to choose; each is drawn when it is asked for."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        size = st.selectbox(
            "Size",
            list(SIZES),
            index=list(SIZES).index("columns"),
            format_func=lambda name: SIZES[name].title,
            key="print_size",
            persist_state="session",
            width=230,
            help="How wide the figure is printed; letters and lines are as large as is read there.",
        )
        form = st.segmented_control(
            "Form",
            list(FORMS),
            default=Form.PDF,
            format_func=lambda form: form.name,
            key="print_form",
            persist_state="session",
            required=True,
            width="content",
        )
    form = Form(form or Form.PDF)
    with st.container(horizontal=True, gap="small"):
        for picture in pictures:
            if picture.too_large:
                st.caption(f"{picture.title}: {picture.too_large}")
                continue
            st.download_button(
                picture.title,
                partial(printed, picture, SIZES[size], form),
                file(scenario, graph, picture.name, form.value),
                FORMS[form],
                key=f"print_{picture.name}",
                icon=ICON,
                on_click="ignore",
            )
    st.caption("On white, readable in grey; fonts are inside. Drawing takes a second or two.")


figures = st.fragment(choose_figure)
"""The same as a part of the page that draws itself again."""


def report_download(scenario: Scenario, comparison: Comparison, outcome: Outcome) -> None:
    """Report, plan, table and schedule side by side; each is made when it is asked for."""
    graph = comparison.instance.graph
    edge = profiles.profile_of(scenario.model, scenario.edge)
    cloud = profiles.profile_of(scenario.model, scenario.cloud)
    # What is made when it is asked for is made where no visit is known.
    columns = about(scenario, graph)
    with st.container(horizontal=True, gap="small", key="exports"):
        st.download_button(
            "Report (HTML)",
            lambda: html_report(scenario, comparison, outcome.strategy, edge, cloud, datetime.now(UTC)).encode(),
            file(scenario, graph, f"report {outcome.strategy}", "html"),
            "text/html",
            key="save_report",
            icon=ICON,
            on_click="ignore",
            help="Everything on this page in one file that opens anywhere, also without a network.",
        )
        st.download_button(
            f"Plan of {outcome.strategy} (JSON)",
            lambda: store.to_json(store.SavedPlan(graph.name, graph.fingerprint, outcome.plan, outcome.strategy)),
            file(scenario, graph, f"plan {outcome.strategy}", "json"),
            "application/json",
            key="save_plan",
            icon=ICON,
            on_click="ignore",
            help="For `decc run --plan FILE` and `decc split MODEL --plan FILE`.",
        )
        st.download_button(
            "Table (CSV)",
            lambda: strategies_csv(comparison, columns).encode(),
            file(scenario, graph, "strategies", "csv"),
            "text/csv",
            key="save_table",
            icon=ICON,
            on_click="ignore",
            help="One row for each strategy, with the scenario in columns of its own.",
        )
        told = {"network": graph.name, "strategy": outcome.strategy, "requests": comparison.instance.requests}
        st.download_button(
            f"Schedule of {outcome.strategy} for Perfetto (JSON)",
            lambda: json.dumps(trace.chrome_trace(comparison.instance, outcome.schedule, None, told)),
            file(scenario, graph, f"schedule {outcome.strategy}", "json"),
            "application/json",
            key="save_schedule",
            icon=ICON,
            on_click="ignore",
            help="When what is planned to run; opens in Perfetto and in Chrome's tracing page.",
        )


def split_download(scenario: Scenario, graph: LayerGraph, saved: store.SavedPlan) -> None:
    """A button that builds the cut pieces in the background, and then one that saves them."""
    job: SplitJob | None = st.session_state.get(SPLIT)
    network = models.network_of(scenario.model)
    # Two networks with the same layers may have other weights.
    mine = job is not None and (job.graph, job.saved, job.network) == (graph, saved, network)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="split"):
        if mine and job is not None and job.data is not None:
            st.download_button(
                f"Pieces of {plain(title_of(scenario.model))} ({bytes_text(len(job.data))}, zip)",
                job.data,
                file(scenario, graph, f"pieces {saved.strategy}", "zip"),
                "application/zip",
                key="save_split",
                icon=ICON,
                on_click="ignore",
                type="primary",
            )
            st.caption("Checked: on the example inputs the pieces give the whole network's outputs bit for bit.")
        elif job is not None and not job.over:
            _progress(job)
            st.button("Stop", key="split_stop", on_click=job.stop)
        else:
            if mine and job is not None and job.failure:
                st.error(plain(job.failure))
            st.button(
                "Build the cut pieces",
                key="split_build",
                icon=":material/content_cut:",
                on_click=_start,
                args=(graph, saved, network),
                help="One `torch.export` program for each side of each distinct cut, with the steps to run them; "
                "the same as `decc split`.",
            )
            st.caption(f"About {bytes_text(size_bytes(graph, saved.plan))}; takes half a minute, in the background.")


def _start(graph: LayerGraph, saved: store.SavedPlan, network: NetworkRef) -> None:
    job = SplitJob(graph, saved, network)
    st.session_state[SPLIT] = job
    visit.begin(job)


@st.fragment(run_every=REFRESH_S)
def _progress(job: SplitJob) -> None:
    if job.over:
        st.rerun()
    st.progress(min(1.0, job.done / max(1, job.total)), plain(f"{job.graph.name}: {job.doing}"))
