"""The sidebar's box for a model of one's own: drop a file, see it read, or see why not and what to do."""

from __future__ import annotations

import re
from textwrap import shorten

import streamlit as st

from app.jobs.profile import QuickJob
from app.jobs.upload import UploadJob
from app.shell import bring, models, visit
from app.shell.address import STOP
from app.shell.choices import choose
from app.text import plain
from decc_core import library
from decc_core.errors import DeccError, InvalidInstance
from decc_core.load.limits import Limits
from decc_core.problem.scenario import Scenario
from decc_core.profiling.quick import DOUBT
from decc_core.ranges import is_count
from decc_core.text import bytes_text, listed

JOB, BOX = "upload_job", "upload_box"
AGAIN = "quick_job"
"""What measures a network's quick times again."""
REMEDY = "upload_remedy_shown"
BATCH, DIMENSIONS, ARCHITECTURE = "upload_batch", "upload_dimensions", "upload_architecture"
REFRESH_S = 0.4
MAX_BATCH = 1024
SHOWN_LETTERS = 240
"""Of a refusal, at the side."""
COMMAND = re.compile(r"on the command line: --dimension (\S+=SIZE)")
SEVERAL = (
    "Of several files dropped together one is an .onnx network, and the others hold its weights; drop other models one "
    "at a time."
)
QUICK = "Its times are of three quick passes on {}; measure it properly under Profile."


def take_finished() -> None:
    """Choose the network of an upload that has just ended; must come before the controls are drawn."""
    _take_measured()
    job: UploadJob | None = st.session_state.get(JOB)
    if job is None or job.found is None:
        return
    network, job.found = job.found, None
    try:
        name = models.add(network)
    except DeccError as error:
        job.failure = str(error)
        return
    # Requests and factors of an example say nothing of somebody's own network.
    asked: dict[str, object] = {"model": name, "requests": 1, "edge_slowdown": 1.0, "cloud_speedup": 1.0}
    for role, profile in (("edge", network.loaded.edge), ("cloud", network.loaded.cloud)):
        if profile is not None:
            asked[role] = profile.device
    choose(asked)


def box(chosen: str, scenario: Scenario) -> None:
    """Everything about an upload, below the choice of a network."""
    _about(chosen)
    job: UploadJob | None = st.session_state.get(JOB)
    stop = st.session_state.get(STOP)
    waited_for = stop is not None and any(trouble.own for trouble in stop.troubles)
    busy = job is not None and (not job.over or job.failure is not None)
    wanted = waited_for or busy or bring.says_something()
    with st.expander("Your own model", icon=":material/upload_file:", expanded=wanted):
        if job is not None and not job.over:
            _progress(job)
            return
        if bring.news():
            return
        if job is not None and job.failure is not None:
            told = on_the_page(job.failure)
            # The side is narrow: what is long is read in a window.
            st.error(plain(shorten(told, SHOWN_LETTERS, placeholder=" …")))
            if job.needs_architecture:
                _ask_for_architecture(job)
            if job.remedy or len(told) > SHOWN_LETTERS:
                what = "How to make a file that is taken" if job.remedy else "Read all of it"
                show = st.session_state.__setitem__
                st.button(what, key="upload_remedy", on_click=show, args=(REMEDY, True), width="stretch")
        _drop()
        _options()
        bring.menu(scenario)


def _about(chosen: str) -> None:
    """What to know of a network that was read from a file, for as long as it is the one that is planned."""
    network = models.own().get(chosen)
    if network is None:
        return
    quick = any(st.session_state.get(role) in network.profiles for role in ("edge", "cloud"))
    where = "this machine" if network.timed_here else "the machine where its workspace was saved"
    # What is said of quick times is of no use to those who plan with others.
    notes = [note for note in network.loaded.notes if quick or not note.startswith(DOUBT)]
    told = [f"Read from {network.file_name}.", *notes, *([QUICK.format(where)] if quick else [])]
    st.caption(plain(" ".join(told)))


def doubt(chosen: str) -> None:
    """Why the quick times that are planned with cannot be believed, with the way to others; nothing where they can."""
    network = models.own().get(chosen)
    if network is None or not any(st.session_state.get(role) in network.profiles for role in ("edge", "cloud")):
        return
    why = next((note for note in network.loaded.notes if note.startswith(DOUBT)), "")
    if not why:
        return
    job: QuickJob | None = st.session_state.get(AGAIN)
    if job is not None and job.model != chosen:
        job = None
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="doubt"):
        st.warning(plain(job.failure if job and job.failure else why))
        if job is None or job.over:
            st.button("Measure again", key="measure_again", on_click=_measure_again, args=(chosen,))
        else:
            _measuring(job)


def _measure_again(chosen: str) -> None:
    # By its name: a button would hold on to the network, and to its files.
    if (network := models.own().get(chosen)) is None:
        return
    job = QuickJob(chosen, network.network)
    st.session_state[AGAIN] = job
    visit.begin(job)


@st.fragment(run_every=REFRESH_S)
def _measuring(job: QuickJob) -> None:
    if job.over:
        st.rerun()
    st.caption(plain(f"Measuring: {job.doing}"), width="content")
    st.button("Stop", key="measure_again_stop", on_click=job.stop)


