"""What controller and workers say to each other: typed messages, encoded as msgpack."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from decc_core.errors import WireError
from decc_core.formats import RAW
from decc_core.models.device import DeviceSettings
from decc_core.network.work import Resource
from decc_core.profiling.settings import ProfileSettings
from decc_core.runtime.wire.assembly import TensorChunk
from decc_core.runtime.wire.pacing import LinkShape
from decc_core.streams.posted import Posted

MAX_MESSAGE_BYTES = 4 << 20
"""Longer messages are refused unread; everything long travels in chunks."""
SPANS_A_MESSAGE = 20_000
MAX_MODEL_BYTES = 8 << 30
MAX_REQUESTS = 10_000
"""Of one run."""
MAX_STREAM = 100_000
"""Requests of one stream; their arrivals travel in one message."""
MAX_OPEN = 10_000
"""Of those so many may be in the system."""
MAX_DEADLINE_S = 7 * 86_400.0
MAX_NS = 1 << 62
PROTOCOL = 2
"""What controller and workers must have in common; 1 knew no coded tensors, and did not say its number."""

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Handle = Annotated[str, Meta(min_length=64, max_length=64)]
"""Of a loaded network: nobody can guess it, so that only who has loaded the network can name it."""
Index = Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]
MAX_SEED = 1 << 62
Seed = Annotated[int, Meta(ge=-MAX_SEED, le=MAX_SEED)]
ModelBytes = Annotated[int, Meta(ge=0, le=MAX_MODEL_BYTES)]
Core = Annotated[int, Meta(ge=0, le=65_535)]
Cores = Annotated[tuple[Core, ...], Meta(max_length=1024)]
Requests = Annotated[tuple[Annotated[int, Meta(ge=0, lt=MAX_REQUESTS)], ...], Meta(max_length=MAX_REQUESTS)]
Formats = Annotated[dict[Index, Name], Meta(max_length=1 << 16)]
Size = Annotated[int, Meta(ge=0, le=MAX_NS)]
Deadline = Annotated[float, Meta(gt=0, le=MAX_DEADLINE_S)]
Time = Annotated[int, Meta(ge=0, le=MAX_NS)]
Offset = Annotated[int, Meta(ge=-MAX_NS, le=MAX_NS)]


class Nothing(msgspec.Struct, frozen=True, tag="nothing"):
    """Needs no content."""


class Description(msgspec.Struct, frozen=True, tag="description"):
    """Who a worker is; `boot` is equal on one machine, where all processes read the same monotonic clock."""

    role: Resource
    version: str
    machine: dict[str, str]
    cores: int
    boot: str
    clock_ns: int
    protocol: int = 1


class LoadModel(msgspec.Struct, frozen=True, tag="load"):
    """A network by its name in the zoo, or as data: so many bytes of layers, then so many of tensors, follow."""

    zoo: Name | None = None
    layers_bytes: ModelBytes = 0
    tensors_bytes: ModelBytes = 0
    instead_of: Handle | None = None
    """A network that the caller has loaded before and needs no more."""


class ModelChunk(msgspec.Struct, frozen=True, tag="model-chunk"):
    """Some bytes of a model."""

    data: bytes


class Loaded(msgspec.Struct, frozen=True, tag="loaded"):
    """The model that a worker now has; `weights` is a digest of all its constants, `handle` the caller's to name it."""

    handle: Handle
    fingerprint: str
    weights: str


class ProfileModel(msgspec.Struct, frozen=True, tag="profile"):
    """Measure every layer of a loaded model."""

    handle: Handle
    settings: ProfileSettings


class ProfileProgress(msgspec.Struct, frozen=True, tag="profile-progress"):
    done: int
    total: int
    what: str


class Profiled(msgspec.Struct, frozen=True, tag="profiled"):
    """A profile as the store writes it."""

    content: bytes


class Peer(msgspec.Struct, frozen=True, tag="peer"):
    """Where the edge worker finds the cloud worker; `ahead_ns` is how far that clock is ahead of its own."""

    address: str
    token: str | None = None
    certificate: bytes | None = None
    ahead_ns: Offset = 0


class PrepareRun(msgspec.Struct, frozen=True, tag="prepare"):
    """One plan to run, as the store writes it; `seed` makes random inputs on the edge, without it they are sent.

    `formats` says how the tensors are coded, by their index, that do not cross the uplink as they are; the thread that
    computes layers does it, unless another core does so `beside` it. Results come back in the `result_format`.
    """

    run: Name
    handle: Handle
    plan: bytes
    device: DeviceSettings
    formats: Formats = {}
    beside: bool = False
    result_format: Name = RAW
    seed: Seed | None = None
    peer: Peer | None = None
    cores: Cores = ()
    stream: bool = False
    """The requests of the plan are then the cuts and the inputs of those of a stream, which take them in turn."""


