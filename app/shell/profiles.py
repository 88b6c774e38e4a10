"""A visitor's own profiles: loaded, measured or scaled; they live in the visitor's session.

The Profile view makes them, the sidebar offers them as devices.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import streamlit as st

from app.jobs.profile import ProfileJob
from app.jobs.times import TimesJob
from app.shell import models
from app.shell.choices import choose
from app.state import OWN
from decc_core import store
from decc_core.errors import DeccError, InvalidProfile
from decc_core.problem.profile import DeviceProfile

JOB, READING = "profile_job", "times_job"
"""What measures for this visit, and what reads a file of times for it."""
MAX_NAME = 60


def devices(model: str) -> list[str]:
    """Devices to choose from: the shipped ones, and this visitor's with what was measured or read lately."""
    _take_measured()
    _take_read()
    return [*models.devices(model), *_own(model)]


def own(model: str) -> dict[str, DeviceProfile]:
    """This visitor's profiles of a network, by the name under which they can be chosen."""
    return dict(_own(model))


def profile_of(model: str, device: str) -> DeviceProfile:
    mine = _own(model)
    return mine[device] if device in mine else models.profile_of(model, device)


def key_of(model: str, device: str) -> str:
    """What caches know a profile by; the content of a visitor's profile, so that no two visitors share by name."""
    if device in _own(model):
        return hashlib.sha256(store.to_json(_own(model)[device])).hexdigest()
    return device


def _own(model: str) -> dict[str, DeviceProfile]:
    mine: dict[str, DeviceProfile] = st.session_state.setdefault(models.PROFILES, {}).setdefault(model, {})
    return mine


def section(model: str) -> None:
    """The sidebar's pointer to the Profile view."""
    many = len(_own(model))
    have = f"{many} profile{'s' if many > 1 else ''} of your own. " if many else ""
    st.sidebar.caption(f"{have}Measure, load or scale one under *Profile*.")


def _take_measured() -> None:
    """Keep the profile of a measurement that has ended, whichever view is open."""
    job: ProfileJob | None = st.session_state.get(JOB)
    if job is None or not job.over or job.found is None:
        return
    profile, job.found = job.found, None
    try:
        profile.require_graph(models.graph_of(job.model))
    except DeccError as error:
        job.failure = str(error)
    else:
        job.kept_as = add(job.model, profile)


def _take_read() -> None:
    """Keep the profile of a file that was read, whichever view is open."""
    job: TimesJob | None = st.session_state.get(READING)
    if job is not None and job.over and job.found is not None and not job.kept_as:
        job.kept_as = add(job.model, job.found.profile)


def add(model: str, profile: DeviceProfile) -> str:
    """Keep a profile, and return the name under which it can be chosen; nothing that was there is replaced."""
    mine = _own(model)
    name = profile.device.strip()[:MAX_NAME] or "nameless"
    number, label = 1, OWN + name
    while label in mine:
        if mine[label] == replace(profile, device=mine[label].device):
            return label
        number += 1
        label = f"{OWN}{name} ({number})"
    mine[label] = replace(profile, device=label.removeprefix(OWN))
    return label


def rename(model: str, label: str, name: str) -> str:
    """Give a profile another name, in place, and let the controls follow."""
    mine = _own(model)
    wanted = OWN + (name.strip()[:MAX_NAME] or label.removeprefix(OWN))
    if wanted != label and wanted in mine:
        raise InvalidProfile(f"You already have a profile '{wanted.removeprefix(OWN)}'; choose another name.")
    renamed = {
        (wanted if old == label else old): (
            replace(profile, device=wanted.removeprefix(OWN)) if old == label else profile
        )
        for old, profile in mine.items()
    }
    mine.clear()
    mine.update(renamed)
    choose({role: wanted for role in ("edge", "cloud") if st.session_state.get(role) == label})
    return wanted


def remove(model: str, label: str) -> None:
    """Forget a profile; where it was in use, the sidebar falls back to a shipped device."""
    _own(model).pop(label, None)
