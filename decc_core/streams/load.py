"""Load: what becomes of latency as requests come faster, and the rate that keeps a deadline, for every policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

import numpy as np

from decc_core import ranges
from decc_core.errors import InvalidInstance, NotPossible, UnknownName
from decc_core.network.arrays import Ints
from decc_core.planner.analysis import Analysis
from decc_core.problem.instance import RESOURCES, CostInstance
from decc_core.problem.link import NS_PER_S
from decc_core.streams.arrivals import MAX_ARRIVALS, Arrivals, Process, arrivals
from decc_core.streams.policies import FORESEEING, MOST_WAITING, SIMPLE, Policy, Site
from decc_core.streams.served import NEVER_NS, PERCENTILES, Served, requests_needed

Row = dict[str, str | float | bool | None]
FIXED = ("edge-only", "cloud-only", "neurosurgeon", "dads-dsl", "dads-dsh")
"""Strategies whose cut for one request is a policy as it is; QDMP's is that of DSL."""
POLICIES = (*FIXED, "dads", "single-cut", "jps", "decc")
CHOOSING_SEED = 7_919
"""Added to a seed: what is chosen by simulation is chosen on other arrivals than those that it is judged on."""
SHORTLISTS = ((0.1, 4), (0.6, 1))
"""Of the requests that are asked for, by how many choices are told from each other, and how many of them are kept."""
AROUND = (0.5, 0.75, 1.0, 1.5, 2.0)
"""Requests that are slower than the percentiles by which choices are told, as multiples of those that may be late."""
GAPS_OF = 4_000
"""Requests by which the times between arrivals are told."""
CHOICES = 64
"""What is chosen for a rate is chosen for so many rates up to the capacity, the nearest of them."""
HOPELESS = 50
"""Pieces that wait, as a multiple of the requests that arrive within a deadline."""
DEADLINE_FACTOR = 3.0
"""The usual deadline: so many times what the fastest cut takes alone."""
STEPS = 10
"""Halvings in the search for the sustained rate, which is then known to a thousandth of the capacity."""


@dataclass(frozen=True)
class Demand:
    """How requests arrive, and what is asked of their latency: that `percentile` per cent of them keep the deadline."""

    deadline_ns: int
    process: Process = Process.POISSON
    cv: float = 3.0
    percentile: float = 99.0
    requests: int = 20_000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.deadline_ns <= ranges.MAX_INT // 4:
            raise InvalidInstance(
                f"A deadline of {self.deadline_ns / NS_PER_S:g} s cannot be kept; choose one above 0."
            )
        if not requests_needed(self.percentile) <= self.requests <= MAX_ARRIVALS:
            raise InvalidInstance(
                f"{self.requests:,} requests do not tell a {self.percentile:g}th percentile with 99 % confidence; "
                f"simulate {requests_needed(self.percentile):,} to {MAX_ARRIVALS:,}."
            )
        if self.seed < 0:
            raise InvalidInstance(f"The seed is {self.seed}; choose 0 or more.")


@dataclass(frozen=True, eq=False)
class Closely:
    """One policy at one rate: all latencies, how many requests are in the system over time, and who took which cut.

    `in_system` holds from each of the moments `changes_ns` on, to the next one. `edge_layers` says how many layers of
    each cut of the menu run on the edge, `shares` what share of the requests took it.
    """

    latency_ns: Ints
    changes_ns: Ints
    in_system: Ints
    edge_layers: tuple[int, ...]
    shares: tuple[float, ...]
    taken: Ints


@dataclass(frozen=True, eq=False)
class LoadPoint:
    """One policy at one rate: the simulated run, and what the policy was at that rate."""

    policy: str
    rate_hz: float
    served: Served
    chosen: Policy

    def closely(self) -> Closely:
        """What a picture of this point needs."""
        served, menu = self.served, self.chosen.menu
        shares = np.bincount(served.taken[served.taken >= 0], minlength=len(menu)) / len(served)
        return Closely(
            served.latency_ns[served.latency_ns < NEVER_NS],
            *served.in_system_over_time(),
            tuple(len(cut) for cut in menu.cuts),
            tuple(shares.tolist()),
            served.taken,
        )

    def row(self, deadline_ns: int) -> Row:
        """The figures of a table's row; units stand in the names, and what cannot be told is None."""
        latencies = {f"p{percentile:g}_s": self.served.percentile_ns(percentile) for percentile in PERCENTILES}
        busy = {f"{r.value}_utilisation": u for r, u in zip(RESOURCES, self.served.utilisation, strict=True)}
        return {
            "policy": self.policy,
            "rate_rps": self.rate_hz,
            **{name: None if ns is None else ns / NS_PER_S for name, ns in latencies.items()},
            "goodput_rps": self.served.goodput_hz(deadline_ns),
            "kept_deadline": self.served.keep_rate(deadline_ns),
            **busy,
            "refused": float(self.served.is_refused.mean()),
            "grows": self.served.grows,
        }


