"""Reading a file of times that a visitor sent, in the background: the page looks at it, and may stop it."""

from __future__ import annotations

from dataclasses import dataclass

from app.jobs.file import FileJob
from decc_core.errors import DeccError, UnmappedTimes
from decc_core.load.process.loader import read_times
from decc_core.network.graph import LayerGraph
from decc_core.profiling.imports import Imported


@dataclass
class TimesJob(FileJob):
    """One file of times for a network, as the page calls it."""

    model: str
    graph: LayerGraph
    found: Imported | None = None
    kept_as: str = ""
    problems: tuple[tuple[str, str], ...] = ()
    """Of a file that was refused: layers or lines, and what is wrong with each."""

    def _read(self) -> None:
        try:
            self.found = read_times(self.content, self.file_name, self.graph, None, self._hear, self._started)
        except DeccError as error:
            named = str(error) if str(error).startswith(self.file_name) else f"{self.file_name} cannot be used: {error}"
            sentence = f"{named.rstrip('.')}. Load a profile of {self.model}, or fill in its template."
            self.problems = getattr(error, "problems", ())
            raise UnmappedTimes(sentence) from None
