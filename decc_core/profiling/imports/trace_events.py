"""Chrome trace events, as both profilers write them; decoded with types, so that nothing else is built."""

from __future__ import annotations

from math import isfinite

import msgspec

from decc_core.errors import InvalidProfile, UnreadableFile
from decc_core.profiling.imports.imported import MAX_TIME_S, short

MAX_OBJECTS = 5_000_000
"""Opening braces in a file: an event has two or three."""
MAX_ARGS_BYTES = 20_000
MAX_STAMP_US = 1e18
US_PER_S = 1e6

Word = str | int | float | None
NO_ARGS = msgspec.Raw(b"{}")


class Event(msgspec.Struct, gc=False):
    """One event; `ts` and `dur` in microseconds. Of `args` nothing is decoded before it is needed."""

    ph: Word = None
    cat: Word = None
    name: Word = None
    ts: Word = None
    dur: Word = None
    pid: Word = None
    tid: Word = None
    args: msgspec.Raw = NO_ARGS


class Device(msgspec.Struct):
    name: Word = None


class Trace(msgspec.Struct):
    """A whole file; an ONNX Runtime profile is only the list of events."""

    traceEvents: list[Event]
    deviceProperties: list[Device] = []
    host_name: Word = None


class EventArgs(msgspec.Struct):
    """What is used of the arguments of an event."""

    op_name: Word = None
    provider: Word = None
    correlation: Word = None
    dims: list[msgspec.Raw] = msgspec.field(name="Input Dims", default_factory=list)


class Timed(msgspec.Struct, gc=False):
    """An event that took time, in checked numbers."""

    name: str
    category: str
    thread: tuple[Word, Word]
    start_us: float
    time_us: float
    args: msgspec.Raw

    @property
    def end_us(self) -> float:
        return self.start_us + self.time_us


def read_events(data: bytes, file_name: str) -> Trace:
    """The trace in a file that begins like JSON."""
    if data.count(b"{") > MAX_OBJECTS:
        raise UnreadableFile(
            f"{file_name} holds more than {MAX_OBJECTS:,} objects, the limit for a trace; record fewer passes."
        )
    try:
        if data[:1000].lstrip().startswith(b"["):
            return Trace(msgspec.json.decode(data, type=list[Event]))
        return msgspec.json.decode(data, type=Trace)
    except msgspec.ValidationError as error:
        raise UnreadableFile(f"{file_name} is no trace of a profiler: {short(str(error), 200)}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableFile(
            f"{file_name} is not JSON ({short(str(error), 200)}); a profile is complete only after the profiler was "
            "stopped (`end_profiling()`, or the end of `with profile(...)`)."
        ) from None


def timed(event: Event, file_name: str) -> Timed | None:
    """The event with its numbers checked; None for what takes no time, such as names of threads."""
    if event.ph != "X" or not isinstance(event.name, str) or not isinstance(event.cat, str):
        return None
    start_us, time_us = _number(event.ts), _number(event.dur)
    if start_us is None or time_us is None:
        return None
    if abs(start_us) > MAX_STAMP_US or not 0 <= time_us <= MAX_TIME_S * US_PER_S:
        raise InvalidProfile(
            f"{file_name} has an event '{short(event.name)}' that lasts {time_us:g} µs from {start_us:g} µs on; "
            f"times must lie between 0 and {MAX_TIME_S:,.0f} s."
        )
    return Timed(event.name, event.cat, (event.pid, event.tid), start_us, time_us, event.args)


def _number(value: Word) -> float | None:
    if value is None or isinstance(value, str):
        return None
    try:
        number = float(value)
    except OverflowError:
        return float("1e308")
    return number if isfinite(number) else None


def arguments(args: msgspec.Raw) -> EventArgs:
    """The arguments of an event; none where they are not as profilers write them."""
    if len(bytes(args)) > MAX_ARGS_BYTES:
        return EventArgs()
    try:
        return msgspec.json.decode(args, type=EventArgs)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return EventArgs()
