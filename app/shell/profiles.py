"""A visitor's own profiles: loaded, measured or scaled; they live in the browser's workspace.

The Profile view makes them, the sidebar offers them as devices.
"""

from __future__ import annotations

import streamlit as st

from app.jobs.profile import ProfileJob
from app.jobs.times import TimesJob
from app.shell import models, visit
from app.shell.choices import choose
from app.shell.workspaces import STORE
from decc_core.errors import DeccError
from decc_core.problem.profile import DeviceProfile

JOB, READING = "profile_job", "times_job"
"""What measures for this visit, and what reads a file of times for it."""


def devices(model: str) -> list[str]:
    """Devices to choose from: the shipped ones, and this visitor's with what was measured or read lately."""
    _take_measured()
    _take_read()
    return [*models.devices(model), *own(model)]


def own(model: str) -> dict[str, DeviceProfile]:
    """This visitor's profiles of a network, by the name under which they can be chosen."""
    return visit.workspace().own_profiles(model)


def profile_of(model: str, device: str) -> DeviceProfile:
    mine = own(model)
    return mine[device] if device in mine else models.profile_of(model, device)


def renamed(model: str, device: str) -> str:
    """A device under the name that it has now: another tab of this browser may have given a profile another one."""
    return visit.workspace().renamed.get((model, device), device)


def _take_measured() -> None:
    """Keep the profile of a measurement that has ended, whichever view is open."""
    job: ProfileJob | None = st.session_state.get(JOB)
    if job is None or not job.over or job.found is None:
        return
    profile, job.found = job.found, None
    try:
        profile.require_graph(models.graph_of(job.model))
        job.kept_as = add(job.model, profile)
    except DeccError as error:
        job.failure = str(error)


def _take_read() -> None:
    """Keep the profile of a file that was read, whichever view is open."""
    job: TimesJob | None = st.session_state.get(READING)
    if job is None or not job.over or job.found is None or job.kept_as or job.failure:
        return
    try:
        job.kept_as = add(job.model, job.found.profile)
    except DeccError as error:
        job.failure = str(error)


def add(model: str, profile: DeviceProfile) -> str:
    """Keep a profile, and return the name under which it can be chosen; nothing that was there is replaced."""
    mine = visit.workspace()
    label = mine.add_profile(model, profile)
    STORE.make_room(mine)
    return label


def rename(model: str, label: str, name: str) -> str:
    """Give a profile another name, in place, and let the controls follow."""
    wanted = visit.workspace().rename_profile(model, label, name)
    choose({role: wanted for role in ("edge", "cloud") if st.session_state.get(role) == label})
    return wanted


def remove(model: str, label: str) -> None:
    """Forget a profile; where it was in use, the sidebar falls back to a shipped device."""
    visit.workspace().remove_profile(model, label)
