"""A visitor's own profiles, on the Profile view: measured, loaded or scaled, and what can be done with them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial

import pandas as pd
import streamlit as st

from app.jobs.profile import MAX_REPEATS, ProfileJob
from app.jobs.times import TimesJob
from app.shell import models, profiles, visit
from app.shell.choices import choose
from app.shell.workspaces import MAX_NAME
from app.state import OWN, chosen_device, device_label, title_of
from app.text import plain
from decc_core import store
from decc_core.errors import DeccError
from decc_core.models.device import DeviceSettings
from decc_core.network.graph import LayerGraph
from decc_core.printed.names import file_name
from decc_core.problem.profile import DeviceProfile
from decc_core.problem.scenario import Scenario
from decc_core.profiling.imports import FILE_ENDINGS, template_csv, template_json
from decc_core.profiling.settings import ProfileSettings
from decc_core.text import duration_s

REFRESH_S = 0.5
AT_ONCE_S = 3.0
"""So long a file of times is waited for; after that the page goes on, and says that it is being read."""
NOTE = "profile_note"
"""What came of the visitor's last action, shown once."""
MEMORY_FORMATS = {"contiguous": "contiguous", "channels_last": "channels last"}


def own_profiles(scenario: Scenario, graph: LayerGraph) -> None:
    """The visitor's profiles of this network, and the three ways to another one."""
    model = scenario.model
    # Beside what it is about: above the tabs it would push them down, and back to the first one.
    _tell_of_file()
    _note()
    _list_of_own(scenario)
    measure, load, scale = st.columns(3, gap="small")
    with measure.container(border=True, height="stretch"):
        _measure(model)
    with load.container(border=True, height="stretch"):
        _load(model, graph)
    with scale.container(border=True, height="stretch"):
        _scale(model)


def _list_of_own(scenario: Scenario) -> None:
    """The visitor's profiles of this network, each with what can be done with it."""
    mine = profiles.own(scenario.model)
    if not mine:
        st.info(
            f"You have no profile of {plain(title_of(scenario.model))} of your own yet. Measure the network on this "
            "machine, load a file that was measured elsewhere, or scale a profile to a device that you know one number "
            "of. It then joins the edge and cloud devices at the left."
        )
    for label, profile in mine.items():
        with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small"):
            _own_row(scenario, label, profile)


def _own_row(scenario: Scenario, label: str, profile: DeviceProfile) -> None:
    model, key = scenario.model, f"{scenario.model}_{label}"
    st.markdown(
        f"**{plain(profile.device)}**, {profile.provenance.kind.value}, {duration_s(profile.whole_s)}",
        help=plain(profile.provenance.source[:400]),
    )
    for role, chosen in (("edge", scenario.edge), ("cloud", scenario.cloud)):
        if chosen == label:
            st.badge(f"{role} device", icon=":material/check:", color="blue" if role == "edge" else "green")
        else:
            st.button(
                f"Use as {role} device", key=f"use_{role}_{key}", on_click=choose, args=(chosen_device(role, label),)
            )
    st.download_button(
        "Save",
        store.to_json(profile),
        file_name(model.removeprefix(OWN), profile.device, "profile", ending="json"),
        "application/json",
        key=f"save_{key}",
        icon=":material/download:",
        help="A JSON file that this page, and `decc plan --edge FILE`, read.",
    )
    with st.popover("Rename"):
        st.text_input("New name", profile.device, max_chars=MAX_NAME, key=f"name_{key}")
        st.button("Rename", key=f"rename_{key}", on_click=_rename, args=(model, label, f"name_{key}"))
    st.button("Remove", key=f"remove_{key}", icon=":material/delete:", on_click=_remove, args=(model, label))


def _rename(model: str, label: str, key: str) -> None:
    try:
        profiles.rename(model, label, st.session_state[key])
    except DeccError as error:
        st.session_state[NOTE] = Note(False, str(error))


def _remove(model: str, label: str) -> None:
    profiles.remove(model, label)
    st.session_state[NOTE] = Note(True, f"Removed '{label.removeprefix(OWN)}'.")


@dataclass(frozen=True)
class Note:
    """What came of an action: a sentence, what a reader of the numbers should know, and layers with a problem."""

    good: bool
    sentence: str
    details: tuple[str, ...] = ()
    problems: tuple[tuple[str, str], ...] = ()


