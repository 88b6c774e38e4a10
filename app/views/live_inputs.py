"""What a live run meets beside its plan: images as inputs, jitter, a recorded uplink, a lost cloud."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from app.jobs.file import FileJob
from app.jobs.inputs import MAX_IMAGES, ImagesJob, Pictures, Recording, RecordingJob
from app.jobs.live import MAX_JITTER_MS, Conditions
from app.shell import visit
from app.text import plain
from decc_core.errors import DeccError
from decc_core.load.images import MAX_IMAGE_BYTES, SUFFIXES, is_image
from decc_core.network.graph import LayerGraph
from decc_core.problem.link import BYTES_PER_MB
from decc_core.problem.scenario import Scenario
from decc_core.runtime.wire.pacing import MAX_TRACE_BYTES
from decc_core.text import counted, listed

IMAGES, RECORDING = "live_images", "live_recording"
"""Where a visit keeps what reads, or has read, its files."""
REFUSED = "live_refused"
BOXES = "live_boxes"
REFRESH_S = 0.4
AT_ONCE_S = 2.0
"""So long a file is waited for; after that the page goes on, and says that it is being read."""


def conditions(scenario: Scenario, graph: LayerGraph, disabled: bool) -> Conditions:
    """The controls, folded away until they are needed, and what they say."""
    recording, pictures = _recording(), _pictures(graph)
    with st.expander("Inputs and link: images, jitter, a recorded uplink, a lost cloud"):
        for key in (IMAGES, RECORDING):
            _tell(key)
        left, right = st.columns(2, gap="medium")
        with left:
            _images(graph, pictures, disabled)
        with right:
            _link(scenario, recording, disabled)
    return Conditions(
        float(st.session_state["live_jitter"] or 0.0), recording, pictures, bool(st.session_state["live_fallback"])
    )


def _pictures(graph: LayerGraph) -> Pictures | None:
    """The visitor's images, if they are of this network."""
    job: ImagesJob | None = st.session_state.get(IMAGES)
    return job.found if job is not None and job.found is not None and job.found.graph == graph else None


def _recording() -> Recording | None:
    job: RecordingJob | None = st.session_state.get(RECORDING)
    return job.found if job is not None else None


def _tell(key: str) -> None:
    """Why a file was refused, for as long as no other was sent; how far it is while it is read."""
    job: FileJob | None = st.session_state.get(key)
    if refused := st.session_state.get(REFUSED, {}).get(key):
        st.error(plain(refused))
    elif job is not None and job.failure is not None:
        st.error(plain(job.failure))
    elif job is not None and not job.over:
        _reading(job)


@st.fragment(run_every=REFRESH_S)
def _reading(job: FileJob) -> None:
    if job.over:
        st.rerun()
    st.progress(min(1.0, job.done / max(1, job.total)), plain(f"{job.what}: {job.doing}"))


def _images(graph: LayerGraph, pictures: Pictures | None, disabled: bool) -> None:
    if not any(is_image(graph.layers[i].outputs[0]) for i in graph.inputs):
        st.caption("Inputs are random numbers: this network takes no images.")
        return
    if pictures is not None:
        st.markdown(f"**Inputs**: {counted(len(pictures.names), 'image')}, taken in turn")
        st.caption(plain(listed(pictures.names)))
        st.button(
            "Random inputs instead", key="live_images_remove", on_click=_forget, args=(IMAGES,), disabled=disabled
        )
        return
    key = _box(IMAGES)
    st.file_uploader(
        "Images as inputs (random numbers unless sent)",
        type=[suffix.removeprefix(".") for suffix in SUFFIXES],
        accept_multiple_files=True,
        max_upload_size=int(MAX_IMAGE_BYTES / BYTES_PER_MB),
        key=key,
        on_change=_take_images,
        args=(key, graph),
        disabled=disabled,
        help=f"1 to {MAX_IMAGES} images, resized to the network's size; requests take them in turn. They are unpacked "
        "by a process of its own that has no network and sees no other file.",
    )


def _link(scenario: Scenario, recording: Recording | None, disabled: bool) -> None:
    st.number_input(
        "Jitter (ms)", 0.0, MAX_JITTER_MS, 0.0, format="%g", key="live_jitter", persist_state="session",
        disabled=disabled, help="Each tensor comes up to so much later, at random; plans do not know of it.",
    )  # fmt: skip
    if recording is not None:
        st.markdown(f"**Uplink as recorded**: {plain(str(recording))}")
        st.button(
            f"{scenario.uplink_mbps:g} Mbit/s instead",
            key="live_recording_remove",
            on_click=_forget,
            args=(RECORDING,),
            disabled=disabled,
        )
    else:
        key = _box(RECORDING)
        st.file_uploader(
            "A recorded uplink (constant unless sent)",
            type=["csv", "txt", "tsv"],
            max_upload_size=int(MAX_TRACE_BYTES / BYTES_PER_MB),
            key=key,
            on_change=_take_recording,
            args=(key,),
            disabled=disabled,
            help="A text file with a line of seconds and Mbit/s for each change, as in: 2.5, 18.88. A rate of 0 is an "
            "outage. Plans, and what is predicted of them, hold the rate at the left: the recording is what they meet.",
        )
    st.toggle(
        "The edge completes what a lost cloud leaves behind", key="live_fallback", persist_state="session",
        disabled=disabled, help="As `decc run --fallback edge`; without it such requests stay unfinished.",
    )  # fmt: skip


def _box(what: str) -> str:
    # A box that has been taken is replaced by an empty one, which frees the files that Streamlit holds.
    return f"{what}_{st.session_state.get(BOXES, 0)}"


def _take_images(key: str, graph: LayerGraph) -> None:
    sent: list[UploadedFile] = st.session_state.get(key) or []
    if sent:
        _begin(IMAGES, lambda: ImagesJob("the images", b"", graph, {one.name: one.getvalue() for one in sent}))


def _take_recording(key: str) -> None:
    sent: UploadedFile | None = st.session_state.get(key)
    if sent is not None:
        _begin(RECORDING, lambda: RecordingJob(sent.name, sent.getvalue()))


def _begin(what: str, make: Callable[[], FileJob]) -> None:
    st.session_state[BOXES] = st.session_state.get(BOXES, 0) + 1
    _forget(what)
    try:
        job = make()
    except DeccError as error:
        st.session_state[REFUSED] = {what: str(error)}
        return
    st.session_state[what] = job
    visit.begin(job)
    job.wait(AT_ONCE_S)


def _forget(what: str) -> None:
    earlier: FileJob | None = st.session_state.pop(what, None)
    if earlier is not None:
        earlier.stop()
        earlier.let_go()
    st.session_state.pop(REFUSED, None)
