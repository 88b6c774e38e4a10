"""What a visit has begun ends with it: a visitor who leaves must not keep the machine or its memory busy for nobody.

What visitors have of their own does not: it belongs to the browser's workspace, which the visit finds by its key.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterable

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app import memory
from app.jobs.job import Job
from app.shell.door import key_in
from app.shell.workspaces import STORE, Workspace

KEY = "visit"
AWAY_S = 10.0
"""A page that was closed, or lost its connection for longer, has its jobs stopped; a reload takes a second or two."""
LOOK_S = 2.0
_visits: weakref.WeakSet[Visit] = weakref.WeakSet()
_looking = threading.Event()


class Visit:
    """Streamlit drops it with the visitor's session, a while after the page was closed; its jobs end before that."""

    def __init__(self, key: str | None = None) -> None:
        context = get_script_run_ctx(suppress_warning=True)
        self.session = context.session_id if context is not None else ""
        self.here_s = time.monotonic()
        self._begun: list[Job] = []
        self._key = key
        self._alone = STORE.alone() if key is None else None
        weakref.finalize(self, _stop_all, self._begun)
        memory.start_keeper()
        _visits.add(self)
        if runtime.exists() and not _looking.is_set():
            _looking.set()
            threading.Thread(target=_look_after_visits, name="visits", daemon=True).start()

    @property
    def workspace(self) -> Workspace:
        """What the browser has of its own; without a key it ends with the visit."""
        return self._alone if self._alone is not None else STORE.of(self._key or "")

    def begin(self, job: Job) -> None:
        self._begun[:] = [begun for begun in self._begun if not begun.over]
        self._begun.append(job)
        job.start()

    def look(self, is_here: bool, now_s: float) -> None:
        """Stop what was begun where nobody has been for a while; where somebody is, the workspace stays."""
        if is_here:
            self.here_s = now_s
            self.workspace.here_s = now_s
        elif now_s - self.here_s > AWAY_S:
            _stop_all(self._begun)

    def forget(self) -> None:
        """Stop what goes on, and forget everything of the visitor's own."""
        _stop_all(self._begun)
        self.workspace.clear()


def begin(job: Job) -> None:
    """Start a job that is stopped when the visit ends."""
    _visit().begin(job)


def workspace() -> Workspace:
    """What this visitor's browser has of its own."""
    found = _visit().workspace
    found.used_s = found.here_s = time.monotonic()
    return found


def token() -> str:
    """What stands for this visitor where something is kept for nobody else."""
    return workspace().token


def forget() -> None:
    """Forget everything of the visitor's own, and whatever this visit's jobs have found out about it."""
    _visit().forget()
    for key in [key for key, value in st.session_state.items() if isinstance(value, Job)]:
        del st.session_state[key]


def _visit() -> Visit:
    if KEY not in st.session_state:
        st.session_state[KEY] = Visit(_key())
    visit: Visit = st.session_state[KEY]
    return visit


def _key() -> str | None:
    """The key that the browser showed when the visit began; a page that nothing has opened, as in tests, has none."""
    return key_in(st.context.cookies) if runtime.exists() else None


def _look_after_visits() -> None:
    while runtime.exists():
        time.sleep(LOOK_S)
        if not runtime.exists():
            break
        server, now_s = runtime.get_instance(), time.monotonic()
        for visit in list(_visits):
            visit.look(server.is_active_session(visit.session), now_s)
        STORE.look(now_s)
    _looking.clear()


def _stop_all(jobs: Iterable[Job]) -> None:
    for job in jobs:
        if not job.over:
            job.stop()
