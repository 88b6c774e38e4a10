"""Wire profiles that can be chosen: shipped ones, and a visitor's own, which live in the browser's workspace."""

from __future__ import annotations

import streamlit as st

from app.jobs.wire import MAX_BYTES, WireJob
from app.shell import cached, models, visit
from app.shell.choices import choose
from app.shell.workspaces import STORE
from app.state import OWN
from app.text import plain
from decc_core import formats, library
from decc_core.errors import DeccError
from decc_core.network.graph import TensorSpec
from decc_core.problem.wire import ANY, FP32, WireProfile, bits_of, names
from decc_core.text import bytes_text, file_name

READING = "wire_job"
"""What reads a file for this visit."""
RAW: dict[str, str | None] = {"wire": FP32, "input_wire": None, "min_agreement": None}
"""What is chosen where nothing is known of formats."""
ASKED = 0.99
"""The agreement that is asked for at first, where a wire profile is chosen."""
AT_ONCE_S, REFRESH_S = 3.0, 0.4
"""So long a file is waited for; after that the page goes on, and says that it is being read."""
BOX = "wire_box"


def offered(model: str) -> list[str]:
    """The wire profiles of a network by the names under which they can be chosen: shipped ones, then one's own."""
    _take_read()
    return [*_shipped(model), *own(model)]


def _shipped(model: str) -> tuple[str, ...]:
    """The wire profile that is shipped for a network, which is called as the network."""
    name = models.shipped_name(model)
    return (name,) if name in library.shipped_wires() else ()


def own(model: str) -> dict[str, WireProfile]:
    return visit.workspace().own_wires(model)


def profile_of(model: str, name: str | None) -> WireProfile | None:
    """The wire profile of this name; None where none is chosen, or where it is not there any more."""
    if name is None:
        return None
    if name in (mine := own(model)):
        return mine[name]
    return cached.wire_profile(name) if name in _shipped(model) else None


def needs_profile(key: str, value: str | float | None) -> bool:
    """Whether what somebody chose says nothing without a wire profile."""
    if value is None or key == "min_agreement":
        return value is not None
    chosen = str(value)
    return chosen == ANY or any(name != formats.RAW and not is_certain(name) for name in names(chosen))


def is_certain(name: str) -> bool:
    """Whether a format's bytes are known without the values."""
    return bits_of(name) is not None or formats.find(name).certain_bytes(TensorSpec((8,), "float32")) is not None


def planned_with(model: str, name: str | None) -> dict[str, object]:
    """The controls of a wire profile that was chosen: the cheapest formats that keep the outputs."""
    profile = profile_of(model, name)
    if profile is None:
        return {"wire_profile": None, **RAW}
    return {"wire_profile": name, "wire": ANY, "min_agreement": ASKED if profile.trained else None}


def add(model: str, wire: WireProfile, name: str) -> str:
    """Keep a wire profile, and return the name under which it can be chosen; nothing that was there is replaced."""
    mine = visit.workspace()
    label = mine.add_wire(model, wire, name)
    STORE.make_room(mine)
    return label


def remove(model: str, label: str) -> None:
    """Forget a wire profile; where it was in use, tensors travel as they are."""
    visit.workspace().remove_wire(model, label)
    if st.session_state.get("wire_profile") == label:
        choose(planned_with(model, None))


def start(file: str, content: bytes, model: str) -> None:
    """Read a file that was dropped for a network."""
    earlier: WireJob | None = st.session_state.pop(READING, None)
    if earlier is not None:
        earlier.stop()
        earlier.let_go()
    job = WireJob(file, content, model, models.graph_of(model))
    st.session_state[READING] = job
    visit.begin(job)
    job.wait(AT_ONCE_S)


def box(model: str) -> None:
    """Where a visitor's own wire profiles are brought, and given up."""
    if reading(model):
        return
    # A box that has been taken is replaced by an empty one, which frees the file that Streamlit holds.
    key = f"{BOX}_{st.session_state.get(BOX, 0)}"
    st.file_uploader(
        "Your own wire profile", type=["json"], key=key, on_change=_take, args=(key, model),
        help=f"What `decc wire MODEL --images FOLDER` writes, at most {bytes_text(MAX_BYTES)}. Kept for this browser "
        "alone.",
    )  # fmt: skip
    for label in own(model):
        name = label.removeprefix(OWN)
        st.button(plain(f"Remove {name}"), key=f"wire_remove_{label}", on_click=remove, args=(model, label))


def reading(model: str) -> bool:
    """Show how far a file is that is being read, or why it was refused for this network; False where none is read."""
    job: WireJob | None = st.session_state.get(READING)
    if job is not None and job.failure and job.model == model:
        st.error(plain(job.failure))
    if job is None or job.over:
        return False
    _reading(job)
    st.button("Stop", key="wire_stop", on_click=job.stop)
    return True


@st.fragment(run_every=REFRESH_S)
def _reading(job: WireJob) -> None:
    if job.over:
        st.rerun()
    st.caption(plain(f"{job.file_name}: {job.doing}"))


def _take(key: str, model: str) -> None:
    uploaded = st.session_state.get(key)
    if uploaded is None:
        return
    st.session_state[BOX] = st.session_state.get(BOX, 0) + 1
    try:
        start(uploaded.name, uploaded.getvalue(), model)
    except DeccError as error:
        job = WireJob(uploaded.name, b"", model, models.graph_of(model))
        job.failure, job.over = str(error), True
        st.session_state[READING] = job


def _take_read() -> None:
    """Keep the wire profile of a file that was read, and plan with it where its network is still the one chosen."""
    job: WireJob | None = st.session_state.get(READING)
    if job is None or not job.over or job.found is None or job.kept_as:
        return
    found, job.found = job.found, None
    try:
        job.kept_as = add(job.model, found, file_name(job.file_name).removesuffix(".json"))
    except DeccError as error:
        job.failure = str(error)
        return
    if st.session_state.get("model") == job.model:
        choose(planned_with(job.model, job.kept_as))
