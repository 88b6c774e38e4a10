"""What a visit has begun ends with it: a visitor who leaves must not keep the machine busy for nobody."""

from __future__ import annotations

import weakref
from collections.abc import Iterable

import streamlit as st

from app.jobs.job import Job

JOBS = "visit_jobs"


class Jobs:
    """Jobs of one visit. Streamlit drops it with the visitor's session, a while after the page was closed."""

    def __init__(self) -> None:
        self._begun: list[Job] = []
        weakref.finalize(self, _stop_all, self._begun)

    def begin(self, job: Job) -> None:
        self._begun[:] = [one for one in self._begun if not one.over]
        self._begun.append(job)
        job.start()


def begin(job: Job) -> None:
    """Start a job that is stopped when the visit ends."""
    if JOBS not in st.session_state:
        st.session_state[JOBS] = Jobs()
    st.session_state[JOBS].begin(job)


def _stop_all(jobs: Iterable[Job]) -> None:
    for job in jobs:
        if not job.over:
            job.stop()
