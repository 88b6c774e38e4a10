"""The Studies view: many networks under many conditions, planned in the background, as tables and figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app.figures.study import draw_curves, draw_distribution, draw_gains
from app.jobs.studies import (
    MOST_ROWS,
    MOST_SHOWN,
    EstimateJob,
    Kits,
    ResultsJob,
    StudyJob,
    csv_of,
    parquet_of,
    require_size,
    toml_of,
)
from app.shell import models, profiles, visit
from app.shell.address import (
    PLAN_PAGE,
    STUDY_CLOUDS,
    STUDY_EDGES,
    STUDY_FASTER,
    STUDY_FROM,
    STUDY_NETWORKS,
    STUDY_RATES,
    STUDY_REQUESTS,
    STUDY_SLOWER,
    STUDY_STRATEGIES,
    STUDY_TO,
    parameters,
)
from app.shell.exports import FORMS, ICON
from app.shell.page import PLOT_CONFIG, theme
from app.state import BETWEEN, FACTORS, MAX_REQUESTS, device_label, network_label, network_order
from app.text import plain
from decc_core import library
from decc_core.errors import DeccError, InvalidStudy
from decc_core.planner.strategies import STRATEGIES
from decc_core.printed.names import file_name
from decc_core.printed.sheet import SIZES, Form, printed
from decc_core.problem.instance import CostInstance
from decc_core.problem.scenario import Scenario
from decc_core.studies.columns import scenario_of
from decc_core.studies.report import Report, html_page
from decc_core.studies.study import Study
from decc_core.study.findings import Kind, Table, distribution_of_gains, gain_over_uplink
from decc_core.text import counted, roughly

JOB, ESTIMATE, FILE, REFUSED = "study_job", "study_estimate", "study_file", "study_refused"
Shown = StudyJob | ResultsJob
"""What has results, or will have."""
REFRESH_S = 0.5
SHOWN_S = 10.0
"""By then a browser has shown a page that it opened."""
MOST_RATES = 50
IN_FLIGHT = (1, 2, 4, 8, 16, 32, 64)
FILE_BYTES, MOST_MB = 200_000, 20
"""Of a study.toml, and of results."""
MOST_CURVES = 6


def view(scenario: Scenario, instance: CostInstance) -> None:
    """Choices, how long they take, and what came of the study that was started last."""
    del instance
    st.subheader("Studies: many networks under many conditions", anchor=False)
    st.caption(
        "A study plans every combination of what you choose here, and says who wins, by how much, and how far from the "
        "proven bound. What is not chosen here is as in the scenario at the left. `decc study` runs the same file on "
        "all cores, or on a cluster."
    )
    job: Shown | None = st.session_state.get(JOB)
    running = job is not None and not job.over
    if not running:
        _choose(scenario)
    if REFUSED in st.session_state:
        st.error(plain(st.session_state.pop(REFUSED)))
    if job is not None:
        st.fragment(_board, run_every=REFRESH_S if running else None)(job, running)


def _choose(scenario: Scenario) -> None:
    """The controls, or a file; how many points they are, how long they take, and the button that starts."""
    chosen, own = st.tabs(["Choose here", "From a file"])
    with chosen:
        said = _said(scenario)
        text = toml_of(said, COMMENT)
        _offer(text, "study.toml", "chosen")
        st.download_button(
            "study.toml", text, "study.toml", "application/toml", key="study_save", icon=ICON, on_click="ignore",
            help="The same study for `decc study study.toml`.",
        )  # fmt: skip
    with own:
        _own_file()


def _own_file() -> None:
    """A study's file, which is offered to be started, or results, which are shown."""
    st.caption(
        "A **study.toml**, as `decc study` takes it, also with streams, constraints and seeded samples: of its "
        "networks and devices those are found that this page has, by the names that they have here. Or **results** "
        f"(.parquet) that `decc study` wrote, of at most {MOST_ROWS:,} rows, to look at."
    )
    sent = st.file_uploader(
        "study.toml or results.parquet", ["toml", "parquet"], key=FILE, label_visibility="collapsed",
        max_upload_size=MOST_MB, on_change=_take_results,
    )  # fmt: skip
    if sent is None or not sent.name.lower().endswith(".toml"):
        return
    if sent.size > FILE_BYTES:
        st.error(f"{plain(sent.name)} has more than {FILE_BYTES // 1000} kB, and no study needs as much.")
        return
    _offer(sent.getvalue().decode("utf-8-sig", "replace"), sent.name, "file")


