"""Reading a wire profile that a visitor sent, in the background."""

from __future__ import annotations

from dataclasses import dataclass

from app.jobs.file import FileJob
from decc_core import store
from decc_core.errors import DeccError, InvalidProfile
from decc_core.network.graph import LayerGraph
from decc_core.problem.wire import WireProfile
from decc_core.text import bytes_text, shown

MAX_BYTES = 16_000_000
"""Of a wire profile: ten formats of 5,000 tensors take that much."""


@dataclass
class WireJob(FileJob):
    """One wire profile for a network, as the page calls it; JSON alone, which runs nothing."""

    what = "Reading the wire profile"
    model: str
    graph: LayerGraph
    found: WireProfile | None = None
    kept_as: str = ""

    def _read(self) -> None:
        if len(self.content) > MAX_BYTES:
            raise InvalidProfile(
                f"{shown(self.file_name)} has {bytes_text(len(self.content))}; of a wire profile "
                f"{bytes_text(MAX_BYTES)} are taken. Measure fewer formats with `decc wire`."
            )
        try:
            found = store.from_json(self.content, WireProfile, shown(self.file_name))
            found.require_graph(self.graph)
        except DeccError as error:
            raise InvalidProfile(
                f"{shown(self.file_name)} cannot be used: {str(error).rstrip('.')}. Load what `decc wire` writes."
            ) from None
        self.found = found
