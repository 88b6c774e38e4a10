"""What a visit has begun ends with it: a visitor who leaves must not keep the machine or its memory busy for nobody."""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Iterable

import streamlit as st

from app import memory
from app.jobs.job import Job

KEY = "visit"


class Visit:
    """Streamlit drops it with the visitor's session, a while after the page was closed."""

    def __init__(self) -> None:
        self.token = uuid.uuid4().hex
        self._begun: list[Job] = []
        weakref.finalize(self, _stop_all, self._begun)
        memory.start_keeper()
        weakref.finalize(self, memory.leave, self.token)

    def begin(self, job: Job) -> None:
        self._begun[:] = [begun for begun in self._begun if not begun.over]
        self._begun.append(job)
        job.start()


def begin(job: Job) -> None:
    """Start a job that is stopped when the visit ends."""
    _visit().begin(job)


def token() -> str:
    """What stands for this visit where something is kept for it alone."""
    return _visit().token


def _visit() -> Visit:
    if KEY not in st.session_state:
        st.session_state[KEY] = Visit()
    visit: Visit = st.session_state[KEY]
    return visit


def _stop_all(jobs: Iterable[Job]) -> None:
    for job in jobs:
        if not job.over:
            job.stop()
