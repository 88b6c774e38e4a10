"""The calls that a worker answers: what is asked, what comes back, and which of both is a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from decc_core.runtime.wire import messages as m
from decc_core.runtime.wire.assembly import TensorChunk

SERVICE = "decc.Worker"


@dataclass(frozen=True)
class Method:
    """One call; with `more`, such messages follow the first one; with `streams`, there are any number of answers."""

    name: str
    asks: Any
    answers: Any
    more: Any = None
    streams: bool = False

    @property
    def path(self) -> str:
        return f"/{SERVICE}/{self.name}"

    @property
    def shape(self) -> str:
        """As gRPC calls it, `unary_stream`."""
        return f"{'stream' if self.more else 'unary'}_{'stream' if self.streams else 'unary'}"


DESCRIBE = Method("Describe", m.Nothing, m.Description)
LOAD = Method("Load", m.LoadModel, m.Loaded, more=m.ModelChunk)
PROFILE = Method("Profile", m.ProfileModel, m.ProfileProgress | m.Profiled, streams=True)
PREPARE = Method("Prepare", m.PrepareRun, m.Nothing)
INPUTS = Method("Inputs", m.RunRef, m.Nothing, more=TensorChunk)
WARM = Method("Warm", m.RunRef, m.Prepared)
PACE = Method("Pace", m.Pace, m.Nothing)
WHOLE = Method("Whole", m.RunRef, m.Event, streams=True)
RUN = Method("Run", m.RunRef, m.Event, streams=True)
LINK = Method("Link", m.Hello, m.Hello | TensorChunk, more=TensorChunk, streams=True)
CLOSE = Method("Close", m.RunRef, m.Nothing)
PROBE = Method("Probe", bytes, bytes, more=bytes, streams=True)
"""Bytes as they are, of which the first says what they are for."""
