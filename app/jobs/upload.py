"""Reading a file that a visitor sent, in the background: the page looks at it, and may stop it.

A process of its own reads the file (`decc_core.load`); nothing here knows Streamlit.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from app.jobs.file import FileJob
from decc_core.errors import NeedsArchitecture, RefusedFile
from decc_core.load.process.loader import LoadedModel, load_file
from decc_core.models.ref import NetworkRef
from decc_core.problem.profile import DeviceProfile
from decc_core.text import network_name


@dataclass
class OwnModel:
    """A visitor's network; its files are there for as long as this object is."""

    loaded: LoadedModel
    file_name: str
    place: tempfile.TemporaryDirectory[str]

    @property
    def name(self) -> str:
        return network_name(self.file_name)

    @property
    def network(self) -> NetworkRef:
        """What is to be run; holds on to the files."""
        return NetworkRef(self.loaded.name, (self.loaded.layers_file, self.loaded.tensors_file), self.place)

    @property
    def profiles(self) -> dict[str, DeviceProfile]:
        """What was measured in a few passes while the file was read, the edge's first."""
        return {profile.device: profile for profile in (self.loaded.edge, self.loaded.cloud) if profile is not None}


@dataclass
class UploadJob(FileJob):
    """One network that was dropped on the page."""

    architecture: str | None = None
    batch: int = 1
    dimensions: dict[str, int] = field(default_factory=dict)
    beside: dict[str, bytes] = field(default_factory=dict, repr=False)
    """Files that were dropped together with it, by name: an ONNX network may keep its weights there."""
    found: OwnModel | None = None
    remedy: str = ""
    """Lines of code that make a file which would be taken."""
    needs_architecture: bool = False
    """The file holds weights, and nobody has said yet for which network."""

    @property
    def asks(self) -> bool:
        return self.needs_architecture

    @property
    def held_bytes(self) -> int:
        return len(self.content) + sum(map(len, self.beside.values()))

    def let_go(self) -> None:
        self.content, self.beside = b"", {}

    def _read(self) -> None:
        place = tempfile.TemporaryDirectory(prefix="decc-upload-", ignore_cleanup_errors=True)
        try:
            loaded = self._loaded(Path(place.name))
        except BaseException as error:
            place.cleanup()
            if isinstance(error, RefusedFile):
                self.remedy = error.remedy
            raise
        self.found = OwnModel(loaded, self.file_name, place)

    def _loaded(self, place: Path) -> LoadedModel:
        file = place / "sent"
        file.write_bytes(self.content)
        # What they are called is only ever compared.
        beside = {name: place / f"beside-{i}" for i, name in enumerate(self.beside)}
        for name, path in beside.items():
            path.write_bytes(self.beside[name])
        try:
            return load_file(
                file,
                place / "read",
                name=self.file_name,
                architecture=self.architecture,
                batch=self.batch,
                dimensions=self.dimensions,
                beside=beside,
                progress=self._hear,
                started=self._started,
            )
        except NeedsArchitecture:
            self.needs_architecture = True
            raise
        finally:
            for path in (file, *beside.values()):
                path.unlink()