def _take_results() -> None:
    """Have results that were sent read by a process of their own."""
    sent = st.session_state.get(FILE)
    if sent is None or not sent.name.lower().endswith(".parquet"):
        return
    try:
        _begin(ResultsJob(sent.name, sent.getvalue()))
    except DeccError as error:
        st.session_state[REFUSED] = str(error)


COMMENT = (
    "A study for `decc study study.toml`. Networks and devices whose names begin with 'own:' are files of yours:\n"
    "put the paths of these files in their place."
)


def _said(scenario: Scenario) -> dict[str, Any]:
    """What the controls say, as a study's file says it."""
    names = [*models.own(), *network_order(library.shipped_models())]
    _keep(STUDY_NETWORKS, names, [scenario.model])
    networks = st.multiselect("Networks", names, key=STUDY_NETWORKS, format_func=network_label, persist_state="session")
    devices = _devices_of(networks or [scenario.model])
    low, high, count, flight = st.columns((1, 1, 1, 2.4))
    for key, usual in ((STUDY_FROM, 1.0), (STUDY_TO, 100.0)):
        value = st.session_state.get(key, usual)
        at_least, at_most = BETWEEN["uplink_mbps"]
        _set(key, min(max(float(value), at_least), at_most) if value == value else usual)
    _set(STUDY_RATES, min(max(int(st.session_state.get(STUDY_RATES, 7)), 1), MOST_RATES))
    first = low.number_input("Uplink from (Mbit/s)", *BETWEEN["uplink_mbps"], key=STUDY_FROM, persist_state="session")
    last = high.number_input("to (Mbit/s)", *BETWEEN["uplink_mbps"], key=STUDY_TO, persist_state="session")
    many = count.number_input(
        "rates", 1, MOST_RATES, key=STUDY_RATES, persist_state="session", help="In equal ratios, both ends among them."
    )
    _keep(STUDY_REQUESTS, range(1, MAX_REQUESTS + 1), [1, 8])
    offered = sorted({*IN_FLIGHT, *st.session_state[STUDY_REQUESTS]})
    requests = flight.multiselect("Requests in flight", offered, key=STUDY_REQUESTS, persist_state="session")
    edge, slower, cloud, faster = st.columns((1.6, 1, 1.6, 1))
    sides: dict[str, tuple[str, float]] = {"edge": (scenario.edge, scenario.edge_slowdown),
                                           "cloud": (scenario.cloud, scenario.cloud_speedup)}  # fmt: skip
    picked: dict[str, list[Any]] = {}
    for side, where, by, key, factor_key, label in (
        ("edge", edge, slower, STUDY_EDGES, STUDY_SLOWER, "slower by (×)"),
        ("cloud", cloud, faster, STUDY_CLOUDS, STUDY_FASTER, "faster by (×)"),
    ):
        device, factor = sides[side]
        _keep(key, devices, [device if device in devices else devices[0]])
        picked[side] = where.multiselect(
            f"{side.capitalize()} devices", devices, key=key, format_func=device_label, persist_state="session",
            help="Those for which every chosen network has times.",
        )  # fmt: skip
        _keep(factor_key, None, [factor])
        steps = sorted({*FACTORS, *st.session_state[factor_key]})
        picked[factor_key] = by.multiselect(
            label, steps, key=factor_key, format_func=lambda value: f"{value:g}", persist_state="session"
        )
    _keep(STUDY_STRATEGIES, list(STRATEGIES), list(STRATEGIES))
    strategies = st.multiselect("Strategies", list(STRATEGIES), key=STUDY_STRATEGIES, persist_state="session")
    rates = [float(f"{rate:.4g}") for rate in np.geomspace(first, last, int(many))]
    # Whatever else the scenario says stands in the file, too.
    rest = scenario.choices()
    links = {
        "uplink_mbps": list(dict.fromkeys(rates)),
        "downlink_mbps": "same" if scenario.downlink_mbps is None else scenario.downlink_mbps,
        **{key: rest[key] for key in ("rtt_ms", "overhead_ms")},
    }
    tensors = {f"{side}_{what}_ms": rest[f"{side}_{what}_ms"] for side in sides for what in ("tensor", "mb")}
    kept = ("keep_on_edge", "keep_in_cloud", "edge_memory_mb", "uplink_kb")
    return {
        "networks": networks,
        "requests": requests,
        **{key: rest[key] for key in ("wire", "objective", "results")},
        "strategies": [name for name in STRATEGIES if name in strategies],
        "devices": {
            "edge": picked["edge"], "cloud": picked["cloud"], "edge_slowdown": picked[STUDY_SLOWER],
            "cloud_speedup": picked[STUDY_FASTER], **tensors,
        },
        "links": links,
        "constraints": {key: rest[key] for key in kept if rest[key] is not None},
    }  # fmt: skip


