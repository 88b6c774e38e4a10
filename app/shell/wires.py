"""Wire profiles that can be chosen: shipped ones, and a visitor's own, which live in the browser's workspace."""

from __future__ import annotations

import streamlit as st

from app.jobs.wire import WireJob
from app.shell import models, visit
from app.shell.choices import choose
from app.shell.workspaces import STORE
from app.state import OWN
from decc_core import formats, library
from decc_core.errors import DeccError
from decc_core.problem.wire import ANY, CERTAIN, FP32, WireProfile, names
from decc_core.text import file_name

READING = "wire_job"
"""What reads a file for this visit."""
LOOSE = {"wire": FP32, "input_wire": None, "wire_profile": None, "min_agreement": None, "wire_percentile": 50}
"""How tensors travel where nobody chose it."""


def offered(model: str) -> list[str]:
    """The wire profiles of a network by the names under which they can be chosen: shipped ones, then one's own."""
    _take_read()
    return [*library.shipped_wire_profiles(model), *own(model)]


def own(model: str) -> dict[str, WireProfile]:
    return visit.workspace().own_wires(model)


def profile_of(model: str, name: str | None) -> WireProfile | None:
    """The wire profile of this name; None where none is chosen, or where it is not there any more."""
    if name is None:
        return None
    if name in (mine := own(model)):
        return mine[name]
    return cached_wire(model, name) if name in library.shipped_wire_profiles(model) else None


def needs_profile(wire: str) -> bool:
    """Whether formats as somebody chose them say nothing certain without a wire profile."""
    return wire == ANY or any(formats.find(name).name != "raw" and not _is_certain(name) for name in names(wire))


def _is_certain(name: str) -> bool:
    return name.partition("-")[0] in CERTAIN and "+" not in name


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
        choose(LOOSE)


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


AT_ONCE_S = 3.0
"""So long a file is waited for."""


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
        choose({"wire_profile": job.kept_as})
