"""A file that a visitor sent, which waits for its turn to be read by a process of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from app.jobs.job import ProcessJob, one_reader_at_a_time
from decc_core.errors import InvalidInstance
from decc_core.load.limits import Limits
from decc_core.text import bytes_text

FILES_AT_A_TIME = 2
"""Files of all visitors together may wait in memory up to so many times the limit of one."""
_jobs: WeakValueDictionary[int, FileJob] = WeakValueDictionary()


@dataclass
class FileJob(ProcessJob):
    """Reading one file; refused at once where too much of other visitors waits already."""

    what = "Reading the file"
    file_name: str
    content: bytes = field(repr=False)

    def __post_init__(self) -> None:
        most = FILES_AT_A_TIME * Limits.from_environment().file_bytes
        waiting = sum(job.held_bytes for job in list(_jobs.values()))
        if waiting + self.held_bytes > most:
            self.let_go()
            raise InvalidInstance(
                f"Files of other visitors wait to be read, {bytes_text(waiting)} of them; try again in a minute."
            )
        _jobs[id(self)] = self

    @property
    def held_bytes(self) -> int:
        """What waits in memory to be read."""
        return len(self.content)

    def let_go(self) -> None:
        self.content = b""

    @property
    def asks(self) -> bool:
        """Whether the visitor has to say something before the file can be read once more."""
        return False

    def _work(self) -> None:
        self.doing = "waiting for another file to be read"
        try:
            with self._turn(one_reader_at_a_time) as mine:
                if mine:
                    self.doing = "starting a process to read the file"
                    self._read()
        finally:
            # The file may be large.
            if not self.asks or self.stopped.is_set():
                self.let_go()

    def _read(self) -> None:
        raise NotImplementedError