def _keep(key: str, known: Sequence[Any] | range | None, usual: list[Any]) -> None:
    """Controls of several values hold known ones; an address may say anything."""
    asked = st.session_state.get(key)
    if not isinstance(asked, list):
        asked = usual
    if known is None:
        low, high = BETWEEN["edge_slowdown"]
        there = [value for value in asked if isinstance(value, float) and low <= value <= high]
    else:
        there = [value for value in asked if value in known]
    kept = list(dict.fromkeys(there)) or usual if asked else []
    _set(key, kept)


def _set(key: str, value: object) -> None:
    """Only where it is another one: what somebody types just now is not to be written over."""
    if st.session_state.get(key) != value:
        st.session_state[key] = value


def _devices_of(networks: Sequence[str]) -> list[str]:
    """Devices for which every one of the networks has times."""
    first, *others = ([*profiles.devices(name)] for name in networks)
    return [device for device in first if all(device in other for other in others)]


def _offer(text: str, name: str, key: str) -> None:
    """What a study's file asks for: how large it is, how long it takes, and the button that starts it."""
    try:
        study = Study.from_text(text, name)
        require_size(study)
        kits = _kits(study)
    except DeccError as error:
        st.warning(plain(str(error)))
        return
    estimate = _estimate(study, kits, f"{ESTIMATE}_{key}")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Start",
            key=f"study_start_{key}",
            type="primary",
            on_click=_start,
            args=(study, kits),
            icon=":material/play_arrow:",
        )
        st.fragment(_how_long, run_every=None if estimate.over else REFRESH_S)(study, estimate, not estimate.over)


def _how_long(study: Study, estimate: EstimateJob, was_running: bool) -> None:
    if was_running and estimate.over and time.monotonic() - estimate.made_s > SHOWN_S:
        # Before, a browser may not have shown yet what this run would show over again.
        st.rerun()
    size = f"{counted(study.points, 'point')}, {study.rows:,} rows"
    if not estimate.over:
        st.caption(f"{size}; looking how long they take …")
    elif estimate.seconds is not None:
        st.caption(f"{size}; about {roughly(estimate.seconds)} in the background")
    else:
        st.caption(f"{size}. {plain(estimate.failure or '')}")


def _kits(study: Study) -> Kits:
    """Graphs and profiles of everything that the study names; what is not there is refused in a sentence."""
    found: Kits = {}
    names = {*models.own(), *library.shipped_models()}
    for model in study.networks:
        if model not in names:
            raise InvalidStudy(f"The page has no network '{model}'; name one that the list at the left has.")
        for edge, cloud in study.pairs:
            for device in (edge, cloud):
                if device not in profiles.devices(model):
                    raise InvalidStudy(f"The page has no times of '{model}' on '{device}'; choose another device.")
            graph = models.graph_of(model)
            found[model, edge, cloud] = (
                graph, profiles.profile_of(model, edge), profiles.profile_of(model, cloud)
            )  # fmt: skip
    return found


