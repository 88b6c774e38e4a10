"""What a visitor sends for a live run, read in the background: images as inputs, and a recording of a link's rate."""

from __future__ import annotations

from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from app.jobs.file import FileJob
from decc_core import files
from decc_core.errors import InvalidInstance, UnreadableFile
from decc_core.load.process.loader import read_images
from decc_core.network.graph import LayerGraph, TensorSpec
from decc_core.runtime.controller.images import image_specs, inputs_of
from decc_core.runtime.wire.assembly import TensorChunk
from decc_core.runtime.wire.pacing import MAX_TRACE_BYTES, Rate, trace_of
from decc_core.text import bytes_text, counted, file_name

MAX_IMAGES = 64
MAX_PIXEL_BYTES, MAX_ALL_BYTES = 16_000_000, 256_000_000
"""Of the images of a visit, in every size that the network takes, and of those of all visits together."""
_kept: WeakValueDictionary[int, Pictures] = WeakValueDictionary()


@dataclass(frozen=True)
class Pictures:
    """Images as pixels, in every size that one network takes."""

    graph: LayerGraph
    names: tuple[str, ...]
    specs: tuple[TensorSpec, ...]
    pixels: tuple[tuple[bytes, ...], ...] = field(repr=False)

    @property
    def held_bytes(self) -> int:
        return sum(len(data) for image in self.pixels for data in image)

    def inputs(self, requests: int, seed: int = 0) -> tuple[TensorChunk, ...]:
        """Inputs of all requests; every image input takes the next image, over and over."""

        def pixels(place: int, spec: TensorSpec) -> bytes:
            return self.pixels[place][self.specs.index(spec)]

        return inputs_of(self.graph, len(self.names), pixels, requests, seed)


@dataclass(frozen=True)
class Recording:
    """A link's rate over time, and the file that it is from."""

    name: str
    rate: Rate

    def __str__(self) -> str:
        long = f" over {self.rate.from_s[-1]:g} s" if len(self.rate.bps) > 1 else ""
        return f"{self.name}: {counted(len(self.rate.bps), 'rate')}{long}"


@dataclass
class ImagesJob(FileJob):
    """Images that were dropped together; a process of its own makes pixels of them."""

    what = "Reading the images"
    graph: LayerGraph
    images: dict[str, bytes] = field(default_factory=dict, repr=False)
    found: Pictures | None = None

    def __post_init__(self) -> None:
        most = min(MAX_IMAGES, MAX_PIXEL_BYTES // max(1, sum(spec.size_bytes for spec in image_specs(self.graph))))
        if not most:
            raise InvalidInstance(f"Images of '{self.graph.name}' are too large for the page; use decc run.")
        if not 1 <= len(self.images) <= most:
            raise InvalidInstance(
                f"{counted(len(self.images), 'image')} cannot be taken for '{self.graph.name}'; drop 1 to {most}, "
                "which the requests take in turn."
            )
        super().__post_init__()

    @property
    def held_bytes(self) -> int:
        return sum(map(len, self.images.values()))

    def let_go(self) -> None:
        self.images = {}

    def _read(self) -> None:
        specs, names = image_specs(self.graph), tuple(map(file_name, self.images))
        pixels = read_images(self.images, specs, progress=self._hear, started=self._started)
        found = Pictures(self.graph, names, specs, pixels)
        if found.held_bytes + sum(other.held_bytes for other in list(_kept.values())) > MAX_ALL_BYTES:
            raise InvalidInstance("Other visitors have sent as many images as there is room for; try again later.")
        _kept[id(found)] = self.found = found


@dataclass
class RecordingJob(FileJob):
    """A file with a line for each change of the link's rate, as `decc run --bandwidth-trace` takes it."""

    what = "Reading the recording"
    found: Recording | None = None

    def _read(self) -> None:
        name = file_name(self.file_name)
        if len(self.content) > MAX_TRACE_BYTES:
            raise UnreadableFile(f"{name} has more than {bytes_text(MAX_TRACE_BYTES)}, the limit for such files.")
        text = files.text_of(self.content, f"the bandwidth trace {name}")
        self.found = Recording(name, trace_of(text, name))
