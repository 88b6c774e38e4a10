"""What a visit has begun ends with it: a visitor who leaves must not keep the machine or its memory busy for nobody."""

from __future__ import annotations

import threading
import time
import uuid
import weakref
from collections.abc import Iterable

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app import memory
from app.jobs.job import Job

KEY = "visit"
AWAY_S = 10.0
"""A page that was closed, or lost its connection for longer, has its jobs stopped; a reload takes a second or two."""
LOOK_S = 2.0
_visits: weakref.WeakSet[Visit] = weakref.WeakSet()
_looking = threading.Event()


class Visit:
    """Streamlit drops it with the visitor's session, a while after the page was closed; its jobs end before that."""

    def __init__(self) -> None:
        context = get_script_run_ctx(suppress_warning=True)
        self.session = context.session_id if context is not None else ""
        self.here_s = time.monotonic()
        self.token = uuid.uuid4().hex
        self._begun: list[Job] = []
        weakref.finalize(self, _stop_all, self._begun)
        memory.start_keeper()
        weakref.finalize(self, memory.leave, self.token)
        _visits.add(self)
        if runtime.exists() and not _looking.is_set():
            _looking.set()
            threading.Thread(target=_look_after_visits, name="visits", daemon=True).start()

    def begin(self, job: Job) -> None:
        self._begun[:] = [begun for begun in self._begun if not begun.over]
        self._begun.append(job)
        job.start()

    def look(self, is_here: bool, now_s: float) -> None:
        """Stop what was begun where nobody has been for a while."""
        if is_here:
            self.here_s = now_s
        elif now_s - self.here_s > AWAY_S:
            _stop_all(self._begun)


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


def _look_after_visits() -> None:
    while runtime.exists():
        time.sleep(LOOK_S)
        if not runtime.exists():
            break
        server, now_s = runtime.get_instance(), time.monotonic()
        for visit in list(_visits):
            visit.look(server.is_active_session(visit.session), now_s)
    _looking.clear()


def _stop_all(jobs: Iterable[Job]) -> None:
    for job in jobs:
        if not job.over:
            job.stop()
