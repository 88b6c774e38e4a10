"""How a plan shall be run, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from decc_core import ranges
from decc_core.models.device import ONE_THREAD, DeviceSettings
from decc_core.network.work import Resource
from decc_core.pictures import gantt, paragraph
from decc_core.plans.plan import Plan
from decc_core.plans.schedule import Schedule
from decc_core.plans.trace import Trace, furthest_off
from decc_core.problem.link import FREE, TensorWork
from decc_core.runtime.controller.outputs import Distance, Outputs, Verdict, judged
from decc_core.runtime.wire.assembly import TensorChunk
from decc_core.runtime.wire.messages import MAX_DEADLINE_S, MAX_SEED
from decc_core.runtime.wire.pacing import LinkShape
from decc_core.text import bytes_text, duration, three_digits

LEAST_WAIT_S = 1e-6
SAME = 5e-4
"""A difference of less is none that would be shown."""
SILENCE_S = 30.0
"""A worker that is well, and yet says nothing of its run for so long, is given up."""


class Speed(str, Enum):
    """Native: as fast as the core runs. Emulated: every layer takes the time that its profile says, by waiting."""

    NATIVE = "native"
    EMULATED = "emulated"


@dataclass(frozen=True)
class RunSettings:
    """How to run a plan. `seed` draws random inputs, unless `inputs` (chunks of tensors) are given.

    `dilation` stretches all times and the link of an emulated run; None lets the run find the smallest that this
    machine can keep. With `fallback_edge`, requests that cannot finish remotely are completed on the edge. Outputs are
    compared as they come, and then let go without `keep_outputs`.
    """

    link: LinkShape
    speed: Speed = Speed.EMULATED
    device: DeviceSettings = ONE_THREAD
    cloud_device: DeviceSettings | None = None
    seed: int = 0
    inputs: tuple[TensorChunk, ...] | None = None
    dilation: float | None = None
    fallback_edge: bool = False
    deadline_s: float | None = None
    silence_s: float = SILENCE_S
    keep_outputs: bool = True

    def __post_init__(self) -> None:
        ranges.require("seed", self.seed, -MAX_SEED, MAX_SEED)
        if self.dilation is not None:
            ranges.require("dilation", self.dilation, ranges.LEAST_FACTOR, ranges.MOST_FACTOR)
        for what, time_s in (("deadline", self.deadline_s), ("silence", self.silence_s)):
            if time_s is not None:
                ranges.require(what, time_s, LEAST_WAIT_S, MAX_DEADLINE_S, "s")


class WentUp:
    """What a report's tensors took on the uplink, over all requests."""

    sizes: Mapping[int, tuple[int, int]]

    @property
    def raw_bytes(self) -> int:
        """Of all that went up, as it is."""
        return sum(raw for raw, _ in self.sizes.values())

    @property
    def sent_bytes(self) -> int:
        """Of all that went up, as it travelled."""
        return sum(travelled for _, travelled in self.sizes.values())