def _estimate(study: Study, kits: Kits, key: str) -> EstimateJob:
    """How long these choices take; what was asked of others is given up."""
    job: EstimateJob | None = st.session_state.get(key)
    if job is None or job.study != study or job.kits.keys() != kits.keys():
        if job is not None:
            job.stop()
        job = EstimateJob(study, kits)
        st.session_state[key] = job
        visit.begin(job)
    return job


def _start(study: Study, kits: Kits) -> None:
    _begin(StudyJob(study, kits))


def _begin(job: Shown) -> None:
    """One at a time for each visitor: what went on before is ended, and what it found gives way."""
    earlier: Shown | None = st.session_state.get(JOB)
    if earlier is not None:
        earlier.stop()
    st.session_state[JOB] = job
    visit.begin(job)


def _board(job: Shown, was_running: bool) -> None:
    """How far the study is, and what it found."""
    if was_running and job.over:
        st.rerun()
    if job.failure:
        st.error(plain(job.failure))
    if not job.over:
        text, button = st.columns((5, 1), vertical_alignment="center")
        left_s = job.left_s if isinstance(job, StudyJob) else None
        left = "" if left_s is None else f", about {roughly(left_s)} left"
        done = f"{job.done:,} of {job.total:,} points: " if isinstance(job, StudyJob) else ""
        text.progress(min(1.0, job.done / max(1, job.total)), plain(f"{done}{job.doing}{left}"))
        button.button("Stop", key="study_stop", on_click=job.stop, width="stretch")
        return
    if job.report is None or job.table is None:
        if job.stopped.is_set():
            st.info("The study was stopped before a line of it was finished.")
        return
    if job.stopped.is_set():
        st.info("The study was stopped: this is what was finished.")
    report = job.report
    st.markdown(f"#### {plain(report.name)}")
    tables, figures, points, files = st.tabs(["Tables", "Figures", "Points", "Take along"])
    with tables:
        _tables(report)
    with figures:
        _figures(report)
    with points:
        _points(job)
    with files:
        _files(job)


def _tables(report: Report) -> None:
    for table in report.findings.tables:
        st.markdown(f"**{plain(table.title)}**")
        st.caption(plain(table.note))
        st.dataframe(_frame(table), hide_index=True, height="content" if len(table.rows) < 30 else 600, key=table.name)
    st.markdown("**What was studied**")
    facts = pd.DataFrame(report.facts, columns=["what", "values"])
    st.dataframe(facts, hide_index=True, height="content", key="study_facts")


def _frame(table: Table) -> pd.DataFrame:
    """Numbers as numbers, so that columns can be sorted; shares as per cent."""
    columns: dict[str, list[Any]] = {}
    for place, column in enumerate(table.columns):
        values = [row[place] for row in table.rows]
        if column.kind is Kind.SHARE:
            columns[f"{column.title} (%)"] = [None if v is None else round(100 * float(v), 3) for v in values]
        elif column.kind is Kind.GAIN:
            columns[f"{column.title} (×)"] = [None if v is None else round(float(v), 3) for v in values]
        else:
            columns[column.title] = values
    return pd.DataFrame(columns)


def _figures(report: Report) -> None:
    found = report.findings
    for name in found.own:
        if len({point.uplink_mbps for point in found.points}) > 1:
            for requests, lines in gain_over_uplink(found, name).items():
                many = "" if requests is None else f", {counted(requests, 'request')}"
                st.markdown(f"**Gain of {plain(name)} over the best baseline{many}**, geometric mean at each rate")
                figure = draw_gains(lines, name, theme())
                st.plotly_chart(figure, key=f"study_gain_{name}_{requests}", theme=None, config=PLOT_CONFIG)
        shares = distribution_of_gains(found, name)
        if shares:
            st.markdown(f"**Distribution of the gain of {plain(name)}**: at how many points it is at most so large")
            figure = draw_distribution(shares, name, theme())
            st.plotly_chart(figure, key=f"study_distribution_{name}", theme=None, config=PLOT_CONFIG)
    for place, curves in enumerate(report.curves[:MOST_CURVES]):
        st.markdown(f"**Latency over the rate**: {plain(', '.join(filter(None, (curves.name, curves.where))))}")
        st.plotly_chart(draw_curves(curves, theme()), key=f"study_curve_{place}", theme=None, config=PLOT_CONFIG)
    if len(report.curves) > MOST_CURVES:
        st.caption(f"{counted(len(report.curves) - MOST_CURVES, 'further curve')} are in the files.")


