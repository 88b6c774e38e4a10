"""Work in the background of a visit: the page looks at it, and may stop it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

from decc_core.errors import DeccError, NotPossible

one_at_a_time = threading.Lock()
"""Live runs and measurements of several visitors would slow each other down, and their times would mean nothing."""
one_reader_at_a_time = threading.Lock()
"""A reader may take much memory; that a file is slow to read keeps nobody from running."""
_waiting: Counter[int] = Counter()
_counting = threading.Lock()
MOST_WAITING = 8
"""So many jobs of all visitors may wait for the same turn; nobody waits behind more than these."""
LONGEST_S = 1200.0
"""After so long a job is ended, whatever it does."""
SOON_S = 0.02
LOOK_S = 0.2
"""How often a job that waits for its turn looks whether it was stopped."""


@dataclass
class Job:
    """One click on a button that starts something long. A job that was stopped has not failed, whatever ended it."""

    what: ClassVar[str]
    """The job in a sentence about its end: "The proof"."""
    longest_s: ClassVar[float] = LONGEST_S
    failure: str | None = field(default=None, init=False)
    over: bool = field(default=False, init=False)
    stopped: threading.Event = field(default_factory=threading.Event, init=False)
    expired: bool = field(default=False, init=False)
    _end: threading.Timer | None = field(default=None, init=False, repr=False)

    def start(self) -> None:
        # Before the work, which may be over at once and would leave a clock running that holds on to all of it.
        self._end = threading.Timer(self.longest_s, self._expire)
        self._end.daemon = True
        self._end.start()
        threading.Thread(target=self._run, name=self.what, daemon=True).start()

    def wait(self, longest_s: float) -> None:
        """Return when the job is over, or after so long."""
        deadline = time.monotonic() + longest_s
        while not self.over and time.monotonic() < deadline:
            time.sleep(SOON_S)

    def stop(self) -> None:
        """Ask the job to end; it does so soon."""
        self.stopped.set()
        self._halt()

    def _expire(self) -> None:
        if not self.over:
            self.expired = True
            self.stop()

    def _halt(self) -> None:
        """End what does not look at `stopped` by itself."""

    def _work(self) -> None:
        raise NotImplementedError

    @contextmanager
    def _turn(self, lock: threading.Lock) -> Iterator[bool]:
        """Wait for a lock and hold it; False, without it, for a job that is stopped before its turn."""
        with _counting:
            if _waiting[id(lock)] >= MOST_WAITING:
                raise NotPossible(f"{MOST_WAITING} visitors wait for this machine already; try again in a few minutes.")
            _waiting[id(lock)] += 1
        try:
            while not (held := lock.acquire(timeout=LOOK_S)) and not self.stopped.is_set():
                pass
        finally:
            with _counting:
                _waiting[id(lock)] -= 1
        try:
            yield held and not self.stopped.is_set()
        finally:
            if held:
                lock.release()

    def _run(self) -> None:
        try:
            self._work()
        except DeccError as error:
            self.failure = str(error)
        except Exception as error:
            self.failure = f"{self.what} broke off ({type(error).__name__}: {error}); start it again."
        finally:
            if self.stopped.is_set():
                self.failure = None
            if self.expired:
                self.failure = f"{self.what} took longer than {self.longest_s / 60:.0f} minutes, and was ended."
            if self._end is not None:
                self._end.cancel()
            self.over = True


@dataclass
class ProcessJob(Job):
    """A job that a process of its own does: the process tells how far it is, and is killed when the job is stopped."""

    doing: str = field(default="starting", init=False)
    done: int = field(default=0, init=False)
    total: int = field(default=1, init=False)
    _kill: Callable[[], None] | None = field(default=None, init=False)

    def _halt(self) -> None:
        if self._kill is not None:
            self._kill()

    def _started(self, kill: Callable[[], None]) -> None:
        """Take the way to end the process; Stop may have been clicked before there was one."""
        self._kill = kill
        if self.stopped.is_set():
            kill()

    def _hear(self, done: int, total: int, what: str) -> None:
        self.done, self.total, self.doing = done, total, what
