"""What came of a stream on real workers, beside the simulation of the very same arrivals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from decc_core.network.arrays import Ints
from decc_core.network.work import Resource
from decc_core.plans.trace import Trace
from decc_core.problem.instance import RESOURCES
from decc_core.problem.link import NS_PER_S
from decc_core.runtime.controller.outputs import Distance, Verdict, judged
from decc_core.runtime.controller.report import Speed, WentUp, compared, saved_text
from decc_core.streams.arrivals import Arrivals
from decc_core.streams.served import PERCENTILES, Served, requests_needed
from decc_core.text import counted, duration

UNFINISHED, REFUSED = -1, -2
"""In place of the cut of a request that has no result: it was not finished, or the edge had no memory for it."""
DECISION_LIMIT_NS = 1_000_000
"""What a decision should take at most."""
KEPT_UP = 1.05
"""An emulated device whose work took so many times as long as planned, or less, was kept up with."""


@dataclass(frozen=True, eq=False, repr=False)
class StreamReport(WentUp):
    """One policy on real workers; all times are in the plan's, from the start of the stream, without dilation.

    Arrays have an entry for each request, in order of arrival; `taken` is the place of its cut on the menu, whose cuts
    have so many layers on the edge as `edge_layers` says. `samples` numbers the outputs that were seen; `distances`
    compares each of them with the unsplit model's, `from_formats` with what the same cut and formats give without a
    link, where a format loses something, as in a `lossy` stream. `formats` names those of the tensors that cross coded;
    `sizes` has for each tensor that crossed its bytes as it is and those that travelled, over all requests. `level` is
    how many times slower than its profile each side computed in a rehearsal right before a native run, and
    `handling_ns` how much later than work and queues explain a request had its result there; the simulation knows both.
    `trace` has the spans of the requests numbered as `window` says, `busy_ns` the work of all, and
    `planned_ns` what the work of the finished requests takes by their cuts.
    """

    policy: str
    rate_hz: float
    arrivals: Arrivals
    deadline_ns: int
    edge_layers: tuple[int, ...]
    taken: Ints
    dispatched_ns: Ints
    finish_ns: Ints
    decision_ns: Ints
    samples: Ints
    distances: Mapping[int, Distance] = field(repr=False)
    busy_ns: Mapping[Resource, int]
    simulation: Served
    capacity_hz: float
    speed: Speed
    dilation: float
    level: Mapping[Resource, float]
    trace: Trace
    window: tuple[int, int]
    failure: str | None = None
    overloaded: bool = False
    from_formats: Mapping[int, Distance] = field(default_factory=dict, repr=False)
    formats: Mapping[int, str] = field(default_factory=dict)
    lossy: bool = False
    sizes: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    planned_ns: Mapping[Resource, int] = field(default_factory=dict)
    handling_ns: int = 0
    classifies: bool = False

    @cached_property
    def counted(self) -> int:
        """How many requests, from the first on, have all come to an end: what figures are made of."""
        open_ones = np.flatnonzero(self.taken == UNFINISHED)
        return int(open_ones[0]) if len(open_ones) else len(self.taken)

    @cached_property
    def finished(self) -> int:
        return int((self.taken >= 0).sum())

    @cached_property
    def measured(self) -> Served | None:
        """The counted requests that have a result, as a stream that was served; None where there is none."""
        return _part(self.arrivals, self.taken, self.finish_ns, self._done)

    @cached_property
    def simulated(self) -> Served | None:
        """The same requests in the simulation, but for those that it refused; None where it gave up."""
        if self.simulation.given_up_after is not None:
            return None
        served = self._done[self.simulation.taken[self._done] >= 0]
        return _part(self.arrivals, self.simulation.taken, self.simulation.finish_ns, served)

    @cached_property
    def _done(self) -> Ints:
        return np.flatnonzero(self.taken[: self.counted] >= 0)

    @property
    def same_cut(self) -> float:
        """The share of these requests that took the same cut in the simulation."""
        done = self._done
        return float((self.taken[done] == self.simulation.taken[done]).mean()) if len(done) else 0.0

    @cached_property
    def utilisation(self) -> tuple[float, ...]:
        """The share of time in which each resource was busy, from the first arrival to the last."""
        times = self.arrivals.times_ns[: max(1, self.counted)]
        lasts_ns = int(times[-1] - times[0])
        return tuple(
            min(1.0, self.busy_ns.get(resource, 0) / self.dilation / lasts_ns) if lasts_ns else 1.0
            for resource in RESOURCES
        )

    @cached_property
    def planned_utilisation(self) -> tuple[float, ...]:
        """The same in the simulation."""
        done = self._done
        return replace(self.simulation, arrivals=_picked(self.arrivals, done), taken=self.simulation.taken[done],
                       finish_ns=self.simulation.finish_ns[done], loads_ns=self.simulation.loads_ns[done],
                       given_up_after=None).utilisation if len(done) else (0.0,) * len(RESOURCES)  # fmt: skip

    @property
    def work_level(self) -> Mapping[Resource, float]:
        """How many times as long as planned the work of the finished requests took on each side."""
        return {
            side: self.busy_ns[side] / self.dilation / planned if planned and self.busy_ns.get(side) else 1.0
            for side, planned in self.planned_ns.items()
        }

    @property
    def behind(self) -> Mapping[Resource, float]:
        """The devices that an emulated stream did not keep up with, and how many times as long their work took."""
        if self.speed is not Speed.EMULATED or (self.taken == UNFINISHED).any():
            return {}
        return {side: times for side, times in self.work_level.items() if times > KEPT_UP}

    @property
    def verified(self) -> int:
        """Requests whose outputs are bit for bit those of the unsplit model."""
        equal = [number for number, distance in self.distances.items() if distance.equal]
        return int(np.isin(self.samples[self.taken >= 0], equal).sum())

    @property
    def outputs_equal(self) -> bool:
        return 0 < self.finished == self.verified

    @property
    def max_abs_diff(self) -> float:
        """The largest difference of any output; infinite where some were not compared."""
        seen = set(self.samples[self.taken >= 0].tolist())
        return max((self.distances[s].max_abs if s in self.distances else float("inf") for s in seen), default=0.0)

    @property
    def verdict(self) -> Verdict | None:
        """What the outputs of the finished requests are beside the unsplit model's; None where there are none."""
        if not self.finished:
            return None
        seen = set(self.samples[self.taken >= 0].tolist())
        if not seen <= self.distances.keys():
            return Verdict.DIFFERENT
        return judged({sample: self.distances[sample] for sample in seen}, self.from_formats, self.lossy)

    @property
    def same_top1(self) -> int | None:
        """How many finished requests have the unsplit model's best class; None where the network is no classifier."""
        if not self.classifies:
            return None
        agreeing = [sample for sample, distance in self.distances.items() if distance.same_top1]
        return int(np.isin(self.samples[self.taken >= 0], agreeing).sum())

    @property
    def outputs_text(self) -> str:
        if self.verdict is None:
            return "none"
        if self.verdict is Verdict.IDENTICAL:
            return self.verdict.value
        wrong = self.finished - self.verified
        agreeing = f", top-1 {self.same_top1:,} of {self.finished:,}" if self.classifies else ""
        what = self.verdict.value if self.verdict is Verdict.TOLERATED else f"{wrong:,} of {self.finished:,} differ"
        return f"{what}, at most by {self.max_abs_diff:.1e}{agreeing}"

    @property
    def slowest_decision_ns(self) -> int:
        """The 99th percentile of the time that a decision took, or the longest where there are too few."""
        times = self.decision_ns[self.taken >= 0]
        return int(np.quantile(times, 0.99, method="higher")) if len(times) else 0

    @property
    def decision_median_ns(self) -> int:
        times = self.decision_ns[self.taken >= 0]
        return int(np.median(times)) if len(times) else 0

    @property
    def late_ns(self) -> int:
        """By how much requests were issued after their scheduled time, in the median; their latency counts it."""
        done = self.taken >= 0
        late = self.dispatched_ns[done] - self.arrivals.times_ns[done]
        return int(np.median(late)) if len(late) else 0

    def shares(self) -> tuple[tuple[float, float], ...]:
        """For each cut of the menu the share of the requests that took it, measured and simulated."""
        both = []
        for taken in (self.taken[self._done], self.simulation.taken[self._done]):
            counts = np.bincount(taken[taken >= 0], minlength=len(self.edge_layers))
            both.append((counts / max(1, len(taken))).tolist())
        return tuple(zip(*both, strict=True))

    def row(self) -> dict[str, Any]:
        """The figures; units stand in the names, and what cannot be told is None."""
        measured, simulated = self.measured, self.simulated
        found: dict[str, Any] = {
            "policy": self.policy,
            "rate_rps": self.rate_hz,
            "requests": len(self.taken),
            "finished": self.finished,
            "refused": int((self.taken == REFUSED).sum()),
            "outputs_equal": self.outputs_equal,
            "verdict": self.verdict.value if self.verdict else None,
            "max_abs_diff": self.max_abs_diff,
            "top1_agreement": None if self.same_top1 is None else self.same_top1 / max(1, self.finished),
            "uplink_raw_bytes": self.raw_bytes,
            "uplink_sent_bytes": self.sent_bytes,
        }
        for percentile in PERCENTILES:
            for name, served in (("measured", measured), ("simulated", simulated)):
                found[f"p{percentile:g}_{name}_s"] = _seconds(served.percentile_ns(percentile) if served else None)
        found |= {
            "goodput_measured_rps": measured.goodput_hz(self.deadline_ns) if measured else 0.0,
            "goodput_simulated_rps": simulated.goodput_hz(self.deadline_ns) if simulated else 0.0,
            "kept_deadline": measured.keep_rate(self.deadline_ns) if measured else 0.0,
            "same_cut": self.same_cut,
        }
        for resource, busy, planned in zip(RESOURCES, self.utilisation, self.planned_utilisation, strict=True):
            found[f"{resource.value}_utilisation"] = busy
            found[f"{resource.value}_utilisation_simulated"] = planned
        return found | {
            "grows": measured.grows if measured else None,
            "decision_median_s": self.decision_median_ns / NS_PER_S,
            "decision_p99_s": self.slowest_decision_ns / NS_PER_S,
            "issued_late_s": self.late_ns / NS_PER_S,
            "speed": self.speed.value,
            "dilation": self.dilation,
            "level": {side.value: level for side, level in self.level.items()},
            "handling_s": self.handling_ns / NS_PER_S,
            "behind": {side.value: times for side, times in self.behind.items()},
            "overloaded": self.overloaded,
            "failure": self.failure,
        }

    def requests(self) -> list[dict[str, Any]]:
        """One row for each request."""
        simulated = self.simulation if self.simulation.given_up_after is None else None
        rows = []
        for number, arrived in enumerate(self.arrivals.times_ns.tolist()):
            place, done = int(self.taken[number]), self.taken[number] >= 0
            finish = int(self.finish_ns[number])
            distance = self.distances.get(int(self.samples[number]))
            rows.append(
                {
                    "policy": self.policy,
                    "request": number,
                    "arrived_s": arrived / NS_PER_S,
                    "dispatched_s": int(self.dispatched_ns[number]) / NS_PER_S if done else None,
                    "finished_s": finish / NS_PER_S if done else None,
                    "latency_s": (finish - arrived) / NS_PER_S if done else None,
                    "cut": place if done else None,
                    "edge_layers": self.edge_layers[place] if done else None,
                    "decision_s": int(self.decision_ns[number]) / NS_PER_S if done else None,
                    "outputs_equal": bool(distance and distance.equal) if done else None,
                    "simulated_latency_s": (
                        (int(simulated.finish_ns[number]) - arrived) / NS_PER_S
                        if simulated is not None and simulated.taken[number] >= 0
                        else None
                    ),
                    "simulated_cut": int(self.simulation.taken[number]),
                    "refused": place == REFUSED,
                }
            )
        return rows

    def __str__(self) -> str:
        """What came of the stream in a sentence or two."""
        parts = [f"{self.policy}:"]
        parts.append(self.failure or f"{counted(self.finished, 'request')} finished.")
        if refused := int((self.taken == REFUSED).sum()):
            parts.append(f"{counted(refused, 'request')} did not fit into the edge's memory.")
        if behind := self.behind:
            sides = " and ".join(f"the {side.value} {100 * (times - 1):.0f} %" for side, times in behind.items())
            parts.append(
                f"This machine was too slow, or busy with something else: {sides} longer than planned at work, and "
                "latencies grew with it; `decc run --dilation` stretches the time."
            )
        parts.append(f"Outputs: {self.outputs_text}.")
        parts += filter(None, [saved_text(self.formats, self.raw_bytes, self.sent_bytes)])
        measured, simulated = self.measured, self.simulated
        known = [p for p in PERCENTILES if measured is not None and measured.percentile_ns(p) is not None]
        if measured is not None and simulated is not None and known:
            told = []
            for percentile in known:
                found, expected = measured.percentile_ns(percentile), simulated.percentile_ns(percentile)
                if found is not None and expected:
                    told.append(f"p{percentile:g} {duration(found)} ({compared(found / expected - 1)} as simulated)")
            parts.append(", ".join(told).replace("longer as", "longer than").replace("less as", "less than") + ".")
        if unknown := [p for p in PERCENTILES if p not in known and measured is not None]:
            parts.append(
                f"p{unknown[0]:g} takes {requests_needed(unknown[0]):,} requests to tell with 99 % confidence."
            )
        if self.finished:
            parts.append(
                f"A decision took {duration(self.decision_median_ns)}, 99 % of them at most "
                f"{duration(self.slowest_decision_ns)}; {100 * self.same_cut:.0f} % of the requests took the cut that "
                "they take in the simulation."
            )
        return " ".join(parts)

    __repr__ = __str__


def _part(stream: Arrivals, taken: Ints, finish_ns: Ints, which: Ints) -> Served | None:
    if not len(which):
        return None
    return Served(
        _picked(stream, which), taken[which], finish_ns[which], np.zeros((len(which), len(RESOURCES)), np.int64)
    )


def _picked(stream: Arrivals, which: Ints) -> Arrivals:
    return Arrivals(stream.times_ns[which], stream.source[which])


def _seconds(time_ns: int | None) -> float | None:
    return None if time_ns is None else time_ns / NS_PER_S
