"""Work in the background of a visit: the page looks at it, and may stop it; nothing here knows Streamlit."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import ClassVar

from decc_core.errors import DeccError

one_at_a_time = threading.Lock()
"""Live runs and measurements of several visitors would slow each other down, and their times would mean nothing."""


@dataclass
class Job:
    """One click on a button that starts something long. A job that was stopped has not failed, whatever ended it."""

    what: ClassVar[str]
    """The job in a sentence about its end: "The proof"."""
    failure: str | None = field(default=None, init=False)
    over: bool = field(default=False, init=False)
    stopped: threading.Event = field(default_factory=threading.Event, init=False)

    def start(self) -> None:
        threading.Thread(target=self._run, name=self.what, daemon=True).start()

    def stop(self) -> None:
        """Ask the job to end; it does so soon."""
        self.stopped.set()
        self._halt()

    def _halt(self) -> None:
        """End what does not look at `stopped` by itself."""

    def _work(self) -> None:
        raise NotImplementedError

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
            self.over = True
