"""What a visitor has of their own as one file: saved, opened elsewhere, and forgotten on request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import streamlit as st

from app.jobs.bundle import CONTENTS, ROOT, BundleJob, packed, packed_bytes
from app.shell import address, links, models, profiles, visit, wires
from app.shell.choices import choose
from app.shell.workspaces import KEPT_S, Workspace
from app.state import OPENING, OWN
from app.text import plain
from decc_core.errors import DeccError
from decc_core.load.limits import Limits
from decc_core.problem.scenario import Scenario
from decc_core.text import bytes_text, counted, shown

JOB, BOX = "workspace_job", "workspace_box"
REFRESH_S = 0.4
KEPT = f"for {KEPT_S / 60:.0f} minutes after you leave"
TAIL_BYTES = 1 << 20
"""At the end of an archive, where its table of contents is."""


def is_workspace(name: str, content: bytes) -> bool:
    """Whether a file that was dropped among models is one; whether it is a sound one is another question."""
    return name.lower().endswith(".zip") and f"{ROOT}/{CONTENTS}".encode() in content[-TAIL_BYTES:]


def take_opened() -> None:
    """Keep what was in a workspace that has just been read, and plan its scenario; must come before the controls."""
    job: BundleJob | None = st.session_state.get(JOB)
    if job is None or job.found is None:
        return
    bundle, job.found = job.found, None
    told = list(bundle.left_out)
    names: dict[str, str] = {}
    for label, network in bundle.networks.items():
        try:
            names[label] = models.add(network, fresh=False)
        except DeccError as error:
            told.append(str(error))
    labels: dict[tuple[str, str], str] = {}
    for model, label, profile in bundle.profiles:
        if model.startswith(OWN) and model not in names:
            told.append(f"The profile {shown(label.removeprefix(OWN))} was not taken: its network was not, either.")
            continue
        try:
            named = replace(profile, device=label.removeprefix(OWN))
            labels[model, label] = profiles.add(names.get(model, model), named)
        except DeccError as error:
            told.append(f"The profile {shown(label.removeprefix(OWN))} was not taken: {error}")
    wired: dict[tuple[str, str], str] = {}
    for model, label, wire in bundle.wires:
        name = label.removeprefix(OWN)
        if model.startswith(OWN) and model not in names:
            told.append(f"The wire profile {shown(name)} was not taken: its network was not, either.")
            continue
        try:
            wired[model, label] = wires.add(names.get(model, model), wire, name)
        except DeccError as error:
            told.append(f"The wire profile {shown(name)} was not taken: {error}")
    many = [counted(len(names), "network"), counted(len(labels), "profile")]
    many += [counted(len(wired), "wire profile")] if wired else []
    job.taken = f"{', '.join(many[:-1])} and {many[-1]}"
    told += _take_scenario(dict(bundle.contents.scenario), names, labels, wired)
    job.told = tuple(told)
    if not told:
        st.toast(plain(f"Opened {shown(job.file_name)}: {job.taken}."))


def _take_scenario(
    parameters: dict[str, str],
    names: Mapping[str, str],
    labels: Mapping[tuple[str, str], str],
    wired: Mapping[tuple[str, str], str],
) -> list[str]:
    """Set the controls as they were saved, under the names that things have here; says what hinders it."""
    model = address.read(parameters)[0].model
    for role in ("edge", "cloud"):
        if role in parameters:
            parameters[role] = labels.get((model, parameters[role]), parameters[role])
    if "wire_profile" in parameters:
        wire = parameters["wire_profile"]
        parameters["wire_profile"] = wired.get((model, wire), wire)
    if "model" in parameters:
        parameters["model"] = names.get(model, model)
    troubles = links.troubles(parameters)
    if not troubles:
        choose(address.read(parameters)[0].choices())
    return [f"The scenario was not taken. {trouble.sentence}" for trouble in troubles]


def start(name: str, content: bytes) -> None:
    """Open a workspace that somebody sent."""
    end_earlier()
    try:
        job = BundleJob(name, content)
    except DeccError as error:
        job = BundleJob(name, b"")
        job.failure, job.over = str(error), True
    else:
        visit.begin(job)
    st.session_state[JOB] = job


def end_earlier() -> None:
    """Give up a workspace that is being read, and what there was to be said of the last one."""
    earlier: BundleJob | None = st.session_state.pop(JOB, None)
    if earlier is not None:
        earlier.stop()
        earlier.let_go()


def says_something() -> bool:
    """Whether the box of own models is to stand open."""
    job: BundleJob | None = st.session_state.get(JOB)
    return job is not None and not job.stopped.is_set() and not (job.over and not job.failure and not job.told)


def news() -> bool:
    """How far the opening of a workspace is, or what came of it; True while it goes on."""
    job: BundleJob | None = st.session_state.get(JOB)
    if job is None or job.stopped.is_set():
        return False
    if not job.over:
        _progress(job)
        return True
    if job.failure is not None:
        st.error(plain(job.failure))
    elif job.taken:
        st.success(plain(f"Opened {shown(job.file_name)}: {job.taken}."))
    for sentence in job.told:
        st.warning(plain(sentence))
    return False


@st.fragment(run_every=REFRESH_S)
def _progress(job: BundleJob) -> None:
    if job.over:
        st.rerun()
    st.progress(min(1.0, job.done / max(1, job.total)), plain(f"{job.file_name}: {job.doing}"))
    st.button("Stop", key="workspace_stop", on_click=job.stop)


def menu(scenario: Scenario) -> None:
    """Everything about what a visitor has of their own as a whole."""
    mine = visit.workspace()
    with st.popover("Workspace", width="stretch"):
        _list(mine)
        _save(mine, address.parameters(scenario))
        # A box that has been taken is replaced by an empty one, which frees the file that Streamlit holds.
        key = f"{BOX}_{st.session_state.get(BOX, 0)}"
        st.file_uploader(
            "Open workspace",
            type=["zip"],
            key=key,
            on_change=_open,
            args=(key,),
            help="A file of *Save workspace*, yours or a colleague's. Its networks are read as files that are dropped "
            "alone; what you have stays.",
        )
        st.button(
            "Forget my networks and profiles",
            key="workspace_forget",
            icon=":material/delete_forever:",
            on_click=_forget,
            disabled=not mine,
            width="stretch",
            help="Deletes them, and all that was computed about them, from this server now, in all tabs.",
        )
        st.caption(f"Kept on this server for this browser alone, {KEPT}.")


def _list(mine: Workspace) -> None:
    networks = mine.own_networks()
    many = [counted(len(networks), "network"), counted(len(mine.all_profiles()), "profile")]
    if wired := len(mine.all_wires()):
        many.append(counted(wired, "wire profile"))
    st.markdown(f"**Yours:** {', '.join(many[:-1])} and {many[-1]}")
    for name, network in networks.items():
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(plain(f"{name.removeprefix(OWN)}, {bytes_text(network.file_bytes)}"))
            st.button("Remove", key=f"workspace_remove_{name}", on_click=mine.remove_network, args=(name,))


def _save(mine: Workspace, parameters: dict[str, str]) -> None:
    most = Limits.from_environment().file_bytes
    size = packed_bytes(mine.own_networks(), mine.all_profiles(), mine.all_wires())
    st.download_button(
        "Save workspace",
        # It asks again when it is clicked, and holds on to nothing that is forgotten meanwhile.
        partial(_packed, mine, parameters),
        "decc-workspace.zip",
        "application/zip",
        key="workspace_save",
        icon=":material/download:",
        on_click="ignore",
        disabled=size > most,
        width="stretch",
        help="One file with your networks as you sent them, your profiles and the scenario. Whoever opens it has them, "
        "weights included.",
    )
    if size > most:
        st.caption(
            f"Your networks have {bytes_text(size)}; a workspace file has at most {bytes_text(most)}. Remove one first."
        )


def _packed(mine: Workspace, parameters: dict[str, str]) -> bytes:
    return packed(mine.own_networks(), mine.all_profiles(), parameters, mine.all_wires())


def _open(key: str) -> None:
    uploaded = st.session_state.get(key)
    if uploaded is not None:
        start(uploaded.name, uploaded.getvalue())
        st.session_state[BOX] = st.session_state.get(BOX, 0) + 1


def _forget() -> None:
    scenario = Scenario(**{key: st.session_state[key] for key in OPENING.scenario.choices()})
    visit.forget()
    if address.has_own(scenario):
        choose(OPENING.scenario.choices())
    st.toast("Your networks and profiles are deleted from this server.")