def _note() -> None:
    if NOTE not in st.session_state:
        return
    note: Note = st.session_state.pop(NOTE)
    lines = [plain(note.sentence), *(f"- {plain(line)}" for line in note.details)]
    (st.success if note.good else st.error)("\n".join(lines))
    if note.problems:
        st.dataframe(
            pd.DataFrame(note.problems, columns=["layer or line", "what is wrong"]),
            hide_index=True,
            height=min(35 * (1 + len(note.problems)) + 3, 220),
            key="profile_problems",
            column_config={"layer or line": st.column_config.TextColumn(width=180)},
        )


def _kept(label: str) -> str:
    name = label.removeprefix(OWN)
    return f"'{name}' can now be chosen as edge or cloud device."


def _measure(model: str) -> None:
    """Settings and Start, or the progress of what is going on."""
    st.markdown("**Measure on this machine**")
    job: ProfileJob | None = st.session_state.get(profiles.JOB)
    if job is not None and not job.over:
        _progress(job)
        st.button("Stop", key="measure_stop", on_click=job.stop, width="stretch")
        return
    if job is not None and job.model == model:
        _ended(job)
    settings = _settings()
    st.button(
        "Measure", key="measure", type="primary", width="stretch", on_click=_start, args=(model, settings),
        help="Builds the network with random weights in a process of its own and times each layer.",
    )  # fmt: skip
    st.caption("The machine that serves this page. For another device: `decc profile` there, then load its file here.")


def _ended(job: ProfileJob) -> None:
    """What came of the last measurement of the network shown."""
    if job.failure:
        st.error(plain(job.failure))
    elif job.kept_as:
        st.success(plain(_kept(job.kept_as)))
    elif job.stopped.is_set():
        st.info("The measurement was stopped; nothing of it is kept.")


def _settings() -> ProfileSettings:
    cores = os.cpu_count() or 1
    left, right = st.columns(2)
    threads = int(left.number_input("Threads", 1, max(cores, 1), 1, key="measure_threads", persist_state="session"))
    repeats = right.number_input(
        "Repeats", 2, MAX_REPEATS, 30, key="measure_repeats", persist_state="session",
        help="Timed passes over the network; 30 give steady medians.",
    )  # fmt: skip
    order = st.segmented_control(
        "Memory format",
        list(MEMORY_FORMATS),
        default="contiguous",
        format_func=MEMORY_FORMATS.__getitem__,
        key="measure_format",
        required=True,
        persist_state="session",
        help="Channels last is faster for many convolutions, and not bit-identical to contiguous.",
    )
    onednn = st.toggle("oneDNN kernels", value=True, key="measure_onednn", persist_state="session")
    name = f"this-machine-{threads}-thread{'s' if threads > 1 else ''}"
    name += "-channels-last" if order == "channels_last" else ""
    name += "" if onednn else "-no-onednn"
    return ProfileSettings(name, DeviceSettings(threads, order or "contiguous", bool(onednn)), int(repeats))


def _start(model: str, settings: ProfileSettings) -> None:
    job = ProfileJob(model, settings, models.network_of(model))
    st.session_state[profiles.JOB] = job
    visit.begin(job)


@st.fragment(run_every=REFRESH_S)
def _progress(job: ProfileJob) -> None:
    if job.over:
        st.rerun()
    doing = f"{title_of(job.model)}: {job.doing}, {job.done} of {job.total}"
    st.progress(min(1.0, job.done / max(1, job.total)), plain(doing))
    st.caption("You may look at other views meanwhile.")


def _load(model: str, graph: LayerGraph) -> None:
    st.markdown("**Load a file**")
    job: TimesJob | None = st.session_state.get(profiles.READING)
    if job is not None and not job.over:
        _reading(job)
        st.button("Stop", key="load_stop", on_click=job.stop, width="stretch")
        return
    key = f"upload_{model}_{st.session_state.get('uploads', 0)}"
    st.file_uploader(
        f"Times of {plain(title_of(model))}",
        type=[ending.removeprefix(".").removeprefix("json.") for ending in FILE_ENDINGS],
        key=key,
        on_change=_take_upload,
        args=(model, key),
        help="A profile of `decc profile` or of this page; a CSV table of layers and times; a profile of ONNX Runtime "
        "(`enable_profiling`); a trace of PyTorch's profiler (`export_chrome_trace`), also as .json.gz.",
    )
    st.caption("A profile, a CSV table, an ONNX Runtime profile or a PyTorch profiler trace.")
    with st.container(horizontal=True, gap="small"):
        for kind, maker, mime in (("CSV", template_csv, "text/csv"), ("JSON", template_json, "application/json")):
            st.download_button(
                f"{kind} template",
                partial(maker, graph),
                file_name(model.removeprefix(OWN), "template", ending=kind.lower()),
                mime,
                icon=":material/download:",
                key=f"template_{kind.lower()}",
                help="All layers of the network with their modules: fill in the seconds of each under median_s, then "
                "load the file here.",
            )


