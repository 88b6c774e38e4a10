"""What the process that reads a file is told, and what it says: lines of JSON."""

from __future__ import annotations

import msgspec

from decc_core.errors import UnreadableFile
from decc_core.load.kinds.kind import Kind
from decc_core.load.limits import Limits

GRAPH, LAYERS, TENSORS = "graph.json", "layers.json", "tensors.bin"
EDGE, CLOUD = "edge.json", "cloud.json"
"""Files that it writes into its folder; the profiles only where they were asked for."""
TIMES = "times.json"
"""The profile that it makes of a file of times; the network's layers are there before."""
SENT, PIXELS = "sent", "pixels.bin"
"""What was sent, several images with their numbers behind it; and the pixels that were made of them."""
TABLE = "table.json"
"""The columns of a table."""
WRITTEN = frozenset({GRAPH, LAYERS, TENSORS, EDGE, CLOUD})
CLEAN = "clean.pt2"
SANDBOX, REQUIRED = "DECC_SANDBOX", "required"
"""The environment variable that has files refused where the system lacks a lock, and what it says then."""


class Order(msgspec.Struct, frozen=True, tag="network"):
    """One network to read. `architecture` is the zoo network whose weights the file holds, if it holds weights.

    `dimensions` gives sizes to open dimensions by name, `beside` has the paths of files in which an ONNX network keeps
    weights, by the name that it gives them; with `measured` the layers are timed in a few passes.
    """

    file: str
    name: str
    folder: str
    limits: Limits
    architecture: str | None = None
    batch: int = 1
    dimensions: dict[str, int] = {}
    beside: dict[str, str] = {}
    measured: bool = True
    locked: bool = False
    """Read nothing where the system cannot take everything away from the process."""


class TimesOrder(msgspec.Struct, frozen=True, tag="times"):
    """One file of times to read, for the network whose layers stand in the folder."""

    file: str
    name: str
    folder: str
    limits: Limits
    locked: bool = False


class ImagesOrder(msgspec.Struct, frozen=True, tag="images"):
    """Images to read, which stand in the folder by their numbers, each in the sizes that a network takes.

    `names` are what the files are called, `specs` shape and dtype of each kind of input.
    """

    file: str
    name: str
    folder: str
    limits: Limits
    names: tuple[str, ...]
    specs: tuple[tuple[tuple[int, ...], str], ...]
    locked: bool = False


class TableOrder(msgspec.Struct, frozen=True, tag="table"):
    """One Parquet file to read: the columns that are wanted, each with what kind it must be of, as Arrow writes it."""

    file: str
    name: str
    folder: str
    limits: Limits
    columns: dict[str, str]
    most_rows: int
    locked: bool = False


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    done: int
    total: int
    what: str


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """One sentence, the name of the error, lines of code that make a file which would be taken, and what each layer or
    line of a file of times lacks."""

    sentence: str
    error: str = UnreadableFile.__name__
    remedy: str = ""
    problems: tuple[tuple[str, str], ...] = ()


class Lacks(msgspec.Struct, frozen=True, tag="lacks"):
    """The network keeps weights in files of these names, which were not given; the sentence is for whoever has none."""

    sentence: str
    names: tuple[str, ...]


class Read(msgspec.Struct, frozen=True, tag="read"):
    """The file was read, and everything is in the folder."""

    kind: Kind
    notes: tuple[str, ...]


class ReadTimes(msgspec.Struct, frozen=True, tag="times"):
    """The profile is in the folder; `problems` are layers that got no time of their own."""

    notes: tuple[str, ...]
    problems: tuple[tuple[str, str], ...]


class ReadImages(msgspec.Struct, frozen=True, tag="images"):
    """The pixels are in the folder, image after image, each in all sizes."""

    notes: tuple[str, ...] = ()


class ReadTable(msgspec.Struct, frozen=True, tag="table"):
    """The columns are in the folder."""

    notes: tuple[str, ...] = ()


class Columns(msgspec.Struct, frozen=True):
    """A table as it stands in the folder: the texts that were said about it, and its columns, all equally long."""

    about: dict[str, str]
    columns: dict[str, list[bool | int | float | str | None]]


Told = Progress | Refused | Lacks | Read | ReadTimes | ReadImages | ReadTable
AnyOrder = Order | TimesOrder | ImagesOrder | TableOrder
