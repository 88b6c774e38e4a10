"""Policies: how a request that arrives is cut. Fixed cuts, a repeated pattern, or a dispatcher that sees the queues.

A fixed cut and a pattern are executed in whole stages that overlap (frames), which is more than their papers ask for
where these run one request after the other; a dispatcher's requests overlap branch by branch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from decc_core.errors import InvalidInstance, NotPossible
from decc_core.kernels.codes import CLOUD, UPLINK
from decc_core.network.arrays import Ints, Mask
from decc_core.planner.analysis import Analysis
from decc_core.planner.chains import Chain
from decc_core.planner.many_requests import merged_plan
from decc_core.planner.mixes import Mix
from decc_core.planner.strategies import solve
from decc_core.plans.memory import edge_memory_bytes, parameter_bytes, tensor_bytes
from decc_core.plans.plan import Execution
from decc_core.plans.schedule import schedule
from decc_core.problem.instance import CostInstance, Objective
from decc_core.problem.link import NS_PER_S
from decc_core.streams import engine
from decc_core.streams.arrivals import Arrivals
from decc_core.streams.engine import DISPATCHED
from decc_core.streams.menu import Menu
from decc_core.streams.served import Served

MOST_CUTS = 8
"""On the menu of a dispatcher, which looks at each for every request."""
STATES = 400
"""Ways in which others may wait, by which cuts are looked for that are good in some of them."""
PATTERN_REQUESTS = 16
"""How finely JPS' two cuts are mixed."""
ROOM = 65_536
MOST_WAITING = 4_000
KNOTS = {0: 1, 1: 64, 2: 24, 3: 10, 4: 7}
"""Knots of a foresight on each resource, by how many resources matter."""
MATTERS = 0.02
"""A resource on which no cut puts more than so many deadlines of work is not looked at."""
REACH, GAPS, ROUNDS, STEADY = 2.5, 8, 60, 1e-3
"""How many deadlines of work a foresight knows of, by how many gaps arrivals are told, and when it is good enough."""
MOST_FIXED = 24
"""Cuts among which the best fixed one is looked for."""


@dataclass(frozen=True)
class Weights:
    """What a dispatcher weighs of every cut; the cut that weighs least is taken.

    `mean` is for each nanosecond of latency; `soon` for a latency on its way from `soon_from` deadlines to one, worth
    so many deadlines in all; `over` for each nanosecond beyond; `others` how much that counts of requests that wait.
    Then what it takes from those who come later: `backlog` is for its work on each resource times the work that waits
    there, per period of the capacity, `price` for its work at the prices of the LP over mixes, and `later` for what a
    look at the arrivals to come says (`Foresight`).
    """

    mean: float = 1.0
    others: float = 1.0
    soon: float = 0.0
    over: float = 0.0
    backlog: float = 0.0
    price: float = 0.0
    later: float = 0.0
    soon_from: float = 0.8

    def __post_init__(self) -> None:
        if min(astuple(self)) < 0:
            raise InvalidInstance("A dispatcher's weights must not be negative.")
        if self.soon_from > 1:
            raise InvalidInstance("Latency costs more before the deadline, and not from beyond it on.")

    def array(self, deadline_ns: int) -> np.ndarray:
        """In the order of the engine."""
        soon = self.soon * deadline_ns
        return np.array([self.mean, self.others, soon, self.over, self.backlog, self.price, self.later])


SIMPLE = (
    Weights(1, 1),
    *(Weights(1, 1, backlog=backlog) for backlog in (0.3, 3.0)),
    *(Weights(0.1, 1, over=1.0, backlog=backlog) for backlog in (0.3, 3.0)),
)
FORESEEING = (
    Weights(0.1, 1, soon=1.0, over=0.5, later=1.0),
    Weights(0.02, 1, soon=1.0, over=0.2, later=1.0, soon_from=0.6),
    Weights(0.5, 1, soon=0.5, over=1.0, later=1.0, soon_from=0.6),
)
"""Dispatchers to choose among, by simulation, for every menu."""


