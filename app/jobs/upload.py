"""Reading a file that a visitor sent, in the background: the page looks at it, and may stop it.

A process of its own reads the file (`decc_core.load`); nothing here knows Streamlit.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from app.jobs.file import FileJob
from decc_core.errors import NeedsArchitecture, RefusedFile
from decc_core.load.process.loader import LoadedModel, ReportProgress, load_file
from decc_core.models.ref import NetworkRef
from decc_core.problem.profile import DeviceProfile
from decc_core.text import network_name

Place = tempfile.TemporaryDirectory[str]
Started = Callable[[Callable[[], None]], None]
SENT, READ = "sent", "read"


@dataclass(frozen=True)
class Sent:
    """The files of a network as they were sent, and how they are to be read; those beside it have names of their own.

    They are kept, as whoever saves a workspace takes them along.
    """

    name: str
    file: Path
    beside: Mapping[str, Path] = field(default_factory=dict)
    architecture: str | None = None
    batch: int = 1
    dimensions: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def into(cls, place: Place, name: str, beside: tuple[str, ...], **how: object) -> Sent:
        """Where in a folder the files are to lie; what they are called is only ever compared."""
        folder = Path(place.name)
        others = {other: folder / f"beside-{i}" for i, other in enumerate(beside)}
        return cls(name, folder / SENT, others, **how)  # type: ignore[arg-type]

    def digest(self, contents: Mapping[str, str]) -> str:
        """What tells these files, read in this way, from others; `contents` has the digest of each by its name."""
        how = (self.architecture, self.batch, sorted(self.dimensions.items()), sorted(contents.items()))
        return hashlib.sha256(repr(how).encode()).hexdigest()


@dataclass
class OwnModel:
    """A visitor's network; its files are there for as long as this object is."""

    loaded: LoadedModel
    file_name: str
    place: Place
    sent: Sent | None = None
    digest: str = ""
    """Of the files and of how they were read; networks without one are each their own."""
    timed_here: bool = True
    """Whether its quick times are of this machine; they may have come with it."""

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

    @cached_property
    def file_bytes(self) -> int:
        """What its files take on the disk."""
        return sum(path.stat().st_size for path in Path(self.place.name).rglob("*") if path.is_file())


def read_network(
    sent: Sent, place: Place, digest: str, measured: bool, progress: ReportProgress, started: Started
) -> OwnModel:
    """The network in files that lie in a folder, by the process that reads files of strangers."""
    loaded = load_file(
        sent.file,
        Path(place.name) / READ,
        name=sent.name,
        architecture=sent.architecture,
        batch=sent.batch,
        dimensions=sent.dimensions,
        beside=sent.beside,
        measured=measured,
        progress=progress,
        started=started,
    )
    return OwnModel(loaded, sent.name, place, sent, digest)


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
            self.found = self._network(place)
        except BaseException as error:
            place.cleanup()
            if isinstance(error, RefusedFile):
                self.remedy = error.remedy
            raise

    def _network(self, place: Place) -> OwnModel:
        sent = Sent.into(
            place,
            self.file_name,
            tuple(self.beside),
            architecture=self.architecture,
            batch=self.batch,
            dimensions=dict(self.dimensions),
        )
        sent.file.write_bytes(self.content)
        for name, path in sent.beside.items():
            path.write_bytes(self.beside[name])
        contents = {name: hashlib.sha256(held).hexdigest() for name, held in self.beside.items()}
        digest = sent.digest({"": hashlib.sha256(self.content).hexdigest(), **contents})
        try:
            return read_network(sent, place, digest, True, self._hear, self._started)
        except NeedsArchitecture:
            self.needs_architecture = True
            raise