@st.fragment(run_every=REFRESH_S)
def _reading(job: TimesJob) -> None:
    if job.over:
        st.rerun()
    st.info(f"{plain(job.file_name)}: {plain(job.doing)}. You may look at other views meanwhile.")


def _take_upload(model: str, key: str) -> None:
    uploaded = st.session_state.get(key)
    if uploaded is None:
        return
    try:
        job = TimesJob(uploaded.name, uploaded.getvalue(), model, models.graph_of(model))
    except DeccError as error:
        st.session_state[NOTE] = Note(False, str(error))
        return
    finally:
        # An empty box: neither keeps the file in memory, nor brings a profile back that is removed.
        st.session_state["uploads"] = st.session_state.get("uploads", 0) + 1
    st.session_state[profiles.READING] = job
    visit.begin(job)
    # A table takes less, and stands there at once.
    job.wait(AT_ONCE_S)


def _tell_of_file() -> None:
    """What came of a file that was read, told once."""
    job: TimesJob | None = st.session_state.get(profiles.READING)
    if job is None or not job.over:
        return
    if job.found is not None and not job.kept_as and job.failure is None:
        # It ended while this run went on: the next one keeps the profile.
        st.rerun()
    del st.session_state[profiles.READING]
    if job.failure is not None:
        st.session_state[NOTE] = Note(False, job.failure, problems=job.problems)
    elif job.found is not None and job.kept_as:
        st.session_state[NOTE] = Note(True, _kept(job.kept_as), job.found.notes, job.found.problems)


def _scale(model: str) -> None:
    st.markdown("**Scale a profile**")
    base = st.selectbox(
        "From", profiles.devices(model), format_func=device_label, key="scale_from",
        help="The ratio between layers stays that of this device.",
    )  # fmt: skip
    how = st.segmented_control(
        "How", ["factor", "total"], default="total", key="scale_how", required=True, label_visibility="collapsed",
        format_func={"factor": "by a factor", "total": "to a whole-model time"}.__getitem__,
    )  # fmt: skip
    if how == "factor":
        st.number_input("Times", 0.001, 1000.0, 2.0, format="%.3g", key="scale_factor", help="Above 1 is slower.")
    else:
        st.number_input("Whole network (ms)", 0.001, 1e7, 100.0, format="%.3f", key="scale_total")
    st.text_input("Name", placeholder="my device", max_chars=MAX_NAME, key="scale_name")
    st.text_input(
        "Source of the number", placeholder="a data sheet, a paper, a stopwatch", max_chars=200, key="scale_note"
    )
    st.button("Make profile", key="scale", width="stretch", on_click=_take_scaled, args=(model, base, how))


def _take_scaled(model: str, base: str, how: str) -> None:
    state = st.session_state
    profile = profiles.profile_of(model, base)
    name = (state["scale_name"] or "").strip() or f"{profile.device}, scaled"
    said = (state["scale_note"] or "").strip() or "source of the number not given"
    try:
        if how == "factor":
            factor = float(state["scale_factor"])
            made = profile.scaled(factor, _scaled_from(profile, f"multiplied by {factor:g}", said), name)
        else:
            total_s = float(state["scale_total"]) / 1e3
            to = f"scaled to {duration_s(total_s)} for the whole network"
            made = profile.scaled_to_total(total_s, _scaled_from(profile, to, said), name)
        state[NOTE] = Note(True, _kept(profiles.add(model, made)))
    except DeccError as error:
        state[NOTE] = Note(False, str(error))
        return


def _scaled_from(profile: DeviceProfile, how: str, said: str) -> str:
    return f"layers of '{profile.device}' ({profile.provenance.source}), {how}: {said}"