def _points(job: Shown) -> None:
    """All points with decc's gain, and the way into the Plan view from any of them."""
    shown = job.points
    if not shown:
        st.caption("No point was planned.")
        return
    st.caption(
        "Choose a row to open it as a scenario."
        + (f" These are the first {len(shown):,} points." if len(shown) == MOST_SHOWN else "")
    )
    frame = pd.DataFrame([{name: row[name] for name in POINT_COLUMNS} for row in shown]).rename(columns=POINT_COLUMNS)
    chosen = st.dataframe(
        frame, hide_index=True, height=320, key="study_points", on_select="rerun", selection_mode="single-row"
    )
    places = chosen.selection.rows
    if places and places[0] < len(shown):
        scenario = scenario_of(shown[places[0]])
        st.page_link(
            st.session_state[PLAN_PAGE],
            label=plain(f"Open {network_label(scenario.model)} at {scenario.uplink_mbps:g} Mbit/s in Plan"),
            query_params=parameters(scenario),
            icon=":material/open_in_new:",
        )


POINT_COLUMNS = {
    "network": "network",
    "requests": "requests",
    "uplink_mbps": "uplink (Mbit/s)",
    "rtt_ms": "round trip (ms)",
    "edge_device": "edge",
    "edge_slowdown": "slower by (×)",
    "cloud_device": "cloud",
    "cloud_speedup": "faster by (×)",
    "makespan_s": "makespan of decc (s)",
    "gap": "gap",
}


def _files(job: Shown) -> None:
    """Results, study and report; each is made when it is asked for."""
    report, table = job.report, job.table
    assert report is not None
    assert table is not None

    def name(what: str, ending: str) -> str:
        return file_name(report.name, what, ending=ending)

    made: tuple[tuple[str, Callable[[], bytes | str], str, str], ...] = (
        ("Report (HTML)", lambda: html_page(report).encode(), name("report", "html"), "text/html"),
        (
            "Results (Parquet)",
            lambda: parquet_of(table),
            name("results", "parquet"),
            "application/vnd.apache.parquet",
        ),
        ("Results (CSV)", lambda: csv_of(table), name("results", "csv"), "text/csv"),
        ("study.toml", lambda: report.text, name("study", "toml"), "application/toml"),
    )
    with st.container(horizontal=True, gap="small"):
        for label, make, called, kind in made:
            st.download_button(label, make, called, kind, key=f"study_{label}", icon=ICON, on_click="ignore")
        with st.popover("Save figures", icon=ICON):
            size = st.selectbox(
                "Size", list(SIZES), index=list(SIZES).index("columns"), format_func=lambda one: SIZES[one].title,
                key="study_size", persist_state="session",
            )  # fmt: skip
            form = st.segmented_control(
                "Form", list(FORMS), default=Form.PDF, format_func=lambda one: one.name, key="study_form", required=True
            )
            for picture in report.pictures:
                st.download_button(
                    plain(picture.title),
                    _drawn(picture, size, Form(form or Form.PDF)),
                    name(picture.name, Form(form or Form.PDF).value),
                    FORMS[Form(form or Form.PDF)],
                    key=f"study_print_{picture.name}",
                    icon=ICON,
                    on_click="ignore",
                )


def _drawn(picture: Any, size: str, form: Form) -> Callable[[], bytes]:
    return lambda: printed(picture, SIZES[size], form)
