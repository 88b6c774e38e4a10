"""A live stream in the background: requests keep arriving at two workers, and each policy serves the same ones."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from app.jobs.live import LiveJob
from decc_core.errors import InvalidInstance
from decc_core.planner.analysis import Analysis
from decc_core.problem.instance import Objective
from decc_core.problem.scenario import Scenario
from decc_core.ranges import require
from decc_core.runtime.controller.live import Workers
from decc_core.runtime.controller.stream_report import StreamReport
from decc_core.runtime.controller.stream_run import run_streams
from decc_core.streams.arrivals import Arrivals, Process, arrivals
from decc_core.streams.load import Demand, Load
from decc_core.streams.policies import Site

LONGEST_S, MOST_REQUESTS, MOST_POLICIES = 120.0, 5_000, 3
"""Of one click: for how long requests arrive, how many there are, and how many policies serve them in turn."""


@dataclass(frozen=True)
class Stream:
    """How requests arrive, for how long, and the latency that each should keep."""

    rate_hz: float
    duration_s: float
    process: Process
    deadline_ns: int
    cv: float = 3.0
    seed: int = 0

    def __post_init__(self) -> None:
        require("duration", self.duration_s, 1.0, LONGEST_S, "s")
        if self.requests > MOST_REQUESTS:
            raise InvalidInstance(
                f"{self.rate_hz:.3g} requests/s for {self.duration_s:g} s are {self.requests:,} requests, and the page "
                f"runs at most {MOST_REQUESTS:,}: choose a shorter time, or decc run, which takes more."
            )

    @property
    def requests(self) -> int:
        return max(1, round(self.rate_hz * self.duration_s))

    def arrivals(self) -> Arrivals:
        return arrivals(self.process, self.rate_hz, self.requests, 1, self.cv, self.seed)


@dataclass
class StreamJob(LiveJob):
    """One click on Start: some policies, of which each serves the same arrivals."""

    what = "The live stream"
    stream: Stream | None = None
    streams: list[StreamReport] = field(default_factory=list)

    def __post_init__(self) -> None:
        # What is planned is one request; how many there are, and when, the stream says.
        self.scenario = one_request(self.scenario)
        self.instance = replace(self.instance, requests=1, objective=Objective.MAKESPAN)

    def _run_plans(self, workers: Workers) -> None:
        asked = self.stream
        assert asked is not None
        load = Load(Site(Analysis(self.instance)), Demand(asked.deadline_ns, asked.process, asked.cv, seed=asked.seed))
        policies = {}
        for name in self.strategies:
            self.doing = f"choosing how {name} dispatches, by simulation"
            policies[name] = load.policy(name, asked.rate_hz)
            if self.stopped.is_set():
                return
        settings = replace(self.conditions.settings(self.scenario, self.speed), inputs=None)
        pictures = self.conditions.pictures
        for report in run_streams(
            workers, load.site, policies, asked.arrivals(), asked.deadline_ns, settings, self._hearing, self.stopped,
            pictures.inputs if pictures else None,
        ):  # fmt: skip
            self.streams.append(report)


def one_request(scenario: Scenario) -> Scenario:
    """The scenario of each request of a stream."""
    return replace(scenario, requests=1, objective=Objective.MAKESPAN)