@dataclass(eq=False)
class Load:
    """All policies of a site under one demand; what was chosen or simulated is kept for as long as this is."""

    site: Site
    demand: Demand
    choices: dict[tuple[str, float], Policy] = field(default_factory=dict)
    _streams: dict[tuple[float, int, int], Arrivals] = field(default_factory=dict)
    _sustained_hz: dict[str, float] = field(default_factory=dict)

    def possible(self) -> tuple[str, ...]:
        """The policies that have a cut under the constraints."""
        impossible = self.not_possible(POLICIES)
        return tuple(name for name in POLICIES if name not in impossible)

    def not_possible(self, names: Sequence[str]) -> dict[str, str]:
        """Why policies have no cut under the constraints."""
        reasons = {}
        for name in names:
            try:
                if name == "decc":
                    # Baselines are among its choices.
                    _ = self.site.menu
                elif name != "single-cut":
                    self.policy(name, 1.0)
                elif not self.site.fixed_cuts:
                    raise NotPossible("No cut keeps the constraints.")
            except NotPossible as reason:
                reasons[name] = str(reason)
        return reasons

    def policy(self, name: str, rate_hz: float) -> Policy:
        """What a policy is at a rate: some are chosen by simulation, on arrivals of their own."""
        if name in FIXED:
            return self.site.baseline(name)
        if name == "dads":
            return self.site.dads(rate_hz)
        if name == "jps":
            return self.site.jps
        if name not in POLICIES:
            raise UnknownName(f"There is no policy '{name}'; choose one of {', '.join(POLICIES)}.")
        capacity = self.site.capacity_hz
        # Nearby rates share a choice.
        step = round(CHOICES * rate_hz / capacity) if capacity < float("inf") else 0
        rate_hz = step * capacity / CHOICES if step else rate_hz
        if (name, rate_hz) not in self.choices:
            choices = self.site.fixed_cuts if name == "single-cut" else self._dispatchers(rate_hz)
            self.choices[name, rate_hz] = replace(self._best(choices, rate_hz), name=name)
        return self.choices[name, rate_hz]

    def _dispatchers(self, rate_hz: float) -> tuple[Policy, ...]:
        """Every way to dispatch, and every baseline: who sees the queues need not lose to who does not."""
        others = []
        for name in (*FIXED, "jps", "single-cut"):
            try:
                others.append(self.policy(name, rate_hz))
            except NotPossible:
                continue
        gaps, deadline_ns = self._stream(rate_hz, GAPS_OF, CHOOSING_SEED).gaps_ns, self.demand.deadline_ns
        own = []
        for menu in self.site.menus:
            for weights in FORESEEING:
                foresight = self.site.foresight(weights, gaps, deadline_ns, menu)
                own.append(self.site.dispatcher(weights, foresight, menu))
            own += [self.site.dispatcher(weights, menu=menu) for weights in SIMPLE]
        return (*own, *others)

    def _best(self, policies: Sequence[Policy], rate_hz: float) -> Policy:
        """The policy with the smallest percentile on arrivals apart; of equal ones the first."""
        stable = [policy for policy in policies if self.site.sustains_hz(policy) > rate_hz] or [
            max(policies, key=self.site.sustains_hz)
        ]
        for share, kept in SHORTLISTS:
            if len(stable) > 1:
                requests = max(int(share * self.demand.requests), requests_needed(self.demand.percentile))
                stream = self._stream(rate_hz, requests, CHOOSING_SEED)
                scored = sorted((self._score(policy, stream), place) for place, policy in enumerate(stable))
                stable = [stable[place] for _, place in scored[:kept]]
        return stable[0]

    def _score(self, policy: Policy, stream: Arrivals) -> float:
        """The percentile that is asked for, together with some around it, so that chance has less of a part in it."""
        # Far more than can wait where the deadline is kept: whose queues are longer is not looked at any further.
        most = HOPELESS * (1 + int(stream.rate_hz * self.demand.deadline_ns / NS_PER_S))
        served = self.site.serve(policy, stream, self.demand.deadline_ns, min(MOST_WAITING, most))
        if not len(served.latency_ns):
            return float("inf")
        shares = np.maximum(0, 1 - (1 - self.demand.percentile / 100) * np.array(AROUND))
        return float(np.log(np.maximum(1, np.quantile(served.latency_ns, shares, method="higher"))).mean())

    def point(self, name: str, rate_hz: float) -> LoadPoint:
        """A policy at a rate, on the arrivals that it is judged on."""
        policy = self.policy(name, rate_hz)
        stream = self._stream(rate_hz, self.demand.requests, 0)
        return LoadPoint(name, rate_hz, self.site.serve(policy, stream, self.demand.deadline_ns), policy)

    def keeps(self, name: str, rate_hz: float) -> bool:
        """Whether the chosen percentile keeps the deadline at a rate, and the queues do not grow."""
        served = self.point(name, rate_hz).served
        found = served.percentile_ns(self.demand.percentile)
        return found is not None and found <= self.demand.deadline_ns and not served.grows

    def sustained_hz(self, name: str) -> float:
        """The highest rate at which a policy keeps the deadline: halved, on the same arrivals stretched; 0 for none."""
        if name not in self._sustained_hz:
            self._sustained_hz[name] = self._found_sustained_hz(name)
        return self._sustained_hz[name]

    def _found_sustained_hz(self, name: str) -> float:
        high = self.site.capacity_hz
        if name in FIXED or name == "jps":
            high = min(high, self.site.sustains_hz(self.policy(name, high)))
        if high == float("inf"):
            return high
        low, end = 0, 2**STEPS
        # A policy that has others among its choices is likely to sustain what the best of them does.
        known = max(self._sustained_hz.values(), default=0.0) if name == "decc" else 0.0
        if first := int(known / high * end):
            low, end = (first, end) if self.keeps(name, high * first / end) else (0, first)
        while end - low > 1:
            middle = (low + end) // 2
            low, end = (middle, end) if self.keeps(name, high * middle / 2**STEPS) else (low, middle)
        return float(high * low / 2**STEPS)

    def sustained_row(self, name: str) -> Row:
        """What a policy sustains, and its figures at that rate where there is one."""
        rate_hz = self.sustained_hz(name)
        here = self.point(name, rate_hz).row(self.demand.deadline_ns) if 0 < rate_hz < float("inf") else {}
        return {"policy": name, "sustained_rps": rate_hz, **here}

    def curve(self, names: Sequence[str], rates_hz: Sequence[float]) -> Iterator[LoadPoint]:
        """All policies at all rates, rate by rate, so that a picture fills from the left."""
        for rate_hz in rates_hz:
            for name in names:
                yield self.point(name, rate_hz)

    def rates(self, count: int = 12) -> tuple[float, ...]:
        """Rates for a curve: from a twentieth of the capacity to all of it."""
        return tuple(self.site.capacity_hz * (0.05 + 0.95 * k / (count - 1)) for k in range(count))

    def _stream(self, rate_hz: float, requests: int, more: int) -> Arrivals:
        """The same arrivals for the same seed, whatever the rate: stretched."""
        key = (rate_hz, requests, more)
        if key not in self._streams:
            if len(self._streams) >= 4:
                self._streams.pop(next(iter(self._streams)))
            asked = self.demand
            self._streams[key] = arrivals(
                asked.process, rate_hz, requests, self.site.sources, asked.cv, asked.seed + more
            )
        return self._streams[key]