@dataclass(frozen=True, repr=False)
class RunReport(WentUp):
    """What came of a run, as far as it got; predicted and measured times are in the plan's time, without dilation.

    A machine's speed drifts from minute to minute, and two workers on one machine slow each other and share it with
    their link. `level` is how many times slower than its profile each side computed in the rehearsals, right before a
    native run; `at_level` is the prediction with all layers slower by that. Emulated runs have level 1.

    `differences` are from what the unsplit model returns, `from_formats` from what the same cut and formats give
    without a link, where a format loses something, as in a `lossy` run. `formats` names those of the tensors that
    crossed coded, `sizes` has for each tensor that crossed its bytes as it is and those that travelled, over all
    requests. `classifies` is whether the network returns one score for each of several classes.
    """

    strategy: str
    plan: Plan
    speed: Speed
    dilation: float
    predicted: Schedule
    level: dict[Resource, float]
    at_level: Schedule
    trace: Trace
    outputs: dict[int, Outputs] = field(repr=False)
    differences: dict[int, Distance]
    dispatch_s: dict[Resource, float]
    fallen_back: tuple[int, ...] = ()
    failure: str | None = None
    from_formats: dict[int, Distance] = field(default_factory=dict)
    formats: dict[int, str] = field(default_factory=dict)
    lossy: bool = False
    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)
    classifies: bool = False

    @property
    def unfinished(self) -> tuple[int, ...]:
        """Requests without a result, whether from the run or from the fallback."""
        return tuple(request for request in range(len(self.plan.cuts)) if request not in self.differences)

    @property
    def outputs_equal(self) -> bool:
        """Whether every request has its outputs, and all are bit for bit those of the unsplit model."""
        return not self.unfinished and all(distance.equal for distance in self.differences.values())

    @property
    def verdict(self) -> Verdict | None:
        """What the outputs are beside the unsplit model's; None where some are missing."""
        return None if self.unfinished else judged(self.differences, self.from_formats, self.lossy)

    @property
    def same_top1(self) -> int | None:
        """How many finished requests have the unsplit model's best class; None where the network is no classifier."""
        return sum(distance.same_top1 for distance in self.differences.values()) if self.classifies else None

    @property
    def outputs_text(self) -> str:
        """How the outputs compare with the unsplit model's, in a few words."""
        if self.verdict is None:
            return f"{len(self.differences)} of {len(self.plan.cuts)}"
        if self.verdict is Verdict.IDENTICAL:
            return self.verdict.value
        agreeing = f", top-1 {self.same_top1} of {len(self.differences)}" if self.classifies else ""
        return f"{self.verdict.value}, max diff {self.max_abs_diff:.1e}{agreeing}"

    @property
    def wire_text(self) -> str:
        """What travelled instead of raw tensors, in a sentence or two; nothing where all did as they are."""
        text = saved_text(self.formats, self.raw_bytes, self.sent_bytes)
        if text and self.lossy and self.from_formats and all(distance.equal for distance in self.from_formats.values()):
            text += " The formats alone made the differences: without a link they give the same outputs, bit for bit."
        return text

    def __str__(self) -> str:
        """What came of the run in a sentence or two: outputs, measured against predicted, and what was furthest off."""
        return f"{self._timed} {self.wire_text}".rstrip()

    @property
    def _timed(self) -> str:
        name = self.strategy
        if self.failure:
            kept = ", ".join(map(str, self.fallen_back))
            return f"{name}: {self.failure}" + (f" Requests {kept} were completed on the edge." if kept else "")
        worst = furthest_off(self.trace, self.at_level)
        off = f"the {worst.name}: {duration(worst.measured_ns)} instead of {duration(worst.predicted_ns)}."
        if self.speed is Speed.NATIVE:
            levels = " and ".join(f"{side.value} {level:.2f} times" for side, level in self.level.items())
            return (
                f"{name}: outputs {self.outputs_text}. Right before the run the layers took {levels} as long as "
                f"profiled; at that level {duration(self.at_level.makespan_ns)} are predicted, and the run took "
                f"{compared(self.error_at_level)}; furthest off is {off}"
            )
        slower = (
            f", run {self.dilation:g} times slower than shown so that this machine can keep up"
            if self.dilation != 1
            else ""
        )
        return (
            f"{name}: outputs {self.outputs_text}; measured {duration(self.trace.makespan_ns)} where "
            f"{duration(self.predicted.makespan_ns)} were predicted ({compared(self.error)}{slower}); furthest off is "
            f"{off}"
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The sentences, and below them the run as predicted and as measured, over the same time."""
        until_ns = max(self.predicted.makespan_ns, self.trace.makespan_ns)
        measured = {
            resource: sorted(self.trace.work_on(resource), key=lambda span: span.start_ns) for resource in Resource
        }
        charts = (("predicted", self.predicted.spans), ("measured", measured))
        return paragraph(str(self)) + "".join(paragraph(name) + gantt(spans, until_ns) for name, spans in charts)

    @property
    def max_abs_diff(self) -> float:
        return max((distance.max_abs for distance in self.differences.values()), default=float("nan"))

    @property
    def error(self) -> float:
        """Measured over predicted makespan, less 1."""
        return _relative(self.trace.makespan_ns, self.predicted.makespan_ns)

    @property
    def error_at_level(self) -> float:
        """The same against the prediction at the level of the rehearsals."""
        return _relative(self.trace.makespan_ns, self.at_level.makespan_ns)


def _relative(measured_ns: int, predicted_ns: int) -> float:
    return measured_ns / predicted_ns - 1 if predicted_ns else 0.0


def compared(change: float) -> str:
    """How much more or less than expected, where 1 is twice as much: as a person would say it."""
    if abs(change) < SAME:
        return "as long"
    if change >= 1:
        return f"{three_digits(1 + change)} times as long"
    return f"{abs(change):.1%} {'longer' if change > 0 else 'less'}".replace("%", " %")


def saved_text(formats: Mapping[int, str], raw_bytes: int, sent_bytes: int) -> str:
    """How much less went up than raw tensors have, and as what; nothing where all went as they are."""
    if not formats or not raw_bytes:
        return ""
    names = " and ".join(dict.fromkeys(formats.values()))
    return f"{bytes_text(sent_bytes)} went up as {names} where raw tensors have {bytes_text(raw_bytes)}."


def work_text(work: Mapping[Resource, TensorWork]) -> list[str]:
    """What tensors cost the devices, a sentence for each that they cost anything."""
    return [f"Sending and receiving costs the {side.value} {one}." for side, one in work.items() if one != FREE]


def together_text(together: Mapping[Resource, float]) -> str:
    """How much workers on one machine slow each other; no prediction knows of it."""
    slower = " and ".join(f"the {side.value} {ratio:.2f} times" for side, ratio in together.items())
    return f"Both on this machine: while the other computes too, and nothing is sent, {slower} as long."