def _take_measured() -> None:
    """Plan with quick times that were measured again; nothing is taken of a network that is gone meanwhile."""
    job: QuickJob | None = st.session_state.get(AGAIN)
    if job is not None and job.found is not None:
        (edge, cloud, doubts), job.found = job.found, None
        models.measured_again(job.model, edge, cloud, doubts)


def _drop() -> None:
    # A box that has been taken is replaced by an empty one, which frees the file that Streamlit holds.
    key = f"{BOX}_{st.session_state.get(BOX, 0)}"
    st.file_uploader(
        "Model file",
        accept_multiple_files=True,
        key=key,
        on_change=_start,
        args=(key,),
        label_visibility="collapsed",
        help="Read by a process of its own that has no network and sees no other file.",
    )
    limit = Limits.from_environment().file_bytes
    st.caption(
        "`.pt2` from `torch.export`, `.onnx` (with the files that hold its weights, if there are any), or weights "
        f"(`.safetensors`, a state_dict) of a built-in network; at most {bytes_text(limit)}. "
        f"Kept for this browser alone, {bring.KEPT}."
    )


def _options() -> None:
    with st.popover("Options", width="stretch"):
        st.number_input("Batch", 1, MAX_BATCH, key=BATCH, help="What an open batch dimension of the file is set to.")
        st.text_input(
            "Other open dimensions",
            key=DIMENSIONS,
            placeholder="length=128, height=224",
            help="Sizes by name, or by input and place, as in ids:1=128, which is what a .pt2 file calls its own.",
        )
        st.selectbox(
            "Weights are for",
            library.shipped_models(),
            index=None,
            key=ARCHITECTURE,
            placeholder="a built-in network",
            accept_new_options=True,
            help="Only for files that hold weights and no network. Any name that `decc models` lists can be typed.",
        )


def _start(key: str) -> None:
    uploaded = st.session_state.get(key)
    if not uploaded:
        return
    contents = {sent.name: sent.getvalue() for sent in uploaded}
    networks = [name for name in contents if len(contents) == 1 or name.lower().endswith(".onnx")]
    bring.end_earlier()
    if len(contents) == 1 and bring.is_workspace(*next(iter(contents.items()))):
        _end_earlier()
        st.session_state.pop(JOB, None)
        bring.start(*contents.popitem())
    elif len(networks) == 1:
        name = networks[0]
        content = contents.pop(name)
        _read(name, content, st.session_state.get(ARCHITECTURE), contents)
    else:
        _refuse(listed(list(contents)), SEVERAL)
    st.session_state[BOX] = st.session_state.get(BOX, 0) + 1


def _read(name: str, content: bytes, architecture: str | None, beside: dict[str, bytes] | None = None) -> None:
    _end_earlier()
    try:
        sizes = dimensions(st.session_state.get(DIMENSIONS) or "")
        job = UploadJob(name, content, architecture, int(st.session_state.get(BATCH) or 1), sizes, beside or {})
    except DeccError as error:
        _refuse(name, str(error))
    else:
        visit.begin(job)
        st.session_state[JOB] = job


def _refuse(name: str, why: str) -> None:
    """Show why nothing was read, as of a file that was."""
    _end_earlier()
    job = UploadJob(name, b"")
    job.failure, job.over = why, True
    st.session_state[JOB] = job


def _end_earlier() -> None:
    earlier: UploadJob | None = st.session_state.get(JOB)
    if earlier is not None:
        earlier.stop()
        earlier.let_go()


def dimensions(text: str) -> dict[str, int]:
    """Sizes of open dimensions, from "name=size" or "input:axis=size" with commas between."""
    sizes = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, size = (word.strip() for word in part.rpartition("="))
        if not name or not is_count(size):
            raise InvalidInstance(f"The dimension '{part}' is not understood; write name=size, as in: length=128.")
        sizes[name] = int(size)
    return sizes


@st.fragment(run_every=REFRESH_S)
def _progress(job: UploadJob) -> None:
    if job.over:
        st.rerun()
    st.progress(min(1.0, job.done / max(1, job.total)), plain(f"{job.file_name}: {job.doing}"))
    st.button("Stop", key="upload_stop", on_click=job.stop)


def dialog() -> None:
    """The remedy for a file that was refused, in a window of its own: code needs more room than the sidebar has."""
    job: UploadJob | None = st.session_state.get(JOB)
    if st.session_state.pop(REMEDY, False) and job is not None:
        _why(job)


@st.dialog("Why the file was not taken", width="large")
def _why(job: UploadJob) -> None:
    st.markdown(plain(on_the_page(job.failure or "")))
    if job.remedy:
        st.markdown("These lines make a file that is taken:")
        st.code(job.remedy, language="python", wrap_lines=True)
    st.caption("Then drop the new file in the same box.")


def on_the_page(sentence: str) -> str:
    """The sentence with what to do here in the place of what to do on the command line."""
    return COMMAND.sub(r"under Options below: \1", sentence)


def _ask_for_architecture(job: UploadJob) -> None:
    chosen = st.selectbox(
        "These weights are for",
        library.shipped_models(),
        index=None,
        key="upload_asked",
        placeholder="a built-in network",
        accept_new_options=True,
    )
    st.button(
        "Read the weights",
        key="upload_again",
        type="primary",
        disabled=not chosen,
        on_click=_read,
        args=(job.file_name, job.content, chosen),
    )