def usual_deadline_ns(site: Site, factor: float = DEADLINE_FACTOR) -> int:
    """So many times what a request takes where nobody else is, on the fastest cut."""
    return max(1, ceil(factor * int(site.menu.alone_ns.min())))


def most_sources(load_of: Callable[[int], Load], frames_hz: float, name: str = "decc", most: int = 64) -> int:
    """How many sources of so many requests per second one cloud carries under a policy; `load_of` has that many."""
    ranges.require("rate of a source", frames_hz, 1e-6, 1e6, "requests/s")
    low, high = 0, 1
    while high <= most and load_of(high).keeps(name, high * frames_hz):
        low, high = high, 2 * high
    high = min(high, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if load_of(middle).keeps(name, middle * frames_hz) else (low, middle)
    return low


# What a process that plans for others is asked: plain values in, plain values out.


@dataclass(frozen=True)
class Asked:
    """A site and a demand, without what is known of them."""

    sources: int
    servers: int
    demand: Demand

    def load(self, instance: CostInstance) -> Load:
        return Load(Site(Analysis(instance), self.sources, self.servers), self.demand)


@dataclass(frozen=True)
class Limits:
    """What no policy can beat, the policies that there are, and the usual deadline."""

    capacity_hz: float
    least_ns: int
    usual_deadline_ns: int
    policies: tuple[str, ...]


def limits_of(instance: CostInstance, asked: Asked) -> Limits:
    load = asked.load(instance)
    return Limits(load.site.capacity_hz, load.site.least_ns, usual_deadline_ns(load.site), load.possible())


def rows_at(instance: CostInstance, asked: Asked, names: Sequence[str], rate_hz: float) -> list[Row]:
    """The figures of some policies at a rate."""
    load = asked.load(instance)
    return [load.point(name, rate_hz).row(asked.demand.deadline_ns) for name in names]


def sustained_of(instance: CostInstance, asked: Asked, name: str) -> float:
    return asked.load(instance).sustained_hz(name)


def closely(instance: CostInstance, asked: Asked, name: str, rate_hz: float) -> Closely:
    return asked.load(instance).point(name, rate_hz).closely()