class Foresight(NamedTuple):
    """What those who come later pay for work that is left, at knots up to `reach_ns`, from the engine's `foresee`."""

    table: np.ndarray
    reach_ns: float


BLIND = Foresight(np.zeros((1, 1, 1, 1)), 1.0)


@dataclass(frozen=True, eq=False)
class Policy:
    """A menu, and either a pattern of its places that repeats, or how a dispatcher weighs."""

    name: str
    menu: Menu
    pattern: tuple[int, ...] = ()
    weights: Weights | None = None
    foresight: Foresight = BLIND

    def __post_init__(self) -> None:
        if bool(self.pattern) == (self.weights is not None):
            raise InvalidInstance("A policy repeats a pattern of cuts or dispatches, one of the two.")
        if any(not 0 <= place < len(self.menu) for place in self.pattern):
            raise InvalidInstance("A pattern names a place that the menu does not have.")


@dataclass(frozen=True, eq=False)
class Site:
    """Who shares what: equal sources, each with its own edge and links, and one cloud of several servers.

    `analysis` is of one request of one source.
    """

    analysis: Analysis
    sources: int = 1
    servers: int = 1
    _kept: dict[str, Policy] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        instance = self.analysis.instance
        if instance.requests != 1 or instance.objective is not Objective.MAKESPAN:
            raise InvalidInstance("A stream is planned from one request and its makespan.")
        if not 1 <= self.sources <= 1024 or not 1 <= self.servers <= 1024:
            raise InvalidInstance(f"{self.sources} sources and {self.servers} servers cannot be simulated; 1 to 1024.")

    @property
    def instance(self) -> CostInstance:
        return self.analysis.instance

    @cached_property
    def shared(self) -> Analysis:
        """One source's share of everything: its own edge and links, and the cloud as slow as if it were its own."""
        if self.sources == self.servers:
            return self.analysis

        def share(times_ns: tuple[int, ...]) -> tuple[int, ...]:
            # Rounded down, so that what is bounded by it is bounded indeed.
            return tuple(time_ns * self.sources // self.servers for time_ns in times_ns)

        instance = self.instance
        shared = replace(instance, cloud_ns=share(instance.cloud_ns), receive_ns=share(instance.receive_ns))
        return Analysis(shared)

    @cached_property
    def _mix(self) -> Mix:
        return self.shared.mixes.best(1, self.shared.candidates.undominated)

    @cached_property
    def capacity_hz(self) -> float:
        """Requests per second of all sources that no policy whatever can sustain more of (the LP over mixes)."""
        bound_ns = self._mix.bound_ns
        return self.sources * NS_PER_S / bound_ns if bound_ns else float("inf")

    @cached_property
    def least_ns(self) -> int:
        """The proven least latency of a request, whatever the policy."""
        return self.analysis.bound_ns

    def sustains_hz(self, policy: Policy) -> float:
        """The rate that a repeated pattern sustains for ever; the capacity for a dispatcher, which may reach it."""
        if not policy.pattern:
            return self.capacity_hz
        edge, uplink, cloud, downlink = policy.menu.rows.loads[list(policy.pattern)].mean(axis=0).tolist()
        busiest = max(edge, uplink, downlink, cloud * self.sources / self.servers)
        return self.sources * NS_PER_S / busiest if busiest else float("inf")

    def serve(self, policy: Policy, stream: Arrivals, deadline_ns: int, most_waiting: int = MOST_WAITING) -> Served:
        """Simulate a policy on arrivals; the deadline counts for a dispatcher that weighs it.

        A dispatcher gives up where more pieces wait than `most_waiting`.
        """
        if stream.sources > self.sources:
            raise InvalidInstance(f"Arrivals of {stream.sources} sources do not fit a site of {self.sources}.")
        rows = policy.menu.rows
        if policy.pattern:
            # Every source repeats the pattern for itself.
            chosen = np.array(policy.pattern, np.int64)[_nth_of_source(stream) % len(policy.pattern)]
        else:
            chosen = np.full(len(stream), DISPATCHED, np.int64)
        taken, finish, came = engine.simulate(
            stream.times_ns, stream.source, chosen, rows, self.instance.half_rtt_ns, self.sources, self.servers,
            self.rule(policy, deadline_ns), ROOM, most_waiting, self.memory(policy.menu),
        )  # fmt: skip
        given_up = None if came == engine.ALL_SERVED else int(came)
        loads = np.where(taken[:, None] < 0, 0, rows.loads[np.maximum(taken, 0)])
        return Served(stream, taken, finish, loads, self.servers, given_up)

    def rule(self, policy: Policy, deadline_ns: int) -> engine.Rule:
        """How a dispatcher weighs, for the engine; of a pattern nothing is asked."""
        weights, capacity = policy.weights or Weights(), self.capacity_hz
        return engine.Rule(
            weights.array(deadline_ns),
            int(weights.soon_from * deadline_ns),
            int(deadline_ns),
            self.sources * NS_PER_S / capacity if 0 < capacity < float("inf") else 1.0,
            self.prices,
            policy.foresight.table,
            float(policy.foresight.reach_ns),
        )

    def memory(self, menu: Menu) -> engine.Memory:
        """What requests may hold of an edge beside the weights of all cuts, and what the one that is computed needs.

        From its arrival until it has left the edge a request holds what it is, or what it sends, whichever is more; the
        edge computes one request at a time. Never too low.
        """
        cut_of = np.repeat(np.arange(len(menu)), np.diff(menu.rows.first))
        last = np.zeros(len(cut_of), np.bool_)
        for first, end in pairwise(menu.rows.first.tolist()):
            sending = np.flatnonzero(menu.rows.jobs[first:end, UPLINK] >= 0)
            last[first + sending[-1:]] = True
        limit = self.instance.constraints.edge_memory_bytes
        if limit is None:
            return engine.Memory(np.zeros(len(menu), np.int64), int(engine.FOREVER), cut_of, last)
        holds = np.array([self._held_bytes(chain) for chain in menu.chains], np.int64)
        graph = self.instance.graph
        computing = max(
            self._peak_bytes(chain, menu.execution) - held for chain, held in zip(menu.chains, holds, strict=True)
        )
        return engine.Memory(
            holds, limit - parameter_bytes(graph, frozenset().union(*menu.cuts)) - max(0, int(computing)), cut_of, last
        )

    def _held_bytes(self, chain: Chain) -> int:
        """What a request holds of the edge while nothing of it is computed: its inputs, or what it sends."""
        sizes, arrays = tensor_bytes(self.instance.graph), self.analysis.network.topology
        inputs = int(sizes[arrays.is_input[arrays.producer]].sum())
        return max(inputs, int(sizes[chain.order].sum()))

    def _peak_bytes(self, chain: Chain, execution: Execution) -> int:
        """The most that one request alone holds of the edge, weights not counted, if all is sent at the end."""
        if execution is not Execution.BRANCH_PIPELINED:
            return self.analysis.network.memory_bytes(chain.on_edge) - parameter_bytes(self.instance.graph, chain.cut)
        plan = replace(merged_plan(self.analysis, [chain]), execution=Execution.CONSECUTIVE)
        needed = edge_memory_bytes(self.instance, plan, schedule(self.instance, plan))
        return needed - parameter_bytes(self.instance.graph, chain.cut)

    def _has_memory(self, menu: Menu) -> bool:
        """Whether a request alone may take any cut of the menu."""
        memory = self.memory(menu)
        return bool(memory.room >= memory.holds.max())

    def foresight(self, weights: Weights, gaps_ns: np.ndarray, deadline_ns: int, menu: Menu | None = None) -> Foresight:
        """What the work that a cut leaves behind costs those who come later, if all of them choose well.

        `gaps_ns` are times between arrivals of one source.
        """
        menu = menu or self.menu
        loads = menu.rows.loads.astype(np.float64)
        loads[:, CLOUD] /= self.servers
        reach = REACH * deadline_ns
        matters = loads.max(axis=0) > MATTERS * deadline_ns
        knots = KNOTS[int(matters.sum())]
        shape = tuple(knots if matter else 1 for matter in matters.tolist())
        likely = np.array([part.mean() for part in np.array_split(np.sort(gaps_ns.astype(np.float64)), GAPS)])
        # Of the shared cloud's time others take their part.
        drains = np.ones(4)
        of_others = (self.sources - 1) * self._mean_load(CLOUD) / self.servers / max(1.0, float(gaps_ns.mean()))
        drains[CLOUD] = max(0.05, 1 - of_others)
        in_stages = loads.sum(axis=1) + np.where(
            [chain.uses_cloud for chain in menu.chains], 2.0 * self.instance.half_rtt_ns, 0
        )
        rule = engine.Rule(
            weights.array(deadline_ns), int(weights.soon_from * deadline_ns), int(deadline_ns), 1.0, self.prices,
            BLIND.table, reach,
        )  # fmt: skip
        table = engine.foresee(
            loads, in_stages - menu.alone_ns, np.array([chain.uses_cloud for chain in menu.chains]),
            float(self.instance.half_rtt_ns), likely, drains, rule, shape, ROUNDS, STEADY * deadline_ns,
        )  # fmt: skip
        return Foresight(table, reach)

    def _mean_load(self, resource: int) -> float:
        """Of the LP's best mix."""
        loads = self.analysis.network.loads(np.array(self._mix.cuts))
        return float((loads[:, resource] * np.array(self._mix.shares)).sum())

    @cached_property
    def prices(self) -> np.ndarray:
        """The weights of the LP over mixes: what work on each resource is worth where all are at their limit."""
        prices = np.array(self._mix.prices)
        # Work in the cloud was multiplied by the sources there.
        prices[CLOUD] *= self.sources
        return prices

    # The policies.

    def fixed(self, name: str, mask: Mask, execution: Execution = Execution.FRAME_PIPELINED) -> Policy:
        """One cut for all requests."""
        return Policy(name, self._menu([mask], execution), (0,))

    def baseline(self, name: str) -> Policy:
        """A strategy's cut for one request, for all requests; raises `NotPossible` where it has none."""
        if name not in self._kept:
            cut = solve(self.analysis, name).plan.cuts[0]
            self._kept[name] = self.fixed(name, self.analysis.network.mask(cut))
        return self._kept[name]

    def dads(self, rate_hz: float) -> Policy:
        """The paper's switch: DSL while it is stable at the rate, else DSH (Hu et al., INFOCOM 2019)."""
        light = self.baseline("dads-dsl")
        chosen = light if rate_hz < self.sustains_hz(light) else self.baseline("dads-dsh")
        return replace(chosen, name="dads")

    @cached_property
    def jps(self) -> Policy:
        """The two cuts of JPS in the proportion of the highest rate, spread evenly."""
        batch = replace(self.shared.instance, requests=PATTERN_REQUESTS, objective=Objective.THROUGHPUT)
        groups = list(solve(batch, "jps").plan.groups().items())
        masks = [self.analysis.network.mask(cut) for cut, _ in groups]
        counts = [len(requests) for _, requests in groups]
        return Policy("jps", self._menu(masks, Execution.FRAME_PIPELINED), spread_evenly(counts))

    @cached_property
    def fixed_cuts(self) -> tuple[Policy, ...]:
        """Every cut among which the best fixed one is looked for, in whole stages, fastest alone first."""
        cuts = self.analysis.candidates.undominated
        places = np.linspace(0, len(cuts) - 1, min(MOST_FIXED, len(cuts))).round().astype(int).tolist()
        masks = [cuts.mask(place) for place in dict.fromkeys(places)]
        return tuple(self.fixed("single-cut", mask) for mask in masks)

    @cached_property
    def menu(self) -> Menu:
        """The cuts that the dispatcher chooses among: the fastest alone, the LP's, and what is best in other states."""
        mix = self._mix
        masks = [self._fastest]
        masks += [
            mask for mask, share in sorted(zip(mix.cuts, mix.shares, strict=True), key=lambda c: -c[1]) if share > 0
        ]
        masks += self._wanted()
        unique = list({mask.tobytes(): mask for mask in masks}.values())[:MOST_CUTS]
        found = self._menu(self._together(unique), Execution.BRANCH_PIPELINED)
        # Of cuts that weigh the same the one that is faster alone is taken.
        return found.take(np.argsort(found.alone_ns, kind="stable").tolist())

    @cached_property
    def menus(self) -> tuple[Menu, ...]:
        """The menu by branches, and in whole stages where that differs.

        By branches a request is faster alone; but a tensor that is ready early passes those of earlier requests, which
        makes the slowest ones slower where much waits.
        """
        if all(len(chain.jobs) == 1 for chain in self.menu.chains):
            return (self.menu,)
        staged = replace(self.menu, execution=Execution.FRAME_PIPELINED)
        return self.menu, staged.take(np.argsort(staged.alone_ns, kind="stable").tolist())

    def _wanted(self) -> list[Mask]:
        """Cuts by how often they are the best where work on resources costs extra, as if others waited for them."""
        cuts = self.analysis.candidates.undominated
        rng = np.random.default_rng(0)
        extra = rng.dirichlet(np.full(4, 0.5), STATES) * 10 ** rng.uniform(-1, 1.5, (STATES, 1))
        best = (cuts.sequential_ns + extra @ cuts.loads.T).argmin(axis=1)
        places, times = np.unique(best, return_counts=True)
        return [cuts.mask(place) for place in places[np.argsort(-times, kind="stable")].tolist()]

    def _together(self, masks: list[Mask]) -> list[Mask]:
        """Cuts that the edge has memory for, whichever of them a request takes: its weights are those of all."""
        if self.instance.constraints.edge_memory_bytes is None:
            return masks
        kept: list[Mask] = []
        for mask in masks:
            if self._has_memory(self._menu([*kept, mask], Execution.BRANCH_PIPELINED)):
                kept.append(mask)
        if not kept:
            raise NotPossible("The edge has no memory for any cut of a dispatcher's requests; raise the limit.")
        return kept

    def dispatcher(self, weights: Weights, foresight: Foresight = BLIND, menu: Menu | None = None) -> Policy:
        return Policy("decc", menu or self.menu, weights=weights, foresight=foresight)

    @property
    def _fastest(self) -> Mask:
        """The best cut for one request alone."""
        return self.analysis.network.mask(solve(self.analysis, "decc").plan.cuts[0])

    def _menu(self, masks: Iterable[Mask], execution: Execution) -> Menu:
        chains = tuple(self.analysis.chains.best(mask) for mask in masks)
        return Menu(chains, execution, self.instance.half_rtt_ns)


def spread_evenly(counts: Sequence[int]) -> tuple[int, ...]:
    """So many of each place, each as evenly among the others as it goes."""
    at = sorted((((k + 0.5) / count, place) for place, count in enumerate(counts) for k in range(count)))
    return tuple(place for _, place in at)


def _nth_of_source(stream: Arrivals) -> Ints:
    """Which request of its source each is, from 0."""
    order = np.argsort(stream.source, kind="stable")
    counts = np.bincount(stream.source)
    within = np.arange(len(stream)) - np.repeat(np.cumsum(counts) - counts, counts)
    nth = np.empty(len(stream), np.int64)
    nth[order] = within
    return nth
