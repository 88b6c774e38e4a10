"""The calls that a worker answers: what is asked, what comes back, and which of both is a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from decc_core.runtime.wire import messages as m
from decc_core.runtime.wire.assembly import TensorChunk

SERVICE = "decc.Worker"


@dataclass(frozen=True)
class Method:
    """One call; with `more`, such messages follow the first one; with `streams`, there are any number of answers.

    After `limit_s` seconds either end gives it up; a run and its link have the deadline of their run instead,
    and a run is there for as long as the controller holds the call that prepared it.
    """

    name: str
    asks: Any
    answers: Any
    limit_s: float | None
    more: Any = None
    streams: bool = False

    @property
    def path(self) -> str:
        return f"/{SERVICE}/{self.name}"


SHORT_S, WORK_S, PROFILE_S = 10.0, 600.0, 1800.0
"""Of calls that do no work to speak of, of those that build or compute, and of one that measures."""

DESCRIBE = Method("Describe", m.Nothing, m.Description, SHORT_S)
LOAD = Method("Load", m.LoadModel, m.Loaded, WORK_S, more=m.ModelChunk)
PROFILE = Method("Profile", m.ProfileModel, m.ProfileProgress | m.Profiled, PROFILE_S, streams=True)
PREPARE = Method("Prepare", m.PrepareRun, m.Nothing, None, streams=True)
INPUTS = Method("Inputs", m.RunRef, m.Nothing, WORK_S, more=TensorChunk)
WARM = Method("Warm", m.RunRef, m.Prepared, WORK_S)
PACE = Method("Pace", m.Pace, m.Nothing, SHORT_S)
WHOLE = Method("Whole", m.RunRef, m.Event, WORK_S, streams=True)
CODED = Method("Coded", m.RunRef, m.Event, WORK_S, streams=True)
"""What comes out when the plan's crossing tensors are coded, all of it on one side: nothing travels."""
RUN = Method("Run", m.RunRef, m.Event, None, streams=True)
LINK = Method("Link", m.Hello, m.Hello | TensorChunk, None, more=TensorChunk, streams=True)
CLOSE = Method("Close", m.RunRef, m.Nothing, SHORT_S)
PROBE = Method("Probe", bytes, bytes, 60.0, more=bytes, streams=True)
"""Bytes as they are, of which the first says what they are for."""