class Prepared(msgspec.Struct, frozen=True, tag="prepared"):
    """Native seconds of each run of layers in the order of work, measured while warming up."""

    runs_s: tuple[float, ...]


class Pace(msgspec.Struct, frozen=True, tag="pace"):
    """How fast a prepared run shall go: the link's shape, and the time of every layer where it is emulated.

    `crossing_ns` is what it then takes this side to send, or to receive, each tensor that crosses the uplink; none
    where that is not charged.
    """

    run: Name
    link: LinkShape
    layers_ns: tuple[Time, ...] | None
    deadline_s: Deadline
    crossing_ns: tuple[Time, ...] = ()


class Stream(msgspec.Struct, frozen=True, tag="stream"):
    """The requests of a stream that was prepared, and how they are dispatched, in the plan's time.

    `dilation` stretches that; at most `most_open` requests may be in the system, and spans are told of those numbered
    from the first to the last of `window`.
    """

    run: Name
    arrivals_ns: Annotated[tuple[Time, ...], Meta(min_length=1, max_length=MAX_STREAM)]
    policy: Posted
    dilation: Annotated[float, Meta(gt=0, le=1e9)]
    most_open: Annotated[int, Meta(ge=1, le=MAX_OPEN)]
    window: tuple[Index, Index]


class RunRef(msgspec.Struct, frozen=True, tag="run"):
    """A run that was prepared; some calls take a choice of its requests."""

    run: Name
    requests: Requests = ()


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """Opens the link of a run; the cloud answers with the same."""

    run: Name


class Beat(msgspec.Struct, frozen=True, tag="beat"):
    """Still there; `done` counts the runs of layers that are over."""

    done: int


class Started(msgspec.Struct, frozen=True, tag="started"):
    """The clock of the run starts, or has started, at this time of the worker's clock."""

    zero_ns: int


class Done(msgspec.Struct, frozen=True, tag="done"):
    """A request's result is on the edge since `result_ns`; its tensors came just before."""

    request: int
    result_ns: int


class Results(msgspec.Struct, frozen=True, tag="results"):
    """Requests of a stream that are finished, in the order in which they were.

    Rows of request, place of its cut, when it was dispatched and when its result was there on the worker's clock, how
    long the decision took in nanoseconds, and the number of the sample that its outputs equal.
    """

    rows: list[tuple[Index, Index, int, int, Time, Index]]
    refused: list[Index] = []
    """Requests that the edge had no memory for."""


class Spans(msgspec.Struct, frozen=True, tag="spans"):
    """Measured work on one resource: rows of request, item, start and end on the worker's clock.

    Where `coding` is set the items are tensors, which the resource encoded or decoded.
    """

    resource: Resource
    rows: list[tuple[int, int, int, int]]
    coding: bool = False


class Sizes(msgspec.Struct, frozen=True, tag="sizes"):
    """What tensors took on a link: rows of request, tensor, bytes as it is and bytes that travelled."""

    resource: Resource
    rows: list[tuple[int, int, Size, Size]]


class Arrivals(msgspec.Struct, frozen=True, tag="arrivals"):
    """From when on a side had tensors that came over one link: rows of request, tensor and time on its clock."""

    resource: Resource
    rows: list[tuple[int, int, int]]


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """The worker's part of a run is over; `dispatch_s` is the mean time to layers that wait for nothing.

    Of a stream `busy_ns` tells how long the side computed, and how long its link was in use.
    """

    dispatch_s: float
    busy_ns: tuple[Time, Time] = (0, 0)


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The worker gave the run up, and why; `lost_link` is set where the other worker could not be reached any more.

    `overloaded` says that requests came faster than they left, and nothing is wrong with the worker.
    """

    reason: str
    lost_link: bool = False
    overloaded: bool = False


Event = Beat | Started | TensorChunk | Done | Results | Spans | Sizes | Arrivals | Finished | Failed
_encoder = msgspec.msgpack.Encoder()


def encode(message: Any) -> bytes:
    try:
        return _encoder.encode(message)
    except OverflowError:
        raise WireError("A time or a size is beyond 64 bits, and cannot be sent; choose smaller ones.") from None


def decode(data: bytes, kind: Any, sender: str) -> Any:
    """A message of the given type; anything else is refused, naming who sent it."""
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"The {sender} sent a malformed message: {error}.") from None
